"""All heads of a record: at a glance, a cell a head, or with a line each for its numbers or for one word in it."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from attnviz.records import Attention, HeadTable
from attnviz.views.names import head_name, index_name
from attnviz.views.report import Glance, WordInHeads, WordSide, sides
from attnviz.views.terminal.cells import plain_table, strongest_tokens
from attnviz.vocabulary import Place

_HEAD_WIDTH = 9
_GAP = 3  # between the halves of a table
_LEAST_ROOM = 12  # for one of them; below it, they stand under each other
_ROLES = {"keys": "looks at", "queries": "looked at by"}


@dataclass(frozen=True, slots=True)
class _Glyphs:
    """The characters of a cell: a mark for each place, and levels of concentration from low to high."""

    marks: dict[Place, str]
    levels: str
    around: tuple[str, str]


_UNICODE = _Glyphs(dict(zip(Place, "←→↺▪●", strict=True)), "▁▂▃▄▅▆▇█", ("‹", "›"))
_ASCII = _Glyphs(dict(zip(Place, "<>=#o", strict=True)), "12345678", ("(", ")"))
_COLOURS = dict(zip(Place, ("cyan", "blue", "magenta", "dim", "green"), strict=True))
_WIDEST, _NARROWEST = 6, 4


def overview(glance: Glance, options: ConsoleOptions) -> Iterator[Text]:
    """Yield as many heads beside each other as there is room for, layers down, and then the legend."""
    glyphs = _ASCII if options.ascii_only else _UNICODE
    room, count = options.max_width - _HEAD_WIDTH, len(glance.heads)
    width = min(max(room // count, _NARROWEST), _WIDEST)
    page = max(room // width, 1)
    for first in range(0, count, page):
        yield from _page(glance, range(first, min(first + page, count)), width, glyphs)
        yield Text()
    yield from _legend(glyphs, options.max_width, marked=glance.marked is not None)


def _page(glance: Glance, columns: Sequence[int], width: int, glyphs: _Glyphs) -> Iterator[Text]:
    header = Text("head".rjust(_HEAD_WIDTH), style="dim")
    for column in columns:
        header.append(index_name(glance.heads[column]).center(width))
    yield header
    for row, layer in enumerate(glance.layers):
        line = Text(f"layer {index_name(layer)}".ljust(_HEAD_WIDTH), style="dim")
        for column in columns:
            line.append_text(_cell(glance, row, column, width, glyphs))
        yield line


def _cell(glance: Glance, row: int, column: int, width: int, glyphs: _Glyphs) -> Text:
    place, concentration = glance.places[row][column], float(glance.concentration[row, column])
    level = glyphs.levels[min(int(concentration * len(glyphs.levels)), len(glyphs.levels) - 1)]
    is_marked = glance.marked == (glance.layers[row], glance.heads[column])
    before, after = glyphs.around if is_marked else ("", "")
    style = f"bold {_COLOURS[place]}" if is_marked else _COLOURS[place]
    return Text(f"{before}{glyphs.marks[place]}{level}{after}".center(width), style=style)


def _legend(glyphs: _Glyphs, width: int, *, marked: bool) -> Iterator[Text]:
    places = [Text(f"{mark} ", style=_COLOURS[place]).append(place.value) for place, mark in glyphs.marks.items()]
    yield from _flowing([Text("most weight goes to the"), *places, Text("token")], width)
    levels = ["mean of each query's strongest weight", f"{glyphs.levels[0]} 0", f"{glyphs.levels[-1]} 1"]
    telling = [f"{glyphs.around[0]} {glyphs.around[1]} the most telling head"] if marked else []
    yield from _flowing([Text(words) for words in (*levels, *telling)], width)


def _flowing(parts: Sequence[Text], width: int) -> Iterator[Text]:
    """Yield the parts beside each other, in lines that break between them only."""
    line = Text(style="dim")
    for part in parts:
        if line and line.cell_len + 2 + part.cell_len > width:
            yield line
            line = Text(style="dim")
        line.append("  " if line else "").append_text(part)
    yield line


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


def _strongest(section: WordInHeads, halves: list[WordSide], room: int) -> Table:
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
