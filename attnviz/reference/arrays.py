"""Array functions that the standard leaves out: finding an array's library, softmax, and the error function."""

import math
from functools import lru_cache
from typing import Any

Array = Any
"""An array of any library that follows the array API standard, or that array_api_compat adapts to it."""

_ERF_GRID = 1 / 64
_ERF_END = 6.0  # beyond it, 1 - erf(x) < 3e-17


def namespace(array: Array) -> Any:
    """Return the array API functions for an array: its own library where that follows the standard (NumPy 2 does)."""
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    from array_api_compat import array_namespace  # wraps all of torch's surface, so only where it is needed

    return array_namespace(array)


def softmax(scores: Array) -> Array:
    """Return exp(s) / Σ exp(s) over the last axis; the largest score is subtracted first, so that nothing overflows."""
    xp = namespace(scores)
    exponentials = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    return exponentials / xp.sum(exponentials, axis=-1, keepdims=True)


def erf(x: Array) -> Array:
    """Return the error function, within 1e-7 of `math.erf` in float32 and float64.

    Each value is a Taylor expansion from the nearest point of a grid on which `math.erf` is tabulated. With
    g = 2/√π exp(-a²), the derivatives at a are g, -2a g and (4a² - 2) g, and the first term left out is below 1e-9.
    """
    xp = namespace(x)
    magnitude = xp.clip(xp.abs(x), 0, _ERF_END)
    known = xp.where(xp.isnan(magnitude), xp.zeros_like(magnitude), magnitude)  # NaN has no place on the grid
    nearest = xp.astype(xp.round(known / _ERF_GRID), xp.int64)
    table = xp.asarray(_erf_table(), dtype=x.dtype, device=x.device)
    values = xp.reshape(xp.take(table, xp.reshape(nearest, (-1,)), axis=0), x.shape)
    a = xp.astype(nearest, x.dtype) * _ERF_GRID
    step = magnitude - a
    slope = xp.exp(-(a**2)) * (2 / math.sqrt(math.pi))
    return xp.sign(x) * (values + slope * step * (1 - step * (a - step * (2 * a**2 - 1) / 3)))


@lru_cache
def _erf_table() -> tuple[float, ...]:
    return tuple(math.erf(index * _ERF_GRID) for index in range(int(_ERF_END / _ERF_GRID) + 1))
