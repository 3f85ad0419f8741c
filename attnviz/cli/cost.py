"""`attnviz cost`: the cost of attention, counted for a model or a shape, and measured here."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from msgspec import Struct, to_builtins
from msgspec.structs import asdict
from rich.console import Console

from attnviz.cli import figures, options
from attnviz.cli.groups import group_options
from attnviz.cli.output import write_standard_output
from attnviz.cli.terminal import open_terminal
from attnviz.costs.counts import Cost, LayerType, count, list_counts, list_layer_types, size_multi_head
from attnviz.costs.dimensions import Size, find_size
from attnviz.costs.measurement import Experiment, measure
from attnviz.errors import UsageError
from attnviz.models.loading import Loading
from attnviz.pipeline.files import find_format, write_file
from attnviz.views.terminal.cost import describe_measuring, tabulate_counts, tabulate_experiment
from attnviz.vocabulary import IMAGE_FORMATS, Kind

if TYPE_CHECKING:  # matplotlib, which counting does without
    from attnviz.views.image.style import Style

_USUAL_TOKENS = 1024
_SHORTEST, _LONGEST, _FARTHEST = 256, 8192, 2**20
_MOST = 10**9  # nothing is larger; keeps what is counted within its columns


def _parse_positive(text: str) -> int:
    """Parse a number from 1 on."""
    if not (text.isdecimal() and len(text) <= len(str(_MOST)) and 0 < int(text) <= _MOST):
        raise typer.BadParameter(f"{text!r} is not a number from 1 to {_MOST:,}.")
    return int(text)


def _number(line: str) -> Any:
    """Return an option that takes a number from 1 on."""
    return typer.Option(parser=_parse_positive, metavar="<N>", help=line)


_Measure = Annotated[
    bool,
    typer.Option(
        "--measure",
        help="Measure time and peak memory of three ways to attend and two ways to score, at growing sizes.",
    ),
]
_Longest = Annotated[
    int | None,
    typer.Option(min=_SHORTEST, max=_FARTHEST, help=f"Measure up to this many tokens.  [default: {_LONGEST}]"),
]
_Picture = Annotated[
    Path | None, typer.Option("-o", "--output", help="Save a picture of what was measured, as png, svg or pdf.")
]

_Tokens = Annotated[
    int | None,
    _number(f"Count for this many tokens.  [default: {_USUAL_TOKENS}, or as many as the model reads if fewer]"),
]
_Format = Annotated[str, options.choice(options.TABLE_OR_JSON, "--format", line="Print tables, or data.")]


class ModelName(Struct, frozen=True, kw_only=True):
    """The model to count for."""

    HEADING: ClassVar = "Model"

    model: options.ModelName = options.DEFAULT_MODEL
    revision: options.Revision = None
    offline: options.Offline = False

    def size(self) -> Size:
        """Return the size of the model's attention."""
        return find_size(self.model, Loading(revision=self.revision, offline=self.offline))


class Shape(Struct, frozen=True, kw_only=True):
    """A shape to count for, without a model."""

    HEADING: ClassVar = "A shape alone"

    d_model: Annotated[int | None, _number("Count for vectors of this width.")] = None
    heads: Annotated[int | None, _number("Count for this many heads in a layer.")] = None
    layers: Annotated[int | None, _number("Count for this many layers.")] = None
    key_heads: Annotated[
        int | None,
        _number(
            "Count for this many heads of keys and values: 1 is MQA, fewer than --heads GQA.  [default: as many as "
            "--heads]"
        ),
    ] = None
    head_width: Annotated[int | None, _number("Count for heads of this width.  [default: --d-model / --heads]")] = None

    @property
    def given(self) -> bool:
        """Return whether any of it was given."""
        return any(value is not None for value in asdict(self).values())

    def size(self) -> Size:
        """Return the size of a decoder of this shape.

        Raises:
            UsageError: the numbers do not make a shape.
        """
        if self.d_model is None or self.heads is None or self.layers is None:
            raise UsageError("A shape needs --d-model, --heads and --layers: give all three.")
        try:
            made = size_multi_head(
                self.d_model, self.layers, self.heads, key_heads=self.key_heads, head_width=self.head_width
            )
        except ValueError as error:
            raise UsageError(
                f"This shape is not possible: {error}. Change --heads, --key-heads or --head-width."
            ) from None
        return Size(name=None, stacks={Kind.DECODER: made}, positions=None, held=None)


