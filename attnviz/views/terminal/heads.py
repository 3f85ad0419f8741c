"""A head table on a terminal: a line for each head, a column for each number."""

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from attnviz.records import HeadTable
from attnviz.views.names import head_name

_GAP = 2


def head_numbers(table: HeadTable) -> Iterator[RenderableType]:
    """Return what the table is of, the table, and what each of its numbers means."""
    texts = f"{table.texts:,} text" + ("" if table.texts == 1 else "s")
    yield Text(table.model, style="bold").append(f" · {table.kind.value} · {texts}", style="not bold")
    yield ""
    grid = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    grid.add_column("head", no_wrap=True)
    for name in table.columns:
        grid.add_column(name, justify="right", no_wrap=True, overflow="fold", min_width=5)
    for row, layer in enumerate(table.layers):
        for place, head in enumerate(table.heads):
            numbers = (_written(column.means[row, place]) for column in table.columns.values())
            grid.add_row(Text(head_name(layer, head), style="dim"), *numbers)
    yield grid
    yield ""
    for name, column in table.columns.items():
        yield Text(f"{name}: {column.definition}", style="dim")


def _written(number: float) -> str:
    return f"{number:.3f}" if math.isfinite(number) else "–"
