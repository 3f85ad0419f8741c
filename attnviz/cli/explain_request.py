"""What `attnviz explain` is asked for: one head of a model, or a toy, and what it is compared with."""

import csv
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any, ClassVar

import numpy as np
import typer

from attnviz.cli import options
from attnviz.errors import InputError, UsageError
from attnviz.lessons import WhatIf
from attnviz.lessons.toy import MASKS, NAMES, POSITIONS, VECTORS, Toy
from attnviz.records import Selection
from attnviz.reference.scores import SCORES
from attnviz.text import visible
from attnviz.vocabulary import Kind

_SHUFFLED = 1  # the seed of the other order
_MOST = 1000  # vectors, or numbers in one
_LARGEST = 1e6


_Number = Annotated[
    int | None, typer.Option(min=0, metavar="<N>", help="Counted from 0; if left out, what tells most.")
]


@dataclass(frozen=True, kw_only=True)
class OneHead:
    """Which head is walked through, for which query."""

    HEADING: ClassVar = "Which head"

    token: Annotated[
        str | None, typer.Option(metavar="<WORD|N>", help="The token that asks: a word, or its position.")
    ] = None
    kind: Annotated[
        str | None,
        options.choice(options.KINDS, line="Which kind of attention; of a translation model cross, if left out."),
    ] = None
    layer: _Number = None
    head: _Number = None

    @property
    def selection(self) -> Selection:
        """Return what may be chosen from."""
        return Selection(
            kinds=(Kind(self.kind),) if self.kind else None,
            layers=None if self.layer is None else (self.layer,),
            heads=None if self.head is None else (self.head,),
        )


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """What the head is compared with."""

    HEADING: ClassVar = "What if"

    scores: Annotated[
        str | None, typer.Option(metavar="<NAME,…>", help=f"Its weights under score functions: {', '.join(SCORES)}.")
    ] = None
    no_scale: Annotated[bool, typer.Option("--no-scale", help="Its weights without the scale.")] = False
    no_mask: Annotated[bool, typer.Option("--no-mask", help="Its weights with nothing hidden.")] = False
    no_positions: Annotated[bool, typer.Option("--no-positions", help="The model run again without positions.")] = False
    permute: Annotated[bool, typer.Option("--permute", help="The model run again on the tokens in another order.")] = (
        False
    )
    online: Annotated[
        int | None, typer.Option(min=1, metavar="<N>", help="Softmax as FlashAttention does it, N keys at a time.")
    ] = None

    def what_if(self, special: list[bool]) -> WhatIf:
        """Return all of it, for tokens some of which are special and stay where they are.

        Raises:
            BadParameter: a score function is not known.
            UsageError: there are no two tokens that can change places.
        """
        names = () if self.scores is None else [name.strip() for name in self.scores.split(",")]
        return WhatIf(
            scores=tuple(dict.fromkeys(map(options.one_of(SCORES), names))),
            no_scale=self.no_scale,
            no_mask=self.no_mask,
            no_positions=self.no_positions,
            order=_shuffled(special) if self.permute else None,
            tile=self.online,
        )


def _shuffled(special: list[bool]) -> tuple[int, ...]:
    """Return another order of tokens, always the same for as many."""
    places = [index for index, stays in enumerate(special) if not stays]
    if len(places) < 2:
        raise UsageError("--permute needs two tokens that can change places: give a longer text.")
    moved, chance = places.copy(), Random(_SHUFFLED)
    while moved == places:
        chance.shuffle(moved)
    at = dict(zip(places, moved, strict=True))
    return tuple(at.get(index, index) for index in range(len(special)))


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
    mask: Annotated[str, options.choice(MASKS, line="What a query may see.")] = "none"
    positions: Annotated[str, options.choice(POSITIONS, line="How order is told.")] = "none"
    seed: Annotated[int, typer.Option(min=0, help="What W_Q, W_K, W_V and W_O are drawn from.")] = 1

    @property
    def wanted(self) -> bool:
        """Return whether a toy was asked for."""
        return self.toy or self.vectors is not None

    def make(self, token: str | None, head: int) -> Toy:
        """Return the toy, one head of it, and one of its vectors, by name or number, as the one that asks.

        Raises:
            UsageError: there is no such vector, or the heads do not fit the width.
            InputError: the file cannot be read as vectors.
        """
        names, vectors = _read_vectors(self.vectors) if self.vectors else (NAMES, VECTORS)
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


def _read_vectors(path: Path) -> tuple[tuple[str, ...], Any]:
    """Return the names and vectors [rows, width] of a CSV file; one without a name is called by its place, from 0."""
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
