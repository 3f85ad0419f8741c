"""Models by name."""

from attnviz.errors import ModelError
from attnviz.models import builtin
from attnviz.models.base import Card, Model
from attnviz.text import visible

ALIASES = {"builtin": "builtin/encoder"}


def load(name: str) -> Model:
    """The model of this name.

    Raises:
        ModelError: there is none; the message says which there are.
    """
    folders = builtin.folders()
    folder = folders.get(ALIASES.get(name, name))
    if folder is None:
        raise ModelError(f"There is no model {visible(name)!r}. There are: {', '.join(folders)}.")
    return builtin.BuiltinEncoder(folder)


def catalogue() -> list[Card]:
    """What can be loaded here."""
    return [builtin.read_card(folder) for folder in builtin.folders().values()]
