"""Proofs that numbers are what a record of their measure promises, of all of them or of some rows at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import RecordError, RowError
from attnviz.records.axes import Axes
from attnviz.text import visible
from attnviz.vocabulary import PRECISIONS

Corner = tuple[int, int, int]
"""The places of the layer, head and query that a stretch of rows [layers, heads, rows, keys] begins with."""

_ROW_SUM_TOLERANCE = {"float64": 1e-6, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}


def prove(axes: Axes, weights: NDArray[Any], first: Corner) -> None:
    """Refuse a stretch of rows that no record on these axes may have.

    Raises:
        RecordError: as in `prove_rows`, or of a measure whose rows are no distributions, `prove_numbers`.
    """
    if axes.meaning.distributions:
        prove_rows(axes, weights, first)
    else:
        prove_numbers(axes, weights)


def prove_numbers(axes: Axes, weights: NDArray[Any]) -> None:
    """Refuse numbers of any measure that are not finite, or negative where it has no sign.

    Raises:
        RecordError: some are.
    """
    if not all(np.isfinite(layer).all() for layer in weights):  # one by one, since all together are large
        raise RecordError(f"The {axes.kind.value} numbers of {axes.model} are not all finite.")
    if not axes.meaning.signed and weights.min(initial=0) < 0:
        raise RecordError(f"The measure {visible(axes.measure)!r} has no sign, but there are negative numbers.")


def prove_rows(axes: Axes, weights: NDArray[Any], first: Corner = (0, 0, 0)) -> None:
    """Refuse rows that are no distributions.

    Raises:
        RecordError: the numbers are of another measure, or not finite.
        RowError: the numbers of a row are finite, but it is none.
    """
    require_weights(axes)
    sums = weights.sum(-1, dtype=np.float64)  # [layers, heads, rows]
    if (tolerance := _ROW_SUM_TOLERANCE.get(axes.precision)) is None:
        raise RecordError(f"No weights are computed in {axes.precision!r}, only in {', '.join(PRECISIONS)}.")
    wrong = ~np.isfinite(sums) | (sums > 1 + tolerance) | (sums < (0 if axes.sink else 1 - tolerance))
    wrong |= weights.min(-1, initial=0) < 0
    if wrong.any():
        place = tuple(int(index) for index in np.argwhere(wrong)[0])
        layer, head, query = (index + before for index, before in zip(place, first, strict=True))
        raise (RowError if np.isfinite(weights[place]).all() else RecordError)(
            f"The {axes.kind.value} weights of {axes.model} are not attention weights: layer {axes.layers[layer]} "
            f"head {axes.heads[head]}, row {query} ({axes.query_tokens[query].text}) sums to "
            f"{sums[place]:.6g}, smallest {min(weights[place], default=0):.6g}."
        )


def require_weights(axes: Axes) -> None:
    """Raise RecordError if numbers are of another measure than attention weights, where only these make sense."""
    if not axes.meaning.distributions:
        raise RecordError(
            f"The numbers are of the measure {visible(axes.measure)!r}: only attention weights can be used here."
        )
