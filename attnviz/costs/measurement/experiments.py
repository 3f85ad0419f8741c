"""Which methods are measured at which sizes, and what is fitted to what they took."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from attnviz.costs.counts import Experiment, Point, Series
from attnviz.costs.measurement.fitting import exponent
from attnviz.costs.measurement.methods import ATTENDING, SCORING
from attnviz.costs.measurement.process import Size, taken

_WIDTH = 64  # numbers in a query, a key and a value
_WIDEST = 256
_DOUBLINGS = 4
_SCORED, _SCORED_WIDE = 8, 16  # how much shorter texts are for additive scores, which hold N×N×d numbers
_LEAST_NOISE = 2**18  # bytes; what is resident is counted a core at a time, 32 pages of each may be unknown
_FAR_ABOVE = 8  # how many times what doing nothing seems to take


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """An experiment to be made: at these (tokens, width), of which the one at the index `grows`."""

    title: str
    variable: str
    fixed: str
    methods: Iterable[str]
    sizes: Sequence[Size]
    grows: int


def measure(longest: int, say: Callable[[str], None] = lambda doing: None) -> Iterator[Experiment]:
    """Three experiments on one head and one thread, in float32, with texts of up to `longest` tokens, 128 or more.

    Ways to attend at growing N, dot-product beside additive scores at growing N, and the same at growing d. `say` is
    told what is being measured.

    Raises:
        AttnvizError: there is too little memory, or a library does not run here.
    """
    for plan in _plans(longest):
        series = tuple(_series(plan, method, say) for method in plan.methods)
        yield Experiment(title=plan.title, variable=plan.variable, fixed=plan.fixed, series=series)


def _plans(longest: int) -> tuple[_Plan, ...]:
    scored, wide = longest // _SCORED, longest // _SCORED_WIDE
    return (
        _Plan(
            title="Attention",
            variable="N",
            fixed=f"d = {_WIDTH}",
            methods=ATTENDING,
            sizes=[(tokens, _WIDTH) for tokens in _doubling(longest)],
            grows=0,
        ),
        _Plan(
            title="Scores alone",
            variable="N",
            fixed=f"d = {_WIDTH}",
            methods=SCORING,
            sizes=[(tokens, _WIDTH) for tokens in _doubling(scored)],
            grows=0,
        ),
        _Plan(
            title="Scores alone",
            variable="d",
            fixed=f"N = {wide}",
            methods=SCORING,
            sizes=[(wide, width) for width in _doubling(_WIDEST)],
            grows=1,
        ),
    )


def _doubling(largest: int) -> list[int]:
    return [largest >> times for times in range(_DOUBLINGS, -1, -1)]


def _series(plan: _Plan, method: str, say: Callable[[str], None]) -> Series:
    sizes = [size[plan.grows] for size in plan.sizes]
    say(f"{method}, {plan.variable} up to {sizes[-1]:,}")
    (_, idle), *found = taken(method, plan.sizes)
    points = tuple(Point(size, *each) for size, each in zip(sizes, found, strict=True))
    noise = max((idle or 0) * _FAR_ABOVE, _LEAST_NOISE)
    return Series(
        method=method,
        points=points,
        noise=noise,
        time_exponent=exponent(sizes, [point.seconds for point in points]),
        memory_exponent=_memory_exponent([point for point in points if (point.memory or 0) > noise]),
    )


def _memory_exponent(points: Sequence[Point]) -> float | None:
    return exponent([point.size for point in points], [float(point.memory or 0) for point in points])
