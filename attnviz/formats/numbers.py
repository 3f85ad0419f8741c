"""Weights as they were saved, in nested lists or in arrays, checked against the axes that are named beside them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.formats.fields import Fields

Axis = tuple[int, str]
"""How many entries an axis has, and what these are."""


def numbers(fields: Fields, value: Any, axes: Sequence[Axis]) -> NDArray[Any]:
    """The numbers of nested lists, or of an array, that has these axes.

    Raises:
        RecordError: it has others, or holds something else than numbers; the message says where.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # lists that are not equally long
        array = np.empty(())
    shape = tuple(count for count, _ in axes)
    if 0 in shape or array.shape != shape or array.dtype.kind not in "fiu":
        raise fields.wrong(misfit(value, axes) or '"weights" are empty, or no numbers that one can compute with.')
    return array


def length(value: Any) -> int | None:
    """How many entries a list or an array has; None if it is neither."""
    is_list = isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim > 0)
    return len(value) if is_list else None


def misfit(value: Any, axes: Sequence[Axis], path: str = '"weights"') -> str | None:
    """Where nested lists first differ from these axes, in a sentence; None if they do not."""
    if not axes:
        is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        return None if is_number else f"{path} is no number."
    (count, unit), *inner = axes
    there = length(value)
    if there is None:
        return f"{path} is no list of {unit}: weights are nested as [layer][head][query][key]."
    if there != count:
        return f"{path} holds {there} {unit} where {count} are named."
    return next((found for i, one in enumerate(value) if (found := misfit(one, inner, f"{path}[{i}]"))), None)
