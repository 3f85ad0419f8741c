"""The picture of the cost of attention: time and peak memory over size, both axes logarithmic."""

import math
from collections.abc import Callable, Sequence
from textwrap import fill

from matplotlib import rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnviz.costs.measurement import HOW, Experiment, Series, find_noise
from attnviz.views.image.fonts import FONT
from attnviz.views.image.page import INK, MUTED
from attnviz.views.image.style import Style
from attnviz.views.names import scaled

_COLUMN, _HEIGHT, _LOWER = 2.55, 5.0, 3.4  # inches; lower where columns stand below each other
_NARROWEST = 2.2  # inches of a column, with its legend
_CHARACTERS = 19  # of small print in an inch, about
_DPI = 200
_HEADING, _LABEL, _SMALL = 10.5, 8.0, 7.0  # sizes of text in points
_LINES = (("#233266", "o"), ("#d1495b", "s"), ("#1f9e89", "^"))
"""Colour and marker of each method: told apart by the colour-blind, and in grey."""

_NAMES = {"N": "N, tokens", "d": "d, numbers in a vector"}
_HEADROOM = 6.0  # how many times the largest value an axis reaches: there stands the legend


def picture(experiments: Sequence[Experiment], style: Style = Style()) -> Figure:  # noqa: B008 - frozen
    """Return a figure with a column for each experiment, time above memory; slopes are the exponents in the legend.

    Memory that cannot be told from noise is left out. Where the style gives a width that has no room for all columns,
    some stand below the others.
    """
    width = _COLUMN * len(experiments) if style.width is None else style.width / 72
    across = min(max(int(width / _NARROWEST), 1), len(experiments))
    down = math.ceil(len(experiments) / across)
    dpi = _DPI if style.dpi is None and style.width is None else style.resolution
    with rc_context({"font.family": [style.font, FONT], "font.size": _LABEL, "mathtext.default": _in_formulas(style)}):
        figure = Figure(
            (width, _HEIGHT if down == 1 else _LOWER * down), dpi=dpi, layout="constrained", facecolor="white"
        )
        rows = figure.subplots(2 * down, across, squeeze=False)
        for number, experiment in enumerate(experiments):
            row, column = divmod(number, across)
            time, memory = rows[2 * row, column], rows[2 * row + 1, column]
            _draw(time, experiment, "time in seconds", _seconds, lambda series: series.time_exponent, style)
            _draw(memory, experiment, "peak memory in bytes", _bytes, lambda series: series.memory_exponent, style)
            time.set_title(f"{experiment.title}, {experiment.fixed}", loc="left", fontsize=_LABEL, color=INK)
            memory.set_xlabel(_NAMES[experiment.variable])
        for axes in rows[:, 1:].flat:
            axes.set_ylabel("")
        for axes in rows[-2:, len(experiments) - across * (down - 1) :].flat:
            axes.set_axis_off()
        if style.title:
            figure.suptitle(style.title, fontsize=_HEADING, color=INK)
        if style.caption:
            noise = find_noise(experiments)
            missing = f"; memory below {scaled(noise, 'B')} cannot be told from noise and is left out" if noise else ""
            figure.supxlabel(fill(HOW + missing, int(width * _CHARACTERS)), fontsize=_SMALL, color=MUTED)
    return figure


def _in_formulas(style: Style) -> str:
    """Return how matplotlib writes letters in formulas: ours as usual, those of another font as in a text."""
    return str(rcParams["mathtext.default"]) if style.font == FONT else "regular"


def _write_power(variable: str, power: float, style: Style) -> str:
    """Return how a cost grows: as a formula, but in another font than ours, which need not have its signs, as text."""
    return f" ∝ ${variable}^{{{power:.2f}}}$" if style.font == FONT else f" ∝ {variable}^{power:.2f}"


def _seconds(series: Series) -> list[tuple[int, float]]:
    return [(point.size, point.seconds) for point in series.points]


def _bytes(series: Series) -> list[tuple[int, float]]:
    return [(point.size, point.memory) for point in series.points if point.memory and not series.is_noise(point)]


def _draw(
    axes: Axes,
    experiment: Experiment,
    name: str,
    values: Callable[[Series], list[tuple[int, float]]],
    exponent: Callable[[Series], float | None],
    style: Style,
) -> None:
    """Draw a line for each method, with its exponent in the legend."""
    largest = 0.0
    for series, (colour, marker) in zip(experiment.series, _LINES, strict=False):
        if not (found := values(series)):
            continue
        largest = max([largest, *(value for _, value in found)])
        power = exponent(series)
        grows = "" if power is None else _write_power(experiment.variable, power, style)
        sizes, heights = [size for size, _ in found], [value for _, value in found]
        axes.plot(sizes, heights, color=colour, marker=marker, ms=3.5, lw=1.3, label=series.method + grows)
    _scale(axes, [point.size for point in experiment.series[0].points], largest)
    axes.set_ylabel(name, color=INK)
    if largest:
        axes.legend(loc="upper left", fontsize=_SMALL, frameon=False, handlelength=1.6, borderaxespad=0.2)


def _scale(axes: Axes, sizes: Sequence[int], largest: float) -> None:
    """Make both axes logarithmic, with the sizes named below, and room for the legend above the largest value."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    if largest:
        axes.set_yscale("log")
        axes.set_ylim(top=largest * _HEADROOM)
    else:
        axes.set_yticks([])
    axes.minorticks_off()
    axes.grid(color=MUTED, alpha=0.25, linewidth=0.5)
    axes.tick_params(labelsize=_SMALL, colors=INK, width=0.5, length=2.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=MUTED, linewidth=0.6)


if __name__ == "__main__":
    from attnviz.views.example import example_experiment, write_example
    from attnviz.views.image.pictures import render

    write_example(render(picture([example_experiment()] * 3), "png"), "cost.png")
