"""Reports on records: sections in order, which each medium draws in its own way.

A section holds numbers, and the names that belong to them; nothing here knows of colours, widths or pixels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from attnviz.measures.labels import judge_heads
from attnviz.measures.links import find_telling, strongest
from attnviz.measures.reducers import join_pieces, join_word
from attnviz.measures.word_rows import find_words
from attnviz.records import Attention, Axes, HeadMatrix, HeadTable, Link, RelationTable, Weights, Word
from attnviz.text import By, Token
from attnviz.vocabulary import ROWS, WEIGHT, Orientation

if TYPE_CHECKING:  # which only `attnviz compare` has
    from attnviz.measures.comparison import Comparison

MARKED = 5
"""How many of the strongest links have their heads marked where all heads are seen."""

_MANY_FAINT = 0.25  # of the heads
_TELLING = 3  # links that show names at most before it shows the head of the first


class Summary(Struct, frozen=True, eq=False):
    """The model, the kind and size of its attention, and what was done to the numbers."""

    record: Axes | HeadTable | RelationTable


class NoDifference(Struct, frozen=True, eq=False):
    """A sentence, `told` in place of differences where there are none."""

    told: str


_NO_WEIGHT = NoDifference("Nothing differs: between the tokens that both have, no weight changes by more than 0.00001.")
_NO_DIVERGENCE = NoDifference("Nothing differs: the divergence of every head is 0.")
_UNDEFINED = NoDifference("Nothing can be compared: no row of both has weight on the tokens that both have.")


class Glance(Struct, frozen=True, eq=False):
    """All heads at a glance: the weights of each, and the labels of those that have one.

    `labels` and `marked`, the most telling head, name heads by layer and head.
    """

    attention: HeadMatrix
    labels: Mapping[tuple[int, int], str]
    marked: tuple[int, int] | None


class HeadWeights(Struct, frozen=True, eq=False):
    """The weights of one head, and the link that it was chosen for if it is the most telling one.

    Where there is no room for all weights, the `top` largest of each row stand for them. `rows` is how many are shown
    at most, None for all.
    """

    attention: HeadMatrix  # [1, 1, queries, keys]
    reason: Link | None
    top: int
    orientation: Orientation
    rows: int | None = None

    @property
    def cut(self) -> int:
        """Return how many of its rows are not shown."""
        down, _ = self.orientation.axes(*self.attention.shape[2:])
        return _count_cut(down, self.rows)


def mark_heads(attention: HeadMatrix) -> list[tuple[int, int]]:
    """Return the heads of the strongest links, by layer and head, the strongest first."""
    return list(dict.fromkeys((link.layer, link.head) for link in strongest(attention, MARKED)))


def note_faint(largest: Weights, least: float) -> str | None:
    """Return the beginning of a note if a quarter of the heads, or more, look blank where less than `least` does.

    A head does if most of its queries have no larger weight: `largest` is the most of each query [..., queries].
    """
    heads = (largest < least).mean(-1) > 0.5
    faint = int(heads.sum())
    if faint < _MANY_FAINT * heads.size:
        return None
    which = "The head" if heads.size == 1 else f"{faint:,} of {heads.size:,} heads"
    look, their = ("looks", "its") if faint == 1 else ("look", "their")
    return f"{which} {look} nearly blank, because the largest weight of most of {their} queries is below {least}"


def _count_cut(rows: int, most: int | None) -> int:
    return 0 if most is None else max(rows - most, 0)


class LinksInHeads(Struct, frozen=True, eq=False):
    """The links that tell most of what the heads are for, each between two of a `unit` in a head of its own.

    Of another `measure` they are those whose number is furthest from zero in any head.
    """

    links: Sequence[Link]
    unit: str
    measure: str = WEIGHT


class StrongestLinks(Struct, frozen=True, eq=False):
    """The links of largest weight in one head, each between two of a `unit`; `telling`: it was chosen for the first.

    Of another `measure` they are those whose number is furthest from zero.
    """

    links: Sequence[Link]
    unit: str
    telling: bool
    measure: str = WEIGHT


class WordInHeads(Struct, frozen=True, eq=False):
    """One word in all heads: the `top` keys that it looks at most, and the queries that most look at it.

    `rows` is how many heads are shown at most, None for all.
    """

    attention: HeadMatrix
    word: Word
    top: int
    rows: int | None = None

    @property
    def cut(self) -> int:
        """Return how many heads are not shown."""
        layers, heads = self.attention.shape[:2]
        return _count_cut(layers * heads, self.rows)


HeadNumber = tuple[int, int, float]
"""A layer, one of its heads, and a number of that head."""


class RankedHeads(Struct, frozen=True, eq=False):
    """Heads with a number each, largest first, by the names of numbers, under a `title`; `none` stands for no head."""

    title: str
    ranks: Mapping[str, Sequence[HeadNumber]]
    none: str = "undefined"


class HeadRows(Struct, frozen=True, eq=False):
    """All numbers of some heads of a table, in this order; a head is its layer and head."""

    table: HeadTable
    heads: Sequence[tuple[int, int]]


class Answer(Struct, frozen=True, eq=False):
    """The answer to what was asked for: the head, or the relation, that a table lists first."""

    table: HeadTable | RelationTable


class RelationRows(Struct, frozen=True, eq=False):
    """The `top` first relations of a table: the head that follows each best, and how well, beside the best offset."""

    table: RelationTable
    top: int | None


class Definitions(Struct, frozen=True, eq=False):
    """The definitions of the numbers of a table."""

    table: HeadTable | RelationTable


Section = (
    Summary
    | Glance
    | LinksInHeads
    | HeadWeights
    | StrongestLinks
    | WordInHeads
    | Answer
    | RankedHeads
    | HeadRows
    | RelationRows
    | NoDifference
    | Definitions
)
"""Everything that a medium has to draw."""


class Report(Struct, frozen=True):
    """A report on attention: on one word if `token` names it, else the weights of `every` head or of the telling one.

    `top` is how many of the strongest tokens or links are listed, `rows` how many rows a table of weights has at most,
    None for all. Tokens that stand for one character between them are shown as one.
    """

    token: str | None
    every: bool
    top: int
    orientation: Orientation
    rows: int | None = ROWS

    def sections(self, found: Sequence[HeadMatrix]) -> Iterator[Section]:
        """Yield the sections of each record: the summary, then a word in all heads, or the overview and some weights.

        Raises:
            TextError: there is no such word.
        """
        if self.token:
            for attention, words in self._find_token(found, self.token):
                yield Summary(attention)
                yield from (WordInHeads(attention, word, self.top, self.rows) for word in words)
        else:
            for record in found:
                attention = join_pieces(record)
                yield Summary(attention)
                yield from self._heads(attention, record)

    @staticmethod
    def _find_token(found: Sequence[HeadMatrix], token: str) -> Iterable[tuple[HeadMatrix, list[Word]]]:
        """Return where a word stands in each record that has it; a position may be that of one byte of a character."""
        if not token.isdecimal():
            return find_words([*map(join_pieces, found)], token)
        placed = find_words(found, token)
        return [(join_pieces(record), [join_word(record, word) for word in words]) for record, words in placed]

    def _heads(self, attention: HeadMatrix, record: HeadMatrix) -> Iterator[Section]:
        """Yield the overview of all heads and some weights; labels are those of the `record` with all its tokens."""
        layers, heads, link = attention.layers, attention.heads, None
        if len(layers) * len(heads) > 1 and isinstance(attention, Attention):
            links = find_telling(attention, min(_TELLING, self.top))
            link = next(iter(links), None)
            shown = (link.layer, link.head) if link else (layers[0], heads[0])
            labels = {head: found.name for head, found in judge_heads(record).items()}
            yield Glance(attention, labels, shown if link else None)
            if links:
                yield LinksInHeads(links, _name_unit(attention))
        else:
            shown = _find_largest_head(attention)
        if self.every:
            for layer, head in product(layers, heads):
                yield from self._weights(attention.select([layer], [head]), None)
        else:
            yield from self._weights(attention.select(*shown), link)

    def compare(self, found: "Sequence[Comparison]") -> Iterator[Section]:
        """Yield the sections of each comparison: the heads that differ most, and the differences of the first, or all.

        Raises:
            TextError: there is no such word.
        """
        missing = [_UNDEFINED if each.is_undefined else _NO_WEIGHT if each.is_empty else None for each in found]
        if self.token:
            of_word = list(self.sections([each.difference for each in found]))  # which refuses a word that is not there
            if not all(missing):
                yield from of_word
                return
        for each, none in zip(found, missing, strict=True):
            yield Summary(each.axes)
            if none:
                yield none
                continue
            yield from self._rank(each.table)
            if self.every:
                for head in each.compared:
                    yield from self._weights(each.difference_of(*head), None)
            else:
                first, links = each.difference_of(*each.compared[0]), each.find_largest(self.top)
                if links:
                    yield LinksInHeads(links, _name_unit(first), first.measure)
                yield HeadWeights(first, None, self.top, self.orientation, self.rows)

    def compare_texts(self, tables: Sequence[HeadTable]) -> Iterator[Section]:
        """Yield the sections of comparisons over many texts: the heads that differ most."""
        for table in tables:
            yield Summary(table)
            defined = table["divergence"][np.isfinite(table["divergence"])]
            if defined.any():
                yield from self._rank(table)
            else:
                yield _NO_DIVERGENCE if defined.size else _UNDEFINED

    def _rank(self, table: HeadTable) -> Iterator[Section]:
        """Yield the heads that differ most, or all, and what their numbers mean."""
        ranked = table.listed()
        yield HeadRows(table, ranked if self.every else ranked[: self.top])
        yield Definitions(table)

    def _weights(self, attention: HeadMatrix, reason: Link | None) -> Iterator[Section]:
        """Yield the weights of one head, and its strongest links if it has any."""
        yield HeadWeights(attention, reason, self.top, self.orientation, self.rows)
        first = [reason] if reason else []
        if links := [*first, *(link for link in strongest(attention, self.top) if link not in first)]:
            yield StrongestLinks(links[: self.top], _name_unit(attention), reason is not None, attention.measure)


def _name_unit(attention: HeadMatrix) -> str:
    """Return what links are between: words, or what the weights are between if that is larger."""
    return By.WORD.unit if attention.by is By.TOKEN else attention.by.unit


def _find_largest_head(record: HeadMatrix) -> tuple[int, int]:
    """Return the layer and the head whose numbers are largest on average, whatever their signs."""
    sizes = np.array([[abs(head).mean() for head in layer] for layer in record.weights])  # [layers, heads]
    layer, head = np.unravel_index(sizes.argmax(), sizes.shape)
    return record.layers[layer], record.heads[head]


def labelled_tokens(attention: HeadMatrix) -> tuple[Sequence[Token], Sequence[Token]]:
    """Return the tokens of queries and of keys as their labels show them: only the row of a query predicts."""
    return attention.query_tokens, [replace(token, predicts=None) for token in attention.key_tokens]


class WordSide(Struct, frozen=True, eq=False):
    """The weights [layers, heads, tokens] between one word and the tokens of an `axis`, the keys or the queries."""

    axis: str
    weights: Weights
    tokens: Sequence[Token]


def sides(attention: HeadMatrix, word: Word) -> Iterator[WordSide]:
    """Yield the weights from a word as a query (the mean of its pieces), and to it as a key (their sum)."""
    queries, keys = labelled_tokens(attention)
    if word.queries:
        yield WordSide("keys", attention.looks_at(word), keys)
    if word.keys:
        yield WordSide("queries", attention.looked_at_by(word), queries)
