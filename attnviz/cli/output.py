"""Output of the command line: messages on standard error, and data on standard output."""

import os
import sys
from contextlib import suppress
from io import BufferedReader
from typing import cast

from attnviz.cli.options import flag
from attnviz.errors import UsageError, write_options


def complain(message: str) -> None:
    """Print a message on standard error, with options as flags, safe for any encoding and any quoted text."""
    from attnviz.text import visible  # not for `attnviz --help`

    if sys.stderr:
        encoding = sys.stderr.encoding or "ascii"
        with suppress(OSError):  # that nobody listens is no reason to stop working
            said = visible(write_options(message, flag)).encode(encoding, "backslashreplace")
            print(said.decode(encoding), file=sys.stderr)


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
            complain(note)


def give_up_output() -> None:
    """Send all further standard output to nowhere, also what Python flushes when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_standard_output(data: bytes, *, binary: bool = False) -> None:
    """Write bytes to standard output, at once.

    Raises:
        UsageError: they are not text, and standard output is a terminal.
    """
    if binary and sys.stdout.isatty():
        raise UsageError("A terminal cannot show binary data: name a file with -o, or pipe it (… | cat > file).")
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
