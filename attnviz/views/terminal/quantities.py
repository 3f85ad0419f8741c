"""The arrays of a step, each shown as its axes ask for: as facts, as columns of numbers, or as bars."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from rich.console import Console
from rich.text import Text

from attnviz.lessons import Axis, Lesson, Quantity
from attnviz.text import visible
from attnviz.views.terminal.cells import shortened
from attnviz.views.terminal.numbers import Column, Lines, are_weights, facts, table, wrapped
from attnviz.views.terminal.vectors import Signs, bars

_MARGIN = "  "
_POSITION = 2  # about as wide as what stands before a name
_MOST_ROWS = 24
_FEW_ROWS = 12  # of more than those


@dataclass(frozen=True, slots=True)
class Keys:
    """The tokens that are looked at, and which of them all steps show: of many, those of the largest weight."""

    names: Sequence[str]
    shown: list[int]

    @classmethod
    def of(cls, lesson: Lesson) -> Self:
        """Those of a lesson; of many without weights, the first and the last ones."""
        shown = _few(len(lesson.keys))
        weights = (q.array for q in lesson.quantities() if q.axes == (Axis.KEYS,) and are_weights(np.asarray(q.array)))
        if len(shown) < len(lesson.keys) and (first := next(weights, None)) is not None:
            shown = sorted(np.argsort(-np.asarray(first), kind="stable")[:_FEW_ROWS].tolist())
        return cls(lesson.keys, shown)

    def placed(self, index: int, name: Text) -> Text:
        """A token's name behind its position."""
        return Text.assemble((f"{index:>{len(str(len(self.names) - 1))}} ", "dim"), name)


def _few(count: int) -> list[int]:
    """All of so many indices, or of many the first and the last ones."""
    half = _FEW_ROWS // 2
    return list(range(count)) if count <= _MOST_ROWS else [*range(half), *range(count - half, count)]


@dataclass(frozen=True, slots=True)
class _Entries:
    """The indices, names and labels of those entries of an axis that are shown, and how many are not."""

    shown: list[int]
    names: Sequence[str]
    labels: Sequence[Text]
    left_out: int

    def ended(self, rows: Lines) -> Lines:
        """The rows of these entries, and how many are missing."""
        yield from rows
        if self.left_out:
            yield Text(f"… {self.left_out:,} more", "dim")


@dataclass(frozen=True, slots=True, eq=False)
class Quantities:
    """Quantities as lines of so many columns on a console, vectors drawn by such signs."""

    keys: Keys
    width: int
    console: Console
    signs: Signs

    def blocks(self, quantities: Iterable[Quantity]) -> Iterator[Lines]:
        """Those of a step: facts together, numbers for the same rows beside each other, all others by themselves."""
        together: dict[object, list[Quantity]] = {}
        for quantity in quantities:
            alone = len(quantity.axes) > 1 or Axis.DIMENSIONS in quantity.axes
            rows = quantity.axes, quantity.rows, np.shape(quantity.array)
            together.setdefault(quantity.name if alone else rows, []).append(quantity)
        for block in together.values():
            yield from self._shown(block)

    def _shown(self, block: Sequence[Quantity]) -> Iterator[Lines]:
        first = block[0]
        match first.axes:
            case ():
                yield facts([(visible(q.words), np.asarray(q.array)) for q in block], self.width, self.console)
            case (Axis.DIMENSIONS,) | (_, Axis.DIMENSIONS):
                yield self._vectors(first)
            case (_,):
                yield self._columns(block)
            case (_, _):
                yield self._table(first)
            case _:
                for part in self._parts(first):
                    yield from self._shown([part])

    def _vectors(self, quantity: Quantity) -> Lines:
        """A bar for each vector."""
        rows = self._entries(quantity, 0) if len(quantity.axes) > 1 else _Entries([0], [""], [Text()], 0)
        values = np.atleast_2d(np.asarray(quantity.array, float))[rows.shown]
        scale, lines = bars(values, rows.labels, self.width - len(_MARGIN), self.signs)
        return self._under(quantity.words, rows.ended(lines), scale)

    def _columns(self, block: Sequence[Quantity]) -> Lines:
        """A column for each of these quantities, which have the same rows; one alone stands under its words."""
        rows, alone = self._entries(block[0], 0), len(block) == 1
        arrays = [("" if alone else visible(q.words), np.asarray(q.array)) for q in block]
        columns = [Column.of(name, array[rows.shown], shade=are_weights(array)) for name, array in arrays]
        lines = rows.ended(table(rows.labels, columns, self.width - len(_MARGIN), self.console))
        return self._under(block[0].words, lines) if alone else _indented(lines)

    def _table(self, quantity: Quantity) -> Lines:
        """The first axis down and the second across; but tokens are down if they are one of the two."""
        values, rows, columns = np.asarray(quantity.array), self._entries(quantity, 0), self._entries(quantity, 1)
        shade, cells = are_weights(values), values[np.ix_(rows.shown, columns.shown)]
        if quantity.axes[1] is Axis.KEYS and quantity.axes[0] is not Axis.KEYS:
            cells, rows, columns = cells.T, columns, rows
        across = [Column.of(name, numbers, shade=shade) for name, numbers in zip(columns.names, cells.T, strict=True)]
        lines = table(rows.labels, across, self.width - len(_MARGIN), self.console)
        return self._under(quantity.words, rows.ended(lines))

    def _parts(self, quantity: Quantity) -> Iterator[Quantity]:
        """What is left of a quantity for each entry of its first axis."""
        entries = self._entries(quantity, 0)
        for index, name in zip(entries.shown, entries.names, strict=True):
            words, array = f"{quantity.words}, {name}", np.asarray(quantity.array)[index]
            yield replace(quantity, words=words, array=array, axes=quantity.axes[1:], rows=())

    def _under(self, words: str, lines: Lines, remark: str = "") -> Lines:
        """Lines under words and, beside these where there is room, a remark."""
        *captions, last = wrapped(Text(visible(words)), self.width, self.console)
        if last.cell_len + len(_MARGIN + remark) <= self.width:
            captions.append(last.append(_MARGIN + remark if remark else "", "dim"))
        else:
            captions += last, Text(remark, "dim")
        yield from captions
        yield from _indented(lines)

    def _entries(self, quantity: Quantity, axis: int) -> _Entries:
        over, count = quantity.axes[axis], np.shape(quantity.array)[axis]
        shown = self.keys.shown if over is Axis.KEYS else _few(count)
        rows = quantity.rows if axis == 0 else ()
        names = [visible(rows[index]) if rows else self._name(over, index) for index in shown]
        labels = [Text(shortened(name, max(self.width // 3 - _POSITION, 1))) for name in names]
        if over is Axis.KEYS:
            labels = [self.keys.placed(index, label) for index, label in zip(shown, labels, strict=True)]
        return _Entries(shown, names, labels, count - len(shown))

    def _name(self, axis: Axis, index: int) -> str:
        if axis is Axis.KEYS:
            return visible(self.keys.names[index])
        return f"{_UNITS[axis]} {index}" if axis in _UNITS else str(index)


def _indented(lines: Lines) -> Lines:
    return (Text(_MARGIN).append_text(line) if line else line for line in lines)


_UNITS = {Axis.HEADS: "head", Axis.TILES: "tile"}
