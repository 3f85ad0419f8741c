"""The weights of one head, a cell each: with numbers where there is room for all of them, else as shades."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text

from attnviz.text import Token
from attnviz.text.graphemes import split_graphemes
from attnviz.views.names import decimals
from attnviz.views.screen.look import density, scale
from attnviz.views.screen.pane import Pane, scroll
from attnviz.views.screen.scene import Scene, State
from attnviz.views.terminal.cells import WEIGHT_WIDTH, ellipsised, shortened, widest

_SHADE_WIDTH = 2
_LABEL_WIDTH = 14
_MOST_LABEL = 24
_LEAST_HEADER, _MOST_HEADER = 3, 9
_TOO_SMALL = 0.005  # would round to .00


@dataclass(frozen=True, slots=True)
class Viewport:
    """The part of a matrix that is drawn: which rows and columns, in cells of which width, beside which labels."""

    rows: range
    columns: range
    cell: int
    label: int
    header: int

    def find(self, x: int, y: int) -> tuple[int | None, int | None]:
        """Return the row and the column at a place; None for one beside its labels."""
        row, column = y - self.header, (x - self.label) // self.cell
        return (
            self.rows[row] if 0 <= row < len(self.rows) else None,
            self.columns[column] if x >= self.label and column < len(self.columns) else None,
        )


def frame(scene: Scene, width: int, height: int) -> Viewport:
    """Return what is drawn of a matrix in this room, scrolled to the cursor."""
    down, across = scene.axes
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
    cursor = scene.cursor
    first = [
        scroll(at - most // 2, most, len(tokens), at)
        for at, most, tokens in zip(cursor, count, (down, across), strict=True)
    ]
    rows, columns = (
        range(begin, min(begin + most, len(tokens)))
        for begin, most, tokens in zip(first, count, (down, across), strict=True)
    )
    return Viewport(rows, columns, cell, label, header)


class Matrix(Pane):
    """The pane of one head's weights."""

    def draw(self, scene: Scene, width: int, height: int) -> Sequence[Text]:
        """Draw the names of the columns, then each row after its name."""
        shown, (down, across) = frame(scene, width, height), scene.axes
        lines = self._draw_header(scene, shown, across)
        weights = scene.orientation.turn(scene.weights)
        for row in shown.rows:
            chosen = row == scene.cursor[0]
            line = Text.assemble((shortened(down[row].label, shown.label - 1), self._style(down[row], chosen)))
            line.pad_right(shown.label - line.cell_len)
            strengths = scale(weights[row, shown.columns.start : shown.columns.stop], log=scene.state.log)
            for column, strength in zip(shown.columns, strengths.tolist(), strict=True):
                at_cursor = (row, column) == scene.cursor
                line.append_text(self._draw_cell(float(weights[row, column]), strength, shown.cell, at_cursor))
            lines.append(line)
        return lines

    def find_state(self, scene: Scene, x: int, y: int) -> State | None:
        """Return the state of a cell, or of the name of a row or a column."""
        row, column = frame(scene, *self.content_size).find(x, y)
        query, key = scene.orientation.axes(row, column)
        if query is None and key is None:
            return None
        return scene.choose(query=query, key=key)

    def _draw_header(self, scene: Scene, shown: Viewport, across: Sequence[Token]) -> list[Text]:
        """Draw the names of columns side by side, or downwards, one character a line."""
        names = [ellipsised(across[column].label, shown.cell - 2) for column in shown.columns]
        if shown.header > 1:
            names = [across[column].label for column in shown.columns]
        parts = [[name] if shown.header == 1 else split_graphemes(name)[: shown.header] for name in names]
        lines = []
        for row in range(-shown.header, 0):
            line = Text(" " * shown.label)
            for column, part in zip(shown.columns, parts, strict=True):
                text = part[row] if -row <= len(part) else ""
                text = " " * (shown.cell - widest(text)) + text
                line.append(text, self._style(across[column], column == scene.cursor[1]))
            lines.append(line)
        return lines

    def _draw_cell(self, weight: float, strength: float, width: int, at_cursor: bool) -> Text:
        style = self.look.ground(strength)
        if width >= WEIGHT_WIDTH:
            number = "·" if weight < _TOO_SMALL else decimals(weight)
            text = number.rjust(width - (width > WEIGHT_WIDTH)).ljust(width)
        else:
            text = " " * width if self.look.colour else density(strength) * width
            style = style if self.look.colour else Style()
        if at_cursor and width >= WEIGHT_WIDTH:
            style = self.look.cursor
        elif at_cursor:
            text, style = "▐▌", style + self.look.accent
        return Text(text, style)

    def _style(self, token: Token, chosen: bool) -> Style:
        return self.look.marked if chosen else Style(dim=token.special)


def _width(token: Token) -> int:
    return widest(token.label)
