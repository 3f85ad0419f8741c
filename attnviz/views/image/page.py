"""A page: a figure in points that grows with its contents, and the artists on it.

matplotlib resamples an image and sets a text again for each drawing. Pixels of cells are whole copies of a few colours,
and most words of a picture, and of the next one, have been written before. Formats other than pixels are left to it.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import BboxImage
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox, IdentityTransform, TransformedBbox
from numpy.typing import NDArray

from attnviz.errors import UnfitTextError
from attnviz.records import Weights
from attnviz.views.image.fonts import Fonts, ink, properties, text_width
from attnviz.views.image.style import Style
from attnviz.views.image.words import LINE, Label, wrapped

_Pixels = NDArray[np.uint8]  # [rows, columns, red green blue alpha]

INK, MUTED = "#262626", "#8c8c8c"
_MARGIN, _TIGHT = 8.0, 2.0  # points round everything, and round a picture that is to fill its width
_LABELS = 0.3  # of such a width: what a label may take
_TRIES, _EXACT = 30, 0.01  # to fill a width, and the points that may be left of it
_ROUNDING = 0.01  # pixels: what a cell of a whole number of them may seem to have beside these
_A_LITTLE = 1e-6  # points: so that a whole number of pixels is not rounded down
_LARGEST = 12_000  # pixels on either side of a picture
_MOST = 10**8  # pixels of a picture
_MOST_LARGER = 2**23  # pixels of cells in SVG and PDF, unless there are more cells
_HELD, _IN_POINTS = 10, 30  # bytes that a cell takes, and each of its pixels in SVG and PDF
_BAND = 2**18  # pixels of cells that are coloured at a time
_SHARE = {"left": 0.0, "top": 0.0, "center": 0.5, "right": 1.0, "bottom": 1.0}
"""The share of a text that lies before or above its point, for each alignment."""

_BASELINE = {"top": 0.97, "center": 0.36, "bottom": 0.97 - LINE}
"""The distance of the baseline below the top, middle or bottom of a line, as a multiple of its size."""

_TURNED = {"left": "top", "right": "bottom", "top": "right", "bottom": "left", "center": "center"}
"""The side that each side of a text becomes when it is turned to be read from the right."""


class Cells(BboxImage):
    """Coloured cells in a box."""

    def can_composite(self) -> bool:
        """Return False: matplotlib would make one image of several, whose cells are not all of one size."""
        return False

    def draw(self, renderer: Any) -> None:
        """Draw them: on pixels, each at the colour of the cell that it lies in; else all of one size."""
        self.autoscale_None()  # at all of them, before some are coloured
        if isinstance(renderer, RendererAgg):
            self._draw_on_pixels(renderer)
        elif resolution := getattr(renderer, "image_dpi", None):  # SVG and PDF, in points
            self._draw_in_points(renderer, resolution)
        else:
            super().draw(renderer)

    def _draw_on_pixels(self, renderer: Any) -> None:
        left, bottom, right, top = (round(edge) for edge in self.get_window_extent(renderer).extents)
        down, across = self.cells.shape
        rows, columns = _copies(down, top - bottom), _copies(across, right - left)
        step = max(_BAND // max(len(columns), across), 1)
        for first in range(0, len(rows), step):
            band = rows[first : first + step]
            cells = self._colour(band[0], band[-1] + 1)
            _put(renderer, cells[band - band[0]].take(columns, axis=1), left, top - first - len(band))

    def _draw_in_points(self, renderer: Any, resolution: float) -> None:
        box = self.get_window_extent(renderer)
        cells = self._colour(0, len(self.cells))
        cells[cells[..., 3] == 0] = 255  # transparent, whose black would show at the edges
        down, across = self._sides(np.multiply(box.size, resolution / 72))
        _put(renderer, cells.repeat(down, 0).repeat(across, 1), *box.min, Affine2D().scale(*box.size))

    def _sides(self, pixels: NDArray[np.float64]) -> tuple[int, int]:
        """Return how many pixels down and across a cell has in SVG and PDF; fewer if there were too many in all.

        `pixels` are those of the box, across and down.
        """
        sides = pixels[::-1] / self.cells.shape
        down, across = (math.ceil(side - _ROUNDING) for side in sides)
        if (larger := down * across * self.cells.size) > _MOST_LARGER:
            shrunk = math.sqrt(_MOST_LARGER / larger)
            down, across = (max(int(side * shrunk), 1) for side in (down, across))
        return down, across

    def count_bytes(self, *, in_points: bool) -> int:
        """Return how much memory the cells take while they are drawn, on pixels or in points."""
        if not in_points:
            return _HELD * int(self.cells.size)
        down, across = self._sides(np.asarray(self.get_window_extent().size))
        return (_HELD + _IN_POINTS * down * across) * int(self.cells.size)

    @property
    def cells(self) -> Any:
        """Return the numbers in the cells [rows, columns]."""
        return np.ma.asarray(self.get_array())

    def _colour(self, first: int, end: int) -> _Pixels:
        """Return the colours of some rows of cells [rows, columns, red green blue alpha]."""
        colours: _Pixels = self.to_rgba(self.cells[first:end], bytes=True)
        return colours


class Words(Text):
    """Text on a baseline, in the first of its fonts that has it; to be read from the right if `upright`."""

    def __init__(
        self, x: float, y: float, text: str, *, size: float, families: tuple[str, ...], align: str, upright: bool,
        tone: str, transform: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            x, y, text, color=tone, fontproperties=properties(size, families), rotation=90 * upright,
            rotation_mode="anchor", ha=align, va="baseline", transform=transform, parse_math=False, usetex=False,
        )  # fmt: skip
        self._set_in = size, families

    def draw(self, renderer: Any) -> None:
        """Draw it: on pixels, with the ink of a text that was written before."""
        if not isinstance(renderer, RendererAgg):
            super().draw(renderer)
            return
        size, families = self._set_in
        made = ink(self.get_text(), size, renderer.dpi, families)
        across, down = made.left - self._before(renderer.dpi), -made.below  # of its lower left corner, from its point
        pixels = np.empty((*made.shades.shape, 4), np.uint8)
        pixels[..., :3] = np.multiply(to_rgb(self.get_color()), 255).round()
        pixels[..., 3] = made.shades
        x, y = self.get_transform().transform(self.get_position())
        if self.get_rotation():
            _put(renderer, np.rot90(pixels), round(x - down - pixels.shape[0]), round(y + across))
        else:
            _put(renderer, pixels, round(x + across), round(y + down))

    def _before(self, dpi: float) -> float:
        """Return the number of pixels before its point."""
        size, families = self._set_in
        return _SHARE[self.get_horizontalalignment()] * text_width(self.get_text(), size, dpi, families) * dpi / 72


def _copies(count: int, pixels: int) -> NDArray[np.intp]:
    """Return for each pixel the index of its cell."""
    return ((np.arange(pixels) + 0.5) * count / pixels).astype(np.intp)


def _put(renderer: Any, pixels: _Pixels, left: float, bottom: float, *to_box: Affine2D) -> None:
    context = renderer.new_gc()
    renderer.draw_image(context, left, bottom, np.ascontiguousarray(pixels[::-1]), *to_box)
    context.restore()


class Page:
    """A figure in points, y downwards, that grows with its contents and is cut to them at the end.

    Characters that its fonts lack are written as codes.

    Its artists stand on the figure itself: axes with their ticks would take longer than everything else. A style with a
    width says how wide it is, whatever its contents: `fill` makes them so.
    """

    def __init__(self, style: Style, fonts: Fonts) -> None:
        self.dpi = dpi = style.resolution
        self._asked = style.width
        self._margin = _MARGIN if style.width is None else _TIGHT
        self.left = self.top = math.inf
        self.right = self.bottom = -math.inf
        self._fonts = fonts
        self._figure = Figure(dpi=dpi, facecolor="white")
        self._to_inches = Affine2D()  # from points; known when all is in place
        self._to_pixels = self._to_inches + self._figure.dpi_scale_trans

    def snapped(self, points: float) -> float:
        """Return the next whole number of pixels, in points, so that edges are sharp, unless a width is to be met."""
        return points if self._asked is not None else self._whole(points)

    def _whole(self, points: float) -> float:
        return math.ceil(points * self.dpi / 72 - 1e-6) * 72 / self.dpi

    @property
    def room(self) -> float | None:
        """Return the points between the margins, None if it grows with its contents."""
        return None if self._asked is None else self._asked - 2 * self._margin

    def spelled(self, labels: Iterable[Label], size: float) -> list[Label]:
        """Return the labels with codes for characters that the fonts lack, cut if the page is too narrow for them."""
        spelled = [label.spelled(self._fonts) for label in labels]
        return spelled if self._asked is None else [self._cut(label, size) for label in spelled]

    def _cut(self, label: Label, size: float) -> Label:
        most = _LABELS * (self._asked or math.inf)
        lengths = range(len(label.text), 1, -1)
        return next((cut for cut in map(label.cut, lengths) if self.width(cut.text, size) <= most), label.cut(1))

    def width(self, text: str, size: float) -> float:
        """Return the width of a text of this size."""
        return text_width(self._fonts.spelled(text), size, self.dpi, self._fonts.families)

    def wrapped(self, text: str, size: float, width: float) -> list[str]:
        """Return the text in lines of at most this width."""
        return wrapped(self._fonts.spelled(text), width, lambda words: self.width(words, size))

    def image(self, cells: Weights, box: tuple[float, float, float, float], norm: Any, colours: Colormap) -> None:
        """Draw coloured cells in a box of left, top, width and height."""
        left, top, width, height = box
        place = TransformedBbox(Bbox.from_bounds(*box), self._to_pixels)
        image = Cells(place, cmap=colours, norm=norm, interpolation="nearest", origin="upper", resample=False)
        image.set_data(cells)
        self._figure.add_artist(image)
        self._reach(left, top, left + width, top + height)

    def text(
        self, x: float, y: float, text: str, size: float, ha: str, va: str, tone: str = INK, upright: bool = False
    ) -> None:
        """Write text at a point, to be read from the right if upright, never read as mathematics."""
        if not text:
            return
        width, height = self.width(text, size), size * LINE
        along, athwart = (_TURNED[va], _TURNED[ha]) if upright else (ha, va)
        below = size * _BASELINE[athwart]
        if upright:
            width, height = height, width
        words = Words(
            *((x + below, y) if upright else (x, y + below)), self._fonts.spelled(text), size=size,
            families=self._fonts.families, align=along, upright=upright, tone=tone, transform=self._to_pixels,
        )  # fmt: skip
        self._figure.add_artist(words)
        left, top = x - width * _SHARE[ha], y - height * _SHARE[va]
        self._reach(left, top, left + width, top + height)

    def lines(self, x: float, y: float, lines: Sequence[str], size: float, tone: str) -> float:
        """Write lines below y, and return the y below the last one."""
        for line in lines:
            self.text(x, y, line, size, "left", "top", tone)
            y += size * LINE
        return y

    def dots(self, places: NDArray[np.float64], colours: NDArray[np.float64], radius: float) -> None:
        """Draw dots at places [dots, x y], in colours [dots, red green blue alpha]."""
        dots = PathCollection(
            [Path.unit_circle()],
            sizes=[radius**2],
            offsets=places,
            offset_transform=self._to_pixels,
            facecolors=colours,
            edgecolors=INK,
            linewidths=0.1 * radius,
        )
        dots.set_transform(IdentityTransform())
        self._figure.add_artist(dots)
        (left, top), (right, bottom) = places.min(0), places.max(0)
        self._reach(left - radius, top - radius, right + radius, bottom + radius)

    def line(self, x: Sequence[float], y: Sequence[float], tone: str, width: float) -> None:
        """Draw a line through points, straight from each to the next."""
        line = Line2D(x, y, color=tone, linewidth=width, solid_capstyle="butt", transform=self._to_pixels)
        self._figure.add_artist(line)

    def finished(self) -> Figure:
        """Return the figure, cut to its contents and a margin, at a lower resolution if it had too many pixels."""
        left, top = self.snapped(self.left - self._margin), self.snapped(self.top - self._margin)
        height = self._whole(self.bottom + self._margin - top)
        width = self.snapped(self.right + self._margin - left) if self._asked is None else self._asked + _A_LITTLE
        self._to_inches.translate(-left, -top - height).scale(1 / 72, -1 / 72)
        self._figure.set_size_inches(width / 72, height / 72)
        finest = min(_LARGEST / max(width, height), math.sqrt(_MOST / (width * height)))
        self._figure.set_dpi(min(self.dpi, int(finest * 72)))
        return self._figure

    def clear(self) -> None:
        """Let go of all that was drawn, without waiting for the garbage collector."""
        self._figure.clear()

    @classmethod
    def fill(cls, draw: "Callable[[float], Page]", cell: float, count: int) -> float:
        """Return the width of cells, `count` beside each other, with which a page is as wide as it is to be.

        `draw` draws it with cells of a width, the first of which is `cell`; other parts of it do not grow with them.

        Raises:
            UnfitTextError: they would be smaller than a pixel.
        """
        for _ in range(_TRIES):
            page = draw(cell)
            spare = 0.0 if page.room is None else page.room - (page.right - page.left)
            page.clear()
            if abs(spare) < _EXACT:
                break
            cell += spare / count
            if cell * page.dpi < 72:
                raise UnfitTextError(
                    f"There is no room for {count:,} cells and what stands beside them in the width of the picture:",
                    hint="give a larger {figure_width}, fewer {layer} and {head}, or {colorbar:False}.",
                )
        return cell

    def _reach(self, left: float, top: float, right: float, bottom: float) -> None:
        self.left, self.top = min(self.left, left), min(self.top, top)
        self.right, self.bottom = max(self.right, right), max(self.bottom, bottom)
