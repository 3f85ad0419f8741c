"""Tables with a line a head: named numbers, and what one word has to do with others."""

import math
from collections.abc import Callable, Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from attnviz.records import Attention, HeadTable
from attnviz.views.names import head_name
from attnviz.views.report import Side, WordInHeads, sides
from attnviz.views.terminal.cells import plain_table, strongest_tokens

_HEAD_WIDTH = 9
_GAP = 3  # between the halves of a table
_LEAST_ROOM = 12  # for one of them; below it, they stand under each other
_ROLES = {"keys": "looks at", "queries": "looked at by"}


def head_numbers(table: HeadTable) -> Table:
    """Return a column for each number."""
    grid = plain_table("dim")
    grid.add_column("head", no_wrap=True)
    for name in table.columns:
        grid.add_column(name, justify="right", no_wrap=True, overflow="fold", min_width=5)
    _add_rows(grid, table, lambda *head: (_written(column.means[head]) for column in table.columns.values()))
    return grid


def word_in_heads(section: WordInHeads, width: int) -> Iterator[Table]:
    """Yield what the word looks at and who looks at it, beside or under each other, each as wide as there is room."""
    halves = list(sides(section.attention, section.word))
    room = (width - _HEAD_WIDTH) // len(halves) - _GAP
    if room >= _LEAST_ROOM:
        yield _strongest(section, halves, room)
    else:
        yield from (_strongest(section, [half], width - _HEAD_WIDTH) for half in halves)


def _strongest(section: WordInHeads, halves: list[Side], room: int) -> Table:
    table = plain_table("dim", _GAP)
    for name in ("head", *(f"  {_ROLES[side.axis]}" for side in halves)):
        table.add_column(name, no_wrap=True)
    _add_rows(
        table,
        section.attention,
        lambda *head: (strongest_tokens(side.weights[head], side.tokens, section.top, room) for side in halves),
    )
    return table


def _add_rows(
    table: Table, record: Attention | HeadTable, cells: Callable[[int, int], Iterable[RenderableType]]
) -> None:
    """Add a row a head: its name, and the cells for its place on the axes of the record."""
    for row, layer in enumerate(record.layers):
        for column, head in enumerate(record.heads):
            table.add_row(Text(head_name(layer, head), style="dim"), *cells(row, column))


def _written(number: float) -> str:
    return f"{number:.3f}" if math.isfinite(number) else "–"
