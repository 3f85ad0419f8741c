"""The text of a picture: which labels there is room for, how wide they are, and where long ones break."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from attnviz.text import Token

if TYPE_CHECKING:
    from matplotlib.font_manager import FontProperties

FONT = "DejaVu Sans"
"""Comes with matplotlib, so that a picture is the same on every machine."""

LINE = 1.25
"""The height of a line of text as a multiple of its size: lines this far apart do not touch."""

_LONGEST = 24  # characters


@dataclass(frozen=True, slots=True)
class Label:
    """What to write beside a row or column: `at` is its middle, in cells from the edge of the first one."""

    text: str
    at: float
    muted: bool = False


def token_labels(tokens: Sequence[Token], pooled: int = 1) -> list[Label]:
    """A label a token, special ones muted, when each cell stands for `pooled` tokens."""
    return [Label(ellipsised(t.text), (i + 0.5) / pooled, t.special) for i, t in enumerate(tokens)]


def ellipsised(text: str) -> str:
    """The text, its end left out if it is very long."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def thinned(labels: Iterable[Label], cell: float, size: float) -> list[Label]:
    """The first label and each next one that a line of its own is left for, cells being `cell` points apart."""
    kept: list[Label] = []
    for label in labels:
        if not kept or (label.at - kept[-1].at) * cell >= size * LINE:
            kept.append(label)
    return kept


def wrapped(text: str, size: float, width: float, dpi: int) -> list[str]:
    """The text in lines at most `width` points wide (a single word may be wider); its own line breaks are kept."""
    lines: list[str] = []
    for line in text.split("\n"):
        first, *words = line.split(" ")
        lines.append(first)
        for word in words:
            if text_width(f"{lines[-1]} {word}", size, dpi) <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
    return lines


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, dpi: int) -> float:
    """The width in points of a text of this size, at the resolution that it will be drawn at."""
    if not text:
        return 0.0
    with missing_glyphs_ignored():
        width, _, _ = _renderer(dpi).get_text_width_height_descent(text, font(size), False)
    return float(width) * 72 / dpi


def missing_glyphs(texts: Iterable[str]) -> str:
    """The characters that the font cannot show, each once."""
    characters = dict.fromkeys(char for text in texts if not text.isascii() for char in text)
    if not characters:
        return ""
    from matplotlib.font_manager import findfont, get_font

    face = get_font(findfont(font(10)))
    return "".join(char for char in characters if not face.get_char_index(ord(char)))


@contextmanager
def missing_glyphs_ignored() -> Iterator[None]:
    """Keeps matplotlib from warning of each character that its font cannot show."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"(Glyph|Matplotlib currently does not support)", UserWarning)
        yield


@lru_cache(maxsize=32)
def font(size: float, *families: str) -> "FontProperties":
    """The font of every text, in this size in points, with the families that stand in where it is missing."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=[FONT, *families], size=size)


@lru_cache(maxsize=4)
def _renderer(dpi: int) -> Any:
    from matplotlib.backends.backend_agg import RendererAgg

    renderer: Any = RendererAgg
    return renderer(1, 1, dpi)
