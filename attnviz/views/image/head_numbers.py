"""The picture of numbers for each head: for each number a map, layers down and heads across, and a scatter beside it.

The two share the axis of layers (Clark et al. 2019, figures 2 and 4, turned so that layers go down as everywhere).
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import Colormap, Normalize
from matplotlib.ticker import MaxNLocator
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.errors import UsageError
from attnviz.records import HeadTable
from attnviz.text import By
from attnviz.views.image.fonts import fonts_for
from attnviz.views.image.page import INK, MUTED, Page
from attnviz.views.image.pictures import Picture
from attnviz.views.image.style import Style, colour_map
from attnviz.views.image.words import Label, note_left_out, thinned
from attnviz.views.names import counted, index_name
from attnviz.vocabulary import Kind

_HEADING, _TITLE, _SMALL = 10.5, 8.5, 7.0  # sizes of text in points
_SIDE, _LEAST, _MOST = 144.0, 4.5, 15.0  # points that a map fills, and that one of its cells gets
_SCATTER = 92.0  # points across
_LEFT, _GAP, _BETWEEN, _PAD = 22.0, 9.0, 20.0, 3.0  # points for labels, between map and scatter, between panels
_BELOW = 34.0  # points for the axes below a panel
_RAMP = 4.0  # the height of the colours below a scatter
_WIDTH = 960.0  # points that panels side by side may fill
_SIGNED = "RdBu_r"  # colours of numbers on both sides of 0, told apart by the colour-blind
_MEAN = "#e8871e"  # orange, which is no colour of a number


class _Panel(Struct, frozen=True):
    """A number of each head [layers, heads], NaN where it is undefined, and the colours of its range."""

    name: str
    values: NDArray[np.float64]
    norm: Normalize
    colours: Colormap

    @classmethod
    def of(cls, name: str, values: NDArray[np.float64], style: Style) -> "_Panel":
        """Return the panel of numbers whose colours go from 0, or as far below 0 as above it."""
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if low < 0:
            most = max(-low, high)
            return cls(name, values, Normalize(-most, most), colour_map(_SIGNED))
        return cls(name, values, Normalize(0, high or 1.0), colour_map(style.cmap))

    @property
    def ticks(self) -> list[float]:
        """Return the numbers that are named below the scatter."""
        low, high = float(self.norm.vmin or 0), float(self.norm.vmax or 1)
        return [tick for tick in MaxNLocator(3).tick_values(low, high) if low <= tick <= high * 1.0001]


def head_picture(table: HeadTable, style: Style) -> Picture:
    """Return the picture of a table.

    Raises:
        UsageError: none of its numbers is defined for any head.
    """
    there = {name: table[name] for name in table.columns if np.isfinite(table[name]).any()}
    if not there:
        raise UsageError(f"There is nothing to draw: {', '.join(table.columns)} of {table.model} is undefined.")
    panels = [_Panel.of(name, values, style) for name, values in there.items()]
    cell = min(max(_SIDE / max(len(table.layers), len(table.heads)), _LEAST), _MOST)
    caption = (
        "Each cell is a head. Beside it each dot is a head, at the height of its layer; the orange line is the mean of "
        "each layer. Colours are those below the dots."
    )
    undefined = [name for name in table.columns if name not in there]
    remarks = [f"Undefined: {', '.join(undefined)}."] if undefined else []
    fonts = fonts_for([style.title or table.model, caption], style.font)
    width = _LEFT + cell * len(table.heads) + _GAP + _SCATTER + _BETWEEN
    across = min(max(int((style.width or _WIDTH) / width), 1), len(panels))

    def draw(side: float) -> Page:
        return _draw_panels(Page(style, fonts), table, panels, across, side)

    page = draw(Page.fill(draw, cell, across * len(table.heads)) if style.width else cell)
    heading = style.title if style.title is not None else _name(table)
    small_print = " ".join([*remarks, caption])
    above, below = (remarks, caption) if heading else ([], small_print)
    _write(page, heading, above * style.caption, below * style.caption)
    left_out = (note_left_out(small_print),) if remarks and not style.caption else ()
    return Picture(f"heads-{table.kind.value}", page.finished(), left_out)


def _draw_panels(page: Page, table: HeadTable, panels: Sequence[_Panel], across: int, cell: float) -> Page:
    """Draw a map and a scatter for each number, so many in a row, and return the page."""
    cell = page.snapped(cell)
    height = cell * len(table.layers)
    width = page.snapped(_LEFT + cell * len(table.heads) + _GAP + _SCATTER + _BETWEEN)
    for number, panel in enumerate(panels):
        left = page.snapped((number % across) * width + _LEFT)
        top = page.snapped((number // across) * (height + _BELOW + _TITLE + 2 * _PAD))
        _draw_map(page, table, panel, (left, top, cell))
        _draw_scatter(page, panel, (page.snapped(left + cell * len(table.heads) + _GAP), top, cell))
    return page


def _name(table: HeadTable) -> str:
    """Return the model, the kind, and what the numbers are of."""
    kind = [] if table.kind is Kind.ENCODER else [table.kind.value]
    of = [counted(table.texts, "text")] if table.texts else []
    between = [] if table.by is By.TOKEN else [f"between {table.by.unit}s"]
    return " · ".join([table.model, *kind, *of, *between])


def _draw_map(page: Page, table: HeadTable, panel: _Panel, place: tuple[float, float, float]) -> None:
    left, top, cell = place
    layers, heads = panel.values.shape
    width, height = heads * cell, layers * cell
    page.image(panel.values.astype(np.float32), (left, top, width, height), panel.norm, panel.colours)
    page.text(left, top - _PAD, panel.name, _TITLE, "left", "bottom")
    for label in _label(table.layers, cell):
        page.text(left - _PAD, top + label.at * cell, label.text, _SMALL, "right", "center")
    for label in _label(table.heads, cell):
        page.text(left + label.at * cell, top + height + _PAD, label.text, _SMALL, "center", "top")
    page.text(left - _LEFT + _PAD, top + height / 2, "layer", _SMALL, "right", "center", MUTED, upright=True)
    page.text(left + width / 2, top + height + 2 * _PAD + _SMALL, "head", _SMALL, "center", "top", MUTED)


def _label(indices: Sequence[int], cell: float) -> list[Label]:
    """Return the numbers of layers or heads, as many as there is room for."""
    labels = [Label(index_name(index), place + 0.5) for place, index in enumerate(indices)]
    return thinned(labels, cell, _SMALL * 1.4)


def _draw_scatter(page: Page, panel: _Panel, place: tuple[float, float, float]) -> None:
    left, top, cell = place
    layers, _ = panel.values.shape
    bottom = top + layers * cell
    low, high = float(panel.norm.vmin or 0), float(panel.norm.vmax or 1)

    def across(values: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return left + _SCATTER * (np.asarray(values) - low) / (high - low)

    for tick in panel.ticks:
        x = float(across(tick))
        page.line((x, x), (top, bottom), "#e4e4e4", 0.5)
        page.text(x, bottom + 2 * _PAD + _RAMP, f"{tick:.3g}", _SMALL, "center", "top")
    zero = float(across(0.0))
    page.line((zero, zero), (top, bottom), MUTED, 0.5)
    rows, heads = np.nonzero(np.isfinite(panel.values))
    values = panel.values[rows, heads]
    places = np.stack([across(values), top + (rows + 0.5) * cell], -1)
    page.dots(places, panel.colours(panel.norm(values)), min(max(cell * 0.2, 1.2), 2.2))
    there = np.flatnonzero(np.isfinite(panel.values).any(1))
    means = across(np.array([np.nanmean(panel.values[row]) for row in there]))
    page.line(means.tolist(), (top + (there + 0.5) * cell).tolist(), _MEAN, 1.4)
    ramp = np.linspace(low, high, 128, dtype=np.float32)[None]
    page.image(ramp, (left, page.snapped(bottom + _PAD), _SCATTER, _RAMP), panel.norm, panel.colours)


def _write(page: Page, heading: str, remarks: Sequence[str], caption: str) -> None:
    """Write the heading and the remarks above the panels, and the caption below them."""
    left, width = page.left, page.room or page.right - page.left
    page.lines(left, page.bottom + _GAP, page.wrapped(caption, _SMALL, width), _SMALL, MUTED)
    lines = [line for remark in remarks for line in page.wrapped(remark, _SMALL, width)]
    top = page.top - _GAP - _HEADING * 1.4 - len(lines) * _SMALL * 1.4
    top = page.lines(left, top, page.wrapped(heading, _HEADING, width), _HEADING, INK)
    page.lines(left, top, lines, _SMALL, MUTED)
