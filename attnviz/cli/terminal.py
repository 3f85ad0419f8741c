"""Standard output for rich, on a terminal or not."""

import codecs
import io
import os
import sys
from contextlib import suppress

from rich.console import Console

from attnviz.views.terminal.columns import KeptColumns

_STAND_INS = dict(zip("·…→×−", ".~>x-", strict=True)) | dict.fromkeys("\u2068\u2069", "")  # isolates: not seen
_ANY_HEIGHT = 25
_MOST_COLUMNS = 10**6
_USUAL_WIDTH = 80  # where nobody says how wide


class Terminal(Console):
    """A console that passes on a closed pipe as an error, where rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Raise the error again."""
        raise BrokenPipeError


def open_terminal(color: str, width: int | None) -> Terminal:
    """Return standard output for rich; if it is not a terminal, it has colour only if asked for.

    It is as wide as COLUMNS says, else as the terminal is, else 80 columns.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("attnviz", _spell_out)
        sys.stdout.reconfigure(errors="attnviz")  # a character that the locale lacks is no reason to fail
    if width is None:
        width = _columns()
    screen = Terminal(
        force_terminal={"always": True, "never": False}.get(color),
        no_color={"always": False, "never": True}.get(color),
        highlight=False,
        markup=False,
        emoji=False,
        width=width,
        height=_ANY_HEIGHT,  # else rich takes a dumb terminal for 80 columns, whatever its width
        _environ=_environment(color),
    )
    if sys.stdout.isatty() and not screen.is_dumb_terminal:
        screen.push_render_hook(KeptColumns())
    return screen


def _columns() -> int:
    """Return how wide tables are: as COLUMNS says, else as the terminal that they go to is, else 80."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and 0 < int(told) < _MOST_COLUMNS:
        return int(told)
    shown = 0  # as a terminal says that does not know
    if sys.stdout.isatty():
        with suppress(OSError):  # NUL on Windows calls itself a terminal
            shown = os.get_terminal_size(sys.stdout.fileno()).columns
    return shown or _USUAL_WIDTH


def _environment(color: str) -> dict[str, str]:
    """Return the environment for rich; with --color always it hides that a terminal has no colour."""
    dumb = os.environ.get("TERM") in ("dumb", "unknown")
    return {**os.environ, "TERM": "xterm"} if color == "always" and dumb else dict(os.environ)


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    """Return a stand-in for a character that the encoding lacks: one of the same width, or its number."""
    assert isinstance(error, UnicodeEncodeError)
    char = error.object[error.start]
    spelled = char.encode("ascii", "backslashreplace").decode()
    return _STAND_INS.get(char, spelled), error.start + 1
