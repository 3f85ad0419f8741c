"""Heads of a record as lines: their numbers, or what they do with one word."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice, product

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from attnviz.records import Described, HeadTable, Weights
from attnviz.text import Token
from attnviz.views.names import NOTHING, as_percent, counted, head_name
from attnviz.views.report import HeadNumber, HeadRows, RankedHeads, WordInHeads, WordSide, sides
from attnviz.views.terminal.cells import (
    Cell,
    aligned,
    cell_of,
    fact_table,
    flowing,
    plain_table,
    side_by_side,
    strongest_tokens,
)

_HEAD_WIDTH = 9
_NAME_WIDTH = 18
_TOO_SMALL = 0.0005  # would be written as 0.000
_GAP = 3  # between the halves of a table
_LEAST_ROOM = 12  # for one of them; below it, they stand under each other
_PARTNER = "paired with"
_WORDS = _PARTNER, "label"  # columns that hold no numbers
_ROLES = {"keys": "looks at", "queries": "looked at by"}


def ranked_heads(section: RankedHeads, width: int) -> Iterator[Text]:
    """Yield a line of ranked heads for each number, or more lines if they do not fit; if narrow, below its name."""
    yield Text(section.title, style="bold")
    beginnings = list(aligned([Text(name) for name in section.ranks], 2))
    narrow = beginnings[0].cell_len + _LEAST_ROOM > width
    for beginning, (name, ranked) in zip(beginnings, section.ranks.items(), strict=True):
        if narrow:
            yield Text(name)
            beginning = Text("  ")
        for line in flowing(_numbers(ranked, section.none), width - beginning.cell_len, ""):
            yield beginning + line
            beginning = Text(" " * beginning.cell_len)


def _numbers(ranked: Sequence[HeadNumber], none: str) -> list[Text]:
    """Return heads with their numbers, without those whose number is 0; `none` if there are no heads."""
    if not ranked:
        return [Text(none, style="dim")]
    there = [(head_name(layer, head), number) for layer, head, number in ranked if abs(number) >= _TOO_SMALL]
    return [Text(f"{name} {_written(number)}") for name, number in there] or [Text("0 in all heads", style="dim")]


def tell_best_head(table: HeadTable) -> str:
    """Tell of the head that a search lists first: how much weight it gives, or how often it is right."""
    head, name = table.listed()[0], table.ranked_by[0]
    (number,), (fixed,) = (_of(table, each, [head]) for each in (name, "baseline"))
    if not math.isfinite(number):
        return "no head has such a number"
    if name == "weight":
        average = f" on average over {counted(table.texts, 'text')}" if table.texts > 1 else ""
        return f"{head_name(*head)} gives this link the most weight, {number:.3f}{average}"
    return _tell_accuracy(head_name(*head), number, fixed, table.texts)


def _tell_accuracy(head: str, number: float, fixed: float, texts: int) -> str:
    """Return how often a head looks most at the right word, and the best fixed distance hits it, over some texts."""
    if texts == 1 and {number, fixed if math.isfinite(fixed) else 1} <= {0, 1}:
        told = f"{head} looks most at the right word" if number else "no head looks most at the right word"
        hit = "hits it" if fixed else "misses it"
    else:
        average = "" if texts == 1 else f", on average over {counted(texts, 'text')}"
        told = f"{head} looks most at the right word in {as_percent(number)} of places{average}"
        hit = f"hits it in {as_percent(fixed)}"
    return f"{told}; the best fixed distance {hit}" if math.isfinite(fixed) else told


def head_rows(section: HeadRows, width: int) -> Iterator[RenderableType]:
    """Yield tables with a column for each number, and one for partners or labels if there are any; as many as fit."""
    table, heads = section.table, section.heads
    columns = {name: [_written(number) for number in _of(table, name, heads)] for name in table.columns}
    if table.partners:
        columns[_PARTNER] = [head_name(*table.partners[head]) if head in table.partners else "–" for head in heads]
    if table.labels:
        columns["label"] = [table.labels[head].name if head in table.labels else "" for head in heads]
    widths = [max(map(len, (name, *cells))) for name, cells in columns.items()]
    for shown in side_by_side(widths, width - _HEAD_WIDTH):
        if shown.start:
            yield Text()
        grid = plain_table("dim")
        grid.add_column("head", no_wrap=True)
        for name in [*columns][shown]:
            grid.add_column(name, justify="left" if name in _WORDS else "right", no_wrap=True)
        for head, *row in zip(heads, *[*columns.values()][shown], strict=True):
            grid.add_row(Text(head_name(*head), style="dim"), *row)
        yield grid


def _of(table: HeadTable, name: str, heads: Sequence[tuple[int, int]]) -> list[float]:
    return [float(table[name][table.layers.index(layer), table.heads.index(head)]) for layer, head in heads]


def number_lines(name: str, number: Described, *, full: bool) -> Table:
    """Return the definition of a number beside its name; with `full` also its formula, source, range and meaning."""
    facts = {
        "formula": number.formula,
        "source": number.source,
        "range": number.extent,
        "if high, the head": number.high,
    }
    more = ((Text(what, "dim"), fact) for what, fact in facts.items() if full)
    return fact_table([(Text(name, "bold"), number.definition), *more], _NAME_WIDTH)


def word_in_heads(section: WordInHeads, width: int) -> Iterator[RenderableType]:
    """Yield the tables of what a word looks at and what looks at it, side by side if there is room."""
    halves = list(sides(section.attention, section.word))
    room = (width - _HEAD_WIDTH) // len(halves) - _GAP
    if room >= _LEAST_ROOM:
        yield _strongest(section, halves, room)
    else:
        yield from (_strongest(section, [half], width - _HEAD_WIDTH) for half in halves)
    if section.cut:
        yield Text(f"and {section.cut:,} more rows", style="dim")


def _strongest(section: WordInHeads, halves: list[WordSide], room: int) -> Table:
    table = plain_table("dim", _GAP)
    for name in ("head", *(f"  {_ROLES[side.axis]}" for side in halves)):
        table.add_column(name, no_wrap=True)
    attention, cell = section.attention, cell_of(section.attention)
    heads = product(enumerate(attention.layers), enumerate(attention.heads))
    for (row, layer), (column, head) in islice(heads, section.rows):
        drawn = (_list_tokens(side.weights[row, column], side.tokens, section.top, room, cell) for side in halves)
        table.add_row(Text(head_name(layer, head), style="dim"), *drawn)
    return table


def _written(number: float) -> str:
    return f"{number:.3f}" if math.isfinite(number) else "–"


def _list_tokens(weights: Weights, tokens: Sequence[Token], top: int, room: int, cell: Cell) -> Text:
    """Return the strongest tokens, "–" if all numbers round to nothing, and "…" after differences that lack room.

    Weights sum to 1, so that one sees without a mark that some are missing.
    """
    if abs(weights).max() < NOTHING:
        return Text("  –", style="dim")
    return strongest_tokens(weights, tokens, top, room, cell, marked=cell.signed)


if __name__ == "__main__":
    from rich.console import Console

    from attnviz.views.example import example_attention

    console, attention = Console(highlight=False), example_attention()
    console.print(*word_in_heads(WordInHeads(attention, attention.words("her")[0], 2), console.width), sep="\n")
