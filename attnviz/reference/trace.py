"""Intermediate arrays by name, for whoever wants to see what is computed on the way."""

from collections.abc import Callable

from attnviz.reference.arrays import Array

Note = Callable[[str, Array], None]
"""Is told an array with the name of what it is, as in `layers.3.attention.query`."""


def silent(name: str, array: Array) -> None:
    """Takes no note."""


def within(note: Note, part: str) -> Note:
    """Notes the arrays of a part under names that begin with it; nothing is put together where nobody takes note."""
    return note if note is silent else lambda name, array: note(f"{part}.{name}", array)
