"""The look of pictures: the options, and the colour of each weight."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize, SymLogNorm
from matplotlib.ticker import MaxNLocator

from attnviz.errors import UsageError
from attnviz.records import Weights
from attnviz.text import Bins, Grouping, visible
from attnviz.vocabulary import WEIGHT, Orientation

_OWN_COLOURS = {
    "poles": ("#12305c", "#2f66a8", "#7fb0dd", "#c4dcf0", "#f5f5f3", "#f6d7b3", "#e9a35d", "#b8620f", "#6b3300"),
    "ink": ("#f2f6f7", "#b7e4ff", "#82c9fa", "#5aaaec", "#4189d3", "#3569b3", "#2d4c8d", "#233266", "#161b40"),
}
"""Colour maps that matplotlib lacks. `ink` goes from paper to dark blue in equal steps of OKLab, so that equal steps of
weight look equal, to the colour-blind and in grey too, and no weight looks like nothing. `poles` goes from blue over
paper to orange, which the colour-blind tell apart, for numbers below and above zero."""

DEFAULT_COLOURS, SIGNED_COLOURS = "ink", "poles"

_LONGEST, _MOST_LINES = 1000, 50  # characters and lines of a title
_DECADES = 3  # how many powers of ten below the largest weight a logarithmic scale shows at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """The look of pictures of every layout.

    `cmap` is `ink` or a colour map of matplotlib, `dpi` pixels an inch; `log` asks for a logarithmic colour scale, or
    for none (None leaves it to what is shown), `annotate` for numbers in the cells; `title` replaces the one that names
    the model, layer and head. `orientation` is that of the weights between queries and keys; pictures of one token have
    heads down in either case.

    Raises:
        UsageError: there is no such colour map, the title is too long, or the resolution is out of range.
    """

    cmap: str = DEFAULT_COLOURS
    dpi: int = 150
    log: bool | None = None
    title: str | None = None
    annotate: bool = False
    orientation: Orientation = Orientation.QUERIES_DOWN

    def __post_init__(self) -> None:
        colour_map(self.cmap)
        if self.title:
            if len(self.title) > _LONGEST or len(self.title.splitlines()) > _MOST_LINES:
                raise UsageError(
                    f"The title is too long for a picture: give at most {_LONGEST:,} characters, {_MOST_LINES} lines."
                )
            object.__setattr__(self, "title", "\n".join(visible(line) for line in self.title.splitlines()))
        if not 20 <= self.dpi <= 1200:
            raise UsageError(f"A resolution of {self.dpi} dpi is out of range: give 20 to 1200.")

    def suiting(self, by: Grouping) -> "Style":
        """Return the style with its scale chosen: logarithmic for bins, because most of their weights are tiny."""
        return self if self.log is not None else replace(self, log=isinstance(by, Bins))


@dataclass(frozen=True, slots=True)
class Scale:
    """The colour of each weight, and the weights that are named on the colour bar."""

    norm: Normalize
    colours: Colormap
    name: str
    ticks: Sequence[tuple[float, str]]


def list_colour_maps() -> Iterator[str]:
    """Yield the names of all colour maps: ours, then those of matplotlib."""
    yield from _OWN_COLOURS
    yield from colormaps


def colour_map(name: str) -> Colormap:
    """Return the colour map of this name, one of ours or of matplotlib.

    Raises:
        UsageError: there is none; the message names some that are spelled like it.
    """
    if name in _OWN_COLOURS:
        return LinearSegmentedColormap.from_list(name, _OWN_COLOURS[name])
    if name not in colormaps:
        close = get_close_matches(name, list(list_colour_maps())) or [DEFAULT_COLOURS, "viridis", "magma_r"]
        raise UsageError(f"There is no colour map {name!r}: try {', '.join(close)}.")
    return colormaps[name]


def scale_of(weights: Iterable[Weights], style: Style, measure: str) -> Scale:
    """Return the scale from 0, or from a small weight if it is logarithmic, to the largest of these weights.

    Numbers of another measure, which have a sign, have a scale with 0 in its middle.
    """
    if measure != WEIGHT:
        return _diverging(weights, style, measure)
    present = [array[array > 0] for array in weights]  # leaves out NaN too
    largest = max((float(array.max()) for array in present if array.size), default=1.0)
    if not style.log:
        return _linear(largest, colour_map(style.cmap))
    smallest = min((float(array.min()) for array in present if array.size), default=largest)
    return _logarithmic(smallest, largest, colour_map(style.cmap))


def _diverging(numbers: Iterable[Weights], style: Style, measure: str) -> Scale:
    """Return the scale from minus the largest absolute number to plus the largest."""
    largest = max((float(np.nanmax(abs(array))) for array in numbers), default=0.0) or 1.0
    colours = colour_map(SIGNED_COLOURS if style.cmap == DEFAULT_COLOURS else style.cmap)
    if style.log:
        least = largest / 10**_DECADES
        norm: Normalize = SymLogNorm(least, vmin=-largest, vmax=largest)
        values = [-largest, -least, 0, least, largest]
    else:
        norm, values = Normalize(-largest, largest), [-largest, -largest / 2, 0, largest / 2, largest]
    ticks = [(value, f"{value:+.2g}".replace("-", "−") if value else "0") for value in values]
    return Scale(norm, colours, measure, ticks)


def _linear(largest: float, colours: Colormap) -> Scale:
    ticks = [tick for tick in MaxNLocator(5).tick_values(0, largest) if 0 <= tick <= largest * 1.0001]
    return Scale(Normalize(0, largest), colours, "weight", [(tick, f"{tick:.4g}") for tick in ticks])


def _logarithmic(smallest: float, largest: float, colours: Colormap) -> Scale:
    """Return the scale from a power of ten, which also stands for all smaller weights, up to the largest."""
    top = int(np.ceil(np.log10(largest) - 1e-6))
    floor = min(max(int(np.floor(np.log10(smallest) + 1e-6)), top - _DECADES), top - 1)
    ticks = [(10.0**power, f"{10.0**power:g}") for power in range(floor, top + 1) if 10.0**power <= largest * 1.0001]
    ticks[0] = (ticks[0][0], f"≤ {ticks[0][1]}")
    return Scale(LogNorm(10.0**floor, max(largest, 10.0**floor * 2), clip=True), colours, "weight, log", ticks)
