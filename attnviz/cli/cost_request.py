"""What `attnviz cost` is asked for: a model or a shape to count for, and what is to be measured."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer
from rich.console import Console

from attnviz.cli import options
from attnviz.costs.counts import multi_head
from attnviz.costs.dimensions import Size, size_of
from attnviz.costs.measurement import Experiment, measure
from attnviz.errors import UsageError
from attnviz.models.loading import Loading
from attnviz.pipeline.files import write_file
from attnviz.vocabulary import IMAGE_FORMATS, Kind

LONGEST = 8192

_SHORTEST, _FARTHEST = 256, 2**20
_MOST = 10**9  # nothing is larger; keeps what is counted within its columns


def positive(text: str) -> int:
    """A number of something."""
    if not (text.isdecimal() and len(text) <= len(str(_MOST)) and 0 < int(text) <= _MOST):
        raise typer.BadParameter(f"{text!r} is no number from 1 to {_MOST:,}.")
    return int(text)


NUMBER = "<N>"
"""How the help shows that a number is wanted."""

_Width = Annotated[int | None, typer.Option(parser=positive, metavar=NUMBER, help="How wide its vectors are.")]
_Heads = Annotated[int | None, typer.Option(parser=positive, metavar=NUMBER, help="Heads in a layer.")]
_Layers = Annotated[int | None, typer.Option(parser=positive, metavar=NUMBER, help="Layers.")]
_KeyHeads = Annotated[
    int | None,
    typer.Option(parser=positive, metavar=NUMBER, help="Heads of keys and values, if heads share them."),
]
_HeadWidth = Annotated[
    int | None, typer.Option(parser=positive, metavar=NUMBER, help="How wide a head is, if not d-model / heads.")
]
_Measure = Annotated[
    bool,
    typer.Option("--measure", help="Time and peak memory of three ways to attend and two to score, at growing sizes."),
]
_Longest = Annotated[
    int | None,
    typer.Option(min=_SHORTEST, max=_FARTHEST, help=f"Tokens of the longest text.  [default: {LONGEST}]"),
]
_Picture = Annotated[Path | None, typer.Option("-o", "--output", help="Save the picture of it: png, svg or pdf.")]


@dataclass(frozen=True, kw_only=True)
class ModelName:
    """Which model is counted."""

    HEADING: ClassVar = "Model"

    model: options.ModelName = options.DEFAULT_MODEL
    revision: options.Revision = None
    offline: options.Offline = False

    def size(self) -> Size:
        """How large its attention is."""
        return size_of(self.model, Loading(revision=self.revision, offline=self.offline))


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A shape that belongs to no model here."""

    HEADING: ClassVar = "A shape alone"

    d_model: _Width = None
    heads: _Heads = None
    layers: _Layers = None
    key_heads: _KeyHeads = None
    head_width: _HeadWidth = None

    @property
    def given(self) -> bool:
        """Whether any of it was given."""
        return any(value is not None for value in asdict(self).values())

    def size(self) -> Size:
        """How large a decoder of this shape is.

        Raises:
            UsageError: the numbers do not make a shape.
        """
        if self.d_model is None or self.heads is None or self.layers is None:
            raise UsageError("A shape takes --d-model, --heads and --layers: give all three.")
        try:
            made = multi_head(
                self.d_model, self.layers, self.heads, key_heads=self.key_heads, head_width=self.head_width
            )
        except ValueError as error:
            raise UsageError(f"There is no such shape: {error}. Change --heads, --key-heads or --head-width.") from None
        return Size(name=None, stacks={Kind.DECODER: made}, positions=None, held=None)


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """What is measured, and the picture of it."""

    HEADING: ClassVar = "Measured here"

    measure: _Measure = False
    longest: _Longest = None
    output: _Picture = None

    @property
    def picture_format(self) -> str:
        """Which format the name of the picture asks for."""
        return self.output.suffix.removeprefix(".").lower() if self.output else ""

    def check(self) -> None:
        """Refuses what does not fit together, before anything is measured.

        Raises:
            UsageError: something was asked for that only measuring gives, or a picture of no known format.
        """
        if not self.measure and (self.longest or self.output):
            raise UsageError("--longest and -o are for what is measured: give --measure too.")
        if self.output and self.picture_format not in IMAGE_FORMATS:
            raise UsageError(f"{self.output} names no picture: let it end in {', '.join(IMAGE_FORMATS)}.")

    def experiments(self) -> Iterator[Experiment]:
        """The experiments, one by one; a terminal is told on standard error what is being measured."""
        if not self.measure:
            return
        status = Console(stderr=True).status("measuring")
        found = measure(self.longest or LONGEST, lambda doing: status.update(f"measuring {doing}"))
        while True:
            with status:  # gone when something is printed
                experiment = next(found, None)
            if experiment is None:
                return
            yield experiment

    def save(self, experiments: Sequence[Experiment]) -> None:
        """Writes the picture, if one is wanted.

        Raises:
            OutputError: it cannot be written there.
        """
        if self.output:
            os.environ.pop("MPLBACKEND", None)  # no window is opened; an unknown name would stop the import
            from attnviz.views.image.cost import picture
            from attnviz.views.image.pictures import render

            write_file(self.output, render(picture(experiments), self.picture_format))
