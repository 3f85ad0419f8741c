"""The vectors that `attnviz explain --toy` walks through."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from attnviz.cli import options
from attnviz.errors import InputError, UsageError

if TYPE_CHECKING:
    from attnviz.reference.lesson.toy import Toy

MASKS = "none", "causal", "window", "prefix"
POSITIONS = "none", "sinusoidal", "rotary", "alibi"
_MOST = 1000  # vectors, or numbers in one


@dataclass(frozen=True, kw_only=True)
class ToyChoice:
    """A walk on vectors, with no model."""

    HEADING: ClassVar = "Toy"

    toy: Annotated[bool, typer.Option("--toy", help="Five small vectors instead of a text and a model.")] = False
    vectors: Annotated[
        Path | None,
        typer.Option(metavar="<FILE>", help="Your own for --toy: CSV, a vector a line, its name first if any."),
    ] = None
    heads: Annotated[int, typer.Option(min=1, help="How many heads share the width of the vectors.")] = 1
    mask: Annotated[
        str, typer.Option(parser=options.one_of(MASKS), metavar=options.choices(MASKS), help="What a query may see.")
    ] = "none"
    positions: Annotated[
        str,
        typer.Option(parser=options.one_of(POSITIONS), metavar=options.choices(POSITIONS), help="How order is told."),
    ] = "none"
    seed: Annotated[int, typer.Option(min=0, help="What W_Q, W_K, W_V and W_O are drawn from.")] = 1

    @property
    def wanted(self) -> bool:
        """Whether a toy was asked for."""
        return self.toy or self.vectors is not None

    def made(self, token: str | None, head: int) -> "Toy":
        """The toy, one head of it, and one of its vectors, by name or number, as the one that asks.

        Raises:
            UsageError: there is no such vector, or the heads do not fit the width.
            InputError: the file cannot be read as vectors.
        """
        from attnviz.reference.lesson.toy import NAMES, VECTORS, Toy

        names, vectors = read_vectors(self.vectors) if self.vectors else (NAMES, VECTORS)
        return Toy(
            vectors=vectors,
            names=names,
            query=_place(names, token),
            head=head,
            heads=self.heads,
            mask=self.mask,
            positions=self.positions,
            seed=self.seed,
        )


def _place(names: tuple[str, ...], token: str | None) -> int:
    if token is None:
        return 0
    if token in names:
        return names.index(token)
    if token.isdecimal() and int(token) < len(names):
        return int(token)
    raise UsageError(f"No vector is called {token!r}: there are {', '.join(names)}.")


def read_vectors(path: Path) -> tuple[tuple[str, ...], Any]:
    """The names and the vectors [rows, width] of a CSV file; a vector without a name is called by its number.

    Raises:
        InputError: it cannot be read, holds no numbers, or rows of several lengths.
    """
    import numpy as np

    from attnviz.text import visible

    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = [row for row in csv.reader(lines) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV: {getattr(error, 'strerror', None) or error}.") from error
    named = [row for row in rows if not _is_number(row[0])]
    names = tuple(visible(row[0].strip()) if row in named else str(index) for index, row in enumerate(rows))
    cells = [row[1:] if row in named else row for row in rows]
    widths = sorted({len(row) for row in cells})
    if not rows or len(widths) > 1 or not 0 < widths[0] <= _MOST or len(rows) > _MOST:
        raise InputError(
            f"{path} holds no vectors: write one a line, all of one length, as in 1.5,0,-2 or cat,1.5,0,-2."
        )
    try:
        vectors = np.array([[float(cell) for cell in row] for row in cells])
    except ValueError as error:
        raise InputError(f"{path} holds more than numbers: {error}. Only the first column may be a name.") from error
    if not np.isfinite(vectors).all():
        raise InputError(f"{path} holds numbers that are not finite.")
    return names, vectors


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
