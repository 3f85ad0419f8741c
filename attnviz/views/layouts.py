"""How the weights of heads may be laid out; nothing is imported, so that the command line can list it at once."""

from enum import Enum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from attnviz.attention import Weights

IMAGE_FORMATS = "png", "svg", "pdf"

_Either = TypeVar("_Either")


class Layout(Enum):
    """How the heads of a record are spread over pictures."""

    HEAD = "head"
    LAYER = "layer"
    GRID = "grid"


class Orientation(Enum):
    """Which way the weights of a head are drawn; the value says whether that is the transpose of how they are held."""

    QUERIES_DOWN = False
    KEYS_DOWN = True

    def turned(self, weights: "Weights") -> "Weights":
        """The weights as they are drawn: [..., queries, keys] -> [..., rows, columns]."""
        return weights.swapaxes(-2, -1) if self is Orientation.KEYS_DOWN else weights

    def axes(self, queries: _Either, keys: _Either) -> tuple[_Either, _Either]:
        """What belongs to the queries and what to the keys, as what belongs to the rows and what to the columns."""
        return (keys, queries) if self is Orientation.KEYS_DOWN else (queries, keys)

    def in_words(self, *, sink: bool) -> str:
        """What goes down, what across, and what sums to 1, or less if there is a `sink` that is not drawn."""
        down, across = self.axes("queries", "keys")
        line_of_a_query, _ = self.axes("rows", "columns")
        return f"{down} down, {across} across; {line_of_a_query} sum to {'at most 1' if sink else '1'}"
