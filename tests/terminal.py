"""What a terminal shows, and what stands in the tables that it shows."""

import io
import re
from typing import Any

from rich.cells import cell_len
from rich.console import Console

DENSITIES = "·░▒▓█"
"""The characters that thumbnails are made of where there are no colours, from the smallest weights to the largest."""


def printed(renderable: Any, width: int, **options: Any) -> str:
    """Return what a console of a width prints, with options of `Console`."""
    file = io.StringIO()
    Console(file=file, width=width, height=50, highlight=False, markup=False, emoji=False, **options).print(renderable)
    return file.getvalue()


def without_styles(text: str) -> str:
    """Return what a terminal shows of a text, without colours and the like."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def widest(text: str) -> int:
    """Return the columns that the widest line of a text takes."""
    return max(map(cell_len, text.splitlines()))


def thumbnails(line: str) -> list[str]:
    """Return what a line of an overview shows of each head, the number of its layer left out."""
    return line[2:].replace("‹", " ").replace("›", " ").split()


def rows_of(out: str) -> list[str]:
    """Return the rows of tables of weights, which begin with the position of a token."""
    return [line for line in out.splitlines() if line.split()[:1] and line.split()[0].isdecimal()]


def weights_in(line: str) -> list[str]:
    """Return the weights of a row as they are written, in order, with a dot for one that is too small to be."""
    return [piece for piece in line.split() if is_weight(piece)]


def is_weight(piece: str) -> bool:
    """Return whether something is a weight as tables have it: `.25`, `1.0` or `·`."""
    return piece in ("1.0", "·") or (len(piece) == 3 and piece[0] == "." and piece[1:].isdecimal())
