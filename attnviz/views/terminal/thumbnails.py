"""Thumbnails: the weights of a head in a few characters, as shades where there is colour, else as density."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
from msgspec import Struct
from rich.console import Console, ConsoleOptions
from rich.text import Text

from attnviz.records import Weights
from attnviz.views.names import decimals
from attnviz.views.pooling import shrink

# From dark to light: each is lighter than the one before, and all of a thumbnail is painted, so that it reads the same
# on a dark and on a light ground. Each from a weight on.
SHADES: Mapping[float, str] = {
    0.00: "#20222e",
    0.02: "#37333f",
    0.05: "#533c43",
    0.10: "#77493f",
    0.20: "#a65a35",
    0.40: "#d87326",
    0.60: "#fba03f",
    0.80: "#ffe7b0",
}
_DENSITIES: Mapping[float, str] = {0.00: "·", 0.10: "░", 0.25: "▒", 0.50: "▓", 0.75: "█"}
_IN_ASCII: Mapping[float, str] = {0.00: ".", 0.10: ":", 0.25: "+", 0.50: "*", 0.75: "#"}
_HALF = "▀"
_NONE = -1  # the level below the last row


class Brush(Struct, frozen=True):
    """A way to draw weights: a `scale` from the least weight of each level to what stands for it.

    `tall` rows of weights go into a line of characters: two as halves in two shades, else one.
    """

    scale: Mapping[float, str]
    tall: int

    def draw(self, weights: Weights, width: int, height: int) -> list[Text]:
        """Return weights [queries, keys] in at most `width` columns and `height` lines, all lines of equal width."""
        rows, columns = weights.shape
        times = max(min(height * self.tall // rows, width * self.tall // (2 * columns)), 1)  # a cell is square
        return self.paint(
            pool(weights, min(height * self.tall, rows * times), min(width, 2 * columns * times // self.tall))
        )

    @property
    def least(self) -> float:
        """Return the least weight that looks like more than nothing."""
        return sorted(self.scale)[1]

    def paint(self, weights: Weights) -> list[Text]:
        """Return weights [rows, columns] with a character for each column, `tall` rows a line."""
        levels = np.searchsorted([*self.scale], weights, "right") - 1  # [rows, columns]
        if len(levels) % self.tall:
            levels = np.vstack([levels, np.full((1, levels.shape[1]), _NONE)])
        lines = zip(*(levels[first :: self.tall].tolist() for first in range(self.tall)), strict=True)
        return [self._line(list(zip(*rows, strict=True))) for rows in lines]

    def legend(self) -> Iterator[Text]:
        """Yield each level with the weight from which it stands."""
        for level, least in enumerate(self.scale):
            swatch = self._line([(level,) * self.tall] * 2)
            swatch.stylize("not dim")  # beside words that are
            yield swatch.append(f" {'0' if not least else decimals(least)}")

    def _line(self, cells: Sequence[tuple[int, ...]]) -> Text:
        line = Text()
        for cell, alike in groupby(cells):  # rich takes long for each change of style
            line.append(*self._cell(cell, len(list(alike))))
        return line

    def _cell(self, levels: tuple[int, ...], count: int) -> tuple[str, str]:
        signs = [*self.scale.values()]
        if self.tall == 1:
            return signs[levels[0]] * count, ""
        upper, lower = levels
        return _HALF * count, signs[upper] if lower == _NONE else f"{signs[upper]} on {signs[lower]}"


def pool(weights: Weights, rows: int, columns: int) -> Weights:
    """Return at most so many rows and columns: of several weights the largest, so that a strong link still shows.

    Where there are fewer, each is repeated as often as there is room for all.
    """
    small = shrink(weights, rows, columns)
    return small.repeat(rows // len(small), 0).repeat(columns // small.shape[1], 1)


def brush_of(console: Console, options: ConsoleOptions) -> Brush:
    """Return the best way to draw that a console has."""
    if options.ascii_only:
        return Brush(_IN_ASCII, 1)
    if console.no_color or console.color_system not in ("truecolor", "256"):
        return Brush(_DENSITIES, 1)
    return Brush(SHADES, 2)


if __name__ == "__main__":
    from attnviz.views.example import example_attention

    screen = Console(highlight=False)
    brush = brush_of(screen, screen.options)
    screen.print(*brush.draw(example_attention().weights[1, 2], 10, 5), *brush.legend(), sep="\n")
