"""The picture of the cost of attention: time and peak memory over size, both axes logarithmic."""

from collections.abc import Callable, Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnviz.costs.measurement import HOW, Experiment, Series
from attnviz.views.image.fonts import FONT
from attnviz.views.image.page import INK, MUTED

_COLUMN, _HEIGHT = 2.55, 5.0  # inches
_DPI = 200
_LABEL, _SMALL = 8.0, 7.0  # sizes of text in points
_LINES = (("#233266", "o"), ("#d1495b", "s"), ("#1f9e89", "^"))
"""Colour and marker of each method: told apart by the colour-blind, and in grey."""

_NAMES = {"N": "N, tokens", "d": "d, numbers in a vector"}
_HEADROOM = 6.0  # how many times the largest value an axis reaches: there stands the legend


def picture(experiments: Sequence[Experiment]) -> Figure:
    """Return a figure with a column for each experiment, time above memory; slopes are the exponents in the legend.

    Memory that cannot be told from noise is left out.
    """
    with rc_context({"font.family": [FONT], "font.size": _LABEL}):
        figure = Figure((_COLUMN * len(experiments), _HEIGHT), dpi=_DPI, layout="constrained", facecolor="white")
        rows = figure.subplots(2, len(experiments), squeeze=False)
        for column, experiment in enumerate(experiments):
            time, memory = rows[0, column], rows[1, column]
            _draw(time, experiment, "time in seconds", _seconds, lambda series: series.time_exponent)
            _draw(memory, experiment, "peak memory in bytes", _bytes, lambda series: series.memory_exponent)
            time.set_title(f"{experiment.title}, {experiment.fixed}", loc="left", fontsize=_LABEL, color=INK)
            memory.set_xlabel(_NAMES[experiment.variable])
        for axes in rows[:, 1:].flat:
            axes.set_ylabel("")
        figure.supxlabel(HOW, fontsize=_SMALL, color=MUTED)
    return figure


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
) -> None:
    """Draw a line for each method, with its exponent in the legend."""
    largest = 0.0
    for series, (colour, marker) in zip(experiment.series, _LINES, strict=False):
        found = values(series)
        largest = max([largest, *(value for _, value in found)])
        power = exponent(series)
        grows = "" if power is None else f" ∝ ${experiment.variable}^{{{power:.2f}}}$"
        sizes, heights = [size for size, _ in found], [value for _, value in found]
        axes.plot(sizes, heights, color=colour, marker=marker, ms=3.5, lw=1.3, label=series.method + grows)
    _scale(axes, [point.size for point in experiment.series[0].points], largest)
    axes.set_ylabel(name, color=INK)
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
