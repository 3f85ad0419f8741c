"""Masks: which keys a query may look at, as functions of positions, so that a block of rows gets its own small mask."""

from collections.abc import Callable

from attnviz.reference.arrays import Array, namespace

Mask = Callable[[Array, Array], Array]
"""Positions of queries [q, 1] and of keys [1, k] -> True where the query may look at the key [..., q, k]."""


def causal(queries: Array, keys: Array) -> Array:
    """Let a query see itself and what came before it (Vaswani et al. 2017, 3.2.3)."""
    return keys <= queries


def sliding_window(width: int) -> Mask:
    """Return the mask under which a query sees keys fewer than `width` positions away (Beltagy et al. 2020)."""
    return lambda queries, keys: (keys > queries - width) & (keys < queries + width)


def prefix(length: int) -> Mask:
    """Return the mask that allows the first `length` keys and what came before a query (Raffel et al. 2020, 3.2.1)."""
    return lambda queries, keys: (keys < length) | causal(queries, keys)


def padding(lengths: Array) -> Mask:
    """Return the mask that hides what only fills up a batch: `lengths` [batch] -> [batch, 1, 1, keys]."""
    return lambda _, keys: keys < lengths[:, None, None, None]


def combine(first: Mask | None, second: Mask) -> Mask:
    """Return the mask that allows what two masks both allow; the second alone if there is no first."""
    return second if first is None else lambda queries, keys: first(queries, keys) & second(queries, keys)


def zero_after_softmax(weights: Array, allowed: Array) -> Array:
    """Put zeros into weights [..., q, k] after softmax, which no mask does, to show why scores are masked before it.

    Rows no longer sum to 1, and what is left of them still depends on the keys that should not have been seen: these
    have taken their share of the sum.
    """
    xp = namespace(weights)
    return xp.where(allowed, weights, xp.zeros_like(weights))
