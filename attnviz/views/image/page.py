"""A page: a figure in points that grows with its contents, and the artists on it.

matplotlib resamples an image and sets a text again for each drawing. Pixels of cells are whole copies of a few colours,
and most words of a picture, and of the next one, have been written before. Formats other than pixels are left to it.
"""

import math
from collections.abc import Iterable, Sequence
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

from attnviz.records import Weights
from attnviz.views.image.fonts import Fonts, ink, properties, text_width
from attnviz.views.image.words import LINE, Label, wrapped

_Pixels = NDArray[np.uint8]  # [rows, columns, red green blue alpha]

INK, MUTED = "#262626", "#8c8c8c"
_MARGIN = 8.0  # points round everything
_LARGEST = 12_000  # pixels on either side of a picture
_MOST = 10**8  # pixels of a picture, each of which takes ten bytes until it is written
_SHARE = {"left": 0.0, "top": 0.0, "center": 0.5, "right": 1.0, "bottom": 1.0}
"""The share of a text that lies before or above its point, for each alignment."""

_BASELINE = {"top": 0.97, "center": 0.36, "bottom": 0.97 - LINE}
"""The distance of the baseline below the top, middle or bottom of a line, as a multiple of its size."""

_TURNED = {"left": "top", "right": "bottom", "top": "right", "bottom": "left", "center": "center"}
"""The side that each side of a text becomes when it is turned to be read from the right."""


class Cells(BboxImage):
    """Coloured cells in a box."""

    def draw(self, renderer: Any) -> None:
        """Draw them: on pixels, each at the colour of the cell that it lies in."""
        if not isinstance(renderer, RendererAgg):
            super().draw(renderer)
            return
        left, bottom, right, top = (round(edge) for edge in self.get_window_extent(renderer).extents)
        cells: _Pixels = self.to_rgba(np.ma.asarray(self.get_array()), bytes=True)
        rows, columns = (_copies(cells.shape[0], top - bottom), _copies(cells.shape[1], right - left))
        _put(renderer, cells[rows].take(columns, axis=1), left, bottom)


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


def _put(renderer: RendererAgg, pixels: _Pixels, left: int, bottom: int) -> None:
    context = renderer.new_gc()
    renderer.draw_image(context, left, bottom, np.ascontiguousarray(pixels[::-1]))
    context.restore()


class Page:
    """A figure in points, y downwards, that grows with its contents and is cut to them at the end.

    Characters that its fonts lack are written as codes.

    Its artists stand on the figure itself: axes with their ticks would take longer than everything else.
    """

    def __init__(self, dpi: int, fonts: Fonts) -> None:
        self.dpi = dpi
        self.left = self.top = math.inf
        self.right = self.bottom = -math.inf
        self._fonts = fonts
        self._figure = Figure(dpi=dpi, facecolor="white")
        self._to_inches = Affine2D()  # from points; known when all is in place
        self._to_pixels = self._to_inches + self._figure.dpi_scale_trans

    def snapped(self, points: float) -> float:
        """Return the next whole number of pixels, in points, so that edges are sharp."""
        return math.ceil(points * self.dpi / 72 - 1e-6) * 72 / self.dpi

    def spelled(self, labels: Iterable[Label]) -> list[Label]:
        """Return the labels with codes for characters that the fonts lack."""
        return [label.spelled(self._fonts) for label in labels]

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

    def line(self, x: Sequence[float], y: Sequence[float], tone: str, width: float) -> None:
        """Draw a line through points, straight from each to the next."""
        line = Line2D(x, y, color=tone, linewidth=width, solid_capstyle="butt", transform=self._to_pixels)
        self._figure.add_artist(line)

    def finished(self) -> Figure:
        """Return the figure, cut to its contents and a margin, at a lower resolution if it had too many pixels."""
        left, top = self.snapped(self.left - _MARGIN), self.snapped(self.top - _MARGIN)
        width, height = self.snapped(self.right + _MARGIN - left), self.snapped(self.bottom + _MARGIN - top)
        self._to_inches.translate(-left, -top - height).scale(1 / 72, -1 / 72)
        self._figure.set_size_inches(width / 72, height / 72)
        finest = min(_LARGEST / max(width, height), math.sqrt(_MOST / (width * height)))
        self._figure.set_dpi(min(self.dpi, int(finest * 72)))
        return self._figure

    def _reach(self, left: float, top: float, right: float, bottom: float) -> None:
        self.left, self.top = min(self.left, left), min(self.top, top)
        self.right, self.bottom = max(self.right, right), max(self.bottom, bottom)
