"""Masks: which keys a query may look at, as functions of positions, so that a block of rows gets its own small mask."""

from collections.abc import Callable

from attnviz.reference.arrays import Array

Mask = Callable[[Array, Array], Array]
"""Positions of queries [q, 1] and of keys [1, k] -> True where the query may look at the key [..., q, k]."""


def causal(queries: Array, keys: Array) -> Array:
    """A query sees itself and what came before it (Vaswani et al. 2017, 3.2.3)."""
    return keys <= queries


def sliding_window(width: int) -> Mask:
    """A query sees keys fewer than `width` positions away (Beltagy et al. 2020)."""
    return lambda queries, keys: (keys > queries - width) & (keys < queries + width)


def prefix(length: int) -> Mask:
    """A query sees the first `length` keys and, beyond them, only what came before it (Raffel et al. 2020, 3.2.1)."""
    return lambda queries, keys: (keys < length) | causal(queries, keys)


def padding(lengths: Array) -> Mask:
    """Nobody sees the keys that only fill up a batch: `lengths` [batch] -> [batch, 1 (heads), 1 (queries), keys]."""
    return lambda _, keys: keys < lengths[:, None, None, None]


def both(first: Mask, second: Mask) -> Mask:
    """What two masks both allow."""
    return lambda queries, keys: first(queries, keys) & second(queries, keys)
