"""What the array API standard leaves out: finding an array's library, softmax, and the error function."""

import math
from typing import Any

Array = Any
"""An array of any library that follows the array API standard, or that array_api_compat adapts to it."""


def namespace(array: Array) -> Any:
    """The array API functions for an array: its own library where that follows the standard (NumPy 2 does)."""
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    from array_api_compat import array_namespace  # imports all of torch's or NumPy's surface, so only where needed

    return array_namespace(array)


def softmax(scores: Array) -> Array:
    """exp(s) / Σ exp(s) over the last axis, with the largest score subtracted first so that nothing overflows."""
    xp = namespace(scores)
    exponentials = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    return exponentials / xp.sum(exponentials, axis=-1, keepdims=True)
