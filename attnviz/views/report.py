"""What is shown of records, and in which order: sections, which each medium draws in its own way.

A section holds numbers, and the names that belong to them; nothing here knows of colours, widths or pixels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from attnviz.measures.habits import find_habits
from attnviz.measures.labels import LABELS, find_labels
from attnviz.measures.links import strongest, telling
from attnviz.measures.word_rows import find_words
from attnviz.records import Attention, HeadTable, Link, Weights, Word
from attnviz.text import Token
from attnviz.vocabulary import Orientation, Place


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What ran: the model, the kind and the size of its attention, and what was done to the numbers since."""

    record: Attention | HeadTable


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """All heads at a glance: where most of their weight goes, `places` [layers][heads], and its `concentration`.

    That is [layers, heads]. The head `marked`, as its layer and head, is the most telling one.
    """

    layers: Sequence[int]
    heads: Sequence[int]
    places: Sequence[Sequence[Place]]
    concentration: Weights
    marked: tuple[int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class HeadWeights:
    """The weights of a record of one head, and the link that it was chosen for if it is the most telling one.

    Where there is no room for all weights, the `top` largest of each row stand for them.
    """

    attention: Attention  # [1, 1, queries, keys]
    reason: Link | None
    top: int
    orientation: Orientation


@dataclass(frozen=True, slots=True, eq=False)
class StrongestLinks:
    """The links of largest weight between words in one head; `telling` if the first is what it was chosen for."""

    links: Sequence[Link]
    telling: bool


@dataclass(frozen=True, slots=True, eq=False)
class WordInHeads:
    """One word in all heads: the `top` keys that it looks at most, and the queries that most look at it."""

    attention: Attention
    word: Word
    top: int


HeadNumber = tuple[int, int, float]
"""A layer, one of its heads, and a number of that head."""


@dataclass(frozen=True, slots=True, eq=False)
class RankedHeads:
    """Heads with a number each, largest first, by what the number is; the `title` says why these."""

    title: str
    ranks: Mapping[str, Sequence[HeadNumber]]


@dataclass(frozen=True, slots=True, eq=False)
class HeadRows:
    """All numbers of some heads of a table, in this order: layer and head of each."""

    table: HeadTable
    heads: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Definitions:
    """What each number of a head table means."""

    table: HeadTable


Section = Summary | Glance | HeadWeights | StrongestLinks | WordInHeads | RankedHeads | HeadRows | Definitions
"""What a medium has to draw."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is wanted of attention: one word if `token` names it, else the weights of `every` head or of a telling one.

    `top` is how many of the strongest tokens or links are listed.
    """

    token: str | None
    every: bool
    top: int
    orientation: Orientation

    def sections(self, found: Sequence[Attention]) -> Iterator[Section]:
        """Yield for each kind what ran, then one word in all heads, or all heads at a glance and the weights of some.

        Raises:
            TextError: there is no such word.
        """
        if self.token:
            for attention, words in find_words(found, self.token):
                yield Summary(attention)
                yield from (WordInHeads(attention, word, self.top) for word in words)
        else:
            for attention in found:
                yield Summary(attention)
                yield from self._heads(attention)

    def _heads(self, attention: Attention) -> Iterator[Section]:
        layers, heads, link = attention.layers, attention.heads, None
        if len(layers) * len(heads) > 1:
            link, habit = telling(attention), find_habits(attention)
            yield Glance(layers, heads, habit.main, habit.concentration, (link.layer, link.head) if link else None)
        if self.every:
            for layer, head in product(layers, heads):
                yield from self._weights(attention.select([layer], [head]), None)
        else:
            layer, head = (link.layer, link.head) if link else (layers[0], heads[0])
            yield from self._weights(attention.select([layer], [head]), link)

    def _weights(self, attention: Attention, reason: Link | None) -> Iterator[Section]:
        """Yield the weights of a record's one head, and its strongest links if there are any."""
        yield HeadWeights(attention, reason, self.top, self.orientation)
        first = [reason] if reason else []
        if links := [*first, *(link for link in strongest(attention, self.top) if link not in first)]:
            yield StrongestLinks(links[: self.top], telling=reason is not None)


@dataclass(frozen=True, slots=True)
class TableReport:
    """What is wanted of head tables: all numbers of `every` head, or the `top` heads for each number and their labels.

    Heads stand in the order of the model, or of the number that they are to `sort` by, largest first.
    """

    every: bool
    top: int
    sort: str | None
    define: bool

    def sections(self, table: HeadTable) -> Iterator[Section]:
        """Yield what the table is of, its numbers, and what each of them means.

        Raises:
            UsageError: it has no numbers to sort by of that name.
        """
        yield Summary(table)
        if self.every or self.sort:
            yield HeadRows(table, self._order(table))
        else:
            yield RankedHeads("Highest", {name: table.highest(name, self.top) for name in table.columns})
            if labelled := dict(_labelled(table)):
                yield RankedHeads("What they are for, by their numbers", labelled)
        if self.define:
            yield Definitions(table)

    def _order(self, table: HeadTable) -> list[tuple[int, int]]:
        """Return the heads in the order asked for, those without such a number last."""
        heads = list(product(table.layers, table.heads))
        if self.sort is None:
            return heads
        first = [(layer, head) for layer, head, _ in table.highest(self.sort, len(heads))]
        ordered = [*first, *(head for head in heads if head not in first)]
        return ordered if self.every else ordered[: self.top]


def _labelled(table: HeadTable) -> Iterator[tuple[str, list[HeadNumber]]]:
    """Yield each label that a head has, with the rule for it, and all its heads."""
    found = find_labels(table)
    for label in LABELS:
        if label in found.values():
            ranked = table.highest(label.statistic, len(table.layers) * len(table.heads))
            rule = f"{label.name} ({label.statistic} ≥ {label.least})"
            yield rule, [each for each in ranked if found.get(each[:2]) is label]


@dataclass(frozen=True, slots=True, eq=False)
class WordSide:
    """The weights [layers, heads, tokens] between one word and the tokens of an `axis`, the keys or the queries."""

    axis: str
    weights: Weights
    tokens: tuple[Token, ...]


def sides(attention: Attention, word: Word) -> Iterator[WordSide]:
    """Yield the weights from a word where it is a query (its pieces' mean), and to it where it is a key (their sum)."""
    if word.queries:
        yield WordSide("keys", attention.looks_at(word), attention.key_tokens)
    if word.keys:
        yield WordSide("queries", attention.looked_at_by(word), attention.query_tokens)
