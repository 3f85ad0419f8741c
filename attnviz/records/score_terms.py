"""Score terms: the queries, keys and biases that scores are made of, of a block or of all rows of a text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.records.arrays import to_numpy
from attnviz.records.axes import Axes
from attnviz.text import By, Token

Reals = NDArray[np.float32]


class BlockTerms(Struct, frozen=True, eq=False):
    """The terms of the scores of a block: `scale` · q·k, and a bias that is added to it before mask and softmax.

    `queries` are [..., heads, rows, d] and `keys` [..., groups, keys, d] of any array library, as they meet: normed,
    and turned by their positions. A group of heads may share its keys. The `bias` is [..., heads, rows, keys].
    """

    queries: Any
    keys: Any
    scale: float
    bias: Any = None

    def of_text(self, text: int) -> Self:
        """Return what one of the texts has that are run together."""
        bias = self.bias
        if bias is not None and bias.ndim == 4:
            bias = bias[min(text, len(bias) - 1)]  # one for all texts, or one for each
        return replace(self, queries=self.queries[text], keys=self.keys[text], bias=bias)

    def of_heads(self, kept: Sequence[int]) -> Self:
        """Return what some of the heads have, by their places in the block."""
        keys = self.keys[..., self._find_groups(kept), :, :]
        bias = None if self.bias is None else self.bias[..., kept, :, :]
        return replace(self, queries=self.queries[..., kept, :, :], keys=keys, bias=bias)

    def of_rows(self, kept: Any) -> Self:
        """Return what some of the rows have, by their places in the block."""
        bias = None if self.bias is None else self.bias[..., kept, :]
        return replace(self, queries=self.queries[..., kept, :], bias=bias)

    def find_keys(self) -> Reals:
        """Return the keys [heads, keys, d] of each head of one text."""
        keys = to_numpy(self.keys)
        return keys[self._find_groups(range(self.queries.shape[-3]))]

    def _find_groups(self, heads: Sequence[int]) -> list[int]:
        """Return the group that each of these heads takes its keys from."""
        sharing = self.queries.shape[-3] // self.keys.shape[-3]
        return [head // sharing for head in heads]


class LayerTerms(Struct, frozen=True, eq=False):
    """The terms of the scores of a layer: `queries` [heads, queries, d], `keys` [heads, keys, d] and a `scale`.

    `biases` [heads, distances] are added where there are any, by how far a key stands after a query.
    """

    queries: Reals
    keys: Reals
    scale: float
    biases: Reals | None = None


class ScoreTerms(Struct, frozen=True, eq=False):
    """The terms of the scores of one text and one kind of attention, of each layer by its own index.

    `axes` say of which heads, queries and keys; the biases of a layer begin at the distance `first`.
    """

    axes: Axes
    layers: Mapping[int, LayerTerms]
    first: int

    def scores(self, layer: int) -> Reals:
        """Return the scores of a layer before its mask: [heads, queries, keys]."""
        return np.stack([*self.head_scores(layer)])

    def head_scores(self, layer: int) -> Iterator[Reals]:
        """Yield the scores [queries, keys] of each head of a layer, since those of all of them are large."""
        terms = self.layers[layer]
        distances = None if terms.biases is None else find_distances(self.axes) - self.first
        for head, (queries, keys) in enumerate(zip(terms.queries, terms.keys, strict=True)):
            scores: Reals = queries @ keys.T * np.float32(terms.scale)
            yield scores if terms.biases is None else scores + terms.biases[head][distances]

    def select(self, record: Axes) -> Self | None:
        """Return the terms of what a record holds; None if it is of averages, of groups, or of something else."""
        held = {*record.layers} <= {*self.layers} and {*record.heads} <= {*self.axes.heads}
        if record.kind is not self.axes.kind or record.by is not By.TOKEN or not held:
            return None
        heads = [self.axes.heads.index(head) for head in record.heads]
        queries = _find_places(record.query_tokens, self.axes.query_tokens)
        keys = _find_places(record.key_tokens, self.axes.key_tokens)
        layers = {
            layer: LayerTerms(
                terms.queries[np.ix_(heads, queries)],
                terms.keys[np.ix_(heads, keys)],
                terms.scale,
                None if terms.biases is None else terms.biases[heads],
            )
            for layer, terms in ((layer, self.layers[layer]) for layer in record.layers)
        }
        return replace(self, axes=record.of_tokens(record.query_tokens, record.key_tokens), layers=layers)


def find_distances(axes: Axes) -> NDArray[np.intp]:
    """Return how far each key stands after each query, by their positions: [queries, keys]."""
    queries, keys = ([token.position for token in side] for side in (axes.query_tokens, axes.key_tokens))
    distances: NDArray[np.intp] = np.asarray(keys, np.intp)[None] - np.asarray(queries, np.intp)[:, None]
    return distances


def _find_places(wanted: Sequence[Token], held: Sequence[Token]) -> list[int]:
    places = {token.position: place for place, token in enumerate(held)}
    return [places[token.position] for token in wanted]
