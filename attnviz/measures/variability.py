"""Variability: how much the weights between the first tokens differ from text to text."""

import zlib
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.records import Column

Reals = NDArray[np.float64]
Corner = NDArray[np.float32]
"""The weights between the first tokens of a text: [layers, heads, queries, keys]."""

CORNER = 10
"""How many of the first tokens Vig and Belinkov look at (footnote 3)."""

_MOST = 2**23
"""How many weights are kept at most, whatever the number of texts."""


def compute_variability(corners: Reals) -> Reals:
    """Return Σ |a - mean a| / 2 Σ a, over texts and tokens: [texts, layers, heads, queries, keys] -> [layers, heads].

    NaN stands for tokens that a text has not. Fewer than two texts have none (Vig and Belinkov 2019, equation 5).
    """
    if len(corners) < 2:
        return np.full(corners.shape[1:3], np.nan)
    there = np.isfinite(corners)
    weights = np.where(there, corners, 0)
    means = weights.sum(0) / np.maximum(there.sum(0), 1)
    differences = np.where(there, np.abs(weights - means), 0).sum((0, -2, -1))
    variability: Reals = differences / np.maximum(2 * weights.sum((0, -2, -1)), np.finfo(float).tiny)
    return variability


class Sample(Struct, frozen=True, eq=False):
    """A sample of texts for a number that only several texts have: their corners, and the function `of_texts` of these.

    Each corner stands with the digest that it is sorted by. A sample has all texts, or if they are too many those of
    lowest digest: a random choice that does not depend on the order in which texts come, or are added up.
    """

    corners: Sequence[tuple[int, Corner]]
    of_texts: Callable[[Reals], Reals]
    definition: str

    @classmethod
    def of(cls, corner: Corner, of_texts: Callable[[Reals], Reals], definition: str) -> Self:
        """Return the sample of one text."""
        return cls([(_compute_digest(corner.tobytes()), corner)], of_texts, definition)

    def __add__(self, other: object) -> Self:
        """Return the sample of the texts of both; a text that is not defined for a comparison is no part of it."""
        if not isinstance(other, Sample):
            return self
        both = sorted([*self.corners, *other.corners], key=lambda each: each[0])
        layers, heads, _, _ = both[0][1].shape
        return replace(self, corners=both[: max(_MOST // (layers * heads * CORNER**2), 2)])

    def column(self) -> Column:
        """Return the number of each head, [layers, heads], which has no standard error.

        The function is given a head at a time, [texts, 1, 1, queries, keys], NaN where a text is too short.
        """
        layers, heads, _, _ = self.corners[0][1].shape
        values = np.empty((layers, heads))
        stacked = np.full((len(self.corners), 1, 1, CORNER, CORNER), np.nan)
        for layer, head in np.ndindex(layers, heads):
            for number, (_, corner) in enumerate(self.corners):
                stacked[number, 0, 0, : corner.shape[2], : corner.shape[3]] = corner[layer, head]
            values[layer, head] = self.of_texts(stacked).item()
        counts = np.where(np.isfinite(values), len(self.corners), 0)
        return Column(values, counts, np.full(values.shape, np.nan), self.definition)


def _compute_digest(content: bytes) -> int:
    return zlib.crc32(content) << 32 | zlib.adler32(content)  # hashlib would load OpenSSL
