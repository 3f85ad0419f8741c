"""The power with which something grows."""

import math
from collections.abc import Sequence

_FEWEST = 3
"""Two points lie on a line whatever they are."""

_DIGITS = 6


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """The slope of the line through log(size) and log(value), by least squares; None of fewer than three points.

    Values of c · size^p, c and p being any numbers, give p.
    """
    if len(sizes) < _FEWEST or min(values) <= 0:
        return None
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in values]
    middle, height = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - middle) * (b - height) for a, b in zip(x, y, strict=True))
    slope = above / sum((a - middle) ** 2 for a in x)
    return round(slope, _DIGITS) + 0.0  # what does not grow has no sign
