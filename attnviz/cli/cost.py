"""`attnviz cost`: what attention costs, counted for a model or a shape, and measured here."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from attnviz.cli import options
from attnviz.cli.cost_request import NUMBER, Measuring, ModelName, Shape, positive
from attnviz.cli.groups import grouped
from attnviz.cli.output import write_standard_output
from attnviz.cli.terminal import terminal
from attnviz.costs.counts import Cost, LayerType, count, counted_fields, layer_types
from attnviz.costs.dimensions import Size
from attnviz.costs.measurement import Experiment
from attnviz.errors import UsageError
from attnviz.views.terminal import cost as view
from attnviz.views.terminal.cost import how_measured, measured
from attnviz.vocabulary import Kind

_FORMATS = _TABLE, _JSON = "table", "json"
_USUAL_TOKENS = 1024

_Tokens = Annotated[
    int | None,
    typer.Option(
        parser=positive,
        metavar=NUMBER,
        help=f"Tokens to count for.  [default: {_USUAL_TOKENS}, or as many as it reads]",
    ),
]
_Format = Annotated[
    str,
    typer.Option(
        "--format", parser=options.one_of(_FORMATS), metavar=options.choices(_FORMATS), help="Tables, or data."
    ),
]


@grouped
def cost(
    ctx: typer.Context,
    model: ModelName,
    shape: Shape,
    measuring: Measuring,
    tokens: _Tokens = None,
    form: _Format = _TABLE,
    color: options.Color = options.AUTO,
    width: options.Width = None,
    debug: options.Debug = False,
) -> None:
    """Count what attention costs, and measure it.

    Parameters, operations and memory of a model or a shape; no weights are loaded.

    \b
    attnviz cost --model minilm --tokens 512
    attnviz cost --d-model 12288 --heads 96 --layers 96
    attnviz cost --d-model 4096 --heads 32 --key-heads 8 --layers 32 --format json
    attnviz cost --measure --longest 1024 -o cost.pdf
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    measuring.check()
    if shape.given and any(_on_command_line(ctx, name) for name in ("model", "revision", "offline")):
        raise UsageError("A model has a shape of its own: give --model, or --d-model, --heads and --layers.")
    counted = _Counted.of(shape.size() if shape.given else model.size(), tokens)
    if form == _JSON:
        experiments = list(measuring.experiments())
        measured = {"measured": [asdict(each) for each in experiments]} if measuring.measure else {}
        write_standard_output((json.dumps(counted.fields() | measured) + "\n").encode())
    else:
        experiments = _print(counted, measuring, color, width)
    measuring.save(experiments)


def _on_command_line(ctx: typer.Context, option: str) -> bool:
    """Whether an option was given there, and not in the environment."""
    source = ctx.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


@dataclass(frozen=True, slots=True)
class _Counted:
    """What was counted for a model, one cost a kind."""

    size: "Size"
    tokens: int
    costs: "Mapping[Kind, Cost]"
    layer_types: "tuple[LayerType, ...]"

    @classmethod
    def of(cls, size: Size, tokens: int | None) -> "_Counted":
        """Counts for so many tokens, or for the usual number of them, or as many as the model reads if those are fewer.

        Other kinds of layers stand beside the first that attends to itself.
        """
        tokens = tokens or min(_USUAL_TOKENS, size.positions or _USUAL_TOKENS)
        costs = {kind: count(dimensions, tokens) for kind, dimensions in size.stacks.items()}
        itself = next((cost for kind, cost in costs.items() if not kind.crosses), None)
        return cls(size, tokens, costs, layer_types(itself) if itself else ())

    def fields(self) -> dict[str, Any]:
        """All the numbers, by name."""
        return {
            "model": self.size.name,
            "positions": self.size.positions,
            "tokens": self.tokens,
            "attention": [counted_fields(kind, each) for kind, each in self.costs.items()],
            "held": asdict(self.size.held) if self.size.held else None,
            "layer_types": [asdict(each) for each in self.layer_types],
        }

    def tables(self) -> Iterator[RenderableType]:
        """The same, to be read."""
        yield view.name(self.size.name, self.size.positions)
        if self.size.positions and self.tokens > self.size.positions:
            yield f"Counted as if it could read {self.tokens:,}."
        for kind, each in self.costs.items():
            yield ""
            yield view.heading(kind, each.dimensions)
            for part in (view.parameters(each), view.operations(each), view.memory(kind, each)):
                yield ""
                yield from part
        if self.size.held:
            yield ""
            yield view.beside_counted(list(self.costs.values()), **asdict(self.size.held))
        if self.layer_types:
            yield ""
            yield from view.beside_others(self.tokens, self.layer_types)


def _print(counted: _Counted, measuring: Measuring, color: str, width: int | None) -> list[Experiment]:
    """Tables of what was counted at once, then those of each experiment when it is done."""
    screen, done = terminal(color, width), list[Experiment]()
    for table in counted.tables():
        screen.print(table)
    if measuring.measure:
        for line in ("", *how_measured()):
            screen.print(line)
    for experiment in measuring.experiments():
        done.append(experiment)
        for table in ("", *measured(experiment)):
            screen.print(table)
    return done
