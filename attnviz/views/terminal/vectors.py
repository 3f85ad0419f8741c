"""Vectors as signed bars, a character a dimension, each with its first numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.text import Text

from attnviz.views.terminal.numbers import Lines, Numbers, largest, writer

_EIGHTHS = "▁▂▃▄▅▆▇█"
_NEAR_ZERO = 0.02  # of the largest
_MOST_DIMENSIONS = 128  # beyond it, a bar says no more
_LEAST_NUMBERS, _MOST_NUMBERS = 3, 5
_GAP, _MORE = 2, " …"


@dataclass(frozen=True, slots=True)
class Signs:
    """The characters for numbers above and below zero, each from small to large, with their styles."""

    positive: str
    negative: str
    positive_style: str = ""
    negative_style: str = ""

    def bar(self, values: Sequence[float], full: float) -> Text:
        """A character a number, of full height for the largest; those near zero are dots."""
        line = Text()
        for value in values:
            share = min(abs(value) / full, 1) if full else 0
            if not share >= _NEAR_ZERO:  # nor is what is not a number
                line.append("·", "dim")
            elif value > 0:
                line.append(_level(self.positive, share), self.positive_style)
            else:
                line.append(_level(self.negative, share), self.negative_style)
        return line

    def legend(self) -> Text:
        """How to read a bar, in a sentence."""
        above, below = self.bar((0.5, 1), 1).append(" above zero"), self.bar((-0.5, -1), 1).append(" below")
        kinds = Text(", ").join((above, below, Text("· near it; ± is full height.")))
        return Text("A vector has a character a number: ") + kinds


def _level(levels: str, share: float) -> str:
    return levels[math.ceil(share * len(levels)) - 1]


# Bars rise from the floor or hang from the ceiling, and leave an eighth free to the bar above or below. What hangs is
# drawn in reverse, for there are no characters for most of its heights. Orange and blue are of one lightness, midway
# between dark and light.
_COLOURED = Signs(_EIGHTHS[:-1], _EIGHTHS[-2::-1], "#e17129", "reverse #4a92e6")
_PLAIN = Signs("▁▄", "▔▀")
_ASCII = Signs("+", "-")


def signs(console: Console, options: ConsoleOptions) -> Signs:
    """Those that a console can show."""
    if options.ascii_only:
        return _ASCII
    return _PLAIN if console.color_system is None or console.no_color else _COLOURED


def bars(values: Numbers, labels: Sequence[Text], width: int, signs: Signs) -> tuple[str, Lines]:
    """Vectors `values` [rows, dimensions] drawn to one scale, and in words that scale and how much of each is drawn.

    Each stands between its label and its first numbers. Where the width cannot hold all, the numbers are fewer first.
    """
    dimensions, full, write = values.shape[-1], largest(values), writer(values)
    written = [[write(value) for value in row[:_MOST_NUMBERS].tolist()] for row in values]
    number_width = _GAP + max((len(number) for row in written for number in row), default=0)
    longest = max(label.cell_len for label in labels)
    margin = longest and longest + _GAP
    room = width - margin
    drawn = min(dimensions, _MOST_DIMENSIONS, max(room - _LEAST_NUMBERS * number_width - len(_MORE), room // 2, 1))
    count = min(_MOST_NUMBERS, max((room - drawn - len(_MORE)) // number_width, 0))

    def lines() -> Lines:
        for label, row, numbers in zip(labels, values, written, strict=True):
            line = label.copy()
            line.pad_right(margin - label.cell_len)
            line.append_text(signs.bar(row[:drawn].tolist(), full))
            line.append("".join(number.rjust(number_width) for number in numbers[:count]), "dim")
            yield line.append(_MORE if 0 < count < dimensions else "", "dim")

    part = f", first {drawn} of {dimensions}" if drawn < dimensions else ""
    return f"±{write(full)}{part}", lines()
