"""`attnviz models`: what can be loaded here."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from attnviz.cli import options
from attnviz.cli.output import write_standard_output

if TYPE_CHECKING:
    from rich.table import Table

    from attnviz.models.base import Card

_FORMATS = "table", "json"


def models(
    form: Annotated[
        str,
        typer.Option(
            "--format", parser=options.one_of(_FORMATS), metavar=options.choices(_FORMATS), help="A table, or data."
        ),
    ] = _FORMATS[0],
    color: options.Color = options.AUTO,
    width: options.Width = None,
    debug: options.Debug = False,
) -> None:
    """List the models that can be loaded here.

    \b
    attnviz models
    attnviz models --format json
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    from attnviz.models.registry import catalogue

    cards = catalogue()
    if form == "json":
        write_standard_output((json.dumps([_fields(card) for card in cards], ensure_ascii=False) + "\n").encode())
    else:
        from attnviz.cli.terminal import terminal

        terminal(color, width).print(_table(cards))


def _fields(card: "Card") -> dict[str, object]:
    return {
        "name": card.name,
        "purpose": card.purpose,
        "attention": {kind.value: {"layers": s.layers, "heads": s.heads} for kind, s in card.stacks.items()},
        "parameters": card.parameters,
        "positions": card.positions,
    }


def _table(cards: Sequence["Card"]) -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    for name in ("layers", "heads", "parameters", "positions"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("what for")
    for card in cards:
        sizes = [(str(stack.layers), str(stack.heads)) for stack in card.stacks.values()]
        layers, heads = (" + ".join(counts) for counts in zip(*sizes, strict=True))
        positions = f"{card.positions:,}" if card.positions else "any"
        table.add_row(card.name, layers, heads, f"{card.parameters:,}", positions, card.purpose)
    return table
