"""The weights of one head as a table: queries down and keys across, or turned, laid out for the width there is."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter

from msgspec import Struct
from msgspec.structs import replace
from rich.cells import cell_len
from rich.text import Text

from attnviz.records import Weights
from attnviz.text import Token
from attnviz.text.graphemes import fill_lines, split_graphemes, split_letters
from attnviz.views.report import HeadWeights, labelled_tokens
from attnviz.views.terminal.cells import (
    TOKEN_WIDTH,
    Cell,
    aligned,
    cell_of,
    ellipsised,
    fitted,
    heading_lines,
    shortened,
    strongest_tokens,
    token_style,
    widest,
)

_MOST_PAGES = 3  # beyond that, flipping back and forth tells less than the strongest weights of each row
_HEADER_HEIGHT, _LONGEST_LINE = 4, 20  # lines of a name that is broken, and columns of a line


class _Heading(Struct, frozen=True):
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

    The name of a column stands above it, in several lines if the columns fit only so. They fill up to three pages; else
    each row is given the strongest of its weights: each query the keys that it looks at most, or each key the queries
    that look at it most.
    """
    one, orientation, cell = section.attention, section.orientation, cell_of(section.attention)
    cells = orientation.turn(one.weights[0, 0])[: section.rows]  # [rows, columns]
    rows, columns = orientation.axes(*labelled_tokens(one))
    rows = rows[: section.rows]
    digits = max(2, *(len(str(token.position)) for token in rows))
    labels = [label(token, digits, max(TOKEN_WIDTH, width // 5)) for token in rows]
    room = width - _margin(labels)
    pages = math.ceil(len(columns) / max(room // cell.width, 1))
    if pages > _MOST_PAGES:
        to_do, _ = orientation.axes("looks at", "looked at by")
        yield Text(" " * _margin(labels) + shortened(f"  {to_do}", room), style="dim")
        yield from _strongest(labels, columns, cells, section.top, room, cell)
    else:
        headings = _fit_headings(columns, cell, room)
        on_a_page = math.ceil(len(columns) / pages)  # the same on each, near enough
        for first in range(0, len(headings), on_a_page):
            if first:
                yield Text()
            page = slice(first, first + on_a_page)
            yield from _page(labels, headings[page], cells[:, page], cell)
    if section.cut:
        yield Text(f"and {section.cut:,} more rows", style="dim")


def _fit_headings(columns: Sequence[Token], cell: Cell, room: int) -> list[_Heading]:
    """Return the names over all columns, cut into as few lines as let them stand side by side, if anything does."""
    least = cell.width - 1  # the columns of a name, without the blank before it
    longest = max(widest(part) for token in columns for part in _parts(token))
    broken = (
        [_break(token, width) for token in columns]
        for width in range(max(min(longest, _LONGEST_LINE), least), least - 1, -1)
    )
    for lines in chain([[[_name(token, room).plain] for token in columns]], broken):
        headings = [_Heading(own, token_style(token), cell.width) for own, token in zip(lines, columns, strict=True)]
        if sum(heading.width for heading in headings) <= room:
            break
    return headings


def _strongest(
    labels: Sequence[Text], columns: Sequence[Token], cells: Weights, top: int, room: int, cell: Cell
) -> Iterator[Text]:
    """Yield the largest weights of each row."""
    named = [replace(token, text=_in_words(token, max(room, TOKEN_WIDTH)), unknown=False) for token in columns]
    for beginning, row in zip(aligned(labels), cells, strict=True):
        yield beginning + strongest_tokens(row, named, top, room, cell)


def _page(labels: Sequence[Text], headings: Sequence[_Heading], cells: Weights, cell: Cell) -> Iterator[Text]:
    """Yield some of the columns under their headings."""
    for line in heading_lines([heading.lines for heading in headings]):
        header = Text(" " * _margin(labels))
        for heading, part in zip(headings, line, strict=True):
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


def label(token: Token, digits: int, width: int) -> Text:
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


def _break(token: Token, width: int) -> list[str]:
    """Return the name of a token in lines of at most `width` columns, all about equally long."""
    return [fitted(line) for part in _parts(token) for line in _break_evenly(part, width)]


def _break_evenly(text: str, width: int) -> list[str]:
    """Return the beginning of a text, in as few lines of equal width as it takes."""
    shown = ellipsised(text, _HEADER_HEIGHT * width)
    lines = max(math.ceil(widest(shown) / width), 1)  # some signs take no column
    parts = (part for grapheme in split_graphemes(shown) for part in _narrow(grapheme, width))
    return fill_lines(parts, math.ceil(widest(shown) / lines), widest)


def _parts(token: Token) -> list[str]:
    """Return the name of a token, and the token that it predicts after an arrow."""
    return [token.label] if token.predicts is None else [token.label, f"→ {token.predicts}"]


def _narrow(grapheme: str, width: int) -> list[str]:
    """Return a grapheme, or its parts if it is too wide for a line."""
    if widest(grapheme) <= width:
        return [grapheme]
    return [letter if widest(letter) <= width else letter[0] for letter in split_letters(grapheme)]


if __name__ == "__main__":
    from rich.console import Console

    from attnviz.views.example import example_attention
    from attnviz.vocabulary import Orientation

    for way in Orientation:
        section = HeadWeights(example_attention().select([1], [2]), None, 5, way)
        Console().print(way.in_words(sink=False), *matrix(section, 60), "", sep="\n")