class Measuring(Struct, frozen=True, kw_only=True):
    """The measurements."""

    HEADING: ClassVar = "Measured here"

    measure: _Measure = False
    longest: _Longest = None

    def experiments(self) -> Iterator[Experiment]:
        """Yield the experiments, one by one, and show on standard error which one runs, if that is a terminal."""
        if not self.measure:
            return
        status = Console(stderr=True, quiet=options.QUIET.get()).status("measuring")
        found = measure(self.longest or _LONGEST, lambda doing: status.update(f"measuring {doing}"))
        while True:
            with status:  # gone when something is printed
                experiment = next(found, None)
            if experiment is None:
                return
            yield experiment


class CostPicture(Struct, frozen=True, kw_only=True):
    """The picture of what was measured, and its look."""

    HEADING: ClassVar = "Picture of what was measured"

    output: _Picture = None
    figure_width: figures.FigureWidth = None
    dpi: Annotated[int | None, figures.resolution(200)] = None
    font: figures.Font = None
    title: figures.Title = None
    no_caption: figures.NoCaption = False

    def check(self) -> "Style | None":
        """Check the options before anything is measured, and return the style; None if no picture was asked for.

        Raises:
            UsageError: the format of the picture is not known, or the style is not possible.
        """
        if self.output is None:
            return None
        if find_format(self.output) not in IMAGE_FORMATS:
            raise UsageError(
                f"{self.output} does not end in a format of pictures: let it end in {', '.join(IMAGE_FORMATS)}."
            )
        return figures.make_style(self)

    def save(self, experiments: Sequence[Experiment], style: "Style | None") -> None:
        """Save the picture in a style, if one was asked for.

        Raises:
            OutputError: it cannot be written there.
        """
        if self.output and style:
            from attnviz.views.image.cost import picture
            from attnviz.views.image.pictures import render

            write_file(self.output, [render(picture(experiments, style), find_format(self.output))])


@group_options
def cost(
    model: ModelName,
    shape: Shape,
    measuring: Measuring,
    picture: CostPicture,
    tokens: _Tokens = None,
    form: _Format = options.TABLE,
    color: options.Color = options.AUTO,
    width: options.Width = None,
) -> None:
    """Count what attention costs, and measure it.

    Counts parameters, operations and memory of a model, or of a shape. The weights of the model are not loaded.

    \b
    attnviz cost --model minilm --tokens 512
    attnviz cost --d-model 12288 --heads 96 --layers 96
    attnviz cost --d-model 4096 --heads 32 --key-heads 8 --layers 32 --format json
    attnviz cost --measure --longest 1024 -o cost.pdf
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    style = picture.check()
    counted = _Counted.of(shape.size() if shape.given else model.size(), tokens)
    if form == options.JSON:
        experiments = list(measuring.experiments())
        measured = {"measured": to_builtins(experiments)} if measuring.measure else {}
        write_standard_output((json.dumps(counted.fields() | measured) + "\n").encode())
    else:
        experiments = _print(counted, measuring, color, width)
    picture.save(experiments, style)


class _Counted(Struct, frozen=True):
    """The costs that were counted for a model: one for each kind of attention."""

    size: Size
    tokens: int
    costs: Mapping[Kind, Cost]
    layer_types: tuple[LayerType, ...]

    @classmethod
    def of(cls, size: Size, tokens: int | None) -> "_Counted":
        """Count for this many tokens; by default for the usual number, or as many as the model reads if that is fewer.

        Layers of other kinds are compared with the first kind that attends to its own text.
        """
        tokens = tokens or min(_USUAL_TOKENS, size.positions or _USUAL_TOKENS)
        costs = {kind: count(dimensions, tokens) for kind, dimensions in size.stacks.items()}
        itself = next((cost for kind, cost in costs.items() if not kind.crosses), None)
        return cls(size, tokens, costs, list_layer_types(itself) if itself else ())

    def fields(self) -> dict[str, Any]:
        """Return all the numbers, by name."""
        return {
            "model": self.size.name,
            "positions": self.size.positions,
            "tokens": self.tokens,
            "attention": [list_counts(kind, each) for kind, each in self.costs.items()],
            "held": asdict(self.size.held) if self.size.held else None,
            "layer_types": [asdict(each) for each in self.layer_types],
        }


def _print(counted: _Counted, measuring: Measuring, color: str, width: int | None) -> list[Experiment]:
    """Print the tables of counts at once and those of each experiment when it is done; return the experiments."""
    screen, done = open_terminal(color, width), list[Experiment]()
    for table in tabulate_counts(counted.size, counted.tokens, counted.costs, counted.layer_types):
        screen.print(table)
    if measuring.measure:
        for line in ("", *describe_measuring()):
            screen.print(line)
    for experiment in measuring.experiments():
        done.append(experiment)
        for table in ("", *tabulate_experiment(experiment)):
            screen.print(table)
    return done
