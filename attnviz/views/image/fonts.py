"""The fonts of a picture, codes for characters that no font has, and the width and ink of texts."""

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import get_cachedir
from matplotlib.font_manager import (
    FontEntry,
    FontManager,
    FontProperties,
    findfont,
    findSystemFonts,
    fontManager,
    get_font,
    json_dump,
)
from matplotlib.ft2font import FaceFlags, FT2Font, LoadFlags
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.errors import UsageError
from attnviz.text import visible
from attnviz.text.graphemes import split_graphemes

FONT = "DejaVu Sans"
"""Comes with matplotlib, so that a picture is the same on every machine."""

CODE = "<U+"
"""How the code of a character begins."""

_REGULAR = 400  # the weight of a font that is neither light nor bold
_OTHER_STYLES = "mono", "serif", "display", "looped", "condensed"
_UNSEEN = "Cc", "Cf"  # general categories of what needs no glyph: breaks of lines, joiners
_SIGNS = *range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0xFFF9, 0xFFFA, 0xFFFB, 0x110BD, 0x110CD
_MARKS = frozenset(map(chr, (*_SIGNS, *range(0x13430, 0x13440))))
"""Format characters that are seen: signs round numbers and verses, and joints of hieroglyphs."""

_SELECTORS = range(0xFE00, 0xFE10)  # which of two looks a character has
_AS_DRAWINGS, _AS_IT_IS = 3, 42  # types of fonts in a PDF
_OF_TRUETYPE = 1, 0  # the version of a font's table maxp
_FIXED = 64  # FreeType counts in fractions of a pixel


class Fonts(Struct, frozen=True):
    """The font `families` of a picture, in order of preference, and the characters that none of them has."""

    families: tuple[str, ...] = (FONT,)
    lacking: frozenset[str] = frozenset()

    def spelled(self, text: str) -> str:
        """Return the text with codes for characters that no font has: `<U+72D7>`, `<U+72D7 6CA1>`."""
        return joined(self.parts(text)) if self.lacking.intersection(text) else text

    def parts(self, text: str) -> list[str]:
        """Return the same in parts that must not be cut: graphemes, or codes."""
        return [part for each in split_graphemes(text) for part in self._pieces(each)]

    def _pieces(self, grapheme: str) -> list[str]:
        if not self.lacking.intersection(grapheme):
            return [grapheme]
        seen = filter(_needs_glyph, grapheme)
        return [f"{CODE}{ord(char):04X}>" if char in self.lacking else char for char in seen]

    def scripts(self) -> list[str]:
        """Return the scripts of the missing characters, in words."""
        return sorted({_script(char) for char in self.lacking})


def joined(parts: Iterable[str]) -> str:
    """Join the parts of a text; codes in a row share their brackets."""
    return "".join(parts).replace(f">{CODE}", " ")


def _script(char: str) -> str:
    """Return the script of a character; the name of a letter begins with it."""
    first, *_ = unicodedata.name(char, "UNKNOWN").split()
    if unicodedata.category(char)[0] not in "LM" or first == "COMBINING":
        return "some signs"
    return f"{first if first == 'CJK' else first.capitalize()} letters"


def list_families() -> list[str]:
    """Return the names of the font families that are installed, and of those that come with matplotlib."""
    return sorted({entry.name for entry in fontManager.ttflist})


def find_family(name: str) -> str:
    """Return the name of a font family as the font itself spells it.

    Raises:
        UsageError: it is not installed; the message names some that are spelled like it.
    """
    if not (known := _spellings()).get(name.casefold()):
        _find_new_fonts(name)
        known = _spellings()
    if found := known.get(name.casefold()):
        return found
    near = [known[each] for each in get_close_matches(name.casefold(), known, cutoff=0.5)] or [FONT, "DejaVu Serif"]
    raise UsageError(f"No font family {visible(name)!r} is installed: try {', '.join(near)}.")


def _spellings() -> dict[str, str]:
    return {family.casefold(): family for family in list_families()}


def _find_new_fonts(name: str) -> None:
    """Let matplotlib know the fonts of a family that was installed since it made its list, and remember them."""
    for path in {*findSystemFonts()} - {entry.fname for entry in fontManager.ttflist}:
        with suppress(OSError, RuntimeError):  # it is broken
            if get_font(path).family_name.casefold() == name.casefold():
                fontManager.addfont(path)
                json_dump(fontManager, Path(get_cachedir()) / f"fontlist-v{FontManager.__version__}.json")


def fonts_for(texts: Iterable[str], family: str = FONT) -> Fonts:
    """Return the fonts for these texts: the family, ours, and as few others as are needed for missing characters."""
    own = (FONT,) if family == FONT else (family, FONT)
    rare = frozenset(char for text in texts if not text.isascii() for char in text)
    if not rare:
        return Fonts(own)
    faces = [face((each,)) for each in own]
    lacking = (char for char in rare if not any(one.get_char_index(ord(char)) for one in faces))
    missing = "".join(sorted(filter(_needs_glyph, lacking)))
    return _stand_ins(missing, own) if missing else Fonts(own)


@lru_cache(maxsize=256)
def _stand_ins(missing: str, own: tuple[str, ...]) -> Fonts:
    """Return fonts for the missing characters: repeatedly the one that has most of those that are left."""
    region = _region(missing)
    faces = sorted(_system(), key=lambda face: face.rank(region))
    has = np.array([face.has(missing) for face in faces]).reshape(len(faces), len(missing))
    left, families = np.ones(len(missing), bool), [*own]
    while len(faces) and (has & left).any():
        best = int((has & left).sum(1).argmax())  # the first of several in order
        families.append(faces[best].family)
        left &= ~has[best]
    lacking = frozenset(char for char, alone in zip(missing, left, strict=True) if alone)
    return Fonts(tuple(families), lacking)


