"""The options that mean the same in every command."""

import re
from collections.abc import Callable, Collection
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from attnviz.cli.completion import list_model_names, offer
from attnviz.errors import UsageError
from attnviz.vocabulary import DTYPES, GROUPINGS, ROWS, Engine, Kind

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


def one_of(names: Collection[str], other: tuple[str, Collection[str]] = ("", ())) -> Callable[[str], str]:
    """Return a parser that accepts only these names, as they are when it is called.

    It points those to the `other` option that this one takes.
    """
    flag, theirs = other

    def parse(name: str) -> str:
        if name not in names and name in theirs:
            raise typer.BadParameter(f"{name!r} is a number of another option: give {flag} {name}.")
        if name not in names:
            raise typer.BadParameter(f"{name!r} is not known: choose one of {', '.join(names)}.")
        return name

    return parse


def choices(names: Collection[str]) -> str:
    """Return the names as the help shows them: `<table|json>`."""
    return f"<{'|'.join(names)}>"


def flag(name: str, value: str) -> str:
    """Write an option as it is typed, by its name in Python and the value to give it: a `WriteOption`."""
    typed = name.replace("_", "-")
    return {"": f"--{typed}", "True": f"--{typed}", "False": f"--no-{typed}"}.get(value, f"--{typed} {value}")


def choice(
    names: Collection[str],
    *flags: str,
    line: str,
    metavar: str | None = None,
    other: tuple[str, Collection[str]] = ("", ()),
) -> Any:
    """Return an option whose value is one of these names, which the help shows unless it has a `metavar`.

    Names that the `other` option takes are pointed to it.
    """
    return typer.Option(
        *flags,
        parser=one_of(names, other),
        metavar=metavar or choices(names),
        help=line,
        autocompletion=offer(lambda: names),
    )


class Indices(tuple[int, ...]):
    """Indices of layers or heads, in the order in which they were given."""


def parse_indices(text: str, hint: str = "") -> Indices:
    """Parse indices, written as `3`, `0,2` or `0-3,5`; the error about anything else ends with the `hint`."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else True)):
            raise typer.BadParameter(f"{text!r} is not a number, a list or a range: write 3, or 0,2, or 0-3,5.{hint}")
        if dash and int(last) < int(first):
            raise typer.BadParameter(f"The range {part.strip()} is backwards: write {last}-{first}.")
        if len(last or first) > len(str(_MOST)):
            raise typer.BadParameter(f"{part.strip()} is too large: write numbers from 0 to {_MOST}.")
        found += range(int(first), int(last or first) + 1)
    return Indices(found)


def _parse_numbers(text: str) -> Indices:
    """Parse indices of layers or heads."""
    return parse_indices(text, " Layers and heads are counted from 0.")


def parse_grouping(name: str) -> str:
    """Parse the name of a way to group tokens."""
    from attnviz.text import read_grouping

    try:
        return read_grouping(name).value
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None


def parse_size(text: str | int) -> int:
    """Parse a number of bytes, written as `2GB`, `500MB` or `1.5 GiB`; the default is a number already."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?) *([kmgt]?)(i?)b?", str(text).strip(), re.ASCII | re.IGNORECASE)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a size: write 500MB or 2GB.")
    unit = _UNITS[found[2].lower()]
    return int(float(found[1]) * (2 ** (10 * list(_UNITS.values()).index(unit)) if found[3] else unit))


class WindowSizes(tuple[int, int]):
    """The size of a window, and the distance from one window to the next, both in tokens."""


