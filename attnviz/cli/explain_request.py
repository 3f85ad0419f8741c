"""The options of `attnviz explain`: one head of a model or of a toy, and its comparisons."""

import csv
import io
from collections.abc import Collection
from pathlib import Path
from random import Random
from typing import Annotated, Any, ClassVar

import numpy as np
import typer
from msgspec import Struct

from attnviz.cli import options
from attnviz.cli.completion import offer_several
from attnviz.errors import InputError, UnfitTextError, UsageError
from attnviz.lessons import Lesson, WhatIf
from attnviz.lessons.toy import MASKS, NAMES, POSITIONS, VECTORS, Toy
from attnviz.records import Selection
from attnviz.reference.scores import SCORES
from attnviz.text import visible
from attnviz.vocabulary import Kind

_STEEP = 2  # heads: with one alone, the slope of ALiBi is too flat to be seen in weights
_SHUFFLED = 1  # the seed of the other order
_MOST = 1000  # vectors, or numbers in one
_LARGEST = 1e6
_LONGEST = 25 * _MOST**2  # characters


_Layer = Annotated[
    int | None,
    typer.Option(metavar="<N>", help="Explain a head of this layer.  [default: the layer of the most telling link]"),
]
_Head = Annotated[
    int | None,
    typer.Option(metavar="<N>", help="Explain this head.  [default: the head of the most telling link]"),
]


class OneHead(Struct, frozen=True, kw_only=True):
    """The head to explain, and the query."""

    HEADING: ClassVar = "Which head"

    token: Annotated[
        str | None,
        typer.Option(
            metavar="<WORD|N>",
            help="Take this word, or the token at this position, as the query.  "
            "[default: the query of the most telling link; with --toy, the last vector "
            "from which --mask hides something, or the last of all]",
        ),
    ] = None
    kind: Annotated[
        str | None,
        options.choice(options.KINDS, line="Explain this kind of attention.  [default: cross, if the model has it]"),
    ] = None
    layer: _Layer = None
    head: _Head = None

    @property
    def selection(self) -> Selection:
        """Return the kinds, layers and heads to choose from."""
        return Selection(
            kinds=(Kind(self.kind),) if self.kind else None,
            layers=None if self.layer is None else (self.layer,),
            heads=None if self.head is None else (self.head,),
        )


class Steps(Struct, frozen=True, kw_only=True):
    """The steps to show."""

    HEADING: ClassVar = "Which steps"

    steps: Annotated[
        options.Indices | None,
        typer.Option(
            parser=options.parse_indices, metavar="<N,…>", help="Show only these steps, from 1, such as 5-8 or 4,6."
        ),
    ] = None
    only_what_if: Annotated[
        bool, typer.Option("--only-what-if", help="Leave the walk out, and show only the comparisons below.")
    ] = False

    def of(self, lesson: Lesson) -> Lesson:
        """Return the chosen steps of a lesson.

        Raises:
            UnfitTextError: there is no such step.
        """
        compared = range(lesson.walked + 1, len(lesson.steps) + 1)
        return lesson.take(self.steps or compared) if self.steps or self.only_what_if else lesson


class Comparisons(Struct, frozen=True, kw_only=True):
    """The comparisons with other ways to attend."""

    HEADING: ClassVar = "What if"

    matrices: Annotated[
        bool, typer.Option("--matrices", help="Show the same head for all queries at once, as matrices.")
    ] = False
    scores: Annotated[
        str | None,
        typer.Option(
            metavar="<NAME,…>",
            autocompletion=offer_several(SCORES),
            help=f"Compare score functions: {', '.join(SCORES)}.",
        ),
    ] = None
    hard: Annotated[
        bool,
        typer.Option(
            "--hard", help="Compare with hard attention (one key alone) and local attention (only near keys)."
        ),
    ] = False
    no_scale: Annotated[bool, typer.Option("--no-scale", help="Compare with the weights without the scale.")] = False
    no_mask: Annotated[bool, typer.Option("--no-mask", help="Compare with the weights without the mask.")] = False
    no_positions: Annotated[
        bool, typer.Option("--no-positions", help="Run the model again without positions, and compare.")
    ] = False
    permute: Annotated[
        bool, typer.Option("--permute", help="Run the model again with the tokens in another order, and compare.")
    ] = False
    untrained: Annotated[
        bool,
        typer.Option("--untrained", help="Run the model again with random arrays, as before training, and compare."),
    ] = False
    online: Annotated[
        int | None, typer.Option(min=1, metavar="<N>", help="Compute softmax as FlashAttention does, N keys at a time.")
    ] = None

    def make_what_if(self, special: list[bool]) -> WhatIf:
        """Return the comparisons; `special` says which tokens are special, and stay in place when others are shuffled.

        Raises:
            BadParameter: a score function is not known.
            UnfitTextError: fewer than two tokens can change places.
        """
        return WhatIf(
            matrices=self.matrices,
            hard=self.hard,
            untrained=self.untrained,
            scores=() if self.scores is None else _parse_names(self.scores, SCORES),
            no_scale=self.no_scale,
            no_mask=self.no_mask,
            no_positions=self.no_positions,
            order=_shuffle(special) if self.permute else None,
            tile=self.online,
        )


