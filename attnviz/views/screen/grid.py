"""A pane of cells, one for each row and column: with numbers where there is room for all of them, else as shades."""

from collections.abc import Callable, Sequence

from msgspec import Struct
from rich.style import Style
from rich.text import Text

from attnviz.records import Weights
from attnviz.text import Token
from attnviz.text.graphemes import split_graphemes
from attnviz.views.names import NOTHING, decimals
from attnviz.views.screen.look import density, number_name, scale
from attnviz.views.screen.pane import Pane, name_hidden, scroll
from attnviz.views.screen.scene import Scene, State
from attnviz.views.terminal.cells import WEIGHT_WIDTH, ellipsised, shortened, widest

_SHADE_WIDTH = 2
_LABEL_WIDTH = 14
_MOST_LABEL = 24
_LEAST_HEADER, _MOST_HEADER = 3, 9
_NUMBERED = WEIGHT_WIDTH + 2  # columns of a cell above which the number of its head has room beside its weight


class Name(Struct, frozen=True):
    """The name of a row or a column; `dim` as that of a special token is."""

    text: str
    dim: bool = False


class GridCells(Struct, frozen=True, eq=False):
    """The content of a grid: its names, the weights [heads, rows, columns], and the row and column of the cursor.

    `choose` returns the state that a row and a column stand for; None for one beside its names.
    """

    rows: Sequence[Name]
    columns: Sequence[Name]
    weights: Weights
    cursor: tuple[int, int]
    choose: Callable[[int | None, int | None], State]


class Viewport(Struct, frozen=True):
    """The part of a grid that is drawn: which rows and columns, in cells of which width, beside which names."""

    rows: range
    columns: range
    cell: int
    label: int
    header: int

    def find(self, x: int, y: int) -> tuple[int | None, int | None]:
        """Return the row and the column at a place; None for one beside its names."""
        row, column = y - self.header, (x - self.label) // self.cell
        return (
            self.rows[row] if 0 <= row < len(self.rows) else None,
            self.columns[column] if x >= self.label and column < len(self.columns) else None,
        )


def frame(cells: GridCells, width: int, height: int) -> Viewport:
    """Return what is drawn of a grid in this room, scrolled to the cursor."""
    down, across = cells.rows, cells.columns
    label = min(max(map(_width, down)), max(_LABEL_WIDTH, width // 4), _MOST_LABEL) + 1
    longest = max(map(_width, across))
    room = width - label
    if len(across) * (longest + 2) <= room:
        cell, header = max(longest + 2, WEIGHT_WIDTH), 1
    else:
        cell = WEIGHT_WIDTH if len(across) * WEIGHT_WIDTH <= room else _SHADE_WIDTH
        free = height - len(down)
        header = min(longest, max(_LEAST_HEADER, min(free, _MOST_HEADER)), max(height // 3, 1))
    count = max(height - header, 1), max(room // cell, 1)
    first = [
        scroll(at - most // 2, most, len(names), at)
        for at, most, names in zip(cells.cursor, count, (down, across), strict=True)
    ]
    rows, columns = (
        range(begin, min(begin + most, len(names)))
        for begin, most, names in zip(first, count, (down, across), strict=True)
    )
    return Viewport(rows, columns, cell, label, header)


class Grid(Pane):
    """A pane of cells; of several heads each cell shows the one that is strongest there."""

    def cells(self, scene: Scene) -> GridCells:
        """Return what is shown of a scene."""
        raise NotImplementedError

    def draw(self, scene: Scene, width: int, height: int) -> Sequence[Text]:
        """Draw the names of the columns, then each row after its name."""
        cells = self.cells(scene)
        shown = frame(cells, width, height)
        lines = self._draw_header(cells, shown)
        several = len(cells.weights) > 1
        for row in shown.rows:
            name = cells.rows[row]
            line = Text.assemble((shortened(name.text, shown.label - 1), self._style(name, row == cells.cursor[0])))
            line.pad_right(shown.label - line.cell_len)
            weights = cells.weights[:, row, shown.columns.start : shown.columns.stop]  # [heads, columns]
            heads, most = weights.argmax(0).tolist(), weights.max(0)
            strengths = scale(most, log=scene.state.log).tolist()
            for column, head, weight, strength in zip(shown.columns, heads, most.tolist(), strengths, strict=True):
                at_cursor = (row, column) == cells.cursor
                line.append_text(self._draw_cell(weight, strength, head if several else None, shown.cell, at_cursor))
            lines.append(line)
        return lines

    def find_state(self, scene: Scene, x: int, y: int) -> State | None:
        """Return the state of a cell, or of the name of a row or a column."""
        cells = self.cells(scene)
        row, column = frame(cells, *self.content_size).find(x, y)
        return None if row is None and column is None else cells.choose(row, column)

    def _draw_header(self, cells: GridCells, shown: Viewport) -> list[Text]:
        """Draw the names of columns side by side, or downwards, one character a line."""
        names = [cells.columns[column].text for column in shown.columns]
        if shown.header == 1:
            parts = [[ellipsised(name, shown.cell - 2)] for name in names]
        else:
            parts = [split_graphemes(name)[: shown.header] for name in names]
        lines, hidden = [], _name_hidden(cells, shown)
        for row in range(-shown.header, 0):
            line = Text(hidden.get(row, "")[: shown.label].ljust(shown.label), Style(dim=True), end="")
            for column, part in zip(shown.columns, parts, strict=True):
                text = part[row] if -row <= len(part) else ""
                text = " " * (shown.cell - widest(text)) + text
                line.append(text, self._style(cells.columns[column], column == cells.cursor[1]))
            lines.append(line)
        return lines

    def _draw_cell(self, weight: float, strength: float, head: int | None, width: int, at_cursor: bool) -> Text:
        """Draw a weight; without colour the number of its head, where there are several, stands for it."""
        style = self.look.ground(strength, head)
        if width >= WEIGHT_WIDTH:
            number = "·" if weight < NOTHING else decimals(weight)
            text = number.rjust(width - (width > WEIGHT_WIDTH)).ljust(width)
            if head is not None and not self.look.colour:
                drawn = f"{number_name(head)}{density(strength)}".rjust(WEIGHT_WIDTH - 1)
                text = f" {number_name(head)}{text[2:]}" if width > _NUMBERED else drawn.ljust(width)
        elif self.look.colour:
            text = " " * width
        else:
            drawn = density(strength)
            text, style = drawn * width if head is None or drawn == " " else number_name(head) + drawn, Style()
        if at_cursor and width >= WEIGHT_WIDTH:
            style = self.look.cursor
        elif at_cursor:
            text, style = "▐▌", style + self.look.accent
        return Text(text, style)

    def _style(self, name: Name, chosen: bool) -> Style:
        return self.look.marked if chosen else Style(dim=name.dim)


def _name_hidden(cells: GridCells, shown: Viewport) -> dict[int, str]:
    """Return how many rows and columns are scrolled away, by the line of the header, -1 the last, that says so."""
    rows = name_hidden(shown.rows, len(cells.rows))
    columns = name_hidden(shown.columns, len(cells.columns), "←→")
    return {-1: f"{rows} {columns}".strip()} if shown.header == 1 else {-1: rows, -2: columns}


def name_all(tokens: Sequence[Token]) -> list[Name]:
    """Return the names of tokens."""
    return [Name(token.label, token.special) for token in tokens]


def _width(name: Name) -> int:
    return widest(name.text)
