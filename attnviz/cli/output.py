"""What the command line writes: to the terminal, to standard output, and into files that are whole or not there."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.errors import OutputError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

_UNLIMITED = 1_000_000  # what is not a terminal has no width


def complain(message: str) -> None:
    """Says something on standard error, whatever its encoding and whatever the message quotes."""
    from attnviz.text import visible

    if sys.stderr:
        encoding = sys.stderr.encoding or "ascii"
        print(visible(message).encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


def console(color: str, width: int | None) -> "Console":
    """Standard output for rich. What is no terminal gets lines as long as they are, and no colour unless asked for."""
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a character that the locale lacks is no reason to fail
    unlimited = width is None and not sys.stdout.isatty()
    return Console(
        force_terminal={"always": True, "never": False}.get(color),
        no_color={"always": False, "never": True}.get(color),
        highlight=False,
        markup=False,
        emoji=False,
        width=_UNLIMITED if unlimited else width,
    )


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
    part = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
