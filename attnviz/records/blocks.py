"""Blocks: some query rows of attention weights, as they are handed over while a model runs."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.records.score_terms import BlockTerms
from attnviz.vocabulary import Kind

Indices = range | NDArray[np.intp]
"""Indices of tokens in a sequence: a range of neighbours, or any."""


def to_array(indices: Indices) -> NDArray[np.intp]:
    """Return indices as an array; NumPy itself would take each index of a range by itself."""
    return np.arange(indices.start, indices.stop) if isinstance(indices, range) else indices


def invert(indices: Indices, length: int) -> NDArray[np.intp]:
    """Return the place of each index below `length` among these, -1 where it is none of them: [length]."""
    places = np.full(length, -1)
    places[to_array(indices)] = np.arange(len(indices))
    return places


def find_runs(indices: Iterable[int]) -> list[range]:
    """Return indices as ranges of neighbours, in their order: 7, 1, 2, 3 -> 7, 1 to 3."""
    found: list[range] = []
    for index in indices:
        if found and index == found[-1].stop:
            found[-1] = range(found[-1].start, index + 1)
        else:
            found.append(range(index, index + 1))
    return found


class Block(Struct, frozen=True):
    """Some query rows of some heads of one layer, of any array library, on any device.

    `weights` is [heads, rows, keys] of one text, or [texts, heads, rows, keys] of texts that are run together. `rows`
    and `keys` are the indices of its queries and keys; the other keys have no weight. `terms` are what the scores were
    made of, where the model hands that over. The weights may be written over once the block has been handed over: who
    keeps them copies them.
    """

    kind: Kind
    layer: int
    heads: tuple[int, ...]
    rows: Indices
    keys: Indices
    weights: Any
    terms: BlockTerms | None = None

    @classmethod
    def starting(
        cls, kind: Kind, layer: int, heads: tuple[int, ...], first_row: int, weights: Any, *, first_key: int = 0
    ) -> Self:
        """Return the block of neighbouring rows and keys that starts with these."""
        *_, rows, keys = weights.shape
        there = range(first_row, first_row + rows), range(first_key, first_key + keys)
        return cls(kind, layer, heads, *there, weights)

    def of_text(self, text: int) -> Self:
        """Return what one of the texts has that are run together."""
        return replace(self, weights=self.weights[text], terms=self.terms and self.terms.of_text(text))

    def of_rows(self, kept: Any, rows: Indices) -> Self:
        """Return what the block has of some rows, by their places in it; `rows` are the indices of their queries."""
        return replace(self, rows=rows, weights=self.weights[:, kept], terms=self.terms and self.terms.of_rows(kept))

    def of_heads(self, wanted: Sequence[int]) -> Self:
        """Return what the block has of these heads, in its own order."""
        kept = [index for index, head in enumerate(self.heads) if head in wanted]
        if len(kept) == len(self.heads):
            return self
        heads = tuple(self.heads[index] for index in kept)
        terms = self.terms and self.terms.of_heads(kept)
        return replace(self, heads=heads, weights=self.weights[..., kept, :, :], terms=terms)


Each = Callable[[Block], None]
"""A callback that takes each block; weights are handed over by no other type of callback."""


def watch_nothing(block: Block) -> None:
    """Do nothing with a block."""
