"""All heads of a record at a glance: a thumbnail of each, with its label."""

import math
from collections.abc import Iterator, Sequence

from msgspec import Struct
from rich.console import Console, ConsoleOptions
from rich.text import Text

from attnviz.views.names import index_name
from attnviz.views.report import Glance
from attnviz.views.terminal.cells import ellipsised, flowing
from attnviz.views.terminal.thumbnails import Brush, brush_of

_GAP = 1
_NARROWEST, _WIDEST = 5, 14  # columns of a thumbnail
_LEAST_LINES, _USUAL_LINES = 3, 36  # of a thumbnail, and of all layers, which are then seen at once
_AROUND, _AROUND_IN_ASCII = ("‹", "›"), ("<", ">")


class _Layout(Struct, frozen=True):
    """The room for thumbnails: the margin before them, the heads beside each other, and the size of each."""

    margin: int
    across: int
    width: int
    height: int

    @classmethod
    def fit(cls, glance: Glance, width: int) -> "_Layout":
        """Return the layout that shows all heads in as few pages as possible, alike in size."""
        layers, heads = glance.attention.shape[:2]
        margin = max(len(_layer_name(layer)) for layer in glance.attention.layers)
        room = width - margin - _GAP  # one more gap closes the last thumbnail
        pages = math.ceil(heads / max(room // (_NARROWEST + _GAP), 1))
        across = math.ceil(heads / pages)
        most = min(room // across - _GAP, _WIDEST)
        height = min(math.ceil(most / 2), max(_USUAL_LINES // layers - 1, _LEAST_LINES))
        keys, longest = glance.attention.shape[3], max(map(len, glance.labels.values()), default=0)
        side = 2 * height  # as wide as it is high, and no wider than what is drawn
        columns = side if keys > side else side // keys * keys
        return cls(margin, across, min(max(columns, longest, _NARROWEST), most), height)


def overview(glance: Glance, console: Console, options: ConsoleOptions) -> Iterator[Text]:
    """Yield the overview, layers down and as many heads across as there is room for, then the legend."""
    brush, layout = brush_of(console, options), _Layout.fit(glance, options.max_width)
    around = _AROUND_IN_ASCII if options.ascii_only else _AROUND
    heads = len(glance.attention.heads)
    for first in range(0, heads, layout.across):
        page = range(first, min(first + layout.across, heads))
        yield _header(glance, page, layout)
        for row in range(len(glance.attention.layers)):
            yield from _layer(glance, row, page, layout, brush, around)
        yield Text()
    queries, keys = glance.attention.shape[2:]
    pooled = queries > layout.height * brush.tall or keys > layout.width
    yield from _legend(glance, brush, around, options.max_width, pooled=pooled)


def _header(glance: Glance, page: Sequence[int], layout: _Layout) -> Text:
    header = Text(" " * layout.margin, style="dim")
    for column in page:
        header.append(" " + f"H{index_name(glance.attention.heads[column])}".center(layout.width))
    header.rstrip()
    return header


def _layer(
    glance: Glance, row: int, page: Sequence[int], layout: _Layout, brush: Brush, around: tuple[str, str]
) -> Iterator[Text]:
    """Yield the thumbnails of a layer beside each other, and a line of labels if any of them has one."""
    attention = glance.attention
    layer = attention.layers[row]
    names = [(layer, attention.heads[column]) for column in page]
    drawn = [brush.draw(attention.weights[row, column], layout.width, layout.height) for column in page]
    gaps = [" "] * (len(page) + 1)
    if glance.marked in names:
        place = names.index(glance.marked)
        gaps[place : place + 2] = around
    for number, lines in enumerate(zip(*drawn, strict=True)):
        line = Text.assemble((("" if number else _layer_name(layer)).ljust(layout.margin), "dim"))
        for gap, part in zip(gaps, lines, strict=False):
            part.align("center", layout.width)
            line.append(gap, "bold").append_text(part)
        yield line.append(gaps[-1], "bold")
    labels = [glance.labels.get(name, "") for name in names]
    if any(labels):
        cells = (" " + ellipsised(label, layout.width).center(layout.width) for label in labels)
        yield Text(" " * layout.margin + "".join(cells).rstrip(), style="dim")


def _layer_name(layer: int) -> str:
    return f"L{index_name(layer)}"


def _legend(glance: Glance, brush: Brush, around: tuple[str, str], width: int, *, pooled: bool) -> Iterator[Text]:
    yield from flowing([Text("weight from"), *brush.legend()], width)
    telling = [Text(f"{around[0]} {around[1]} the most telling head")] if glance.marked else []
    labels = [Text("labels as in attnviz heads")] if glance.labels else []
    if telling or labels:
        across = "queries down, keys across" + ", the largest weight of each cell" * pooled
        yield from flowing([Text(across), *telling, *labels], width)
