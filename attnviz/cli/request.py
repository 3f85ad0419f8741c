"""What every command that looks at attention is asked for: a model, and which of its weights in which form."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnviz.attention import Attention, Selection
    from attnviz.models.base import Model


@dataclass(frozen=True)
class Request:
    """A model by name, the kinds, layers and heads wanted of it, and what is to be done to them."""

    model: str
    select: "Selection"
    mean: bool = False
    no_special: bool = False

    @cached_property
    def _model(self) -> "Model":
        from attnviz.models.registry import load

        return load(self.model)

    def attend(self, text: str) -> list["Attention"]:
        """The records of a text, one a kind, in the form that was asked for."""
        found = self._model.attend(text, select=self.select)
        if self.no_special:
            found = [attention.without_special() for attention in found]
        return [attention.mean() for attention in found] if self.mean else found


def rows_of(found: Sequence["Attention"], token: str | None) -> Sequence["Attention"]:
    """Only what one word looks at, the rows of all its occurrences, if one is named.

    Raises:
        TextError: there is no such word.
    """
    if not token:
        return found
    from attnviz.text import find

    return [
        attention.rows([index for place in find(attention.query_tokens, token) for index in place.indices])
        for attention in found
    ]
