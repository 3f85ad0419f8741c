"""The costs of attention, measured here: time and memory at growing sizes, and the exponents of their growth."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from msgspec import Struct

from attnviz.costs.methods import ATTENDING, SCORING
from attnviz.costs.process import Size, measure_sizes

_WIDTH = 64  # numbers in a query, a key and a value
_WIDEST = 256
_DOUBLINGS = 4
_SCORED, _SCORED_WIDE = 8, 16  # how much shorter texts are for additive scores, which hold N×N×d numbers
_LEAST_NOISE = 2**18  # bytes; what is resident is counted a core at a time, 32 pages of each may be unknown
_FAR_ABOVE = 8  # how many times what doing nothing seems to take
_FEWEST = 3  # points; two lie on a line whatever they are
_DIGITS = 6

HOW = "one head, one thread, float32; least CPU time of several runs; peak memory of the process beyond the inputs"
"""The conditions of the measurement, for tables and pictures to say."""


class Point(Struct, frozen=True):
    """A measurement at one size: the least CPU time in `seconds`, and the peak `memory` in bytes, None if unknown."""

    size: int
    seconds: float
    memory: int | None


class Series(Struct, frozen=True, kw_only=True):
    """The measurements of a method at growing sizes, and the exponents of their growth; None where none can be fitted.

    Memory below `noise` bytes is left out of the fit.
    """

    method: str
    points: tuple[Point, ...]
    noise: int
    time_exponent: float | None
    memory_exponent: float | None

    def is_noise(self, point: Point) -> bool:
        """Return whether the memory of a point cannot be told from noise."""
        return point.memory is not None and point.memory < self.noise


class Experiment(Struct, frozen=True, kw_only=True):
    """Methods that do the same at growing sizes of one `variable`, everything else being `fixed`."""

    title: str
    variable: str
    fixed: str
    series: tuple[Series, ...]


def find_noise(experiments: Iterable[Experiment]) -> int | None:
    """Return the largest noise, in bytes, of the series that have a point below it; None if none has."""
    series = (each for experiment in experiments for each in experiment.series)
    return max((each.noise for each in series if any(map(each.is_noise, each.points))), default=None)


def measure(longest: int, say: Callable[[str], None] = lambda doing: None) -> Iterator[Experiment]:
    """Make three experiments on one head and one thread, in float32, with texts of up to `longest` tokens, 128 or more.

    They are ways to attend at growing N, dot-product beside additive scores at growing N, and the same at growing d.
    `say` is told what is being measured.

    Raises:
        AttnvizError: there is too little memory, or a library does not run here.
    """
    by_tokens, scored = ([(tokens, _WIDTH) for tokens in _double_up_to(most)] for most in (longest, longest // _SCORED))
    wide = longest // _SCORED_WIDE
    by_width = [(wide, width) for width in _double_up_to(_WIDEST)]
    for title, variable, fixed, methods, sizes in (
        ("Attention", "N", f"d = {_WIDTH}", ATTENDING, by_tokens),
        ("Scores alone", "N", f"d = {_WIDTH}", SCORING, scored),
        ("Scores alone", "d", f"N = {wide}", SCORING, by_width),
    ):
        series = tuple(_measure_series(method, variable, sizes, say) for method in methods)
        yield Experiment(title=title, variable=variable, fixed=fixed, series=series)


def _double_up_to(largest: int) -> list[int]:
    return [largest >> times for times in range(_DOUBLINGS, -1, -1)]


def _measure_series(method: str, variable: str, both: Sequence[Size], say: Callable[[str], None]) -> Series:
    """Return the measurements of a method at these (tokens, width), one of which, the `variable`, grows."""
    sizes = [size["Nd".index(variable)] for size in both]
    say(f"{method}, {variable} up to {sizes[-1]:,}")
    (_, idle), *found = measure_sizes(method, both)
    points = tuple(Point(size, *each) for size, each in zip(sizes, found, strict=True))
    noise = max((idle or 0) * _FAR_ABOVE, _LEAST_NOISE)
    heard = [(point.size, float(point.memory)) for point in points if point.memory and point.memory > noise]
    return Series(
        method=method,
        points=points,
        noise=noise,
        time_exponent=fit_exponent(sizes, [point.seconds for point in points]),
        memory_exponent=fit_exponent([size for size, _ in heard], [memory for _, memory in heard]),
    )


def fit_exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """Return the slope of the line through log(size) and log(value), by least squares; None of fewer than three points.

    Values of c · size^p, c and p being any numbers, give p.
    """
    if len(sizes) < _FEWEST or min(values) <= 0:
        return None
    slope, _ = np.polyfit(np.log(sizes), np.log(values), 1)
    return round(float(slope), _DIGITS) + 0.0  # what does not grow has no sign