def parse_window(text: str) -> WindowSizes:
    """Parse sizes of windows, written as `512:256`, or as `512` if they overlap by half."""
    from attnviz.models.passages import read_windows

    try:
        windows = read_windows(text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    return WindowSizes((windows.size, windows.stride))


QUIET = ContextVar("QUIET", default=False)
"""Whether nothing but errors is said."""


def _remember_traceback(ctx: typer.Context, wanted: bool) -> bool:
    ctx.meta[_TRACEBACK] = ctx.meta.get(_TRACEBACK, False) or wanted
    return wanted


def wants_traceback(ctx: typer.Context) -> bool:
    """Return whether --debug was given, to the command or before it."""
    return bool(ctx.meta.get(_TRACEBACK))


def _hush(wanted: bool) -> bool:
    QUIET.set(QUIET.get() or wanted)
    return wanted


def is_typed(ctx: typer.Context, option: str) -> bool:
    """Return whether an option was given on the command line, and not in the environment."""
    source = ctx.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


_Names = TypeVar("_Names", str, list[str])


def check_typed(ctx: typer.Context, param: typer.CallbackParam, names: _Names) -> _Names:
    """Return the name of a model, or names, and check what was typed; what the environment names is checked on loading.

    Raises:
        ModelError: saved weights are named on the command line.
    """
    if is_typed(ctx, str(param.name)):
        from attnviz.models.registry import refuse_saved  # not for `attnviz --help`

        for name in [names] if isinstance(names, str) else names:
            refuse_saved(name)
    return names


def _keep_whole(ctx: typer.Context, param: typer.CallbackParam, names: list[str]) -> list[str]:
    """Return names of models; typer splits that of the environment at blanks, which is a single one."""
    told = None if is_typed(ctx, str(param.name)) else param.resolve_envvar_value(ctx)
    return check_typed(ctx, param, names if told is None else [told])


Texts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TEXT]...",
        help="Read these texts, or files of saved weights (.npz, .npy, .json, .jsonl). With -, or without any, read "
        "lines from standard input.",
    ),
]
File = Annotated[
    Path | None, typer.Option(help="Read each line of this file as a text, or as saved weights; - is standard input.")
]
WholeFile = Annotated[
    bool, typer.Option("--whole-file", help="Read all of the file, or of standard input, as one text.")
]
Paragraphs = Annotated[bool, typer.Option("--paragraphs", help="Read each paragraph as a text: blank lines part them.")]
Pair = Annotated[str | None, typer.Option(metavar="<text>", help="Read this second text together with each text.")]
Target = Annotated[
    str | None,
    typer.Option(metavar="<text>", help="Let the decoder read this translation. If left out, the model writes one."),
]
Truncate = Annotated[bool, typer.Option("--truncate", help="Cut a text that is too long: read only its beginning.")]
Window = Annotated[
    WindowSizes | None,
    typer.Option(
        parser=parse_window,
        metavar="<SIZE:STRIDE>",
        help="Read a long text in overlapping windows of SIZE tokens. A new window begins every STRIDE tokens.",
    ),
]
Chat = Annotated[
    bool, typer.Option("--chat", help="Put the text, or a JSON list of messages, into the model's chat template.")
]
NoAddedTokens = Annotated[
    bool, typer.Option("--no-added-tokens", help="Read the text without the special tokens that the tokenizer adds.")
]
Begin = Annotated[
    bool, typer.Option("--bos", help="Put the beginning-of-text token of the model before the text, if it is missing.")
]
Generate = Annotated[int, typer.Option(min=0, help="Let a decoder continue the text by this many tokens.")]
MostNewTokens = Annotated[
    int,
    typer.Option("--max-new-tokens", min=1, help="Stop the model after this many tokens when it writes the target."),
]
ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        envvar="ATTNVIZ_MODEL",
        callback=check_typed,
        autocompletion=offer(list_model_names),
        help="Use this model: a built-in one, a folder, or a name on the Hugging Face hub.",
    ),
]
ModelNames = Annotated[
    list[str],
    typer.Option(
        "--model",
        envvar="ATTNVIZ_MODEL",
        callback=_keep_whole,
        help="Use this model: a built-in one, a folder, or a name on the hub. Give it again to compare with another.",
    ),
]
EngineName = Annotated[
    str, choice(_ENGINES, "--engine", line="Run the model with our own NumPy code (reference), or with transformers.")
]
Device = Annotated[str, choice(_DEVICES, line="Run transformers on this device.")]
Precision = Annotated[
    str, choice(_DTYPES, "--dtype", line="Compute in this precision; auto takes that of the model's files.")
]
Revision = Annotated[str | None, typer.Option(help="Load this branch, tag or commit of a model on the hub.")]
Offline = Annotated[
    bool, typer.Option("--offline", help="Never ask the hub: use only models that are on this machine.")
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the model.")
]
SourceLanguage = Annotated[
    str | None, typer.Option(help="Name the language of the text, with the model's own code, such as en.")
]
TargetLanguage = Annotated[
    str | None, typer.Option(help="Name the language to translate into, with the model's own code.")
]
Kinds = Annotated[list[str] | None, choice(KINDS, "--kind", line="Use only this kind of attention.")]
_INDICES = "<N|N-M,…>"
Layers = Annotated[
    list[Indices] | None,
    typer.Option("--layer", parser=_parse_numbers, metavar=_INDICES, help="Use only these layers, counted from 0."),
]
Heads = Annotated[
    list[Indices] | None,
    typer.Option("--head", parser=_parse_numbers, metavar=_INDICES, help="Use only these heads, counted from 0."),
]
TokenName = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="<WORD|N>",
        help="Show one word, or the token at a position: what it looks at, and what looks at it.",
    ),
]
Rows = Annotated[
    list[str] | None,
    typer.Option(
        metavar="<N|N-M,…|WORD>",
        help="Keep only the rows of these queries, given by position or word, with all keys, even of a long text.",
    ),
]
GroupedBy = Annotated[
    str | None,
    typer.Option(
        parser=parse_grouping,
        metavar=choices(GROUPINGS),
        autocompletion=offer(lambda: (*GROUPINGS[:-1], "bins:256")),
        help="Group tokens: sum into a group, average out of it.  [default: token, or bins:256 if tokens need more "
        "than --memory]",
    ),
]
Memory = Annotated[
    int,
    typer.Option(
        parser=parse_size,
        metavar="<SIZE>",
        show_default=False,
        help="Let the weights of one text take this much memory, such as 500MB.  [default: 1GB]",
    ),
]
NoSpecial = Annotated[bool, typer.Option("--no-special", help="Drop special tokens, and rescale rows to sum to 1.")]
Mean = Annotated[bool, typer.Option("--mean", help="Average the weights over the chosen layers and heads.")]
Transpose = Annotated[
    bool,
    typer.Option(
        "--transpose",
        help="Draw keys down and queries across, so that columns sum to 1.",
    ),
]
AllRows = Annotated[bool, typer.Option("--all-rows", help=f"Show all rows of a table, not only the first {ROWS}.")]
Jobs = Annotated[int, typer.Option(min=1, help="Share the work among this many processes; each loads the whole model.")]
Color = Annotated[str, choice(_COLORS, line="Use colour or not; auto uses it on a terminal.")]
Width = Annotated[int | None, typer.Option(min=20, help="Use this many columns instead of the terminal's width.")]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_remember_traceback, help="Show the traceback of an error.", is_eager=True)
]
Quiet = Annotated[
    bool, typer.Option("--quiet", callback=_hush, help="Print no notes and no progress, only errors.", is_eager=True)
]
