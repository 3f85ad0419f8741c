"""The options that mean the same in every command."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnviz.cli.numerics import start_numpy

if TYPE_CHECKING:
    from attnviz.attention import Selection

DEFAULT_MODEL = "builtin"
AUTO = "auto"

_COLORS = AUTO, "always", "never"
_TRACEBACK = "attnviz.traceback"
_MOST = 9999  # no model has more layers, or heads in a layer; keeps 0-999999999 from filling the memory
_KINDS = "encoder", "decoder", "cross"


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """A parser that lets pass only these names."""
    allowed = tuple(names)

    def parse(name: str) -> str:
        if name not in allowed:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(allowed)}.")
        return name

    return parse


def choices(names: Iterable[str]) -> str:
    """How the help shows what there is to choose from."""
    return f"<{'|'.join(names)}>"


class Indices(tuple[int, ...]):
    """Numbers of layers or heads, in the order in which they were given."""


def parse_indices(text: str) -> Indices:
    """Numbers from what people write: `3`, `0,2`, `0-3,5`."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else True)):
            raise typer.BadParameter(f"{text!r} is no number, list or range: write 3 or 0,2 or 0-3,5.")
        if dash and int(last) < int(first):
            raise typer.BadParameter(f"The range {part.strip()} runs backwards: write {last}-{first}.")
        if len(last or first) > len(str(_MOST)):
            raise typer.BadParameter(f"{part.strip()} is out of range: no model has more than {_MOST}.")
        found += range(int(first), int(last or first) + 1)
    return Indices(found)


def selection(
    kinds: Sequence[str] | None, layers: Sequence[Indices] | None, heads: Sequence[Indices] | None
) -> "Selection":
    """What was chosen with --kind, --layer and --head, each given any number of times."""
    start_numpy()
    from attnviz.attention import Kind, Selection

    return Selection(tuple(Kind(kind) for kind in kinds or ()) or None, _together(layers), _together(heads))


def _together(chosen: Sequence[Indices] | None) -> tuple[int, ...] | None:
    return tuple(index for indices in chosen or () for index in indices) or None


def _remember_traceback(ctx: typer.Context, wanted: bool) -> bool:
    ctx.meta[_TRACEBACK] = ctx.meta.get(_TRACEBACK, False) or wanted
    return wanted


def wants_traceback(ctx: typer.Context) -> bool:
    """Whether --debug was given, to the command or before it."""
    return bool(ctx.meta.get(_TRACEBACK))


Texts = Annotated[
    list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts; - or none reads lines from standard input.")
]
File = Annotated[Path | None, typer.Option(help="A file with a text on each line; - is standard input.")]
ModelName = Annotated[str, typer.Option("--model", envvar="ATTNVIZ_MODEL", help="The model that reads the text.")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", parser=one_of(_KINDS), metavar=choices(_KINDS), help="Only this kind of attention."),
]
Layers = Annotated[
    list[Indices] | None,
    typer.Option("--layer", parser=parse_indices, metavar="<N|N-M,…>", help="Only these layers, counted from 0."),
]
Heads = Annotated[
    list[Indices] | None,
    typer.Option("--head", parser=parse_indices, metavar="<N|N-M,…>", help="Only these heads, counted from 0."),
]
TokenName = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="<WORD|N>",
        help="One word, or the token at a position: what it looks at, and who looks at it.",
    ),
]
NoSpecial = Annotated[bool, typer.Option("--no-special", help="Drop special tokens, and make rows sum to 1 again.")]
Mean = Annotated[bool, typer.Option("--mean", help="Average over the layers and heads chosen.")]
Color = Annotated[str, typer.Option(parser=one_of(_COLORS), metavar=choices(_COLORS), help="Whether to use colour.")]
Width = Annotated[int | None, typer.Option(min=20, help="Columns to use, if not the terminal's.")]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_remember_traceback, help="Show the traceback of an error.", is_eager=True)
]
