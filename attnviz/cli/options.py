"""The options that mean the same in every command."""

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from attnviz.errors import UsageError
from attnviz.vocabulary import DTYPES, GROUPINGS, Engine, Kind

DEFAULT_MODEL = "builtin"
AUTO = "auto"

_COLORS = AUTO, "always", "never"
_TRACEBACK = "attnviz.traceback"
_MOST = 9999  # no model has more layers, or heads in a layer; keeps 0-999999999 from filling the memory
KINDS = tuple(kind.value for kind in Kind)
TABLE_OR_JSON = TABLE, JSON = "table", "json"
_ENGINES = AUTO, *(engine.value for engine in Engine if engine is not Engine.UNKNOWN)
_DEVICES = AUTO, "cpu", "cuda"
_DTYPES = *DTYPES, AUTO
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def one_of(names: Collection[str]) -> Callable[[str], str]:
    """Return a parser that lets pass only names that are among these when it is called."""

    def parse(name: str) -> str:
        if name not in names:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(names)}.")
        return name

    return parse


def choices(names: Collection[str]) -> str:
    """Return how the help shows what there is to choose from."""
    return f"<{'|'.join(names)}>"


def flag(name: str, value: str) -> str:
    """Write an option as it is typed, by its name in Python and the value to give it: a `WriteOption`."""
    typed = name.replace("_", "-")
    return {"": f"--{typed}", "True": f"--{typed}", "False": f"--no-{typed}"}.get(value, f"--{typed} {value}")


def choice(names: Collection[str], *flags: str, line: str) -> Any:
    """Return an option whose value is one of these names, with its line in the help."""
    return typer.Option(*flags, parser=one_of(names), metavar=choices(names), help=line)


class Indices(tuple[int, ...]):
    """Numbers of layers or heads, in the order in which they were given."""


def parse_indices(text: str) -> Indices:
    """Return the numbers that people write as `3`, `0,2`, `0-3,5`."""
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


def parse_grouping(name: str) -> str:
    """Return what to group tokens by, if there is such a thing."""
    from attnviz.text import read_grouping

    try:
        return read_grouping(name).value
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None


