"""The look of pictures: the options, and the colour of each weight."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize, SymLogNorm
from matplotlib.ticker import MaxNLocator
from msgspec import Struct
from msgspec.structs import force_setattr, replace

from attnviz.errors import UsageError
from attnviz.records import Weights, find_measure
from attnviz.text import Bins, Grouping, visible
from attnviz.views.image.fonts import FONT, find_family
from attnviz.vocabulary import Orientation

_OWN_COLOURS = {
    "poles": ("#12305c", "#2f66a8", "#7fb0dd", "#c4dcf0", "#f5f5f3", "#f6d7b3", "#e9a35d", "#b8620f", "#6b3300"),
    "ink": ("#f2f6f7", "#b7e4ff", "#82c9fa", "#5aaaec", "#4189d3", "#3569b3", "#2d4c8d", "#233266", "#161b40"),
}
"""Colour maps that matplotlib lacks. `ink` goes from paper to dark blue in equal steps of OKLab, so that equal steps of
weight look equal, to the colour-blind and in grey too, and no weight looks like nothing. `poles` goes from blue over
paper to orange, which the colour-blind tell apart, for numbers below and above zero."""

DEFAULT_COLOURS, SIGNED_COLOURS = "ink", "poles"

_LONGEST, _MOST_LINES = 1000, 50  # characters and lines of a title
_RESOLUTION, _IN_PRINT = 150, 300  # pixels an inch, by default, of a picture and of one whose width is given
_POINTS = {"in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4, "pt": 1.0}
_WIDTHS = 72.0, 3600.0  # points that a picture may be wide
AUTO = "auto"
"""The upper end of a scale that is the largest number of the picture."""
_FUZZ, _NEAR = 1.0001, 0.93  # of the end of a scale: what is still no more than that, and too near for another tick
_APART = 0.05  # of a logarithmic scale: what two ticks are apart at least
_DECADES = 3  # how many powers of ten below the largest weight a logarithmic scale shows at most


class Style(Struct, frozen=True, kw_only=True):
    """The look of pictures of every layout.

    `cmap` is `ink` or a colour map of matplotlib, `dpi` pixels an inch; `log` asks for a logarithmic colour scale, or
    for none (None leaves it to what is shown), `annotate` for numbers in the cells; `title` replaces the one that names
    the model, layer and head. `orientation` is that of the weights between queries and keys; pictures of one token have
    heads down in either case.

    `figure_width` is the width of the whole picture, such as "3.3in" or "84mm": cells fill it, and texts keep their
    size. `font` is the family of all texts; `caption` and `colorbar` are drawn unless they are False. `vmax` is the
    number at the upper end of the colours, `AUTO` for the largest in the picture; None is 1 for weights on a linear
    scale, else the largest.

    Raises:
        UsageError: there is no such colour map or font, the title is too long, or a number is out of range.
    """

    cmap: str = DEFAULT_COLOURS
    dpi: int | None = None
    log: bool | None = None
    title: str | None = None
    annotate: bool = False
    orientation: Orientation = Orientation.QUERIES_DOWN
    figure_width: str | None = None
    font: str = FONT
    caption: bool = True
    colorbar: bool = True
    vmax: float | str | None = None

    def __post_init__(self) -> None:
        colour_map(self.cmap)
        force_setattr(self, "font", find_family(self.font))
        if self.vmax not in (None, AUTO):
            force_setattr(self, "vmax", _parse_largest(self.vmax))
        if self.title:
            if len(self.title) > _LONGEST or len(self.title.splitlines()) > _MOST_LINES:
                raise UsageError(
                    f"The title is too long for a picture: give at most {_LONGEST:,} characters, {_MOST_LINES} lines."
                )
            force_setattr(self, "title", "\n".join(visible(line) for line in self.title.splitlines()))
        if not 20 <= self.resolution <= 1200:
            raise UsageError(f"A resolution of {self.dpi} dpi is out of range: give 20 to 1200.")

    @property
    def width(self) -> float | None:
        """Return the width of the whole picture in points, None for what it takes."""
        return None if self.figure_width is None else _parse_width(self.figure_width)

    @property
    def resolution(self) -> int:
        """Return how many pixels an inch has."""
        usual = _RESOLUTION if self.width is None else _IN_PRINT
        return usual if self.dpi is None else self.dpi

    def suiting(self, by: Grouping) -> "Style":
        """Return the style with its scale chosen: logarithmic for bins, because most of their weights are tiny."""
        return self if self.log is not None else replace(self, log=isinstance(by, Bins))


def _parse_width(text: str) -> float:
    """Parse a width, and return it in points; raise UsageError if it is none, or out of range."""
    found = re.fullmatch(r"(\d{1,5}(?:\.\d{1,9})?) *(in|cm|mm|pt)", text.strip(), re.ASCII)
    if found is None:
        raise UsageError(f"{visible(text)!r} is not a width: write 3.3in or 84mm.")
    points = float(found[1]) * _POINTS[found[2]]
    least, most = _WIDTHS
    if not least <= points <= most:
        raise UsageError(f"A picture that is {text} wide is out of range: give {least / 72:g}in to {most / 72:g}in.")
    return points


def _parse_largest(given: float | str | None) -> float:
    """Parse the number at the upper end of the colours; raise UsageError if it is none, or not above 0."""
    try:
        number = float(given or 0)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise UsageError(f"{visible(str(given))!r} is no end of a scale: give a number above 0, such as 0.5, or auto.")
    return number


class Scale(Struct, frozen=True):
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
    """Return the one scale of a picture, from these numbers of all its panels, as the style asks for it.

    Weights have a scale from 0 to 1, or to `vmax`; if it is logarithmic, from a small weight to the largest. Other
    numbers have one to the largest of them; if the measure has a sign, with 0 in its middle.
    """
    meaning = find_measure(measure)
    if meaning.signed:
        return _diverging(weights, style, measure)
    arrays = [array for array in weights if (array > 0).any()]
    largest = max((float(np.nanmax(array)) for array in arrays), default=1.0)
    colours = colour_map(style.cmap)
    if not style.log:
        whole = meaning.distributions and style.vmax is None
        return _linear(largest, 1.0 if whole else _end(style, largest), colours, measure)
    smallest = min((float(array.min(where=array > 0, initial=np.inf)) for array in arrays), default=largest)
    return _logarithmic(smallest, largest, _end(style, largest), colours, measure)


def _end(style: Style, largest: float) -> float:
    """Return the upper end of a scale: the number that was given, or else the largest."""
    return style.vmax if isinstance(style.vmax, float) else largest


def _diverging(numbers: Iterable[Weights], style: Style, measure: str) -> Scale:
    """Return the scale from minus the largest absolute number to plus the largest."""
    largest = max((float(np.nanmax(abs(array))) for array in numbers), default=0.0) or 1.0
    end = _end(style, largest)
    colours = colour_map(SIGNED_COLOURS if style.cmap == DEFAULT_COLOURS else style.cmap)
    if style.log:
        least = end / 10**_DECADES
        norm: Normalize = SymLogNorm(least, vmin=-end, vmax=end)
        values = [-end, -least, 0, least, end]
    else:
        norm, values = Normalize(-end, end), [-end, -end / 2, 0, end / 2, end]
    ticks = [(value, f"{value:+.2g}".replace("-", "−") if value else "0") for value in values]
    if _exceeds(largest, end):
        ticks[0], ticks[-1] = (-end, f"≤ {ticks[0][1]}"), (end, f"≥ {ticks[-1][1]}")
    return Scale(norm, colours, measure, ticks)


def _linear(largest: float, end: float, colours: Colormap, measure: str) -> Scale:
    values = [tick for tick in MaxNLocator(5).tick_values(0, end) if 0 <= tick <= end * _FUZZ]
    ticks = [(tick, f"{tick:.4g}") for tick in values]
    if _exceeds(largest, end):  # the colour at the end also stands for larger numbers
        ticks = [*(tick for tick in ticks if tick[0] < end * _NEAR), (end, f"≥ {end:.4g}")]
    return Scale(Normalize(0, end), colours, measure, ticks)


def _logarithmic(smallest: float, largest: float, end: float, colours: Colormap, measure: str) -> Scale:
    """Return the scale from a power of ten, which also stands for all smaller weights, up to its end."""
    top = int(np.ceil(np.log10(end) - 1e-6))
    floor = min(max(int(np.floor(np.log10(smallest) + 1e-6)), top - _DECADES), top - 1)
    powers = [power for power in range(floor, top + 1) if 10.0**power <= end * _FUZZ]
    apart = 10 ** (_APART * (np.log10(end) - floor))
    ticks = [(10.0**power, f"{10.0**power:g}") for power in powers if 10.0**power * apart <= end or power == powers[0]]
    ticks[0] = (ticks[0][0], f"≤ {ticks[0][1]}")
    if end > ticks[-1][0] * max(apart, _FUZZ):
        ticks.append((end, f"≥ {end:.4g}" if _exceeds(largest, end) else f"{end:.2g}"))
    norm = LogNorm(10.0**floor, max(end, 10.0**floor * 2), clip=True)
    return Scale(norm, colours, f"{measure}, log", ticks)


def _exceeds(largest: float, end: float) -> bool:
    return largest > end * _FUZZ
