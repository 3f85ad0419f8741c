"""Views that draw pictures."""

import os
import sys
from contextlib import chdir, suppress
from pathlib import Path


def _import_matplotlib() -> None:
    """Import matplotlib as the user's own settings say, and as nothing else does; no window is opened.

    It is imported from a folder without a file of settings, since it would read the one that somebody has put into the
    current folder. A backend that MPLBACKEND names is set after that, if there is one of that name: matplotlib would
    not be imported otherwise.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    with chdir(Path(__file__).parent):
        from matplotlib import rcParams

    if backend is not None:
        os.environ["MPLBACKEND"] = backend
        with suppress(ValueError):
            rcParams["backend"] = backend


_import_matplotlib()
