"""Absolute positions: what tells a transformer the order of its tokens. Without any, attention is equivariant."""

from attnviz.reference.arrays import Array, namespace
from attnviz.reference.rotary import frequencies


def sinusoidal(positions: Array, width: int) -> Array:
    """Sines and cosines of wavelengths from 2π to 10000·2π, to be added to embeddings (Vaswani et al. 2017, 3.5).

    Even columns hold sines, odd columns cosines: [tokens] -> [tokens, width].
    """
    xp = namespace(positions)
    angles = positions[:, None] * frequencies(width, 10000.0, like=positions)  # [tokens, width / 2]
    return xp.reshape(xp.stack((xp.sin(angles), xp.cos(angles)), axis=-1), (positions.shape[0], width))
