"""Text as pixels: how wide it will be, and its ink, made once for all the places where it stands."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnviz.views.image.fonts import FONT, face

if TYPE_CHECKING:
    from matplotlib.font_manager import FontProperties
    from matplotlib.ft2font import FT2Font

SHARE = {"left": 0.0, "top": 0.0, "center": 0.5, "right": 1.0, "bottom": 1.0}
"""How much of a text lies before, or above, the point where it is written, if that is this part of it."""

_FIXED = 64  # FreeType counts in fractions of a pixel


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """How dark each pixel of a text is, [rows, columns]; `left` columns and `below` rows from where it is written."""

    shades: NDArray[np.uint8]
    left: int
    below: int


@lru_cache(maxsize=16_384)
def text_width(text: str, size: float, dpi: float, families: tuple[str, ...] = (FONT,)) -> float:
    """The width in points of a text of this size in points, at the resolution that it will be drawn at."""
    width, _ = _set(text, size, dpi, families).get_width_height()
    return width / _FIXED * 72 / dpi


@lru_cache(maxsize=1_024)
def ink(text: str, size: float, dpi: float, families: tuple[str, ...]) -> Ink:
    """What a text of this size puts on paper."""
    font = _set(text, size, dpi, families)
    font.draw_glyphs_to_bitmap(antialiased=True)
    left, _ = font.get_bitmap_offset()
    return Ink(font.get_image(), round(left / _FIXED), round(font.get_descent() / _FIXED))


def _set(text: str, size: float, dpi: float, families: tuple[str, ...]) -> "FT2Font":
    from matplotlib.ft2font import LoadFlags

    font = face(families)
    font.clear()
    font.set_size(size, dpi)
    font.set_text(text, 0.0, LoadFlags.DEFAULT)
    return font


@lru_cache(maxsize=256)
def properties(size: float, families: tuple[str, ...]) -> "FontProperties":
    """The same for matplotlib's own texts, whose viewer may have to look for another font."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=[*families, "sans-serif"], size=size)
