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
    full_name = ALIASES.get(name, name)
    if full_name not in builtin.names():
        raise ModelError(f"There is no model {visible(name)!r}. There are: {', '.join(builtin.names())}.")
    return builtin.BuiltinEncoder(full_name)


def catalogue() -> list[Card]:
    """What can be loaded here."""
    return [builtin.read_card(name) for name in builtin.names()]
