"""The vectors that `attnviz explain --toy` walks through."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import typer

from attnviz.cli import options
from attnviz.errors import InputError, UsageError
from attnviz.lessons.toy import NAMES, VECTORS, Toy
from attnviz.text import visible

MASKS = "none", "causal", "window", "prefix"
POSITIONS = "none", "sinusoidal", "rotary", "alibi"
_MOST = 1000  # vectors, or numbers in one
_LARGEST = 1e6


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

    def made(self, token: str | None, head: int) -> Toy:
        """The toy, one head of it, and one of its vectors, by name or number, as the one that asks.

        Raises:
            UsageError: there is no such vector, or the heads do not fit the width.
            InputError: the file cannot be read as vectors.
        """
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
    """The names and the vectors [rows, width] of a CSV file; a vector without a name is called by its place, from 0.

    Raises:
        InputError: it cannot be read, holds no numbers, or rows of several lengths.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = [row for row in csv.reader(lines) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV: {getattr(error, 'strerror', None) or error}.") from error
    cells = [(None, row) if _is_number(row[0]) else (row[0], row[1:]) for row in rows]
    names = tuple(f"vector {index}" if name is None else visible(name.strip()) for index, (name, _) in enumerate(cells))
    widths = sorted({len(numbers) for _, numbers in cells})
    if len(widths) > 1:
        raise InputError(f"{path} has lines of {widths[0]} and of {widths[-1]} numbers: write vectors of one length.")
    if not widths or not 0 < widths[0] <= _MOST or len(rows) > _MOST:
        raise InputError(f"{path} holds no vectors: write one a line, as 1.5,0,-2 or cat,1.5,0,-2.")
    try:
        vectors = np.array([[float(number) for number in numbers] for _, numbers in cells])
    except ValueError as error:
        raise InputError(f"{path} holds more than numbers: {error}. Only the first column may be a name.") from error
    if not (np.abs(vectors) <= _LARGEST).all():
        raise InputError(f"{path} holds numbers that are not finite, or larger than {_LARGEST:,.0f}.")
    return names, vectors


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
