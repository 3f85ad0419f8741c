"""`attnviz models`: the models that can be loaded here."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated

from rich.console import RenderableType
from rich.text import Text

from attnviz.cli import options
from attnviz.cli.groups import group_options
from attnviz.cli.output import write_standard_output
from attnviz.cli.terminal import open_terminal
from attnviz.errors import ModelError, write_options
from attnviz.models.base import Stack
from attnviz.models.catalogue import Listing, list_models
from attnviz.text import visible
from attnviz.views.terminal.cells import plain_table, wrapped


@group_options
def models(
    form: Annotated[
        str, options.choice(options.TABLE_OR_JSON, "--format", line="Print a table, or data.")
    ] = options.TABLE,
    color: options.Color = options.AUTO,
    width: options.Width = None,
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
        screen = open_terminal(color, width)
        for line in _lines(found, screen.width):
            screen.print(line)
    if failure:
        raise failure


def _fields(entry: Listing) -> dict[str, object]:
    return {
        "name": entry.name,
        "purpose": _purpose(entry),
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


_PURPOSE_ROOM = 30  # columns; with less, the purpose of a model stands below its name


def _lines(entries: Sequence[Listing], width: int) -> Iterator[RenderableType]:
    """Yield a row for each model, or where there is no room for that, its facts and its purpose below its name."""
    rows = [(visible(entry.name), *_facts(entry), visible(_purpose(entry))) for entry in entries]
    names = "name", "layers", "heads", "size", "engine", "purpose"
    taken = sum(max(map(len, column)) + 2 for column in list(zip(names, *rows, strict=True))[:-1])
    if taken + _PURPOSE_ROOM <= width:
        table = plain_table("bold")
        for name in names:
            right = name in ("layers", "heads", "size")
            table.add_column(name, justify="right" if right else "left", no_wrap=name != "purpose")
        for row in rows:
            table.add_row(*map(Text, row))
        yield table
        return
    for name, layers, heads, size, engine, purpose in rows:
        yield Text(name, style="bold")
        for words in (f"layers {layers}, heads {heads}, {size}, {engine}", purpose):
            yield from (Text("  ") + line for line in wrapped(Text(words), width - 2))


def _purpose(entry: Listing) -> str:
    return write_options(entry.purpose, options.flag)


def _facts(entry: Listing) -> tuple[str, ...]:
    """Return the layers, the heads, the size and the engine of a model."""
    layers = " + ".join(str(len(stack.layers)) for stack in entry.stacks.values())
    heads = " + ".join("/".join(map(str, sorted({*stack.counts}))) for stack in entry.stacks.values())
    return layers, heads, _in_megabytes(entry.size), entry.engine.value


def _in_megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 1e8 else f"{size / 1e6:,.0f} MB"
