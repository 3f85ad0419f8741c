"""What the command line writes: complaints, and data on standard output."""

import os
import sys
from contextlib import suppress
from io import BufferedReader
from typing import cast

from attnviz.cli.options import flag
from attnviz.errors import UsageError, write_options


def complain(message: str) -> None:
    """Say something on standard error, options as flags, whatever its encoding and whatever the message quotes."""
    from attnviz.text import visible  # not for `attnviz --help`

    if sys.stderr:
        encoding = sys.stderr.encoding or "ascii"
        with suppress(OSError):  # that nobody listens is no reason to stop working
            said = visible(write_options(message, flag)).encode(encoding, "backslashreplace")
            print(said.decode(encoding), file=sys.stderr)


def standard_input(*, asked_for: bool) -> BufferedReader | None:
    """Return what is piped in, or typed if it was asked for; None if nothing is."""
    if sys.stdin is None or (sys.stdin.isatty() and not asked_for):
        return None
    return cast(BufferedReader, sys.stdin.buffer)


class Notes:
    """Says each thing once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, note: str) -> None:
        """Say it, if it has not been said."""
        if note not in self._said:
            self._said.add(note)
            complain(note)


def give_up_output() -> None:
    """Let nothing more be written to standard output, not even when Python ends and flushes what is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_standard_output(data: bytes, *, binary: bool = False) -> None:
    """Write bytes, at once.

    Raises:
        UsageError: they are no text, and standard output is a terminal.
    """
    if binary and sys.stdout.isatty():
        raise UsageError("Binary data would garble the terminal: send it on (… | cat > file) or name a file with -o.")
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
