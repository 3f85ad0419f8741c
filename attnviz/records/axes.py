"""The axes of attention weights: layers and heads, the tokens that are queries and keys, and words among these."""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.records.measure import Measure, find_measure
from attnviz.text import By, Grouping, Occurrence, Token, find_occurrences
from attnviz.vocabulary import WEIGHT, Engine, Kind


class Word(Struct, frozen=True):
    """A place where a word stands: the indices of its pieces among the queries and the keys; one may be empty."""

    text: str
    queries: tuple[int, ...]
    keys: tuple[int, ...]


class Axes(Struct, frozen=True, kw_only=True, eq=False):
    """The axes of attention weights, before or beside the weights themselves: layers, heads, queries and keys.

    `layers` and `heads` are original indices (`AVERAGE` for an average). `sink` says that rows may sum to less than 1,
    because the rest of their weight lies on nothing that is shown. `by` is what the tokens are, if not tokens but
    groups of them. `engine` is what computed the weights, `precision` the dtype in which it did; `notes` says what was
    done to them since. `measure` names what the numbers are, as `MEASURES` does: attention weights, or something else.
    """

    kind: Kind
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    query_tokens: tuple[Token, ...]
    key_tokens: tuple[Token, ...]
    model: str
    by: Grouping = By.TOKEN
    engine: Engine = Engine.REFERENCE
    sink: bool = False
    precision: str = "float32"
    notes: tuple[str, ...] = ()
    measure: str = WEIGHT

    @property
    def meaning(self) -> Measure:
        """Return what the numbers are, in words, and whether they are distributions or have a sign."""
        return find_measure(self.measure)

    def distances(self) -> NDArray[np.int64] | None:
        """Return how many tokens, or groups, each key stands after each query; None between two sequences.

        Example:
            >>> attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"]).distances()  # [queries, keys]
            array([[ 0,  1],
                   [-1,  0]])
        """
        if (ranks := self.ranks()) is None:
            return None
        queries, keys = ranks
        distances: NDArray[np.int64] = keys[None] - queries[:, None]
        return distances

    def ranks(self) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
        """Return the place of each query and key in their sequence, counted from 0; None if they are in two sequences.

        Example:
            >>> attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"]).ranks()
            (array([0, 1]), array([0, 1]))
        """
        if self.kind.crosses:
            return None
        tokens = (*self.query_tokens, *self.key_tokens)
        # positions of groups leave some out, and special tokens round windows stand between neighbours
        counted = sorted({token.position for token in tokens if not (token.added and token.window is not None)})
        ranks = np.searchsorted(counted, [token.position for token in tokens])
        count = len(self.query_tokens)
        return ranks[:count], ranks[count:]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return the shape [layers, heads, queries, keys] of weights that fit these axes."""
        return len(self.layers), len(self.heads), len(self.query_tokens), len(self.key_tokens)

    @property
    def is_whole(self) -> bool:
        """Return whether no query and no key of the text is missing, as far as their positions tell."""
        queries, keys = ([token.position for token in side] for side in (self.query_tokens, self.key_tokens))
        if self.by is By.TOKEN:
            return queries == [*range(len(queries))] and keys == [*range(len(keys))]
        return queries[:1] == keys[:1] == [0] and (self.kind.crosses or queries == keys)

    @property
    def named(self) -> bool:
        """Return whether the keys have names, and are not only numbered, as in an array that says no more."""
        return any(token.span or token.text != str(index) for index, token in enumerate(self.key_tokens))

    def of_tokens(self, queries: tuple[Token, ...], keys: tuple[Token, ...]) -> "Axes":
        """Return the same axes, without weights, for other tokens.

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> attention.of_tokens(attention.query_tokens[1:], attention.key_tokens).shape
            (1, 1, 1, 2)
        """
        return Axes(**self._fields() | {"query_tokens": queries, "key_tokens": keys})

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Axes.__struct_fields__}

    def words(self, wanted: str) -> list[Word]:
        """Return every place where a word, or the token at a position, stands among the queries or the keys.

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> attention.words("cat")
            [Word(text='cat', queries=(1,), keys=(1,))]
        """
        queries = find_occurrences(self.query_tokens, wanted)
        if not self.kind.crosses:
            return [Word(found.text, found.indices, self._as_keys(found)) for found in queries]
        keys = find_occurrences(self.key_tokens, wanted)
        return [Word(found.text, found.indices, ()) for found in queries] + [
            Word(found.text, (), found.indices) for found in keys
        ]

    def _as_keys(self, occurrence: Occurrence) -> tuple[int, ...]:
        """Return where the pieces of a word among the queries stand among the keys; nowhere if some do not."""
        pieces = {self.query_tokens[index] for index in occurrence.indices}
        indices = tuple(index for index, token in enumerate(self.key_tokens) if token in pieces)
        return indices if len(indices) == len(pieces) else ()

    def pieces(self, word: Word) -> tuple[Token, ...]:
        """Return the tokens of a word.

        Example:
            >>> (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
            >>> [token.text for token in attention.pieces(attention.words("keys")[0])]
            ['keys']
        """
        tokens, indices = (self.query_tokens, word.queries) if word.queries else (self.key_tokens, word.keys)
        return tuple(tokens[index] for index in indices)
