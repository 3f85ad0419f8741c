"""A lesson on a terminal: its steps from top to bottom, with their arrays drawn according to their axes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from attnviz.lessons import Axis, Lesson, Quantity, Step
from attnviz.text import visible
from attnviz.views.terminal.cells import shortened, wrapped
from attnviz.views.terminal.numbers import (
    Lines,
    NumberColumn,
    Signs,
    are_weights,
    bars,
    facts,
    matrix,
    signs,
    table,
)

_PROSE_WIDTH = 90
_INDENT = 4
_FORMULA = "italic #2a9a8c"  # as light as the colours of bars: to be read on dark and light
_TEXT = "text"
_MARGIN = "  "
_POSITION = 2  # about as wide as what stands before a name
_MOST_ROWS = 24
_FEW_ROWS = 12  # of more than those
_UNITS = {Axis.HEADS: "head", Axis.TILES: "tile"}


class LessonSteps(Struct, frozen=True, eq=False):
    """The steps of a lesson for rich to print, each with its formula, its reason and its quantities.

    `about` holds the text, and the names and numbers of the head. The axes of a quantity decide how it is drawn. `get`
    says how to get all numbers of a quantity by its name, which stands in it as `{}`.
    """

    lesson: Lesson
    about: Mapping[str, Any] = field(default_factory=dict)
    get: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        keys = self.lesson.keys, _most_telling(self.lesson)
        quantities = _Quantities(*keys, options.max_width - _INDENT, signs(console, options), self.get)
        page = _Page(self.lesson, quantities, min(options.max_width, _PROSE_WIDTH))
        for line in (*page.opening(self.about), *page.steps()):
            line.no_wrap, line.overflow = True, "ellipsis"  # for where not even one number fits
            yield line


class _Page(Struct, frozen=True, eq=False):
    """The lines of a lesson: prose of one width, and quantities."""

    lesson: Lesson
    quantities: "_Quantities"
    width: int

    def opening(self, about: Mapping[str, Any]) -> Lines:
        """Yield the model and head, the text, the query, and the notes."""
        named = {name: value for name, value in about.items() if name != _TEXT}
        words = (value if isinstance(value, str) else f"{name} {value}" for name, value in named.items())
        yield from self._prose(" · ".join(dict.fromkeys((self.lesson.subject, *words))), "bold")
        if _TEXT in about:
            yield Text(shortened(visible(about[_TEXT]), self.width), "italic")
        follows = f", in the target, where {self.lesson.predicts} comes next" if self.lesson.predicts else ""
        yield from self._prose(
            f"The query is token {self.lesson.position}, {self.lesson.query}{follows}. This token looks at the "
            "others. Tokens, heads and layers are counted from 0."
        )
        if (shown := len(self.quantities.keys_shown)) < (count := len(self.lesson.keys)):
            yield from self._prose(f"{shown} of its {count:,} keys are shown, which are the tokens that it looks at.")
        if any(quantity.shown and Axis.DIMENSIONS in quantity.axes for quantity in self.lesson.quantities()):
            yield from wrapped(self.quantities.signs.legend(), self.width)
        for note in self.lesson.notes:
            yield from self._prose(note)

    def steps(self) -> Lines:
        """Yield each step under its number, after an empty line."""
        for number, step in self.lesson.numbered():
            yield Text()
            yield from self._step(f"{number}.".rjust(_INDENT - 1).ljust(_INDENT), step)

    def _step(self, number: str, step: Step) -> Lines:
        margin = " " * len(number)
        yield from self._prose(step.title, "bold", number)
        yield from self._prose(step.formula, _FORMULA, margin)
        yield from self._prose(step.why, "", margin)
        for block in self.quantities.blocks([quantity for quantity in step.quantities if quantity.shown]):
            yield Text()
            for line in block:
                yield Text(margin).append_text(line) if line else line

    def _prose(self, words: str, style: str = "", margin: str = "") -> Iterator[Text]:
        """Yield lines of prose beside a margin, which is blank from the second line on."""
        for line in wrapped(Text(visible(words), style), self.width - len(margin)):
            yield Text(margin, style).append_text(line)
            margin = " " * len(margin)


def _most_telling(lesson: Lesson) -> list[int]:
    """Return the keys that all steps show: all, or of many those of largest weight, or the first and last ones."""
    shown = _few(len(lesson.keys))
    weights = (q.array for q in lesson.quantities() if q.axes == (Axis.KEYS,) and are_weights(np.asarray(q.array)))
    if len(shown) < len(lesson.keys) and (first := next(weights, None)) is not None:
        return sorted(np.argsort(-np.asarray(first), kind="stable")[:_FEW_ROWS].tolist())
    return shown


def _few(count: int) -> list[int]:
    """Return all indices below a count, or of many the first and the last ones."""
    half = _FEW_ROWS // 2
    return list(range(count)) if count <= _MOST_ROWS else [*range(half), *range(count - half, count)]


class _Entries(Struct, frozen=True):
    """The entries of an axis that are shown, with names and labels, and the number of those left out."""

    shown: list[int]
    names: Sequence[str]
    labels: Sequence[Text]
    left_out: int

    def ended(self, rows: Lines) -> Lines:
        """Yield the rows of these entries, then the number of those left out."""
        yield from rows
        if self.left_out:
            yield Text(f"… {self.left_out:,} more", "dim")


class _Quantities(Struct, frozen=True, eq=False):
    """The drawing of quantities in lines of one width, for some of the named keys."""

    keys: Sequence[str]
    keys_shown: list[int]
    width: int
    signs: Signs
    get: str = ""

    def blocks(self, quantities: Iterable[Quantity]) -> Iterator[Lines]:
        """Yield the quantities of a step: facts together, columns with the same rows side by side, others alone."""
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
                yield facts([(visible(q.words), np.asarray(q.array), q.decimals) for q in block], self.width)
            case (Axis.DIMENSIONS,) | (_, Axis.DIMENSIONS):
                yield self._vectors(first)
            case (Axis.OUTPUTS, Axis.INPUTS):
                shape, lines = matrix(np.asarray(first.array, float), self.width - len(_MARGIN))
                yield self._under(first.words, lines, shape)
            case (_,):
                yield self._columns(block)
            case (_, _):
                yield self._table(first)
            case _:
                for part in self._parts(first):
                    yield from self._shown([part])

    def _vectors(self, quantity: Quantity) -> Lines:
        """Yield a bar for each vector."""
        rows = self._entries(quantity, 0) if len(quantity.axes) > 1 else _Entries([0], [""], [Text()], 0)
        values = np.atleast_2d(np.asarray(quantity.array, float))[rows.shown]
        drawn = bars(values, rows.labels, self.width - len(_MARGIN), self.signs)
        yield from self._under(quantity.words, rows.ended(drawn.lines), drawn.scale)
        if quantity.whole and self.get and not drawn.whole:
            count = f"all {values.shape[-1]} numbers: {self.get.format(quantity.name)}"
            yield from _indented(wrapped(Text(count, "dim"), self.width - len(_MARGIN)))

    def _columns(self, block: Sequence[Quantity]) -> Lines:
        """Yield a column for each of these quantities, which have the same rows; one alone gets a caption."""
        rows, alone = self._entries(block[0], 0), len(block) == 1
        columns = [_column("" if alone else q.words, q, rows.shown) for q in block]
        lines = rows.ended(table(rows.labels, columns, self.width - len(_MARGIN)))
        return self._under(block[0].words, lines) if alone else _indented(lines)

    def _table(self, quantity: Quantity) -> Lines:
        """Yield a table with the first axis down and the second across; but keys down, unless rows are queries."""
        values, rows, columns = np.asarray(quantity.array), self._entries(quantity, 0), self._entries(quantity, 1)
        shade, cells = are_weights(values), values[np.ix_(rows.shown, columns.shown)]
        if quantity.axes[1] is Axis.KEYS and quantity.axes[0] not in (Axis.KEYS, Axis.QUERIES):
            cells, rows, columns = cells.T, columns, rows
        across = [
            NumberColumn.of(name, numbers, shade=shade) for name, numbers in zip(columns.names, cells.T, strict=True)
        ]
        lines = table(rows.labels, across, self.width - len(_MARGIN))
        return self._under(quantity.words, rows.ended(lines))

    def _parts(self, quantity: Quantity) -> Iterator[Quantity]:
        """Yield a quantity for each entry of the first axis."""
        entries = self._entries(quantity, 0)
        for index, name in zip(entries.shown, entries.names, strict=True):
            words, array = f"{quantity.words}, {name}", np.asarray(quantity.array)[index]
            yield replace(quantity, words=words, array=array, axes=quantity.axes[1:], rows=())

    def _under(self, words: str, lines: Lines, remark: str = "") -> Lines:
        """Yield lines under a caption, with a remark beside it if there is room."""
        *captions, last = wrapped(Text(visible(words)), self.width)
        if last.cell_len + len(_MARGIN + remark) <= self.width:
            captions.append(last.append(_MARGIN + remark if remark else "", "dim"))
        else:
            captions += last, Text(remark, "dim")
        yield from captions
        yield from _indented(lines)

    def _entries(self, quantity: Quantity, axis: int) -> _Entries:
        over, count = quantity.axes[axis], np.shape(quantity.array)[axis]
        shown = self.keys_shown if over is Axis.KEYS else _few(count)
        rows = quantity.rows if axis == 0 else ()
        names = [visible(rows[index]) if rows else self._name(over, index) for index in shown]
        labels = [Text(shortened(name, max(self.width // 3 - _POSITION, 1))) for name in names]
        if over is Axis.KEYS:
            digits = len(str(count - 1))
            labels = [
                Text.assemble((f"{index:>{digits}} ", "dim"), label) for index, label in zip(shown, labels, strict=True)
            ]
        return _Entries(shown, names, labels, count - len(shown))

    def _name(self, axis: Axis, index: int) -> str:
        if axis is Axis.KEYS:
            return visible(self.keys[index])
        return f"{_UNITS[axis]} {index}" if axis in _UNITS else str(index)


def _column(name: str, quantity: Quantity, shown: list[int]) -> NumberColumn:
    array, decimals = np.asarray(quantity.array), quantity.decimals
    shade = are_weights(array) and not decimals
    return NumberColumn.of(visible(name), array[shown], shade=shade, decimals=decimals)


def _indented(lines: Lines) -> Lines:
    return (Text(_MARGIN).append_text(line) if line else line for line in lines)


if __name__ == "__main__":
    from attnviz.lessons import WhatIf
    from attnviz.lessons.toy import Toy, explain_toy

    Console(highlight=False).print(LessonSteps(explain_toy(Toy(), WhatIf())))
