"""What is shown of records, and in which order: sections, which each medium draws in its own way.

A section holds numbers, and the names that belong to them; nothing here knows of colours, widths or pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from attnviz.measures.habits import habits
from attnviz.measures.links import strongest, telling
from attnviz.measures.words import words_of
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


@dataclass(frozen=True, slots=True, eq=False)
class Definitions:
    """What each number of a head table means."""

    table: HeadTable


Section = Summary | Glance | HeadWeights | StrongestLinks | WordInHeads | HeadTable | Definitions
"""What a medium has to draw; a head table is a section as it is."""


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
            for attention, words in words_of(found, self.token):
                yield Summary(attention)
                yield from (WordInHeads(attention, word, self.top) for word in words)
        else:
            for attention in found:
                yield Summary(attention)
                yield from self._heads(attention)

    def _heads(self, attention: Attention) -> Iterator[Section]:
        layers, heads, link = attention.layers, attention.heads, None
        if len(layers) * len(heads) > 1:
            link, habit = telling(attention), habits(attention)
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


def table_sections(table: HeadTable) -> Iterator[Section]:
    """Yield what a head table is of, its numbers, and what each of them means."""
    yield Summary(table)
    yield table
    yield Definitions(table)


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
