"""attnviz: see what a transformer's attention heads look at."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnviz.models.base import Model

__all__ = ["__version__", "load"]
__version__ = "0.1.0"


def load(name: str = "builtin") -> "Model":
    """The model of this name, ready to `attend` to texts.

    Raises:
        ModelError: there is no such model; the message says which there are.
    """
    from attnviz.models.registry import load as load_model  # NumPy and what lies under it: not for `attnviz --help`

    return load_model(name)
