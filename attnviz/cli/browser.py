"""The browser: a page written to a temporary file and opened."""

import os
import sys
import tempfile
import webbrowser
from pathlib import Path

from attnviz.errors import OutputError

_SCREENS = "DISPLAY", "WAYLAND_DISPLAY", "BROWSER"


def open_page(data: bytes) -> None:
    """Write a page to a temporary file, and open it in the browser of whoever is there.

    Raises:
        OutputError: there is no browser; the message says where the page is.
    """
    with tempfile.NamedTemporaryFile(prefix="attnviz-", suffix=".html", delete=False) as file:
        file.write(data)
    path = Path(file.name)
    if not (_has_screen() and webbrowser.open(path.as_uri())):
        raise OutputError(
            f"There is no browser here. The page is {path}: copy it to a machine with a screen and open it there, or "
            "leave --open out to see tables."
        )


def _has_screen() -> bool:
    """Return whether a window can be opened: on Linux, what webbrowser finds without a screen takes the terminal."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in _SCREENS)
