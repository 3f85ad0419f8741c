"""Relations of a treebank: how well each head follows each of them, in either direction."""

from collections import defaultdict
from typing import Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.measures.pointing import Pointing, Question
from attnviz.measures.totals import SharedHeads, Summand, Total
from attnviz.measures.word_links import OFFSETS, Sees, see_all
from attnviz.records import ALL_RELATIONS, Axes, Followed, Relation, RelationTable, Word
from attnviz.text import ParsedText
from attnviz.vocabulary import Direction

Integers = NDArray[np.int64]

_DIRECTIONS = list(Direction)
_CLARK = "Clark et al. 2019, What Does BERT Look At?, section 4"
_DEFINITIONS = {
    "accuracy": "how often the dependent looks most at its head word, of all words but itself (to head), or that word "
    f"at the dependent (from head), in the best attention head ({_CLARK})",
    "baseline": f"how often one fixed distance hits the head word: the best from 3 words before to 2 after ({_CLARK})",
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


class RelationCounter:
    """The reducer that counts how often heads follow the relations in one text, whose index is `odd` or not.

    Dependents are left out that cannot be judged, because they or their head words have no token of their own.
    """

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
        self.update = self._pointing.update

    def result(self) -> Summand:
        """Return the tallies of this one text, which does not count as one if it has no relation on these axes."""
        right = np.stack([each.right for each in self._pointing.result()]).astype(np.int64)
        offsets = np.array([[governor - one == k for k in OFFSETS] for one, governor in self._asked], np.int64)
        chosen = defaultdict[str | None, list[int]](list)
        for number, (dependent, _) in enumerate(self._asked):
            for name in (self._parsed.words[dependent].relation, None):
                chosen[name].append(number)
        tallies = {(name, self._odd): RelationCount.of(right[:, own], offsets[own]) for name, own in chosen.items()}
        return FollowingHeads.of(self._axes), Total(int(bool(tallies)), tallies, self._left_out)


class FollowingHeads(SharedHeads, frozen=True):
    """The heads that may follow relations. The parts of their totals are tallies.

    They go by the relation, None for all together, since a relation of the treebank may have any name; and by whether
    the index of the text is odd.
    """

    def table(self, total: Total) -> RelationTable:
        """See `SharedHeads.table`; all relations come before one named so."""
        names = sorted({name for name, _ in total.parts}, key=lambda name: (name or ALL_RELATIONS, name is not None))
        relations = [self._judge(name, *(total.parts.get((name, odd)) for odd in (False, True))) for name in names]
        relations.sort(key=lambda relation: -relation.whole.count)
        return RelationTable(
            model=self.model,
            kind=self.kind,
            texts=total.texts,
            relations=relations,
            definitions=_DEFINITIONS,
            left_out=total.left_out,
        )

    def _judge(self, name: str | None, even: RelationCount | None, odd: RelationCount | None) -> Relation:
        """Return the best head for a relation, and how well what is best on even texts does on odd ones."""
        whole = even + odd if even and odd else even or odd
        assert whole is not None  # else nobody has named it
        head, offset = int(whole.heads.argmax()), int(whole.offsets.argmax())
        direction, row, column = np.unravel_index(head, whole.heads.shape)
        held_out = odd.measure(int(even.heads.argmax()), int(even.offsets.argmax())) if even and odd else None
        return Relation(
            name=ALL_RELATIONS if name is None else name,
            direction=_DIRECTIONS[direction],
            layer=self.layers[row],
            head=self.heads[column],
            offset=OFFSETS[offset],
            whole=whole.measure(head, offset),
            held_out=held_out or Followed(odd.count if odd else 0, None, None),
        )


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
