"""Weights and tokens on a terminal, dark or light, with or without colours."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from msgspec import Struct
from rich.cells import cell_len, get_character_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attnviz.records import HeadMatrix, Weights
from attnviz.text import Token
from attnviz.text.graphemes import split_graphemes
from attnviz.views.names import NOTHING, decimals

WEIGHT_WIDTH = 4
"""The columns of a weight, with the blank before it."""

TOKEN_WIDTH = 14
"""The columns of a token; a longer one is shortened."""

GAP = 2
"""The blanks between columns: so many keep what follows a name in its place."""

# From grey to orange at one lightness: an unknown background, dark or light, is as far from the first as from the last.
# Each from a weight on; the numbers on them are black.
_SHADES = {
    0.80: "#f06a0a",
    0.60: "#e17129",
    0.40: "#cf7945",
    0.20: "#ba8161",
    0.10: "#9c8a86",
}
_SHADES_BELOW = {0.80: "#4c8df0", 0.60: "#5a91e0", 0.40: "#6c92c6", 0.20: "#7f92ad", 0.10: "#8b8e97"}
_SIGNED_WIDTH = 5

_AS_EMOJI = "\ufe0f"
_NOT_JOINED = {"Mc": 1, "Sk": 2}  # general categories: vowel signs that take room, colours of skin
_RIGHT_TO_LEFT = {"R", "AL", "AN"}  # bidirectional classes
_ISOLATED = "\u2068", "\u2069"  # first strong isolate, pop directional isolate (Unicode Standard Annex 9)


class Cell(Struct, frozen=True):
    """The cells of a table: how many columns each takes, with the blank before it, and whether numbers have signs."""

    width: int = WEIGHT_WIDTH
    signed: bool = False

    def draw(self, number: float) -> tuple[str, str]:
        """Return a number, and the style of its shade: orange above zero, blue below; a dot if it rounds to nothing."""
        if abs(number) < NOTHING:
            return "·".rjust(self.width), "dim"
        shades = _SHADES if number > 0 else _SHADES_BELOW
        shade = next((colour for least, colour in shades.items() if abs(number) >= least), None)
        return decimals(number, signed=self.signed).rjust(self.width), f"#000000 on {shade}" if shade else ""

    def swatch(self, number: float) -> Text:
        """Return a number in its shade, for a legend."""
        written, style = self.draw(number)
        return Text(written.strip(), f"not dim {style}")


def cell_of(record: HeadMatrix) -> Cell:
    """Return the cells for the numbers of a record: weights, or numbers with a sign; as wide as the largest needs."""
    if record.meaning.distributions:
        return Cell()
    signed = record.meaning.signed
    largest = float(max(record.weights.max(initial=0), -record.weights.min(initial=0)))
    longest = 1 + len(decimals(largest, signed=signed))
    return Cell(max(longest, _SIGNED_WIDTH if signed else WEIGHT_WIDTH), signed)


def shade_legend(record: HeadMatrix) -> list[Text]:
    """Return what the cells of a record are, and each shade with the number from which it stands."""
    cell = Cell(signed=record.meaning.signed)
    below = [*(cell.swatch(-least) for least in _SHADES_BELOW), Text("0")] if cell.signed else []
    return [Text(f"{record.measure} from"), *below, *map(cell.swatch, sorted(_SHADES))]


def has_colour(console: Console) -> bool:
    """Return whether a console shows colours."""
    return console.color_system is not None and not console.no_color


def widest(text: str) -> int:
    """Return the columns that a text may take: terminals count joined characters together or apart.

    One more where it may take fewer than rich counts, so that a gap is left in either case.
    """
    if text.isascii():
        return len(text)
    return max(cell_len(text) + any(map(_joined, split_graphemes(text))), sum(map(_alone, text)))


def _joined(grapheme: str) -> bool:
    """Return whether a grapheme joins several characters, or is a sign drawn as an emoji."""
    return len(grapheme) > 1 and (_AS_EMOJI in grapheme or sum(_alone(char) > 0 for char in grapheme) > 1)


def _alone(char: str) -> int:
    """Return the columns of a character that is not joined to the one before it."""
    return get_character_cell_size(char) or _NOT_JOINED.get(unicodedata.category(char), 0)


def isolated(text: str) -> str:
    """Return the text, isolated if any of it runs from right to left, so that its neighbours keep their order."""
    if text.isascii() or not any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in text):
        return text
    return text.join(_ISOLATED)


def fitted(text: str) -> str:
    """Return the text isolated, with blanks where a terminal may draw it wider than rich counts."""
    return isolated(text) + " " * (widest(text) - cell_len(text))


def ellipsised(text: str, width: int) -> str:
    """Return the text, cut with an ellipsis if it may be wider than `width` columns."""
    return text if widest(text) <= width else _cut(text, width - 1).rstrip() + "…"


def shortened(text: str, width: int) -> str:
    """Return the text, cut if it is too wide, and with blanks for what stands beside it."""
    return fitted(ellipsised(text, width))


def _cut(text: str, width: int) -> str:
    """Return as many whole graphemes as fit."""
    kept = ""
    for grapheme in split_graphemes(text):
        if widest(kept + grapheme) > width:
            break
        kept += grapheme
    return kept


def token_style(token: Token) -> str:
    """Return the style of a token: special ones are dim."""
    return "dim" if token.special else ""


def strongest_tokens(
    weights: Weights, tokens: Sequence[Token], top: int, room: int, cell: Cell, *, marked: bool = False
) -> Text:
    """Return the tokens of largest weight, or number whatever its sign: at most `top`, and as many as fit in `room`.

    If it is to be `marked`, "…" stands for those that lack room.
    """
    line = Text()
    width = max(min(max(TOKEN_WIDTH, room // 8), room - 2 - cell.width), 1)  # the first of them always fits
    for index in (-abs(weights)).argsort(kind="stable")[:top]:
        if line and abs(weights[index]) < NOTHING:
            break
        token = tokens[index]
        entry = Text.assemble((f"  {shortened(token.label, width)}", token_style(token)), cell.draw(weights[index]))
        if line.cell_len + entry.cell_len > room:
            return strongest_tokens(weights, tokens, top, room - 2, cell).append(" …", "dim") if marked else line
        line += entry
    return line


def aligned(labels: Sequence[Text], gap: int = 0) -> Iterator[Text]:
    """Yield the beginning of each line, padded to one width: lines are faster than a table."""
    margin = max(label.cell_len for label in labels)
    for label in labels:
        beginning = label.copy()
        beginning.pad_right(margin + gap - label.cell_len)
        yield beginning


def wrapped(text: Text, width: int) -> Iterator[Text]:
    """Yield the text in lines of at most `width` columns, broken between words if possible."""
    for line in text.wrap(_any_console(), max(width, 1)):
        line.rstrip()
        yield line


@cache
def _any_console() -> Console:
    """Return the console that rich wants for breaking lines, though it needs one only to justify them."""
    return Console()


def side_by_side(widths: Sequence[int], room: int) -> Iterator[slice]:
    """Yield slices of columns of these widths that fit beside each other, each with a gap before it; at least one."""
    first = taken = 0
    for place, width in enumerate(widths):
        if place > first and taken + GAP + width > room:
            yield slice(first, place)
            first, taken = place, 0
        taken += GAP + width
    yield slice(first, len(widths))


def flowing(parts: Sequence[Text], width: int, style: str = "dim") -> Iterator[Text]:
    """Yield the parts side by side, in lines that break only between them."""
    for shown in side_by_side([part.cell_len for part in parts], GAP + width):
        line = Text(style=style)
        for part in parts[shown]:
            line.append(" " * GAP if line else "").append_text(part)
        yield line


def heading_lines(names: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Yield what stands in each line above columns whose names take some lines each, and end in the last one."""
    most = max(map(len, names))
    return zip(*([""] * (most - len(lines)) + [*lines] for lines in names), strict=True)


def plain_table(header_style: str, gap: int = GAP) -> Table:
    """Return a table without columns, lines or edges, for the few rows that need not be fast."""
    return Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style=header_style)


def fact_table(facts: Iterable[tuple[Text, str]], least: int) -> Table:
    """Return a table with a fact a row beside its name, which takes at least so many columns."""
    table = plain_table("")
    table.show_header = False
    table.add_column(no_wrap=True, min_width=least)
    table.add_column()
    for name, fact in facts:
        table.add_row(name, Text(fact))
    return table


if __name__ == "__main__":
    for weight in (0.0, 0.05, *sorted(_SHADES), 1.0):
        Console().print(Text(*Cell().draw(weight)))
