"""How a weight and a token look on a terminal, dark or light, with colours or without."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from attnviz.attention import Weights
from attnviz.text import Token
from attnviz.views.names import decimals

WEIGHT_WIDTH = 4
"""How many columns a weight takes, the blank before it included."""

TOKEN_WIDTH = 14
"""How many columns a token gets before it is shortened."""

# From grey to orange at one lightness: an unknown background, dark or light, is as far from the first as from the last.
# Each from a weight on; the numbers on them are black.
_SHADES = {
    0.80: "#f06a0a",
    0.60: "#e17129",
    0.40: "#cf7945",
    0.20: "#ba8161",
    0.10: "#9c8a86",
}
_TOO_SMALL = 0.005  # would round to .00


def shaded(weight: float) -> tuple[str, str]:
    """A weight as two decimals, and the style of its shade; dots stand for those that round to nothing."""
    if weight < _TOO_SMALL:
        return "·".rjust(WEIGHT_WIDTH), "dim"
    shade = next((colour for least, colour in _SHADES.items() if weight >= least), None)
    return decimals(weight).rjust(WEIGHT_WIDTH), f"#000000 on {shade}" if shade else ""


def shortened(text: str, width: int) -> str:
    """The text, cut with an ellipsis where it is wider than this many columns."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def token_style(token: Token) -> str:
    """Special tokens stand back."""
    return "dim" if token.special else ""


def strongest_tokens(weights: Weights, tokens: Sequence[Token], top: int, room: int) -> Text:
    """The tokens of largest weight, each with its weight: as many of `top` as fit in so many columns and have any."""
    line = Text()
    width = max(min(max(TOKEN_WIDTH, room // 8), room - 2 - WEIGHT_WIDTH), 1)  # the first of them always fits
    for index in (-weights).argsort(kind="stable")[:top]:
        token = tokens[index]
        entry = Text.assemble((f"  {shortened(token.text, width)}", token_style(token)), shaded(weights[index]))
        if line.cell_len + entry.cell_len > room or (line and weights[index] < _TOO_SMALL):
            break
        line += entry
    return line
