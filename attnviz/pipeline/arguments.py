"""Arguments in place of texts: those that name a file are no texts, and are read only if weights are saved in it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from attnviz.errors import Advice, InputError, UsageError
from attnviz.pipeline.streams import NOT_READ_BACK, holds_rows
from attnviz.text import quote_argument
from attnviz.vocabulary import SAVED

ARRAYS = ".npz", ".npy"
"""The suffixes of saved records that hold nothing else: JSON may have texts beside records."""

_USUAL = re.compile(
    "bin|bz2|csv|docx?|gif|gz|h5|html?|jpe?g|log|md|odt|parquet|pdf|pickle|pkl|png|pt|rst|safetensors|srt|svg|tex|text|"
    "toml|tsv|txt|xml|xz|ya?ml|zip"
)
"""Suffixes by which a single word is known as the name of a file."""

_SUFFIX = re.compile(r"\.([A-Za-z][A-Za-z0-9]{0,10})")
_PATH = re.compile(r"[/\\]")


def like_saved(argument: str) -> bool:
    """Return whether a name ends as those of files do that hold saved records."""
    return Path(argument).suffix.lower() in SAVED


def names_saved(argument: str) -> bool:
    """Return whether an argument is no text, but names a file that holds saved records."""
    return like_saved(argument) and _is(Path.is_file, argument)


def check_arguments(texts: Sequence[str]) -> None:
    """Refuse arguments that name a file which is not read in place of a text, or a folder.

    Raises:
        UsageError: one is there as a file or a folder, or looks like the name of a file of texts.
        InputError: one looks like the name of a file of saved records, but there is no such file.
    """
    for text in texts:
        if not names_saved(text) and _like_file(text):
            raise _explain(text)


def _like_file(text: str) -> bool:
    """Return whether a text is the name of a file or a folder that is there, or is spelled like that of a file."""
    if text and _is(Path.exists, text):
        return True
    if not (suffix := _SUFFIX.fullmatch(Path(text).suffix)):
        return False
    named = _USUAL.fullmatch(suffix[1].lower()) or like_saved(text) or _PATH.search(text)
    return bool(named) and not re.search(r"\s", text)


def _is(check: Callable[[Path], bool], name: str) -> bool:
    """Return what a check says of the path of this name; what is no possible name is not there."""
    try:
        return check(Path(name))
    except (OSError, ValueError):  # longer than any name, a zero byte in it
        return False


def _explain(text: str) -> UsageError | InputError:
    """Return the error that says what to type in place of the name of a file, or of what else is there."""
    as_text = f"; to show the name itself, pipe it in (echo {quote_argument(text)} | attnviz …)."
    if like_saved(text):
        return _explain_saved(text, as_text)
    if _is(Path.is_dir, text):
        return UsageError(_advise_on_folder(text) + as_text)
    if _is(holds_rows, text):
        return UsageError(f"{text!r} {NOT_READ_BACK}{as_text}")
    if not _is(Path.exists, text):
        return UsageError(
            Advice(f"There is no file {text!r}: check the name, and type", hint="{file} before it") + as_text
        )
    there = "is a file" if _is(Path.is_file, text) else "is a pipe or a device"
    return UsageError(Advice(f"{text!r} {there}: to read it, type", hint="{file} before it") + as_text)


def _explain_saved(text: str, as_text: str) -> InputError:
    """Return the error about a name that ends as files of saved records do, where there is no such file."""
    if _is(Path.is_dir, text):
        return InputError(f"{text!r} is a folder: give the name of a file of saved weights in it.")
    if _is(Path.exists, text):
        return InputError(f"{text!r} is neither a file nor a folder: pipe it in (attnviz … < {quote_argument(text)}).")
    return InputError(f"There is no file {text!r}: check the name{as_text}")


def _advise_on_folder(folder: str) -> str:
    """Return what to type in place of a folder: the files in it that hold saved weights, if there are such.

    JSON may be anything, unless a manifest lists it.
    """
    from attnviz.pipeline.manifest import MANIFEST  # which texts do without

    try:
        names = {file.name for file in Path(folder).iterdir()}
    except OSError:
        names = set()
    known = SAVED if MANIFEST in names else ARRAYS
    suffixes = sorted({Path(name).suffix for name in names - {MANIFEST}})
    if saved := [there for suffix in known for there in suffixes if there.lower() == suffix]:
        pattern = f"{quote_argument(str(Path(folder)))}/*{saved[0]}"
        return f"{folder!r} is a folder: to show the weights that are saved in it, type {pattern}"
    return Advice(f"{folder!r} is a folder: name a file in it, and if that holds texts, type", hint="{file} before it")
