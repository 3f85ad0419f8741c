"""The scene on the screen: records of a text made ready to be looked at, and the state that says what is seen of one.

Nothing here knows of a terminal: the screen draws a scene, and a key makes a new state of it.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from functools import cached_property

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.measures.links import strongest, telling
from attnviz.measures.reducers import group_record
from attnviz.measures.word_rows import find_words
from attnviz.records import Attention, Link, Weights, average, require_record
from attnviz.text import By, Token, choose_spelled
from attnviz.views.names import index_name
from attnviz.views.pooling import shrink
from attnviz.views.report import mark_heads
from attnviz.vocabulary import Orientation

_THUMBNAIL = 16  # rows and columns of a thumbnail at most

Head = tuple[int, int]
"""The original indices of a layer and of one of its heads."""

Place = tuple[int, int]
"""The places of a layer and of a head in a record."""


class View(Enum):
    """A view of the heads that are shown, beside the overview of all."""

    MATRIX = "matrix"
    LINKS = "links"
    HEADS = "all heads"


class OpenText(Struct, frozen=True, eq=False):
    """A text that has been read: one record for each kind of attention, and notes on it; a saved text may be unknown.

    `number` is its place among the texts that were given, None if it was typed.
    """

    text: str | None
    records: Sequence[Attention]
    notes: Sequence[str] = ()
    number: int | None = None


class State(Struct, frozen=True):
    """The part of a text that is seen: a place among its records, the layers and heads of that, and two tokens.

    `others` are heads that are shown besides, or with `mean` the average of all of them is. Tokens are named by their
    positions; without a `key`, the strongest one of the query is meant. What is `locked` does not follow the pointer.
    The other fields say what the weights are between, and how they are drawn.
    """

    record: int = 0
    layer: int = 0
    head: int = 0
    others: tuple[Place, ...] = ()
    mean: bool = False
    view: View = View.MATRIX
    query: int = 0
    key: int | None = None
    locked: bool = False
    words: bool = False
    special: bool = True
    turned: bool = False
    log: bool = False


class Shown(Struct, frozen=True, eq=False):
    """A record made ready to be shown: its most telling link, the heads to mark, and a small picture of each head.

    `thumbnails` is [layers, heads, rows, columns], the largest weight in each part of a head.
    """

    attention: Attention
    telling: Link | None
    marked: frozenset[Head]
    thumbnails: Weights


def prepare(attention: Attention, *, words: bool, special: bool) -> Shown:
    """Make a record ready, between words instead of tokens, or without special tokens; it may take a second.

    Raises:
        UsageError: without the special tokens nothing is left.
    """
    if words and attention.by is By.TOKEN:
        attention = require_record(group_record(attention, By.WORD))
    if not special:
        attention = attention.without_special()
    thumbnails = shrink(attention.weights, _THUMBNAIL, _THUMBNAIL)
    return Shown(attention, telling(attention), frozenset(mark_heads(attention)), thumbnails)


class Scene(Struct, frozen=True, eq=False, dict=True):
    """One head of a record or several, and one query with one key: everything that is drawn."""

    shown: Shown
    state: State

    @property
    def attention(self) -> Attention:
        """Return the record."""
        return self.shown.attention

    @property
    def head(self) -> Head:
        """Return the original indices of the layer and the head."""
        return self.attention.layers[self.state.layer], self.attention.heads[self.state.head]

    @cached_property
    def picked(self) -> tuple[Place, ...]:
        """Return the places of the heads that are shown: those that are kept as they came, then the chosen one."""
        layers, heads, _, _ = self.attention.shape
        others = (place for place in self.state.others if place[0] < layers and place[1] < heads)
        return tuple(dict.fromkeys([*others, (self.state.layer, self.state.head)]))

    @property
    def chosen(self) -> int:
        """Return the number of the chosen head among those that are shown; of an average, which is one, 0."""
        return 0 if self.averaged else self.picked.index((self.state.layer, self.state.head))

    @property
    def averaged(self) -> bool:
        """Return whether the average of several heads is shown."""
        return self.state.mean and len(self.picked) > 1

    @cached_property
    def heads(self) -> Weights:
        """Return the weights [heads, queries, keys] of what is shown: the heads one by one, or their average."""
        found: Weights = np.stack([self.attention.weights[place] for place in self.picked])
        averaged: Weights = found.mean(0, keepdims=True) if self.averaged else found
        return averaged

    @property
    def weights(self) -> Weights:
        """Return the weights [queries, keys] of the chosen head, or of the average."""
        shown: Weights = self.heads[self.chosen]
        return shown

    @property
    def record(self) -> Attention:
        """Return a record [1, 1, queries, keys] of the same."""
        layers, heads = self.attention.layers, self.attention.heads
        places = self.picked if self.averaged else [self.picked[self.chosen]]
        one = [self.attention.select([layers[layer]], [heads[head]]) for layer, head in places]
        return average(one) if self.averaged else one[0]

    @property
    def name(self) -> str:
        """Return the name of the chosen head, or of the average: `layer 3 head 1`."""
        names = [self.name_place(place) for place in self.picked]
        return f"mean of {', '.join(names)}" if self.averaged else names[self.chosen]

    @property
    def stem(self) -> str:
        """Return the name of the same for a file: `3-1`."""
        return "-".join(map(str, self.head)) if not self.averaged else "mean"

    def name_place(self, place: Place) -> str:
        """Return the name of the head at a place."""
        layer, head = self.attention.layers[place[0]], self.attention.heads[place[1]]
        return f"layer {index_name(layer)} head {index_name(head)}"

    @cached_property
    def query(self) -> int:
        """Return the index of the query among those of the record."""
        return find_index(self.attention.query_tokens, self.state.query)

    @cached_property
    def key(self) -> int:
        """Return the index of the key: the one that was chosen, or the strongest of the query."""
        if self.state.key is None:
            return int(self.weights[self.query].argmax())
        return find_index(self.attention.key_tokens, self.state.key)

    @property
    def link(self) -> Link:
        """Return the weight from the query to the key, with what it is of."""
        query, key = self.attention.query_tokens[self.query], self.attention.key_tokens[self.key]
        return Link(*self.head, query, key, float(self.weights[self.query, self.key]))

    @property
    def orientation(self) -> Orientation:
        """Return the orientation in which weights are drawn."""
        return Orientation(self.state.turned)

    @property
    def drawn_as(self) -> Iterator[str]:
        """Yield what is unusual about how the weights are drawn."""
        if self.state.turned:
            yield "keys down, queries across"
        if self.state.log:
            yield "logarithmic"

    @property
    def axes(self) -> tuple[Sequence[Token], Sequence[Token]]:
        """Return the tokens of the rows and of the columns, as they are drawn."""
        return self.orientation.axes(self.attention.query_tokens, self.attention.key_tokens)

    @property
    def cursor(self) -> tuple[int, int]:
        """Return the row and the column of the query and the key, as they are drawn."""
        return self.orientation.axes(self.query, self.key)

    def is_telling(self, head: Head) -> bool:
        """Return whether this is the most telling head."""
        link = self.shown.telling
        return link is not None and head == (link.layer, link.head)

    def choose(self, *, query: int | None = None, key: int | None = None) -> State:
        """Return the state in which other tokens are chosen, by their indices in the record."""
        tokens = self.attention
        return replace(
            self.state,
            query=self.state.query if query is None else tokens.query_tokens[query].position,
            key=None if key is None else tokens.key_tokens[key].position,
        )


def find_index(tokens: Sequence[Token], position: int) -> int:
    """Return the index of the token at a position, or of the last one, or the group, that begins before it."""
    before = [index for index, token in enumerate(tokens) if token.position <= position]
    return before[-1] if before else 0


def open_record(shown: Shown, state: State) -> State:
    """Return the state that a record opens with: its most telling head, with the link that says so."""
    return _aim(shown, replace(state, layer=0, head=0, others=(), mean=False), shown.telling)


def open_text(shown: Shown, state: State) -> State:
    """Return the state that another text opens with: the same head, with the strongest link between words that it has.

    If the record lacks the head, it opens with the most telling one.
    """
    attention = shown.attention
    if state.layer >= len(attention.layers) or state.head >= len(attention.heads):
        return open_record(shown, state)
    one = attention.select([attention.layers[state.layer]], [attention.heads[state.head]])
    return _aim(shown, state, next(iter(strongest(one, 1)), None))


def _aim(shown: Shown, state: State, link: Link | None) -> State:
    """Return the state in which the head and the query of a link are chosen; of none, the first token of the text."""
    attention = shown.attention
    if link is None:
        first = next((token for token in attention.query_tokens if not token.special), attention.query_tokens[0])
        return replace(state, query=first.position, key=None, locked=False)
    layer, head = attention.layers.index(link.layer), attention.heads.index(link.head)
    return replace(state, layer=layer, head=head, query=link.query.position, key=None, locked=False)


def find_token(scene: Scene, wanted: str) -> State:
    """Return the state in which a word is chosen: its first token as the query, and locked.

    A place where it is spelled as wanted, case included, comes before others. If one is chosen already, the next place
    of the word is. What stands only among the keys becomes the key.

    Raises:
        TextError: there is no such word.
    """
    ((_, words),) = find_words([scene.attention], wanted)
    asking = [word for word in words if word.queries]
    if not asking:
        return replace(scene.choose(key=choose_spelled(words, wanted).keys[0]), locked=True)
    queries = [word.queries[0] for word in asking]
    if scene.query not in queries:
        return replace(scene.choose(query=choose_spelled(asking, wanted).queries[0]), locked=True)
    later = (query for query in queries if query > scene.query)
    return replace(scene.choose(query=next(later, queries[0])), locked=True)


def rank(values: NDArray[np.floating], index: int) -> int:
    """Return the rank of a number among others, 1 for the largest."""
    return int((values > values[index]).sum()) + 1
