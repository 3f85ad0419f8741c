"""Positions that are added, to embeddings or to scores. Without any, attention is equivariant to the order of tokens.

Rotary positions, which turn queries and keys instead, have a module of their own.
"""

import math
from collections.abc import Callable

from attnviz.reference.arrays import Array, namespace
from attnviz.reference.rotary import frequencies

Bias = Callable[[Array, Array], Array]
"""Positions of queries, q_pos [q, 1], and of keys, k_pos [1, k] -> a bias of the scaled scores, [heads, q, k]."""


def sinusoidal(positions: Array, width: int) -> Array:
    """Return sines and cosines of wavelengths 2π to 10000·2π, to be added to embeddings (Vaswani et al. 2017, 3.5).

    Even columns hold sines, odd columns cosines: [tokens] -> [tokens, width].
    """
    xp = namespace(positions)
    angles = positions[:, None] * frequencies(width, 10000.0, like=positions)  # [tokens, width / 2, rounded up]
    waves = xp.stack((xp.sin(angles), xp.cos(angles)), axis=-1)
    return xp.reshape(waves, (positions.shape[0], -1))[:, :width]


def alibi(heads: int) -> Bias:
    """Lower scores in proportion to the distance, in each head with a slope of its own (Press et al. 2022, 3).

    What comes after the query, which the paper's causal models do not see, is lowered as what comes before it is.
    """

    def bias(q_pos: Array, k_pos: Array) -> Array:
        xp = namespace(q_pos)
        slopes = xp.asarray(_compute_slopes(heads), dtype=xp.float32, device=q_pos.device)
        return -slopes[:, None, None] * xp.astype(xp.abs(q_pos - k_pos), xp.float32)  # [heads, q, k]

    return bias


def _compute_slopes(heads: int) -> list[float]:
    """Return a geometric progression that ends at 1/256, where the number of heads is a power of two.

    Other numbers take the slopes of the power below, then every second one of those of the power above, as in the
    paper's code and in BLOOM.
    """
    below = 2 ** (heads.bit_length() - 1)
    slopes = [2 ** (-8 * head / below) for head in range(1, below + 1)]
    between = [2 ** (-8 * (head + 0.5) / below) for head in range(heads - below)]
    return slopes + between


def relative(table: Array, *, causal: bool, farthest: int = 128) -> Bias:
    """Return what `table` [buckets, heads] has learned for each relative position's bucket (Raffel et al. 2020, 2.1).

    Near distances have a bucket each, farther ones share buckets that widen with the logarithm, and all from
    `farthest` on share the last. Unless it is `causal`, the upper half of the buckets is for keys after the query.
    """
    buckets = table.shape[0]

    def bias(q_pos: Array, k_pos: Array) -> Array:
        after, xp = k_pos - q_pos, namespace(table)  # [q, k]
        if causal:
            bucket = _find_buckets(xp.clip(-after, 0, None), buckets, farthest)
        else:
            upper = xp.astype(after > 0, after.dtype) * (buckets // 2)
            bucket = upper + _find_buckets(xp.abs(after), buckets // 2, farthest)
        return xp.moveaxis(table[bucket], -1, 0)  # [q, k, heads] -> [heads, q, k]

    return bias


def _find_buckets(distances: Array, buckets: int, farthest: int) -> Array:
    """Return the bucket of each distance: half of them hold one each, the other half grow with the logarithm."""
    xp, exact = namespace(distances), buckets // 2
    ratio = xp.astype(xp.clip(distances, exact, None), xp.float32) / exact
    growth = xp.log(ratio) / math.log(farthest / exact) * (buckets - exact)
    shared = xp.clip(exact + xp.astype(growth, distances.dtype), None, buckets - 1)
    return xp.where(distances < exact, distances, shared)
