"""Output of the command line: messages on standard error, and data on standard output."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import cast

from attnviz.cli.options import QUIET, flag
from attnviz.errors import UsageError, write_options
from attnviz.pipeline.files import write_file

_LONGEST_BEGINNING, _LONGEST_END = 1500, 500
"""How many characters of a message are shown: what was wrong, and in the end what to do."""


def say(message: str) -> None:
    """Print a note or a warning on standard error, unless --quiet was given."""
    if not QUIET.get():
        complain(message)


def complain(message: str) -> None:
    """Print a message on standard error, with options as flags, safe for any encoding and any quoted text."""
    if sys.stderr:
        encoding = sys.stderr.encoding or "ascii"
        with suppress(OSError):  # that nobody listens is no reason to stop working
            said = make_sayable(write_options(message, flag)).encode(encoding, "backslashreplace")
            print(said.decode(encoding), file=sys.stderr)


def make_sayable(message: str) -> str:
    """Return a message whose every character is seen, cut in the middle if what it quotes is too long to be read."""
    from attnviz.text import visible  # not for `attnviz --help`

    if len(message) > _LONGEST_BEGINNING + _LONGEST_END:
        message = f"{message[:_LONGEST_BEGINNING]} … {message[-_LONGEST_END:]}"
    return visible(message)


def open_standard_input(*, asked_for: bool) -> BufferedReader | None:
    """Return standard input if something is piped in, or if it was asked for; else None."""
    if sys.stdin is None or (sys.stdin.isatty() and not asked_for):
        return None
    return cast(BufferedReader, sys.stdin.buffer)


class Notes:
    """A printer of notes that prints each note once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, note: str) -> None:
        """Print a note, unless it has been printed before."""
        if note not in self._said:
            self._said.add(note)
            say(note)


def give_up_output() -> None:
    """Send all further standard output to nowhere, also what Python flushes when it ends."""
    with suppress(OSError):  # there may be no room for one more open file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_standard_output(data: bytes) -> None:
    """Write bytes to standard output, at once.

    Raises:
        UsageError: they are not text, and standard output is a terminal.
    """
    if sys.stdout.isatty() and not _is_text(data):
        raise UsageError("A terminal cannot show binary data: name a file with -o, or pipe it (… | cat > file).")
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def write_pieces(pieces: Iterable[bytes], output: Path) -> None:
    """Write the pieces of a file to a path, or to standard output if it is `-`.

    Raises:
        UsageError: they are not text, and standard output is a terminal.
        OutputError: the file cannot be written.
    """
    if str(output) == "-":
        for piece in pieces:
            write_standard_output(piece)
    else:
        write_file(output, pieces)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in data
