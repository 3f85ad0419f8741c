"""What the command line writes: to the terminal, to standard output, and into files that are whole or not there."""

import codecs
import io
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.errors import OutputError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

_STAND_INS = dict(zip("·…→×", ".~>x", strict=True))
_ANY_HEIGHT = 25
_UNLIMITED = 1_000_000  # what is not a terminal has no width


def complain(message: str) -> None:
    """Says something on standard error, whatever its encoding and whatever the message quotes."""
    from attnviz.text import visible

    if sys.stderr:
        encoding = sys.stderr.encoding or "ascii"
        with suppress(OSError):  # that nobody listens is no reason to stop working
            print(visible(message).encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


def give_up_output() -> None:
    """Lets nothing more be written to standard output, not even when Python ends and flushes what is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def console(color: str, width: int | None) -> "Console":
    """Standard output for rich. What is no terminal gets lines as long as they are, and no colour unless asked for."""
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("attnviz", _spelled_out)
        sys.stdout.reconfigure(errors="attnviz")  # a character that the locale lacks is no reason to fail
    if width is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNLIMITED
    return Console(
        force_terminal={"always": True, "never": False}.get(color),
        no_color={"always": False, "never": True}.get(color),
        highlight=False,
        markup=False,
        emoji=False,
        width=width,
        height=_ANY_HEIGHT,  # else rich takes a dumb terminal for 80 columns, whatever its width
        _environ=_environment(color),
    )


def _environment(color: str) -> dict[str, str]:
    """What rich is to know of the terminal: if colour is wanted in any case, not that it has none."""
    dumb = os.environ.get("TERM") in ("dumb", "unknown")
    return {**os.environ, "TERM": "xterm"} if color == "always" and dumb else dict(os.environ)


def _spelled_out(error: UnicodeError) -> tuple[str, int]:
    """A character that an encoding lacks: one of the same width in its place, or its number."""
    assert isinstance(error, UnicodeEncodeError)
    char = error.object[error.start]
    return _STAND_INS.get(char) or char.encode("ascii", "backslashreplace").decode(), error.start + 1


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
