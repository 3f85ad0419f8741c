"""The room for cells: how large they are, and how many weights share one."""

import math

from msgspec import Struct

from attnviz.records import Weights
from attnviz.views.image.sheet import NUMBER_ROOM
from attnviz.views.image.style import Style

CELLS = 0.35
"""The share of a picture's width, where that is given, that cells have at least."""


class Room(Struct, frozen=True):
    """The limits to the size of cells along an axis, in points.

    They share `side`, but each gets at least `least` and at most `most`; all of them stay within `limit`, and only for
    that they get smaller than `least`. `text_size` is that of the labels.
    """

    side: float
    least: float
    most: float
    limit: float
    text_size: float = 8

    def cell(self, count: int, style: Style) -> float:
        """Return the side of one of `count` cells: a whole number of pixels, so that all look the same."""
        roomy = style.annotate and count * NUMBER_ROOM <= self.limit
        least = max(self.least, NUMBER_ROOM) if roomy else self.least
        side = min(max(self.side / count, least), max(self.most, least), self.limit / count)
        return max(round(side * style.resolution / 72), 1) * 72 / style.resolution

    def cells(self, panel: Weights, style: Style) -> tuple[float, float]:
        """Return the width and height of a cell: equal, unless the shorter axis would get too little room."""
        rows, columns = panel.shape
        square = self.cell(max(rows, columns), style)
        return (square, square) if square >= self.least else (self.cell(columns, style), self.cell(rows, style))

    def pools(self, panel: Weights, style: Style) -> tuple[int, int]:
        """Return the number of rows, and of columns, that share a cell."""
        rows, columns = panel.shape[-2:]
        return self.pool(rows, style), self.pool(columns, style)

    def pool(self, count: int, style: Style) -> int:
        """Return the number of weights that share a cell, so that no cell is smaller than a pixel."""
        limit = self.limit if style.width is None else min(self.limit, CELLS * style.width)
        return math.ceil(count / (limit * style.resolution / 72))