def parse_size(text: str | int) -> int:
    """Return the bytes that people write as `2GB`, `500MB`, `1.5 GiB`; the default is a number already."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) *([kmgt]?)(i?)b?", str(text).strip(), re.ASCII | re.IGNORECASE)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no size: write 500MB or 2GB.")
    unit = _UNITS[found[2].lower()]
    return int(float(found[1]) * (2 ** (10 * list(_UNITS.values()).index(unit)) if found[3] else unit))


class WindowSizes(tuple[int, int]):
    """How many tokens a window has, and how many after the last the next one begins."""


def parse_window(text: str) -> WindowSizes:
    """Return the sizes of windows that people write as `512:256`, or `512` where they overlap by half."""
    found = re.fullmatch(r"(\d{1,9})(?::(\d{1,9}))?", text, re.ASCII)
    sizes = found and (int(found[1]), int(found[2] or max(int(found[1]) // 2, 1)))
    if not sizes or min(sizes) < 1:
        raise typer.BadParameter(f"{text!r} is no size of windows: write 512:256 for 512 tokens, a window every 256.")
    return WindowSizes(sizes)


def _remember_traceback(ctx: typer.Context, wanted: bool) -> bool:
    ctx.meta[_TRACEBACK] = ctx.meta.get(_TRACEBACK, False) or wanted
    return wanted


def wants_traceback(ctx: typer.Context) -> bool:
    """Return whether --debug was given, to the command or before it."""
    return bool(ctx.meta.get(_TRACEBACK))


Texts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TEXT]...",
        help="Texts, or saved weights (.npz, .npy, .json, .jsonl); - or none reads lines from standard input.",
    ),
]
File = Annotated[
    Path | None, typer.Option(help="A file with a text, or saved weights, on each line; - is standard input.")
]
Pair = Annotated[str | None, typer.Option(metavar="<text>", help="A second text, read along with each.")]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="<text>", help="What the decoder of a translation model reads; if left out, the model writes it."
    ),
]
Truncate = Annotated[bool, typer.Option("--truncate", help="Read only the beginning of a text that is too long.")]
Window = Annotated[
    WindowSizes | None,
    typer.Option(
        parser=parse_window,
        metavar="<SIZE:STRIDE>",
        help="Read a long text in overlapping windows of so many tokens, one every so many.",
    ),
]
Chat = Annotated[
    bool, typer.Option("--chat", help="Put a text, or a JSON list of messages, into the model's chat template.")
]
NoAddedTokens = Annotated[
    bool, typer.Option("--no-added-tokens", help="Read the text without the special tokens that the tokenizer adds.")
]
Begin = Annotated[
    bool, typer.Option("--bos", help="Let the text begin with the token that begins texts, if it does not yet.")
]
Generate = Annotated[int, typer.Option(min=0, help="Let a decoder continue the text by so many tokens.")]
MostNewTokens = Annotated[
    int, typer.Option("--max-new-tokens", min=1, help="How many tokens a target that the model writes may have.")
]
ModelName = Annotated[
    str,
    typer.Option(
        "--model", envvar="ATTNVIZ_MODEL", help="A built-in model, a folder, or a name on the Hugging Face hub."
    ),
]
EngineName = Annotated[
    str, choice(_ENGINES, "--engine", line="What computes: our own NumPy code, or the transformers library.")
]
Device = Annotated[str, choice(_DEVICES, line="Where transformers computes.")]
Precision = Annotated[str, choice(_DTYPES, "--dtype", line="In which numbers; auto is the model's own.")]
Revision = Annotated[str | None, typer.Option(help="A branch, tag or commit of the model on the hub.")]
Offline = Annotated[bool, typer.Option("--offline", help="Never ask the hub.")]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the model.")
]
SourceLanguage = Annotated[str | None, typer.Option(help="The language of the text, in the model's own codes.")]
TargetLanguage = Annotated[str | None, typer.Option(help="The language to translate into, likewise.")]
Kinds = Annotated[list[str] | None, choice(KINDS, "--kind", line="Only this kind of attention.")]
_INDICES = "<N|N-M,…>"
Layers = Annotated[
    list[Indices] | None,
    typer.Option("--layer", parser=parse_indices, metavar=_INDICES, help="Only these layers, counted from 0."),
]
Heads = Annotated[
    list[Indices] | None,
    typer.Option("--head", parser=parse_indices, metavar=_INDICES, help="Only these heads, counted from 0."),
]
TokenName = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="<WORD|N>",
        help="One word, or the token at a position: what it looks at, and who looks at it.",
    ),
]
Rows = Annotated[
    list[str] | None,
    typer.Option(
        metavar="<N|N-M,…|WORD>",
        help="Only what these tokens look at, by position or word: with all keys, in long texts too.",
    ),
]
GroupedBy = Annotated[
    str | None,
    typer.Option(
        parser=parse_grouping,
        metavar=choices(GROUPINGS),
        help="Between what: to a group the sum, from it the mean.  [default: token; bins:256 if --memory is short]",
    ),
]
Memory = Annotated[
    int,
    typer.Option(
        parser=parse_size,
        metavar="<SIZE>",
        show_default="1GB",
        help="How much the weights of a text may take, such as 500MB.",
    ),
]
NoSpecial = Annotated[bool, typer.Option("--no-special", help="Drop special tokens, and make rows sum to 1 again.")]
Mean = Annotated[bool, typer.Option("--mean", help="Average over the layers and heads chosen.")]
Transpose = Annotated[
    bool,
    typer.Option(
        "--transpose",
        help="Draw keys down and queries across, so that columns sum to 1; data and --token stay as they are.",
    ),
]
Jobs = Annotated[int, typer.Option(min=1, help="How many processes share the work, each with the whole model.")]
Color = Annotated[str, choice(_COLORS, line="Whether to use colour.")]
Width = Annotated[int | None, typer.Option(min=20, help="Columns to use, if not the terminal's.")]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_remember_traceback, help="Show the traceback of an error.", is_eager=True)
]
