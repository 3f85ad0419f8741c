"""Views that draw pictures."""

import os
import sys
from contextlib import suppress


def _import_matplotlib() -> None:
    """Import matplotlib with the backend that MPLBACKEND names, unless it knows none of that name; no window is opened.

    By itself it would not be imported with such a name.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    from matplotlib import rcParams

    if backend is not None:
        os.environ["MPLBACKEND"] = backend
        with suppress(ValueError):
            rcParams["backend"] = backend


_import_matplotlib()
