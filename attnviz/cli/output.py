"""What the command line writes: complaints, data on standard output, and files that are whole or not there."""

import os
import re
import sys
import zlib
from contextlib import suppress
from pathlib import Path

from attnviz.errors import OutputError, UsageError


def complain(message: str) -> None:
    """Says something on standard error, whatever its encoding and whatever the message quotes."""
    from attnviz.text import visible

    if sys.stderr:
        encoding = sys.stderr.encoding or "ascii"
        with suppress(OSError):  # that nobody listens is no reason to stop working
            print(visible(message).encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


class Notes:
    """Says each thing once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, note: str) -> None:
        """Says it, if it has not been said."""
        if note not in self._said:
            self._said.add(note)
            complain(note)


def give_up_output() -> None:
    """Lets nothing more be written to standard output, not even when Python ends and flushes what is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_standard_output(data: bytes, *, binary: bool = False) -> None:
    """Writes bytes, at once.

    Raises:
        UsageError: they are no text, and standard output is a terminal.
    """
    if binary and sys.stdout.isatty():
        raise UsageError("Binary data would garble the terminal: send it on (… | cat > file) or name a file with -o.")
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def write_file(path: Path, data: bytes) -> None:
    """Writes a file wholly or not at all: first beside its place, then into it.

    Raises:
        OutputError: it cannot be written there.
    """
    part = path.with_name(f".attnviz-{os.getpid()}-{zlib.crc32(os.fsencode(path.name)):08x}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error


def is_part(name: str) -> bool:
    """Whether a file of this name is one that `write_file` had no time to put into its place."""
    return re.fullmatch(r"\.attnviz-\d+-[0-9a-f]{8}\.part", name) is not None
