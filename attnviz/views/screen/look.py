"""The look of the screen: shades of weights on a dark or a light ground, or characters where there is no colour."""

from bisect import bisect_right
from functools import lru_cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from rich.cells import get_character_cell_size
from rich.style import Style

from attnviz.records import Weights
from attnviz.views.names import NOTHING

_DECADES = 3  # of a logarithmic scale
_STEPS = 64

# From the ground to ink in equal steps of OKLab: equal steps of weight look equal, to the colour-blind and in grey too.
_RAMPS = {
    True: ["#1b2129", "#1f3350", "#25497a", "#3064a5", "#4585cb", "#64a7e6", "#8fc8f8", "#bfe3fd", "#f2f9ff"],
    False: ["#edf2f4", "#b7e4ff", "#82c9fa", "#5aaaec", "#4189d3", "#3569b3", "#2d4c8d", "#233266", "#161b40"],
}
# The colours of Okabe and Ito (2008), as lines and on the ground.
_HEADS = {
    True: ["#6cb8ff", "#ff9a4d", "#3fd0a4", "#e59ad0", "#e8c34a", "#a3d5ff"],
    False: ["#0072b2", "#d55e00", "#009e73", "#aa4499", "#b58900", "#56a0d9"],
}
_OF_LINES = 5 / 8  # of the ramp: seen on the ground as lines are
_FAINTEST, _FULLEST = 0.08, 0.9  # of the colour of a head, mixed into the ground
_INK = {True: "#16181d", False: "#ffffff"}  # on what is bright, and on what is not
_BRIGHT = 140  # of 255
_ACCENT = {True: "#ffb454", False: "#b04a00"}
_DENSITIES = " ░▒▓█"
_DENSITY_STEPS = (0.1, 0.3, 0.55, 0.8)

_NUMBERS = "123456789abcdefghijklmnopqrstuvwxyz"
_EIGHTHS = "▏▎▍▌▋▊▉█"

_DOTS = (0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80)  # of a character of Braille: 4 rows, 2 columns
_BRAILLE = 0x2800
_STAND_INS = {
    **dict(zip("░▒▓█▄▀▐▌", ".:*#_-||", strict=True)),
    **dict(zip("·…→←↑↓⇧×−↺▪■●‹›", ".~><^v^x-@##o()", strict=True)),
    **dict(zip("─│┌┐└┘", "-|++++", strict=True)),
    **dict(zip("▏▎▍▋▊▉", "||||##", strict=True)),
    **dict.fromkeys("\u2068\u2069", ""),  # isolates: not seen
}
_THICKNESS = " .:-=+*#%"  # for a character of Braille, by how many dots it has


class Look(Struct, frozen=True):
    """The means that a terminal has: colour, and a `dark` ground or a light one."""

    colour: bool
    dark: bool

    @property
    def theme(self) -> str:
        """Return the name of the theme that suits it."""
        return "dark" if self.dark else "light"

    @property
    def accent(self) -> Style:
        """Return the style of what is chosen, apart from the weights."""
        return Style(color=_ACCENT[self.dark], bold=True) if self.colour else Style(bold=True, reverse=True)

    @property
    def cursor(self) -> Style:
        """Return the style of the cell that is chosen."""
        ink = Style(color=_INK[self.dark], bgcolor=_ACCENT[self.dark]) if self.colour else Style(reverse=True)
        return ink + Style(bold=True)

    @property
    def marked(self) -> Style:
        """Return the style of marks on heads."""
        return Style(color=_ACCENT[self.dark]) if self.colour else Style(bold=True)

    def ground(self, strength: float, head: int | None = None) -> Style:
        """Return the style of a text on the shade of a number from 0 to 1; without colour, strong ones stand out.

        Where several heads are shown, the shade is of the colour of one: that of this number among them.
        """
        if not self.colour:
            return Style(reverse=strength >= _DENSITY_STEPS[2], bold=strength >= _DENSITY_STEPS[1])
        return _ground(self.dark, head, round(strength * _STEPS))

    def line(self, head: int | None = None) -> Style:
        """Return the style of bars: of one of several heads, in its colour."""
        if not self.colour:
            return Style()
        return Style(color=self.colour_of(_OF_LINES) if head is None else _colour(self.dark, head))

    def colour_of(self, strength: float) -> str:
        """Return the colour of a number from 0 to 1."""
        return _blend(self.dark, round(strength * _STEPS))


def scale(weights: Weights, *, log: bool) -> Weights:
    """Return how strong weights are drawn, 0 to 1: as they are, or by how many powers of ten they are below 1."""
    if not log:
        return weights
    strengths: Weights = 1 + np.log10(weights.clip(10.0**-_DECADES)) / _DECADES
    return strengths


def density(strength: float) -> str:
    """Return a character that is as dense as a number from 0 to 1 is large."""
    return _DENSITIES[bisect_right(_DENSITY_STEPS, strength)]


def number_name(head: int) -> str:
    """Return one character for one of the heads that are shown together: from 1 on, then letters."""
    return _NUMBERS[head % len(_NUMBERS)]


def bar(share: float, width: int) -> str:
    """Return a bar that fills this share of a width; what is more than nothing is seen."""
    eighths = max(round(min(share, 1) * width * len(_EIGHTHS)), int(share >= NOTHING))
    whole, rest = divmod(eighths, len(_EIGHTHS))
    return "█" * whole + (_EIGHTHS[rest - 1] if rest else "")


def braille(dots: NDArray[np.bool_]) -> list[str]:
    """Return lines of Braille, with a dot where there is one: [4 × lines, 2 × characters]."""
    rows, columns = dots.shape
    return [
        "".join(
            chr(
                _BRAILLE
                + sum(bit for line, pair in enumerate(_DOTS) for at, bit in enumerate(pair) if dots[y + line, x + at])
            )
            for x in range(0, columns, 2)
        )
        for y in range(0, rows, 4)
    ]


@lru_cache(4096)
def spell(text: str, encoding: str) -> str:
    """Return a text with a stand-in of the same width for each character that an encoding lacks."""

    def stand_in(char: str) -> str:
        if 0 <= ord(char) - _BRAILLE < 256:
            return _THICKNESS[(ord(char) - _BRAILLE).bit_count()]
        return _STAND_INS.get(char, "?" * get_character_cell_size(char))

    found = []
    for char in text:
        try:
            char.encode(encoding)
            found.append(char)
        except UnicodeEncodeError:
            found.append(stand_in(char))
    return "".join(found)


@lru_cache(1024)
def _ground(dark: bool, head: int | None, step: int) -> Style:
    colour = _blend(dark, step) if head is None else _tint(dark, head, step)
    red, green, blue = _parts(colour)
    return Style(color=_INK[0.299 * red + 0.587 * green + 0.114 * blue > _BRIGHT], bgcolor=colour)


@lru_cache(256)
def _blend(dark: bool, step: int) -> str:
    stops = _RAMPS[dark]
    place = step / _STEPS * (len(stops) - 1)
    low = min(int(place), len(stops) - 2)
    return _mix(stops[low], stops[low + 1], place - low)


def _tint(dark: bool, head: int, step: int) -> str:
    return _mix(_RAMPS[dark][0], _colour(dark, head), _FAINTEST + (_FULLEST - _FAINTEST) * step / _STEPS)


def _colour(dark: bool, head: int) -> str:
    return _HEADS[dark][head % len(_HEADS[dark])]


def _mix(one: str, other: str, share: float) -> str:
    mixed = (a + (b - a) * share for a, b in zip(_parts(one), _parts(other), strict=True))
    return "#" + "".join(f"{round(part):02x}" for part in mixed)


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
