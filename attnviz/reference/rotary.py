"""Rotary positions, and the ways to stretch them to texts longer than those of the training."""

import math
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from attnviz.reference.arrays import Array, namespace

Turn = Callable[[Array], Array]
"""A rotation of queries or keys by their positions: [..., tokens, d] -> [..., tokens, d]."""


class Scaling(Protocol):
    """Changes the frequencies [d / 2] of rotary positions for a text of so many tokens.

    What is turned is also multiplied by `magnitude`. `trained` is how many tokens the training knew.
    """

    @property
    def magnitude(self) -> float:
        """Return the factor of the turned queries and keys."""

    def __call__(self, frequencies: Array, tokens: int) -> Array:
        """Return the frequencies to use."""


class Linear(Struct, frozen=True):
    """All positions moved closer together (Chen et al. 2023, section 2.3); a factor of 1 changes nothing."""

    factor: float = 1.0
    magnitude: float = 1.0

    def __call__(self, frequencies: Array, tokens: int) -> Array:
        """See `Scaling`."""
        return frequencies / self.factor


UNSCALED = Linear()


class Dynamic(Struct, frozen=True):
    """A larger base the longer the text is, once it is longer than the training's (NTK-aware scaling, bloc97 2023)."""

    factor: float
    trained: int
    magnitude: float = 1.0

    def __call__(self, frequencies: Array, tokens: int) -> Array:
        """See `Scaling`. To multiply the base by s^(d/(d-2)) is to multiply the frequency i by s^(-2i/(d-2))."""
        xp, width = namespace(frequencies), 2 * frequencies.shape[0]
        stretch = self.factor * max(tokens, self.trained) / self.trained - (self.factor - 1)
        even = xp.arange(0, width, 2, dtype=frequencies.dtype, device=frequencies.device)
        return frequencies * stretch ** (-even / (width - 2))


class Llama3(Struct, frozen=True):
    """Low frequencies divided by a factor, high ones kept, those between mixed (Llama 3.1; Dubey et al. 2024)."""

    factor: float
    low: float
    high: float
    trained: int
    magnitude: float = 1.0

    def __call__(self, frequencies: Array, tokens: int) -> Array:
        """See `Scaling`. What counts is how many turns a frequency makes in the training's length."""
        turns = frequencies * self.trained / (2 * math.pi)
        kept = namespace(frequencies).clip((turns - self.low) / (self.high - self.low), 0, 1)
        return frequencies * (kept + (1 - kept) / self.factor)


class Yarn(Struct, frozen=True):
    """Pairs of dimensions up to `first` kept, those from `last` on divided, a ramp between (Peng et al. 2023, 3.2)."""

    factor: float
    first: float
    last: float
    magnitude: float = 1.0

    def __call__(self, frequencies: Array, tokens: int) -> Array:
        """See `Scaling`."""
        xp = namespace(frequencies)
        pairs = xp.arange(frequencies.shape[0], dtype=frequencies.dtype, device=frequencies.device)
        divided = xp.clip((pairs - self.first) / (self.last - self.first), 0, 1)
        return frequencies * (1 - divided + divided / self.factor)


class LongRope(Struct, frozen=True):
    """Each frequency divided by a factor of its own, which depends on whether the text is long (Ding et al. 2024)."""

    short: tuple[float, ...]
    long: tuple[float, ...]
    trained: int
    magnitude: float = 1.0

    def __call__(self, frequencies: Array, tokens: int) -> Array:
        """See `Scaling`."""
        factors = self.long if tokens > self.trained else self.short
        return frequencies / namespace(frequencies).asarray(factors, dtype=frequencies.dtype, device=frequencies.device)


def frequencies(width: int, base: float, like: Array) -> Array:
    """Return how far each pair of dimensions turns from position to position, from 1 to near 1/base: [width / 2]."""
    exponents = namespace(like).arange(0, width, 2, dtype=like.dtype, device=like.device) / width
    return 1 / base**exponents


def rotation(positions: Array, frequencies: Array, magnitude: float = 1.0) -> Turn:
    """Turn each pair of dimensions by an angle that grows with the position (Su et al. 2021, equation 34).

    The scores of turned queries and keys then depend on the distance between them only. The pairs are (i, i + d/2), as
    in the Llama family. Positions [tokens] are of a floating type.
    """
    xp = namespace(positions)
    angles = positions[:, None] * frequencies  # [tokens, d / 2]
    cosines, sines = xp.cos(angles) * magnitude, xp.sin(angles) * magnitude

    def turn(vectors: Array) -> Array:
        half = vectors.shape[-1] // 2
        first, second = vectors[..., :half], vectors[..., half:]
        return xp.concat((first * cosines - second * sines, second * cosines + first * sines), axis=-1)

    return turn
