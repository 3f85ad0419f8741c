"""The weights of one head as a table: queries down, keys across, laid out for the width there is."""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from attnviz.attention import Weights
from attnviz.text import Token
from attnviz.views.terminal_cells import TOKEN_WIDTH, WEIGHT_WIDTH, shaded, shortened, strongest_tokens, token_style

_MOST_PAGES = 3  # beyond that, flipping back and forth tells less than each query's strongest keys
_HEADER_HEIGHT = 12


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """`weights` [queries, keys] with their tokens.

    Where the name of each key fits above its column, it stands there; else names run downwards, and the columns fill up
    to three pages; else each query is given its `top` strongest keys.
    """

    weights: Weights
    queries: Sequence[Token]
    keys: Sequence[Token]
    top: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lays the table out for the width of the console."""
        labels = [_label(token, max(TOKEN_WIDTH, options.max_width // 5)) for token in self.queries]
        room = options.max_width - max(label.cell_len for label in labels)
        across = [[token.text] for token in self.keys]
        if sum(map(_column_width, across)) <= room:
            yield from self._page(labels, 0, across)
            return
        pages = math.ceil(len(self.keys) / max(room // WEIGHT_WIDTH, 1))
        if pages > _MOST_PAGES:
            yield self._strongest(labels, room)
            return
        columns = math.ceil(len(self.keys) / pages)  # the same on each, near enough
        down = [_characters(shortened(token.text, _HEADER_HEIGHT)) for token in self.keys]
        for first in range(0, len(down), columns):
            if first:
                yield Text()
            yield from self._page(labels, first, down[first : first + columns])

    def _page(self, labels: Sequence[Text], first: int, names: Sequence[Sequence[str]]) -> Iterator[Text]:
        """The columns from `first` on, under names of one or more lines; each line is one text, for a table is slow."""
        widths = [_column_width(name) for name in names]
        margin = max(label.cell_len for label in labels)
        height = max(map(len, names))
        styles = [token_style(token) for token in self.keys[first : first + len(names)]]
        for line in range(-height, 0):
            header = Text(" " * margin)
            for name, width, style in zip(names, widths, styles, strict=True):
                part = name[line] if -line <= len(name) else ""
                header.append(" " * (width - cell_len(part)) + part, style=style)
            yield header
        for label, row in zip(labels, self.weights, strict=True):
            cells = label.copy()
            cells.pad_right(margin - label.cell_len)
            for weight, width in zip(row[first : first + len(names)].tolist(), widths, strict=True):
                number, style = shaded(weight)
                cells.append(" " * (width - WEIGHT_WIDTH)).append(number, style)
            yield cells

    def _strongest(self, labels: Sequence[Text], room: int) -> Table:
        table = Table.grid()
        for label, row in zip(labels, self.weights, strict=True):
            table.add_row(label, strongest_tokens(row, self.keys, self.top, room))
        return table


def _label(token: Token, width: int) -> Text:
    """A query's position and text, and what it predicts if it does."""
    label = Text.assemble((f"{token.position:>2} ", "dim"), (shortened(token.text, width), token_style(token)))
    return label if token.predicts is None else label.append(f" → {shortened(token.predicts, width)}", style="dim")


def _column_width(name: Sequence[str]) -> int:
    return max(WEIGHT_WIDTH, 1 + max(map(cell_len, name)))


def _characters(text: str) -> list[str]:
    """The characters of a text one by one, each with the marks that modify it."""
    characters: list[str] = []
    for char in text:
        if characters and unicodedata.category(char)[0] in "MC":
            characters[-1] += char
        else:
            characters.append(char)
    return characters
