"""Relations of a treebank: how well each head follows each of them, in either direction."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from attnviz.measures.pointing import Pointing, Question
from attnviz.measures.word_links import OFFSETS, Sees, see_all
from attnviz.records import ALL_RELATIONS, Axes, Block, Followed, Relation, RelationTable, Word
from attnviz.text import ParsedText
from attnviz.vocabulary import Direction, Kind

Integers = NDArray[np.int64]

_DIRECTIONS = list(Direction)
_CLARK = "Clark et al. 2019, What Does BERT Look At?, section 4"
_DEFINITIONS = {
    "accuracy": "how often the dependent looks most at its head word, of all words but itself (to head), or that word "
    f"at the dependent (from head), in the best attention head ({_CLARK})",
    "baseline": f"how often the head word is the one a fixed number of words further: the best of -3 to 2 ({_CLARK})",
    "count": "number of dependents",
    "held_out": "the same on every second text, for the head that is best on the other texts (ours)",
}


class RelationCount(Struct):
    """A count of a relation in some texts, and how often heads [directions, layers, heads] and offsets are right."""

    count: int
    heads: Integers
    offsets: Integers

    @classmethod
    def of(cls, right: Integers, offsets: Integers) -> Self:
        """Return the tally of some dependents: [directions, dependents, layers, heads] and [dependents, offsets]."""
        return cls(len(offsets), right.sum(1), offsets.sum(0))

    def __add__(self, other: "RelationCount") -> "RelationCount":
        """Return the tally of both."""
        return RelationCount(self.count + other.count, self.heads + other.heads, self.offsets + other.offsets)

    def measure(self, head: int, offset: int) -> Followed:
        """Return how well a head in one direction, and an offset, both by their flat index, do."""
        return Followed(self.count, self.heads.flat[head] / self.count, self.offsets[offset] / self.count)


class FollowedRelations(Struct, frozen=True, eq=False):
    """The tallies of one text, by relation, on these axes; `odd` says that its index is odd.

    The tally of all relations together is that of None, since a relation of the treebank may have any name. `left_out`
    is how many dependents cannot be judged, because they or their head words have no token of their own.
    """

    axes: Axes
    odd: bool
    tallies: Mapping[str | None, RelationCount]
    left_out: int


class RelationCounter:
    """The reducer that counts how often heads follow the relations in one text: `FollowedRelations`."""

    def __init__(self, axes: Axes, parsed: ParsedText, sees: Sees = see_all, *, odd: bool) -> None:
        words = parsed.align(axes.key_tokens)
        queries = parsed.align(axes.query_tokens)
        pieces = [_place(index, queries, words) for index in range(len(parsed.words))]
        told = [(dependent, one.governor) for dependent, one in enumerate(parsed.words) if one.governor is not None]
        self._asked = [pair for pair in told if _can_link(pieces[pair[0]], pieces[pair[1]], sees)]
        self._left_out = len(told) - len(self._asked)
        questions = [Question(pieces[dependent], (pieces[governor],)) for dependent, governor in self._asked]
        self._axes, self._parsed, self._odd = axes, parsed, odd
        self._pointing = Pointing(axes, questions, queries, words)

    def update(self, block: Block) -> None:
        """Take in the rows of a block."""
        self._pointing.update(block)

    def result(self) -> FollowedRelations:
        """Return the tallies of this one text."""
        right = np.stack([each.right for each in self._pointing.result()]).astype(np.int64)
        offsets = np.array([[governor - one == k for k in OFFSETS] for one, governor in self._asked], np.int64)
        chosen = defaultdict[str | None, list[int]](list)
        for number, (dependent, _) in enumerate(self._asked):
            for name in (self._parsed.words[dependent].relation, None):
                chosen[name].append(number)
        tallies = {name: RelationCount.of(right[:, own], offsets[own]) for name, own in chosen.items()}
        return FollowedRelations(self._axes, self._odd, tallies, self._left_out)


Key = tuple[str, Kind, tuple[int, ...], tuple[int, ...]]
"""The key of texts that are counted together: their model, kind, layers and heads."""


class RelationTotal(Struct):
    """The tallies of texts that have the same heads: by relation, and by whether the index of the text is odd."""

    texts: int = 0
    left_out: int = 0
    tallies: dict[tuple[str | None, bool], RelationCount] = field(default_factory=dict)

    def add(self, name: str | None, odd: bool, tally: RelationCount) -> None:
        """Take in a tally."""
        former = self.tallies.get((name, odd))
        self.tallies[name, odd] = former + tally if former else tally

    def relation(self, name: str | None, key: Key) -> Relation:
        """Return the best head for a relation, and how well what is best on even texts does on odd ones."""
        _, _, layers, heads = key
        folds = [self.tallies.get((name, odd)) for odd in (False, True)]
        whole = _sum([each for each in folds if each])
        head, offset = int(whole.heads.argmax()), int(whole.offsets.argmax())
        direction, row, column = np.unravel_index(head, whole.heads.shape)
        even, odd = folds
        held_out = odd.measure(int(even.heads.argmax()), int(even.offsets.argmax())) if even and odd else None
        return Relation(
            name=ALL_RELATIONS if name is None else name,
            direction=_DIRECTIONS[direction],
            layer=layers[row],
            head=heads[column],
            offset=OFFSETS[offset],
            whole=whole.measure(head, offset),
            held_out=held_out or Followed(odd.count if odd else 0, None, None),
        )


class RelationTotals(Struct):
    """The totals of all texts; those of other models, kinds, layers or heads are kept apart."""

    each: dict[Key, RelationTotal] = field(default_factory=dict)

    def add(self, found: FollowedRelations) -> None:
        """Take in one text; it does not count as one if it has no relation on these axes."""
        axes = found.axes
        total = RelationTotal(int(bool(found.tallies)), found.left_out)
        for name, tally in found.tallies.items():
            total.add(name, found.odd, tally)
        self.merge(RelationTotals({(axes.model, axes.kind, axes.layers, axes.heads): total}))

    def merge(self, other: "RelationTotals") -> None:
        """Take in all texts of another."""
        for key, theirs in other.each.items():
            mine = self.each.setdefault(key, RelationTotal())
            mine.texts += theirs.texts
            mine.left_out += theirs.left_out
            for (name, odd), tally in theirs.tallies.items():
                mine.add(name, odd, tally)

    def tables(self) -> Iterator[RelationTable]:
        """Yield the table of each total, by the names of models and kinds; all relations come before one named so."""
        for key in sorted(self.each, key=lambda key: (key[0], key[1].rank, *key[2:])):
            model, kind, *_ = key
            total = self.each[key]
            names = sorted(
                {name for name, _ in total.tallies}, key=lambda name: (name or ALL_RELATIONS, name is not None)
            )
            relations = [total.relation(name, key) for name in names]
            relations.sort(key=lambda relation: -relation.whole.count)
            yield RelationTable(
                model=model,
                kind=kind,
                texts=total.texts,
                relations=relations,
                definitions=_DEFINITIONS,
                left_out=total.left_out,
            )


def _sum(tallies: list[RelationCount]) -> RelationCount:
    first, *rest = tallies
    return first + rest[0] if rest else first


def _can_link(dependent: Word, governor: Word, sees: Sees) -> bool:
    """Return whether both words have tokens of their own, which are read together."""
    return all(
        word.queries and word.keys and sees(word.queries, other.keys)
        for word, other in ((dependent, governor), (governor, dependent))
    )


def _place(index: int, queries: list[int], keys: list[int]) -> Word:
    """Return where the pieces of a word of the treebank stand."""
    queries_of, keys_of = (tuple(place for place, word in enumerate(side) if word == index) for side in (queries, keys))
    return Word(str(index), queries_of, keys_of)
