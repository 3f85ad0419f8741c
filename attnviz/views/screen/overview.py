"""All heads at a glance: a small picture of each, layers down and heads across."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message

from attnviz.records import Weights
from attnviz.views.names import index_name
from attnviz.views.pooling import shrink
from attnviz.views.screen.look import Look, braille, number_name, scale
from attnviz.views.screen.pane import Pane, scroll
from attnviz.views.screen.scene import Head, Place, Scene, State

_SIZES = (9, 4), (7, 3), (5, 2), (4, 2), (3, 1), (2, 1)
"""The columns, the gap beside it included, and the lines that a head may take, from large to small."""
_LEAST_SHADED = 3  # lines of a head below which Braille tells more than shades
_STRONG = 0.5  # of the largest weight of a row: what Braille has dots for


class Tiling(Struct, frozen=True):
    """The place of each head on the screen: the sizes of a head, the margin for layers, and what is scrolled away."""

    width: int
    height: int
    margin: int
    layers: range
    heads: range

    def find(self, x: int, y: int) -> Head | None:
        """Return the places of the layer and head at a column and a line, below the line of head numbers."""
        layer, head = (y - 1) // self.height, (x - self.margin) // self.width
        inside = y >= 1 and x >= self.margin and layer < len(self.layers) and head < len(self.heads)
        return (self.layers[layer], self.heads[head]) if inside else None


def tile(scene: Scene, width: int, height: int) -> Tiling:
    """Return the largest tiles of which all fit, or the smallest, scrolled to the chosen head."""
    layers, heads, _, _ = scene.attention.shape
    margin = max(len(index_name(layer)) for layer in scene.attention.layers) + 1
    fits = ((w, h) for w, h in _SIZES if margin + heads * w + 1 <= width and 1 + layers * h <= height)
    across, down = next(fits, _SIZES[-1])
    room = max((height - 1) // down, 1), max((width - margin - 1) // across, 1)
    first = (
        scroll(scene.state.layer - room[0] // 2, room[0], layers, scene.state.layer),
        scroll(scene.state.head - room[1] // 2, room[1], heads, scene.state.head),
    )
    return Tiling(
        across,
        down,
        margin,
        range(first[0], min(first[0] + room[0], layers)),
        range(first[1], min(first[1] + room[1], heads)),
    )


def needed_width(scene: Scene, width: int, height: int) -> int:
    """Return how many columns the overview takes of so many that it may take."""
    tiling = tile(scene, width, height)
    return tiling.margin + len(tiling.heads) * tiling.width + 1


class HeadToggled(Message):
    """A head has been pressed that is to be shown besides others, or no longer."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


class Overview(Pane):
    """The pane of all heads."""

    def draw(self, scene: Scene, width: int, height: int) -> Sequence[Text]:
        """Draw the numbers of heads, then each layer after its number."""
        tiling, look = tile(scene, width, height), self.look
        above, below = tiling.layers.start > 0, tiling.layers.stop < len(scene.attention.layers)
        header = Text(("↑" * above + "↓" * below).ljust(tiling.margin), Style(), end="")
        for head in tiling.heads:
            chosen = head == scene.state.head
            name = index_name(scene.attention.heads[head])
            header.append(name[-tiling.width :].center(tiling.width), look.marked if chosen else Style(dim=True))
        lines = [header]
        for layer in tiling.layers:
            tiles = [self._draw_tile(scene, layer, head, tiling) for head in tiling.heads]
            name = index_name(scene.attention.layers[layer]).rjust(tiling.margin - 1)
            style = look.marked if layer == scene.state.layer else Style(dim=True)
            for row in range(tiling.height):
                line = Text.assemble((name if row == 0 else " " * len(name), style), " ")
                for each in tiles:
                    line.append_text(each[row])
                lines.append(line)
        return lines

    def find_state(self, scene: Scene, x: int, y: int) -> State | None:
        """Return the state of a head; only pressing it chooses it, so see `on_mouse_move`."""
        found = tile(scene, *self.content_size).find(x, y)
        return found and replace(scene.state, layer=found[0], head=found[1])

    def on_click(self, event: events.Click) -> None:
        """Choose the head that is pressed; with Shift or Ctrl, take it among those that are shown, or out of them."""
        offset = event.get_content_offset(self)
        if self.scene is None or offset is None or not (event.shift or event.ctrl):
            return
        event.prevent_default()
        if found := tile(self.scene, *self.content_size).find(*cast(Place, offset)):
            self.post_message(HeadToggled(found))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Ignore a pointer that passes by: heads are chosen by pressing them."""
        event.prevent_default()

    def _draw_tile(self, scene: Scene, layer: int, head: int, tiling: Tiling) -> list[Text]:
        """Return the lines of a head, between marks on its first line."""
        look, named = self.look, (scene.attention.layers[layer], scene.attention.heads[head])
        thumbnail = scene.shown.thumbnails[layer, head]
        thumbnail = scale(scene.orientation.turn(thumbnail), log=scene.state.log)
        width = tiling.width - 1
        colour = look.colour and tiling.height >= _LEAST_SHADED
        drawn = _shade(thumbnail, width, tiling.height, look) if colour else _dot(thumbnail, width, tiling.height)
        if (layer, head) in scene.picked:
            number = scene.picked.index((layer, head))
            several = len(scene.picked) > 1
            style = look.line(number) + Style(bold=True) if several else look.marked
            drawn = [text if colour else Text(text.plain, look.accent) for text in drawn]
            marks = [number_name(number) if several else "▐", *"▐" * (tiling.height - 1)]
        else:
            mark = "●" if scene.is_telling(named) else "·" if named in scene.shown.marked else " "
            style, marks = look.marked, [mark, *" " * (tiling.height - 1)]
        return [Text.assemble((mark, style), text) for mark, text in zip(marks, drawn, strict=True)]


def _shade(thumbnail: Weights, width: int, height: int, look: Look) -> list[Text]:
    """Draw a head in half blocks, two rows of it a line; the last row is left free, so that heads stand apart."""
    pixels = _stretch(thumbnail, 2 * height - 1, width)
    lines = []
    for row in range(height):
        line = Text()
        for column in range(width):
            upper = look.colour_of(float(pixels[2 * row, column]))
            below = look.colour_of(float(pixels[2 * row + 1, column])) if 2 * row + 1 < len(pixels) else None
            line.append("▀", Style(color=upper, bgcolor=below))
        lines.append(line)
    return lines


def _dot(thumbnail: Weights, width: int, height: int) -> list[Text]:
    """Draw a head in Braille: dots where the weight is at least half of the largest in its row."""
    pixels = _stretch(thumbnail, 4 * height - (height > 1), 2 * width)  # heads that stand close have a line between
    dots = pixels >= np.maximum(_STRONG * pixels.max(-1, keepdims=True), 1e-6)
    return [Text(line) for line in braille(np.pad(dots, ((0, 4 * height - len(dots)), (0, 0))))]


def _stretch(thumbnail: Weights, rows: int, columns: int) -> Weights:
    """Return a picture of exactly this size: the largest weight where it shrinks, repeated where it grows."""
    small = shrink(thumbnail, rows, columns)
    have = small.shape
    return small[np.ix_(np.arange(rows) * have[0] // rows, np.arange(columns) * have[1] // columns)]
