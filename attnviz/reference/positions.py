"""Positions: what tells a transformer the order of its tokens. Without them attention is permutation-equivariant."""

import math
from collections.abc import Callable

from attnviz.reference.arrays import Array, namespace

Turn = Callable[[Array], Array]
"""What relative positions do to queries and keys before they meet: [..., tokens, d] -> [..., tokens, d]."""


def sinusoidal(positions: Array, width: int) -> Array:
    """Sines and cosines of wavelengths from 2π to 10000·2π, to be added to embeddings (Vaswani et al. 2017, 3.5).

    Even columns hold sines, odd columns cosines: [tokens] -> [tokens, width].
    """
    xp = namespace(positions)
    angles = _angles(positions, width, base=10000.0)  # [tokens, width / 2]
    return xp.reshape(xp.stack((xp.sin(angles), xp.cos(angles)), axis=-1), (positions.shape[0], width))


def rotation(positions: Array, width: int, base: float = 10000.0) -> Turn:
    """Turns each pair of dimensions by an angle that grows with the position (Su et al. 2021, equation 34).

    The scores of turned queries and keys then depend on the distance between them only. The pairs are (i, i + d/2), as
    in the Llama family: vectors [..., tokens, width] -> [..., tokens, width]. Positions are of a floating type.
    """
    xp = namespace(positions)
    angles = _angles(positions, width, base)  # [tokens, width / 2]
    cosines, sines = xp.cos(angles), xp.sin(angles)

    def turn(vectors: Array) -> Array:
        first, second = vectors[..., : width // 2], vectors[..., width // 2 :]
        return xp.concat((first * cosines - second * sines, second * cosines + first * sines), axis=-1)

    return turn


def _angles(positions: Array, width: int, base: float) -> Array:
    """Position times frequency, the frequencies falling from 1 to near 1/base: [tokens] -> [tokens, width / 2]."""
    xp = namespace(positions)
    exponents = xp.arange(0, width, 2, dtype=positions.dtype, device=positions.device) / width
    return positions[:, None] * xp.exp(-math.log(base) * exponents)
