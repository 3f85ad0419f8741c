"""Numbers as an explanation shows them: facts on a line each, and columns of numbers beside each other."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from attnviz.views.terminal.cells import shaded

Numbers = NDArray[Any]
Lines = Iterator[Text]

_GAP = 2
_NAME_WIDTH = 12  # longer names of columns take several lines
_MOST_DECIMALS = 5  # smaller numbers are written with an exponent, and so are those from here on:
_LARGE = 1e6
_SUM_TOLERANCE = 1e-3


def writer(values: Numbers) -> Callable[[Any], str]:
    """How numbers that stand together are written: with two decimals, or those that two digits of the largest need."""
    if values.dtype == np.bool_:
        return lambda value: "yes" if value else "no"
    if np.issubdtype(values.dtype, np.integer):
        return lambda value: f"{value:,}".replace("-", "−")
    size = largest(values)
    decimals = max(2, 1 - math.floor(math.log10(size))) if size else 2
    form = ".1e" if decimals > _MOST_DECIMALS or size >= _LARGE else f"z,.{decimals}f"
    return lambda value: f"{value:{form}}".replace("inf", "∞").replace("-", "−")


def largest(values: Numbers) -> float:
    """The largest finite absolute value; 0 if there is none."""
    return float(np.max(np.abs(values), where=np.isfinite(values), initial=0))


def are_weights(values: Numbers) -> bool:
    """Whether the last axis is shared out: numbers from 0 to 1 that sum to 1, but in rows that some were taken from."""
    if not np.issubdtype(values.dtype, np.floating) or not np.all((values >= 0) & (values <= 1 + _SUM_TOLERANCE)):
        return False
    return bool(np.any(np.isclose(values.sum(axis=-1), 1, atol=_SUM_TOLERANCE)))


def wrapped(text: Text, width: int, console: Console) -> Lines:
    """The text in lines of at most so many columns, broken between words where that can be."""
    for line in text.wrap(console, max(width, 1)):
        line.rstrip()
        yield line


def facts(known: Iterable[tuple[str, Numbers]], width: int, console: Console) -> Lines:
    """Each number, and beside it in words what it is."""
    written = [(writer(value)(value.item()), words) for words, value in known]
    margin = max(len(number) for number, _ in written)
    for number, words in written:
        for row, line in enumerate(wrapped(Text(words), width - margin - _GAP, console)):
            yield Text(("" if row else number).rjust(margin) + " " * _GAP).append_text(line)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Cells, each a text with its style, under a name."""

    name: str
    cells: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, name: str, values: Numbers, *, shade: bool) -> Self:
        """The cells for a list of numbers, shaded if they are weights; what a query may not look at stands back."""
        if shade:
            return cls(name, [shaded(weight) for weight in values.tolist()])
        if values.dtype == np.bool_:
            return cls(name, [("yes", "") if seen else ("hidden", "dim") for seen in values.tolist()])
        write = writer(values)
        return cls(name, [(write(value), "dim" if value == -math.inf else "") for value in values.tolist()])

    @property
    def width(self) -> int:
        """That of its widest cell, or of its name."""
        return max(min(cell_len(self.name), _NAME_WIDTH), *(len(cell) for cell, _ in self.cells))


def table(labels: Sequence[Text], columns: Iterable[Column], width: int, console: Console) -> Lines:
    """Columns beside each other, right of the labels of their rows, in as many blocks as the width asks for."""
    margin = max(label.cell_len for label in labels)
    for number, block in enumerate(_blocks(columns, width - margin)):
        if number:
            yield Text()
        yield from _names(block, margin, console)
        for label, cells in zip(labels, zip(*(column.cells for column in block), strict=True), strict=True):
            line = label.copy()
            line.pad_right(margin - label.cell_len)
            for column, (cell, style) in zip(block, cells, strict=True):
                line.append(" " * (_GAP + column.width - len(cell))).append(cell, style)
            yield line


def _blocks(columns: Iterable[Column], room: int) -> Iterator[list[Column]]:
    """Columns that fit beside each other."""
    block = list[Column]()
    for column in columns:
        if block and sum(_GAP + held.width for held in (*block, column)) > room:
            yield block
            block = []
        block.append(column)
    yield block


def _names(block: Sequence[Column], margin: int, console: Console) -> Lines:
    """The names of columns above them, in as many lines as the longest takes."""
    names = [list(wrapped(Text(column.name), column.width, console)) if column.name else [] for column in block]
    for row in range(-max(map(len, names)), 0):
        line = Text(" " * margin)
        for column, name in zip(block, names, strict=True):
            part = name[row] if -row <= len(name) else Text()
            line.append(" " * (_GAP + column.width - part.cell_len)).append(part.plain, "dim")
        line.rstrip()
        yield line
