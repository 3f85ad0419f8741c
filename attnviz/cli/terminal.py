"""Standard output as rich writes to it, terminal or not."""

import codecs
import io
import os
import shutil
import sys

from rich.console import Console

from attnviz.views.terminal.columns import KeptColumns

_STAND_INS = dict(zip("·…→×−", ".~>x-", strict=True)) | dict.fromkeys("\u2068\u2069", "")  # isolates: not seen
_ANY_HEIGHT = 25
_UNLIMITED = 1_000_000  # what is not a terminal has no width


class Terminal(Console):
    """Leaves it to the edge what becomes of a closed pipe, where rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Pass on the error that is being handled."""
        raise BrokenPipeError


def terminal(color: str, width: int | None) -> Terminal:
    """Return standard output for rich: what is no terminal gets whole lines, and no colour unless asked for."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("attnviz", _spelled_out)
        sys.stdout.reconfigure(errors="attnviz")  # a character that the locale lacks is no reason to fail
    if width is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNLIMITED
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


def _environment(color: str) -> dict[str, str]:
    """Return what rich is to know of the terminal: if colour is wanted in any case, not that it has none."""
    dumb = os.environ.get("TERM") in ("dumb", "unknown")
    return {**os.environ, "TERM": "xterm"} if color == "always" and dumb else dict(os.environ)


def _spelled_out(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for a character that an encoding lacks: one of the same width, or its number."""
    assert isinstance(error, UnicodeEncodeError)
    char = error.object[error.start]
    spelled = char.encode("ascii", "backslashreplace").decode()
    return _STAND_INS.get(char, spelled), error.start + 1
