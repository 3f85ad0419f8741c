"""Score functions and what becomes of scores: softmax to weights, weights times values (Vaswani et al. 2017, 3.2.1)."""

import math

from attnviz.reference.arrays import Array, namespace, softmax


def scaled_dot(queries: Array, keys: Array) -> Array:
    """q·k / √d_k, the scale keeping the spread of the scores near 1 whatever the dimension of the heads."""
    return queries @ keys.mT / math.sqrt(queries.shape[-1])  # [..., q, d], [..., k, d] -> [..., q, k]


def weights_of(scores: Array, allowed: Array | None) -> Array:
    """Softmax over the keys that the mask allows; the others are -∞ before it, so that rows still sum to 1.

    A row in which nothing is allowed has no softmax: it comes out as NaN.
    """
    if allowed is not None:
        xp = namespace(scores)
        scores = xp.where(allowed, scores, xp.asarray(-math.inf, dtype=scores.dtype, device=scores.device))
    return softmax(scores)  # [..., q, k]


def attention(queries: Array, keys: Array, values: Array, allowed: Array | None = None) -> tuple[Array, Array]:
    """Scaled dot-product attention: the weights [..., q, k] and, for each query, the values averaged by them."""
    weights = weights_of(scaled_dot(queries, keys), allowed)
    return weights, weights @ values  # [..., q, k], [..., k, d] -> [..., q, d]
