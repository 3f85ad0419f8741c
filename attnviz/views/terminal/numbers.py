"""Numbers in a lesson: facts on one line each, columns side by side, and vectors as signed bars.

A bar has one character for each dimension, and the first numbers beside it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.text import Text

from attnviz.lessons.lesson import count_decimals
from attnviz.views.terminal.cells import GAP, Cell, aligned, has_colour, heading_lines, side_by_side, wrapped

Numbers = NDArray[Any]
Lines = Iterator[Text]

_NAME_WIDTH = 12  # longer names of columns take several lines
_MOST_DECIMALS = 5  # smaller numbers are written with an exponent, and so are those from here on:
_LARGE = 1e6
_SUM_TOLERANCE = 1e-3

_NONE = "–"  # for what is no number
_EIGHTHS = "▁▂▃▄▅▆▇█"
_NEAR_ZERO = 0.02  # of the largest
_MOST_DIMENSIONS = 128  # beyond it, a bar says no more
_LEAST_NUMBERS, _MOST_NUMBERS = 3, 5
_MORE = " …"
_SMALL = 8  # rows and columns of a matrix that is shown whole
_CORNER = 3, 5  # rows and columns of a larger one


def writer(values: Numbers, least: int = 0) -> Callable[[Any], str]:
    """Return a function that writes numbers of one group: with two decimals, or as many as asked or needed."""
    if values.dtype == np.bool_:
        return lambda value: "yes" if value else "no"
    if np.issubdtype(values.dtype, np.integer):
        return lambda value: f"{value:,}".replace("-", "−")
    size = largest(values)
    decimals = max(least, count_decimals(size))
    form = ".1e" if decimals > _MOST_DECIMALS or size >= _LARGE else f"z,.{decimals}f"
    return lambda value: f"{value:{form}}".replace("inf", "∞").replace("-", "−")


def largest(values: Numbers) -> float:
    """Return the largest finite absolute value; 0 if there is none."""
    return float(np.max(np.abs(values), where=np.isfinite(values), initial=0))


def are_weights(values: Numbers) -> bool:
    """Return whether these are weights: from 0 to 1, with at least one row along the last axis that sums to 1."""
    if not np.issubdtype(values.dtype, np.floating) or not np.all((values >= 0) & (values <= 1 + _SUM_TOLERANCE)):
        return False
    return bool(np.any(np.isclose(values.sum(axis=-1), 1, atol=_SUM_TOLERANCE)))


def facts(known: Iterable[tuple[str, Numbers, int]], width: int) -> Lines:
    """Yield each number, with at least so many decimals, and its words beside it."""
    written = [(writer(value, decimals)(value.item()), words) for words, value, decimals in known]
    margin = max(len(number) for number, _ in written)
    for number, words in written:
        for row, line in enumerate(wrapped(Text(words), width - margin - GAP)):
            yield Text(("" if row else number).rjust(margin) + " " * GAP).append_text(line)


class NumberColumn(Struct, frozen=True, eq=False):
    """A column: a name, and cells of text with a style."""

    name: str
    cells: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, name: str, values: Numbers, *, shade: bool, decimals: int = 0) -> Self:
        """Return a column of numbers, shaded if they are weights; hidden keys are dim."""
        if shade:
            return cls(name, [*map(Cell().draw, values.tolist())])
        if values.dtype == np.bool_:
            return cls(name, [("yes", "") if seen else ("hidden", "dim") for seen in values.tolist()])
        write = writer(values, decimals)
        written = [_NONE if math.isnan(value) else write(value) for value in values.tolist()]
        styles = ["dim" if value == -math.inf else "" for value in values.tolist()]
        return cls(name, list(zip(written, styles, strict=True)))

    @property
    def width(self) -> int:
        """Return the width of the widest cell, or of the name."""
        return max(min(cell_len(self.name), _NAME_WIDTH), *(len(cell) for cell, _ in self.cells))


def table(labels: Sequence[Text], columns: Sequence[NumberColumn], width: int) -> Lines:
    """Yield columns side by side, right of the labels of their rows, in as many blocks as the width needs."""
    margin = max(label.cell_len for label in labels)
    for shown in side_by_side([column.width for column in columns], width - margin):
        if shown.start:
            yield Text()
        block = columns[shown]
        yield from _names(block, margin)
        for line, cells in zip(aligned(labels), zip(*(column.cells for column in block), strict=True), strict=True):
            for column, (cell, style) in zip(block, cells, strict=True):
                line.append(" " * (GAP + column.width - len(cell))).append(cell, style)
            yield line


def _names(block: Sequence[NumberColumn], margin: int) -> Lines:
    """Yield the names of columns, in as many lines as the longest needs."""
    names = [[line.plain for line in wrapped(Text(one.name), one.width)] if one.name else [] for one in block]
    for parts in heading_lines(names):
        line = Text(" " * margin)
        for column, part in zip(block, parts, strict=True):
            line.append(" " * (GAP + column.width - cell_len(part))).append(part, "dim")
        line.rstrip()
        yield line


class Signs(Struct, frozen=True):
    """The characters for positive and negative numbers, from small to large, with their styles."""

    positive: str
    negative: str
    positive_style: str = ""
    negative_style: str = ""

    def bar(self, values: Sequence[float], full: float) -> Text:
        """Return one character for each number: of full height for `full`, a dot near zero."""
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
        """Return a sentence that says how to read a bar."""
        above, below = self.bar((0.5, 1), 1).append(" above zero"), self.bar((-0.5, -1), 1).append(" below zero")
        size = "Taller or heavier signs are larger numbers; ± gives the largest."
        kinds = Text(", ").join((above, below, Text(f"· near zero. {size}")))
        return Text("A vector is a row of signs, one for each number: ") + kinds


def _level(levels: str, share: float) -> str:
    return levels[math.ceil(share * len(levels)) - 1]


# Bars rise from the floor or hang from the ceiling, and leave an eighth free to the bar above or below. What hangs is
# drawn in reverse, for there are no characters for most of its heights. Orange and blue are of one lightness, midway
# between dark and light.
_COLOURED = Signs(_EIGHTHS[:-1], _EIGHTHS[-2::-1], "#e17129", "reverse #4a92e6")
_PLAIN = Signs("+╋", "-━")
_ASCII = Signs("+", "-")


def signs(console: Console, options: ConsoleOptions) -> Signs:
    """Return the signs that a console can show."""
    if options.ascii_only:
        return _ASCII
    return _COLOURED if has_colour(console) else _PLAIN


class Bars(Struct, frozen=True, eq=False):
    """Vectors as lines with bars: their scale in words, and whether all of their numbers stand beside them."""

    scale: str
    lines: Lines
    whole: bool


def bars(values: Numbers, labels: Sequence[Text], width: int, signs: Signs) -> Bars:
    """Return vectors `values` [rows, dimensions] as lines with bars.

    A bar is between its label and its numbers: all where there is room, else the first ones. In a narrow width fewer
    numbers are shown, then a part of the bar.
    """
    dimensions, full, write = values.shape[-1], largest(values), writer(values)
    written = [[write(value) for value in row.tolist()] for row in values]
    every, first = (
        GAP + max((len(number) for row in written for number in row[:most]), default=0)
        for most in (dimensions, _MOST_NUMBERS)
    )
    longest = max(label.cell_len for label in labels)
    gap = GAP if longest else 0
    room = width - longest - gap
    whole = dimensions <= min(_MOST_DIMENSIONS, room // (1 + every))
    number_width = every if whole else first
    drawn = count = dimensions
    if not whole:
        drawn = min(drawn, _MOST_DIMENSIONS, max(room - _LEAST_NUMBERS * number_width - len(_MORE), room // 2, 1))
        count = min(_MOST_NUMBERS, max((room - drawn - len(_MORE)) // number_width, 0))

    def lines() -> Lines:
        for line, row, numbers in zip(aligned(labels, gap), values, written, strict=True):
            line.append_text(signs.bar(row[:drawn].tolist(), full))
            line.append("".join(number.rjust(number_width) for number in numbers[:count]), "dim")
            yield line.append(_MORE if 0 < count < dimensions else "", "dim")

    part = f", first {drawn} of {dimensions}" if drawn < dimensions else ""
    return Bars(f"±{write(full)}{part}", lines(), whole)


def matrix(values: Numbers, width: int) -> tuple[str, Lines]:
    """Return the shape of a matrix, in words, and the lines with its numbers: all, or its first rows and columns."""
    shown = values if max(values.shape) <= _SMALL else values[: _CORNER[0], : _CORNER[1]]
    write = writer(shown)
    cells = [[write(value) for value in row] for row in shown.tolist()]
    column = GAP + max((len(cell) for row in cells for cell in row), default=0)
    count = min(shown.shape[1], max((width + GAP - len(_MORE)) // column, 1))
    whole = (len(shown), count) == values.shape

    def lines() -> Lines:
        for row in cells:
            line = Text("".join(cell.rjust(column) for cell in row[:count])[GAP:])
            yield line.append("" if whole else _MORE, "dim")

    rows, columns = values.shape
    return f"{rows:,} × {columns:,}" + ("" if whole else f", first {len(shown)} × {count}"), lines()


if __name__ == "__main__":
    screen = Console(highlight=False)
    vectors, labels = np.sin(np.arange(40).reshape(2, 20)), [Text("a sine"), Text("its continuation")]
    drawn = bars(vectors, labels, screen.width, signs(screen, screen.options))
    screen.print(signs(screen, screen.options).legend(), drawn.scale, *drawn.lines, sep="\n")
    columns = [
        NumberColumn.of("score", vectors[0, :3], shade=False),
        NumberColumn.of("weight", vectors[0, :3] / 2, shade=True),
    ]
    screen.print("", *table([Text(name) for name in "abc"], columns, screen.width), sep="\n")
    screen.print("", *facts([("the largest of these numbers", vectors.max(), 0)], screen.width), sep="\n")
    shape, rows = matrix(vectors[:, :3].T @ vectors, screen.width)
    screen.print("", shape, *rows, sep="\n")
