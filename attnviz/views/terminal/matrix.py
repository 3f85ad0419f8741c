"""The weights of one head as a table: queries down and keys across, or turned, laid out for the width there is."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

from rich.cells import cell_len
from rich.text import Text

from attnviz.records import Weights
from attnviz.text import Token
from attnviz.text.graphemes import split_graphemes, split_letters
from attnviz.views.report import HeadWeights
from attnviz.views.terminal.cells import (
    TOKEN_WIDTH,
    WEIGHT_WIDTH,
    Cell,
    aligned,
    cell_of,
    ellipsised,
    fitted,
    shortened,
    strongest_tokens,
    token_style,
    widest,
)

_MOST_PAGES = 3  # beyond that, flipping back and forth tells less than the strongest weights of each row
_HEADER_HEIGHT = 12


@dataclass(frozen=True, slots=True)
class _Heading:
    """The name over a column, in one or more lines."""

    lines: Sequence[str]
    style: str
    least: int  # columns of a cell

    @property
    def width(self) -> int:
        """Return the width of the column, the blank before it included."""
        return max(self.least, 1 + max(map(cell_len, self.lines)))


def matrix(section: HeadWeights, width: int) -> Iterator[Text]:
    """Yield the weights of one head as lines of at most `width` columns, turned as the section says.

    Where the name of each column fits above it, it stands there; else names run downwards, and the columns fill up to
    three pages; else each row is given the strongest of its weights: each query the keys that it looks at most, or each
    key the queries that look at it most.
    """
    one, orientation, cell = section.attention, section.orientation, cell_of(section.attention)
    cells = orientation.turn(one.weights[0, 0])  # [rows, columns]
    rows, columns = orientation.axes(one.query_tokens, [replace(key, predicts=None) for key in one.key_tokens])
    digits = max(2, *(len(str(token.position)) for token in rows))
    labels = [_label(token, digits, max(TOKEN_WIDTH, width // 5)) for token in rows]
    room = width - _margin(labels)
    across = [_Heading([_name(token, width).plain], token_style(token), cell.width) for token in columns]
    if sum(heading.width for heading in across) <= room:
        yield from _page(labels, across, cells, cell)
        return
    pages = math.ceil(len(columns) / max(room // cell.width, 1))
    if pages > _MOST_PAGES:
        to_do, _ = orientation.axes("looks at", "looked at by")
        yield Text(" " * _margin(labels) + shortened(f"  {to_do}", room), style="dim")
        yield from _strongest(labels, columns, cells, section.top, room, cell)
        return
    down = [_Heading(_downwards(token), token_style(token), cell.width) for token in columns]
    on_a_page = math.ceil(len(columns) / pages)  # the same on each, near enough
    for first in range(0, len(down), on_a_page):
        if first:
            yield Text()
        page = slice(first, first + on_a_page)
        yield from _page(labels, down[page], cells[:, page], cell)


def _strongest(
    labels: Sequence[Text], columns: Sequence[Token], cells: Weights, top: int, room: int, cell: Cell
) -> Iterator[Text]:
    """Yield the largest weights of each row."""
    named = [replace(token, text=_in_words(token, max(room, TOKEN_WIDTH)), unknown=False) for token in columns]
    for beginning, row in zip(aligned(labels), cells, strict=True):
        yield beginning + strongest_tokens(row, named, top, room, cell)


def _page(labels: Sequence[Text], headings: Sequence[_Heading], cells: Weights, cell: Cell) -> Iterator[Text]:
    """Yield some of the columns under their headings."""
    for line in range(-max(len(heading.lines) for heading in headings), 0):
        header = Text(" " * _margin(labels))
        for heading in headings:
            part = heading.lines[line] if -line <= len(heading.lines) else ""
            header.append(" " * (heading.width - cell_len(part)) + part, style=heading.style)
        yield header
    gaps = [" " * (heading.width - cell.width) for heading in headings]
    for shown, row in zip(aligned(labels), cells, strict=True):
        alike = groupby(_cells(row, gaps, cell), itemgetter(1))  # rich takes long for each change of style
        for style, parts in alike:
            shown.append("".join(part for part, _ in parts), style)
        yield shown


def _cells(row: Weights, gaps: Sequence[str], cell: Cell) -> Iterator[tuple[str, str]]:
    """Yield the weights of a row with the blanks before them, and their style; a shade is not for the blanks."""
    for weight, gap in zip(row.tolist(), gaps, strict=True):
        number, style = cell.draw(weight)
        if "on" in style:
            yield gap, ""
            yield number, style
        else:
            yield gap + number, style


def _margin(labels: Sequence[Text]) -> int:
    return max(label.cell_len for label in labels)


def _label(token: Token, digits: int, width: int) -> Text:
    """Return the position of a row's token before its name."""
    return Text.assemble((f"{token.position:>{digits}} ", "dim"), _name(token, width))


def _name(token: Token, width: int) -> Text:
    """Return a token, and the next token that it predicts, each shortened to `width` columns."""
    name = Text.assemble((shortened(token.label, width), token_style(token)))
    return name if token.predicts is None else name.append(f" → {shortened(token.predicts, width)}", style="dim")


def _in_words(token: Token, width: int) -> str:
    """Return the same as plain text, not yet padded."""
    parts = (token.label, token.predicts)
    return " → ".join(ellipsised(part, width) for part in parts if part is not None)


def _downwards(token: Token) -> list[str]:
    """Return the name of a token, one character on each line."""
    return [fitted(part) for each in split_graphemes(_in_words(token, _HEADER_HEIGHT)) for part in _narrow(each)]


def _narrow(grapheme: str) -> list[str]:
    """Return a grapheme, or its parts if it is too wide for a column."""
    if widest(grapheme) < WEIGHT_WIDTH:
        return [grapheme]
    return [letter if widest(letter) < WEIGHT_WIDTH else letter[0] for letter in split_letters(grapheme)]


if __name__ == "__main__":
    from rich.console import Console

    from attnviz.views.example import example_attention
    from attnviz.vocabulary import Orientation

    for way in Orientation:
        section = HeadWeights(example_attention().select([1], [2]), None, 5, way)
        Console().print(way.in_words(sink=False), *matrix(section, 60), "", sep="\n")
