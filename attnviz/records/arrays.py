"""Arrays of weights from elsewhere: of any array library, with or without axes for layers and heads."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from attnviz.errors import RecordError
from attnviz.vocabulary import Kind


def read_weights(weights: Any) -> NDArray[Any]:
    """Return weights as [layers, heads, queries, keys].

    Raises:
        RecordError: they have other axes.
    """
    if isinstance(weights, tuple):
        layers = [to_numpy(layer) for layer in weights]
        if {layer.shape[:1] for layer in layers} != {(1,)} or len({layer.shape for layer in layers}) > 1:
            raise RecordError("A tuple has [1, heads, queries, keys] for each layer: take one text, and equal layers.")
        return shape_weights(np.concatenate(layers))
    try:
        array = to_numpy(weights)
        return shape_weights(array.astype(np.float32) if array.dtype.kind in _CAST else array)
    except (TypeError, ValueError) as error:
        raise RecordError("Weights are real numbers in rows of one length: give an array of them.") from error


NUMBERS = "fiu"
"""The kinds of NumPy's dtypes that are real numbers."""

_CAST = "VO"
"""Those that may hold such: bfloat16, which other libraries add, and Python's own numbers."""


def shape_weights(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array of weights as [layers, heads, queries, keys].

    Raises:
        RecordError: it is empty, holds something else than numbers, or has other axes.
    """
    if not array.size or array.dtype.kind not in NUMBERS:
        there = f"{array.dtype}, of the shape {array.shape}"
        raise RecordError(f"The weights are {there}: give at least one number, and only real numbers.")
    return array.reshape(expand_shape(array.shape))


def expand_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape [layers, heads, queries, keys] of weights that may lack the first of these axes, or two.

    Raises:
        RecordError: they have other axes.
    """
    if not 2 <= len(shape) <= 4:
        how = ": take one text of a batch" if len(shape) > 4 else ""
        raise RecordError(f"Weights have 2 to 4 axes, [layers, heads, queries, keys], not the shape {shape}{how}.")
    return (1,) * (4 - len(shape)) + shape


def guess_kind(queries: Sequence[str], keys: Sequence[str], looking: Iterable[bool]) -> Kind:
    """Return the kind that weights are, if nobody says so; `looking` says whether each part of them `looks_ahead`."""
    if queries != keys:
        return Kind.CROSS
    return Kind.ENCODER if any(looking) or len(keys) == 1 else Kind.DECODER


def looks_ahead(rows: NDArray[Any], first: int = 0) -> bool:
    """Return whether a query of these rows [..., rows, keys], of which this is the first, looks at a later key."""
    return bool(np.triu(rows, first + 1).any())


def freeze(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array of this dtype that nobody can change: itself if it is one already, else a copy."""
    base: Any = array
    while isinstance(base, np.ndarray) and not base.flags.writeable:
        base = base.base  # whoever holds a writable array can change all views of it
    if array.dtype == dtype and (base is None or isinstance(base, bytes)):
        return array
    kept = np.array(array, dtype)
    kept.flags.writeable = False
    return kept


def to_numpy(weights: Any) -> NDArray[Any]:
    """Return the numbers as a NumPy array; torch has dtypes, devices and gradients that NumPy has not."""
    return np.asarray(weights.detach().float().cpu() if is_of_torch(weights) else weights)


def is_of_torch(array: Any) -> bool:
    """Return whether an array is a tensor of torch, which is not imported for the question."""
    return hasattr(array, "detach")
