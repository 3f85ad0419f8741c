"""`attnviz models`: the models that can be loaded here."""

import json
from collections.abc import Sequence
from typing import Annotated

from rich.table import Table
from rich.text import Text

from attnviz.cli import options
from attnviz.cli.output import write_standard_output
from attnviz.cli.terminal import open_terminal
from attnviz.errors import ModelError, write_options
from attnviz.models.base import Stack
from attnviz.models.catalogue import Listing, list_models
from attnviz.text import visible


def models(
    form: Annotated[
        str, options.choice(options.TABLE_OR_JSON, "--format", line="Print a table, or data.")
    ] = options.TABLE,
    color: options.Color = options.AUTO,
    width: options.Width = None,
    debug: options.Debug = False,
    quiet: options.Quiet = False,
) -> None:
    """List the models that can be loaded without the network.

    These are the built-in models, installed ones, and those in the hub's cache.

    \b
    attnviz models
    attnviz models --format json
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    found, failure = list[Listing](), None
    try:
        found.extend(list_models())
    except ModelError as error:
        failure = error
    if form == options.JSON:
        write_standard_output((json.dumps([_fields(entry) for entry in found]) + "\n").encode())
    else:
        open_terminal(color, width).print(_table(found))
    if failure:
        raise failure


def _fields(entry: Listing) -> dict[str, object]:
    return {
        "name": entry.name,
        "purpose": write_options(entry.purpose, options.flag),
        "engine": entry.engine.value,
        "bytes": entry.size,
        "attention": {kind.value: _of_stack(stack) for kind, stack in entry.stacks.items()},
        "parameters": entry.parameters,
        "positions": entry.positions,
    }


def _of_stack(stack: Stack) -> dict[str, object]:
    """Return the numbers of layers and heads, and the heads of each layer where they differ."""
    differing = {"heads_by_layer": stack.counts} if stack.fewer else {}
    return {"layers": len(stack.layers), "heads": stack.heads, **differing}


def _table(entries: Sequence[Listing]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("name", overflow="fold")
    for name in ("layers", "heads", "size"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("engine", no_wrap=True)
    table.add_column("purpose", overflow="fold")
    for entry in entries:
        layers = " + ".join(str(len(stack.layers)) for stack in entry.stacks.values())
        heads = " + ".join("/".join(map(str, sorted({*stack.counts}))) for stack in entry.stacks.values())
        facts = layers, heads, _in_megabytes(entry.size), entry.engine.value
        table.add_row(Text(visible(entry.name)), *facts, Text(visible(write_options(entry.purpose, options.flag))))
    return table


def _in_megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 1e8 else f"{size / 1e6:,.0f} MB"
