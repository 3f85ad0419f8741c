"""Masks: which keys a query may look at, as functions of positions, so that a block of rows gets its own small mask."""

from collections.abc import Callable

from attnviz.reference.arrays import Array, namespace

Mask = Callable[[Array, Array], Array]
"""Positions of queries, q_pos [q, 1], and of keys, k_pos [1, k] -> True where a query may see a key, [..., q, k]."""


def causal(q_pos: Array, k_pos: Array) -> Array:
    """Let a query see itself and what came before it (Vaswani et al. 2017, 3.2.3)."""
    return k_pos <= q_pos


def sliding_window(width: int) -> Mask:
    """Return the mask under which a query sees keys fewer than `width` positions away (Beltagy et al. 2020)."""
    return lambda q_pos, k_pos: (k_pos > q_pos - width) & (k_pos < q_pos + width)


def prefix(length: int) -> Mask:
    """Return the mask that allows the first `length` keys and what came before a query (Raffel et al. 2020, 3.2.1)."""
    return lambda q_pos, k_pos: (k_pos < length) | causal(q_pos, k_pos)


def padding(lengths: Array) -> Mask:
    """Return the mask that hides what only fills up a batch: `lengths` [batch] -> [batch, 1, 1, keys]."""
    return lambda _, k_pos: k_pos < lengths[:, None, None, None]


def combine(first: Mask | None, second: Mask) -> Mask:
    """Return the mask that allows what two masks both allow; the second alone if there is no first."""
    return second if first is None else lambda q_pos, k_pos: first(q_pos, k_pos) & second(q_pos, k_pos)


def zero_after_softmax(weights: Array, allowed: Array) -> Array:
    """Put zeros into weights [..., q, k] after softmax, which no mask does, to show why scores are masked before it.

    Rows no longer sum to 1, and what is left of them still depends on the keys that should not have been seen: these
    have taken their share of the sum.
    """
    xp = namespace(weights)
    return xp.where(allowed, weights, xp.zeros_like(weights))