class _Face(Struct, frozen=True, eq=False):
    """A font of the system, and the sorted code points of the characters that it has."""

    family: str
    codes: NDArray[np.uint32]

    def has(self, characters: str) -> NDArray[np.bool_]:
        """Return whether it has each of these characters."""
        wanted = np.array([ord(char) for char in characters], np.uint32)
        at = np.searchsorted(self.codes, wanted).clip(max=len(self.codes) - 1)
        there: NDArray[np.bool_] = self.codes[at] == wanted
        return there

    def rank(self, region: str) -> tuple[object, ...]:
        """Return its rank among fonts that have as many: first the one most like our own, made for this region."""
        name = self.family.casefold()
        strange = sum(style in name.replace("sans-serif", "sans") for style in _OTHER_STYLES)
        return "sans" not in name, strange, not self.family.endswith(region), self.family


def _region(characters: str) -> str:
    """Return the ending of font families that draw Chinese characters in the style of the region."""
    names = " ".join(unicodedata.name(char, "") for char in characters)
    if "KATAKANA" in names or "HIRAGANA" in names:
        return " JP"
    return " KR" if "HANGUL" in names else " SC"


@cache
def _system() -> list[_Face]:
    """Return the upright fonts of regular weight that are installed, each once."""
    faces: dict[str, _Face] = {}
    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.name, entry.fname, entry.index)):
        usual = (entry.style, entry.variant, entry.stretch, entry.weight) == ("normal", "normal", "normal", _REGULAR)
        if usual and entry.name not in faces and len(codes := _codes(entry)):
            faces[entry.name] = _Face(entry.name, codes)
    return list(faces.values())


def _codes(entry: FontEntry) -> NDArray[np.uint32]:
    """Return the characters that a font can draw in one colour; none if it only has boxes or cannot be read."""
    try:
        font = FT2Font(entry.fname, face_index=entry.index)
    except (OSError, RuntimeError):  # it was removed since the list was made, or is broken
        return np.empty(0, np.uint32)
    if "Last Resort" in entry.name or FaceFlags.SCALABLE not in font.face_flags:
        return np.empty(0, np.uint32)
    drawn = _with_ink(font) if FaceFlags.COLOR in font.face_flags else font.get_charmap()
    return np.fromiter(sorted(drawn), np.uint32)


def _with_ink(font: FT2Font) -> Iterator[int]:
    """Yield the characters of a colour font that also have an outline; others would be blank."""
    for code, glyph in font.get_charmap().items():
        left, _, right, _ = font.load_glyph(glyph, LoadFlags.NO_SCALE).bbox
        if right > left:
            yield code


def _needs_glyph(char: str) -> bool:
    return char in _MARKS or (unicodedata.category(char) not in _UNSEEN and ord(char) not in _SELECTORS)


def face(families: tuple[str, ...] = (FONT,)) -> FT2Font:
    """Return the font object that draws text in these families."""
    return get_font(_files(families))


def fit_into_pdf(families: Iterable[str]) -> int:
    """Return the type of font in which matplotlib has to put these families into a PDF.

    It is 42, which holds fonts as they are, unless one of them has outlines of PostScript (CFF, as most .otf have):
    matplotlib would declare these to be outlines of TrueType (ISO 32000-1, 9.7.4), which some viewers refuse.
    """
    return _AS_DRAWINGS if any(_has_cff(family) for family in families) else _AS_IT_IS


@lru_cache(maxsize=256)
def _has_cff(family: str) -> bool:
    table = face((family,)).get_sfnt_table("maxp")
    return table is not None and table["version"] < _OF_TRUETYPE


@lru_cache(maxsize=256)
def _files(families: tuple[str, ...]) -> list[Any]:
    return [findfont(FontProperties(family=[family])) for family in families]


class Ink(Struct, frozen=True, eq=False):
    """The darkness of each pixel of a text [rows, columns], `left` columns and `below` rows from its origin."""

    shades: NDArray[np.uint8]
    left: int
    below: int


@lru_cache(maxsize=16_384)
def text_width(text: str, size: float, dpi: float, families: tuple[str, ...] = (FONT,)) -> float:
    """Return the width in points of a text of this size in points, at the resolution of the picture."""
    width, _ = _set(text, size, dpi, families).get_width_height()
    return width / _FIXED * 72 / dpi


@lru_cache(maxsize=1_024)
def ink(text: str, size: float, dpi: float, families: tuple[str, ...]) -> Ink:
    """Return the pixels of a text of this size."""
    font = _set(text, size, dpi, families)
    font.draw_glyphs_to_bitmap(antialiased=True)
    left, _ = font.get_bitmap_offset()
    return Ink(font.get_image(), round(left / _FIXED), round(font.get_descent() / _FIXED))


def _set(text: str, size: float, dpi: float, families: tuple[str, ...]) -> FT2Font:
    font = face(families)
    font.clear()
    font.set_size(size, dpi)
    font.set_text(text, 0.0, LoadFlags.DEFAULT)
    return font


@lru_cache(maxsize=256)
def properties(size: float, families: tuple[str, ...]) -> FontProperties:
    """Return size and fonts for matplotlib's own texts, whose viewer may have to look for another font."""
    return FontProperties(family=[*families, "sans-serif"], size=size)
