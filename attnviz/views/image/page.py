"""A sheet of paper: a figure in points that grows with what is put on it."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attnviz.records import Weights
from attnviz.views.image.fonts import Fonts
from attnviz.views.image.labels import LINE, wrapped
from attnviz.views.image.text import SHARE, text_width

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

INK, MUTED = "#262626", "#8c8c8c"
_MARGIN = 8.0  # points round everything
_LARGEST = 12_000  # pixels on either side of a picture
_BASELINE = {"top": 0.97, "center": 0.36, "bottom": 0.97 - LINE}
"""How far the baseline of a line lies below its top, middle or bottom, as a multiple of its size."""

_TURNED = {"left": "top", "right": "bottom", "top": "right", "bottom": "left", "center": "center"}
"""What each side of a line of text becomes when it is turned to be read from the right."""


class Page:
    """A figure in points, y downwards, that notes how far its contents reach and is cut to that in the end.

    Its artists stand on the figure itself: axes with their ticks would take longer than everything else.
    """

    def __init__(self, dpi: int, fonts: Fonts) -> None:
        from matplotlib.figure import Figure
        from matplotlib.transforms import Affine2D

        self.dpi = dpi
        self.left = self.top = math.inf
        self.right = self.bottom = -math.inf
        self._families = fonts.families
        self._figure = Figure(dpi=dpi, facecolor="white")
        self._to_inches = Affine2D()  # from points; known when all is in place
        self._to_pixels = self._to_inches + self._figure.dpi_scale_trans

    def snapped(self, points: float) -> float:
        """The next whole number of pixels, in points: what starts there has sharp edges."""
        return math.ceil(points * self.dpi / 72 - 1e-6) * 72 / self.dpi

    def width(self, text: str, size: float) -> float:
        """The width of a text of this size."""
        return text_width(text, size, self.dpi, self._families)

    def wrapped(self, text: str, size: float, width: float) -> list[str]:
        """The text in lines of at most this width."""
        return wrapped(text, width, lambda words: self.width(words, size))

    def image(self, cells: Weights, box: tuple[float, float, float, float], norm: Any, colours: "Colormap") -> None:
        """Coloured cells in a box of left, top, width and height."""
        from matplotlib.transforms import Bbox, TransformedBbox

        from attnviz.views.image.artists import Cells

        left, top, width, height = box
        place = TransformedBbox(Bbox.from_bounds(*box), self._to_pixels)
        image = Cells(place, cmap=colours, norm=norm, interpolation="nearest", origin="upper", resample=False)
        image.set_data(cells)
        self._figure.add_artist(image)
        self._reach(left, top, left + width, top + height)

    def text(
        self, x: float, y: float, text: str, size: float, ha: str, va: str, tone: str = INK, upright: bool = False
    ) -> None:
        """Text at a point, to be read from the right if upright, never read as mathematics."""
        if not text:
            return
        from attnviz.views.image.artists import Words

        width, height = self.width(text, size), size * LINE
        along, athwart = (_TURNED[va], _TURNED[ha]) if upright else (ha, va)
        below = size * _BASELINE[athwart]
        if upright:
            width, height = height, width
        words = Words(
            *((x + below, y) if upright else (x, y + below)), text,
            size=size, families=self._families, align=along, upright=upright, tone=tone, transform=self._to_pixels,
        )  # fmt: skip
        self._figure.add_artist(words)
        left, top = x - width * SHARE[ha], y - height * SHARE[va]
        self._reach(left, top, left + width, top + height)

    def lines(self, x: float, y: float, lines: Sequence[str], size: float, tone: str) -> float:
        """Lines below y; what is below them."""
        for line in lines:
            self.text(x, y, line, size, "left", "top", tone)
            y += size * LINE
        return y

    def line(self, x: tuple[float, float], y: tuple[float, float], tone: str, width: float) -> None:
        """A straight line."""
        from matplotlib.lines import Line2D

        line = Line2D(x, y, color=tone, linewidth=width, solid_capstyle="butt", transform=self._to_pixels)
        self._figure.add_artist(line)

    def finished(self) -> "Figure":
        """The figure, cut to its contents and a margin, at a lower resolution if it had too many pixels."""
        left, top = self.snapped(self.left - _MARGIN), self.snapped(self.top - _MARGIN)
        width, height = self.snapped(self.right + _MARGIN - left), self.snapped(self.bottom + _MARGIN - top)
        self._to_inches.translate(-left, -top - height).scale(1 / 72, -1 / 72)
        self._figure.set_size_inches(width / 72, height / 72)
        self._figure.set_dpi(min(self.dpi, int(_LARGEST * 72 / max(width, height))))
        return self._figure

    def _reach(self, left: float, top: float, right: float, bottom: float) -> None:
        self.left, self.top = min(self.left, left), min(self.top, top)
        self.right, self.bottom = max(self.right, right), max(self.bottom, bottom)