def _parse_names(text: str, known: Collection[str]) -> tuple[str, ...]:
    """Parse names with commas between, each once.

    Raises:
        BadParameter: one of them is not known.
    """
    return tuple(dict.fromkeys(map(options.one_of(known), (name.strip() for name in text.split(",")))))


def _shuffle(special: list[bool]) -> tuple[int, ...]:
    """Return another order of the tokens; it only depends on which of them are special."""
    places = [index for index, stays in enumerate(special) if not stays]
    if len(places) < 2:
        raise UnfitTextError("--permute needs at least two tokens that are not special: give a longer text.")
    moved, chance = places.copy(), Random(_SHUFFLED)
    while moved == places:
        chance.shuffle(moved)
    at = dict(zip(places, moved, strict=True))
    return tuple(at.get(index, index) for index in range(len(special)))


class ToyChoice(Struct, frozen=True, kw_only=True):
    """The toy: vectors in place of a text and a model."""

    HEADING: ClassVar = "Toy"

    toy: Annotated[
        bool, typer.Option("--toy", help="Explain attention on five small vectors, without a text and a model.")
    ] = False
    vectors: Annotated[
        Path | None,
        typer.Option(
            metavar="<FILE>",
            help="Explain it on the vectors in this CSV file: one on each line, with or without a name before it.",
        ),
    ] = None
    heads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Split the width of the vectors among this many heads.  [default: 1; with alibi 2, if they fit]"
        ),
    ] = None
    mask: Annotated[
        str,
        options.choice(
            MASKS,
            line="Hide later tokens (causal), all but the near ones (window), or later ones after the first two "
            "(prefix).",
        ),
    ] = "none"
    positions: Annotated[
        str,
        typer.Option(
            parser=lambda text: ",".join(_parse_names(text, POSITIONS)),
            metavar=options.choices(POSITIONS),
            autocompletion=offer_several(POSITIONS),
            help="Give the vectors an order, in this way. Of several, such as rotary,alibi, walk through the first and "
            "compare all.",
        ),
    ] = "none"
    seed: Annotated[int, typer.Option(min=0, help="Draw W_Q, W_K, W_V and W_O at random from this seed.")] = 1

    @property
    def wanted(self) -> bool:
        """Return whether a toy was asked for."""
        return self.toy or self.vectors is not None

    def make(self, token: str | None, head: int) -> Toy:
        """Return the toy with one of its heads, and one of its vectors as the query, by name or index.

        Raises:
            UsageError: there is no such vector, or the heads do not fit the width.
            InputError: the file cannot be read as vectors.
        """
        names, vectors = _read_vectors(self.vectors) if self.vectors else (NAMES, VECTORS)
        positions, *others = self.positions.split(",")
        pairs = 2 if "rotary" in (positions, *others) else 1  # of numbers, which rotary positions turn together
        steep = _STEEP if "alibi" in (positions, *others) and vectors.shape[1] % (_STEEP * pairs) == 0 else 1
        return Toy(
            vectors=vectors,
            names=names,
            query=-1 if token is None else _find_vector(names, token),
            head=head,
            heads=self.heads or steep,
            mask=self.mask,
            positions=positions,
            others=tuple(others),
            seed=self.seed,
        )


def _find_vector(names: tuple[str, ...], token: str) -> int:
    if token in names:
        return names.index(token)
    if token.isdecimal() and int(token) < len(names):
        return int(token)
    raise UsageError(
        f"There is no vector {token!r}: choose {', '.join(names)}, or a number from 0 to {len(names) - 1}."
    )


def _read_vectors(path: Path) -> tuple[tuple[str, ...], Any]:
    """Return the names and vectors [rows, width] of a CSV file; a vector without a name is numbered from 0."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            held = lines.read(_LONGEST + 1)
        if len(held) > _LONGEST:
            raise InputError(f"{path} has more than {_LONGEST:,} characters: give at most {_MOST} vectors.")
        rows = [row for row in csv.reader(io.StringIO(held, newline="")) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV: {getattr(error, 'strerror', None) or error}.") from error
    cells = [(None, row) if _is_number(row[0]) else (row[0], row[1:]) for row in rows]
    names = tuple(f"vector {index}" if name is None else visible(name.strip()) for index, (name, _) in enumerate(cells))
    widths = sorted({len(numbers) for _, numbers in cells})
    if len(widths) > 1:
        raise InputError(
            f"{path} has lines of {widths[0]} and of {widths[-1]} numbers: give all vectors the same length."
        )
    if not widths or not 0 < widths[0] <= _MOST or len(rows) > _MOST:
        raise InputError(
            f"{path} does not hold 1 to {_MOST} vectors of 1 to {_MOST} numbers: write one on each line, as 1.5,0,-2 "
            "or cat,1.5,0,-2."
        )
    try:
        vectors = np.array([[float(number) for number in numbers] for _, numbers in cells])
    except ValueError as error:
        raise InputError(
            f"{path} holds a cell that is not a number: {error}. Only the first column may hold names."
        ) from error
    if not (np.abs(vectors) <= _LARGEST).all():
        raise InputError(
            f"{path} holds a number that is not finite, or beyond ±{_LARGEST:,.0f}: write smaller numbers."
        )
    return names, vectors


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
