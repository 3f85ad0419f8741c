"""The hook by which records show themselves in a notebook: views draw them, and records know of no view."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Item = TypeVar("Item")

Bundle = Mapping[str, str]
"""What a notebook can show of an object, by MIME type, of which it takes the richest that it can."""

Draw = Callable[[Any], Bundle]


class Displayed:
    """An object that shows itself in Jupyter, VS Code and marimo, which ask for these methods."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        return _hooks[-1](self)

    def _repr_html_(self) -> str | None:
        return self._repr_mimebundle_().get("text/html")


class DisplayedList(list[Item], Displayed):
    """A list that a notebook shows as one: the records of a text, or several tables."""


def draw_by(draw: Draw) -> None:
    """Let a function draw what shows itself from now on."""
    _hooks[:] = [draw]


_hooks: list[Draw] = [lambda shown: {}]
