"""What stands on a page: cells and words that know how to become pixels quickly.

matplotlib resamples an image and sets a text anew for each drawing. Pixels of cells are whole copies of a few colours,
and most words of a picture, and of the next one, have been written before. Formats other than pixels are left to it.
This module imports matplotlib: only what draws imports it.
"""

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.image import BboxImage
from matplotlib.text import Text
from numpy.typing import NDArray

from attnviz.views.image.text import SHARE, ink, properties, text_width

_Pixels = NDArray[np.uint8]  # [rows, columns, red green blue alpha]


class Cells(BboxImage):
    """Coloured cells in a box, each of them even."""

    def draw(self, renderer: Any) -> None:
        """Draws them: on pixels, each at the colour of the cell that it lies in."""
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
        """Draws it: on pixels, with the ink of a text that was written before."""
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
        """The pixels before the point where it is written."""
        size, families = self._set_in
        return SHARE[self.get_horizontalalignment()] * text_width(self.get_text(), size, dpi, families) * dpi / 72


def _copies(count: int, pixels: int) -> NDArray[np.intp]:
    """The index of the one of so many cells that each pixel lies in."""
    return ((np.arange(pixels) + 0.5) * count / pixels).astype(np.intp)


def _put(renderer: RendererAgg, pixels: _Pixels, left: int, bottom: int) -> None:
    context = renderer.new_gc()
    renderer.draw_image(context, left, bottom, np.ascontiguousarray(pixels[::-1]))
    context.restore()
