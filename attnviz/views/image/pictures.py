"""Pictures of attention: a coloured cell for each weight.

matplotlib takes longer to import than everything else, so import this room only to draw.
"""

import gc
import io
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any
from unicodedata import category

import numpy as np
from matplotlib import rc_context
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import Advice, TextError, UsageError, require
from attnviz.measures.word_rows import find_words
from attnviz.records import HeadMatrix, Weights, Word
from attnviz.text import Bins
from attnviz.views.image.fonts import FONT, fit_into_pdf, fonts_for
from attnviz.views.image.page import Cells
from attnviz.views.image.png import png
from attnviz.views.image.rooms import CELLS, Room
from attnviz.views.image.sheet import GAP, Panel, Sheet, draw, fit
from attnviz.views.image.style import Style
from attnviz.views.image.words import (
    ARROW,
    Label,
    SheetText,
    axes_caption,
    axis_name,
    ellipsised,
    grid_caption,
    indexed,
    note_left_out,
    places,
    stem,
    token_caption,
    token_labels,
)
from attnviz.views.names import head_name, index_name
from attnviz.views.pooling import pooled
from attnviz.views.report import labelled_tokens, note_faint, sides
from attnviz.vocabulary import WEIGHT, Layout

_DATES = {"svg": "Date", "pdf": "CreationDate"}
_TITLES = {"keys": "what {} looks at", "queries": "what looks at {}"}
_OF_PIXEL = 4  # bytes
_YOUNG = 1  # generations of objects that were made a moment ago
_INSTALL = "install a font that has them, such as Noto."


class Picture(Struct, frozen=True):
    """A figure, a `name` for its file, and `notes` on what could not be drawn as it was asked for."""

    name: str
    figure: Figure
    notes: tuple[str, ...] = ()


_HEAD = Room(side=300, least=10.5, most=24, limit=1000)
_HEAD_OF_BINS = Room(side=480, least=2.4, most=24, limit=1000)  # smaller cells: only some of them get a label
_LAYER = Room(side=150, least=9, most=18, limit=264, text_size=7)
_LAYER_WIDTH = 1100  # points that the heads of a layer may fill before they are wrapped into several rows
_BESIDE, _HEAD_WIDTH = 100, 84  # points of such a width for labels and scale, and for each head of a layer, about
_TOKEN_KEYS = Room(side=240, least=10.5, most=18, limit=720)
_TOKEN_HEADS = Room(side=0, least=10.5, most=10.5, limit=2400)
_FAR_BELOW_1 = 0.5
_SEEN = 0.1  # of the whole scale: what is less hardly differs from paper in cells of few pixels
_GRID_SIDE, _GRID_LEAST, _GRID_MOST = 800, 36, 130  # points that the heads of a row share, and that each of them gets
_GRID_GAP, _NARROW_GAP = 4, 2  # points between heads, and where cells are to grow until they fill a width
_MOST_ACROSS = 1000  # heads, or layers, in a picture: with more of them it would have less than 12 pixels for each


def _head_pictures(attention: HeadMatrix, style: Style) -> Iterator[Picture]:
    """Yield a picture for each head."""
    room = _HEAD_OF_BINS if isinstance(attention.by, Bins) else _HEAD
    for layer, head in product(attention.layers, attention.heads):
        yield _side_by_side(attention.select([layer], [head]), [""], room, style)


def _layer_pictures(attention: HeadMatrix, style: Style) -> Iterator[Picture]:
    """Yield a picture for each layer, with its heads side by side."""
    titles = [indexed("head", (head,)) for head in attention.heads]
    for layer in attention.layers:
        yield _side_by_side(attention.select([layer], attention.heads), titles, _LAYER, style)


def _side_by_side(attention: HeadMatrix, titles: Sequence[str], room: Room, style: Style) -> Picture:
    """Return a picture with a panel for each head of one layer; the heading leaves out what the titles say."""
    shown = places(attention.layers, attention.heads)
    where = shown[:1] if any(titles) else shown
    turned = style.orientation.turn(attention.weights[0])  # [heads, rows, columns]
    pool = room.pools(turned, style)
    queries, keys = labelled_tokens(attention)
    axes = style.orientation.axes(queries, keys)
    down, across = style.orientation.axes(axis_name("queries", queries, attention.by), "keys")
    rows, columns = (token_labels(tokens, attention.by, p) for tokens, p in zip(axes, pool, strict=True))
    panels = [Panel(pooled(w, pool), rows, columns, title, across) for w, title in zip(turned, titles, strict=True)]
    cell = room.cells(panels[0].cells, style)
    wide = panels[0].cells.shape[1] * cell[0] + GAP
    in_a_row = int(_LAYER_WIDTH / wide) if style.width is None else round((style.width - _BESIDE) / _HEAD_WIDTH)
    in_a_row = min(max(in_a_row, 1), len(panels))
    sheet = Sheet(
        panels=panels,
        across=math.ceil(len(panels) / math.ceil(len(panels) / in_a_row)),  # rows as even as can be
        cell=cell,
        row_name=down,
        text_size=room.text_size,
        text=SheetText.of(attention, where, pool, style, axes_caption(attention, style)),
        measure=attention.measure,
    )
    return _picture(stem(shown), sheet, style.suiting(attention.by), attention.weights.max(-1))


def _grid_picture(attention: HeadMatrix, style: Style) -> Iterator[Picture]:
    """Yield one picture of all heads, layers down and heads across: a bird's-eye view; of one head, all that it has."""
    if attention.shape[:2] == (1, 1):
        yield from _head_pictures(attention, style)
        return
    side = min(max(_GRID_SIDE / len(attention.heads), _GRID_LEAST), _GRID_MOST)
    if style.width is not None:
        side = CELLS * style.width / len(attention.heads)
    room = Room(side=side, least=0, most=_HEAD.most, limit=side)
    turned = style.orientation.turn(attention.weights)
    pool = room.pools(turned, style)
    weights = pooled(turned, pool)
    cell = room.cells(weights[0, 0], style)
    gap = max(round((_GRID_GAP if style.width is None else _NARROW_GAP) / cell[0]), 1)
    where = places(attention.layers, attention.heads)
    sheet = Sheet(
        panels=[
            Panel(
                _mosaic(weights, gap),
                _axis_labels(attention.layers, weights.shape[2], gap),
                _axis_labels(attention.heads, weights.shape[3], gap),
                column_name="head",
            )
        ],
        cell=cell,
        row_name="layer",
        columns_on_top=True,
        text=SheetText.of(attention, where, pool, style, grid_caption(attention, style)),
        measure=attention.measure,
    )
    yield _picture(stem(where), sheet, style.suiting(attention.by), attention.weights.max(-1))


LAYOUTS: dict[Layout, Callable[[HeadMatrix, Style], Iterator[Picture]]] = {
    Layout.HEAD: _head_pictures,
    Layout.LAYER: _layer_pictures,
    Layout.GRID: _grid_picture,
}
"""The function that draws each layout, picture by picture."""


def token_picture(attention: HeadMatrix, word: Word, style: Style) -> Picture:
    """Return the picture of one word in all heads: a row for each head, a column for each token.

    The left panel shows the weights from its pieces (their mean), the right one the weights to its pieces (their sum);
    one of them is left out where the word is not among the queries, or the keys.
    """
    named = f"“{ellipsised(word.text)}”"
    heads = [
        Label(head_name(layer, head), row + 0.5)
        for row, (layer, head) in enumerate(product(attention.layers, attention.heads))
    ]
    both = list(sides(attention, word))
    predicted = attention.pieces(word)[-1].predicts if word.queries else None
    says = f" ({ARROW.strip()} {ellipsised(predicted)})" if predicted else ""
    longest = max(len(side.tokens) for side in both)
    pool = _TOKEN_KEYS.pool(longest, style)
    panels = [
        Panel(
            pooled(side.weights.reshape(len(heads), len(side.tokens)), (1, pool)),
            heads,
            token_labels(side.tokens, attention.by, pool),
            _TITLES[side.axis].format(named + says * (side.axis == "keys")),
            axis_name(side.axis, side.tokens, attention.by),
            rules=range(len(attention.heads), len(heads), len(attention.heads)),
        )
        for side in both
    ]
    caption = token_caption(attention, named, queries=bool(word.queries))
    sheet = Sheet(
        panels=panels,
        across=len(panels),
        cell=(_TOKEN_KEYS.cell(math.ceil(longest / pool), style), _TOKEN_HEADS.cell(len(heads), style)),
        row_name="heads",
        text=SheetText.of(attention, (named,), (1, pool), style, caption),
        measure=attention.measure,
    )
    position = attention.pieces(word)[0].position
    letters = "".join(char for char in word.text if category(char)[0] in "LMN")[:24]
    where = stem(places(attention.layers, attention.heads))
    name = "-".join(filter(None, (f"token{position}", letters, where)))
    largest = np.max([panel.cells.max(1) for panel in panels], 0)[:, None]
    return _picture(name, sheet, style.suiting(attention.by), largest)


def pictures(
    found: Sequence[HeadMatrix], layout: Layout, token: str | None, style: Style
) -> Iterator[tuple[HeadMatrix, Picture]]:
    """Yield the pictures of records, one by one: of a word if `token` names it, else in a layout.

    Raises:
        TextError: there is no such word, or there are too many heads for a picture.
    """
    if token is None:
        for attention in found:
            if layout is not Layout.HEAD and max(attention.shape[:2]) > _MOST_ACROSS:
                raise TextError(
                    f"{max(attention.shape[:2]):,} heads in a row are too many for a picture:",
                    hint=f"choose at most {_MOST_ACROSS:,} with {{layer}} and {{head}}, or take {{layout:head}}.",
                )
            yield from ((attention, picture) for picture in LAYOUTS[layout](attention, style))
    else:
        for attention, words in find_words(found, token):
            yield from ((attention, token_picture(attention, word, style)) for word in words)


def only_picture(record: HeadMatrix, layout: str, token: str | None, style: Style) -> Picture:
    """Return the one picture of a record in a layout, or of one token; a notebook shows its figure without pyplot.

    Raises:
        UsageError: there is no such layout, or it takes several pictures.
        TextError: there is no such token.
    """
    if layout not in (names := [one.value for one in Layout]):
        raise UsageError(f"There is no layout {layout!r}: choose {', '.join(names)}.")
    require(record, HeadMatrix, "attend returns a list, of which model.attend(text)[0] is one record.")
    drawn = pictures([record], Layout(layout), token, style)
    _, picture = next(drawn)
    if next(drawn, None):
        fewer = "take one head or layer, as in attention.select(3, 0)"
        if token is not None:
            places = (str(record.pieces(word)[0].position) for word in record.words(token))
            fewer = f"name one by its position, {', '.join(places)}"
        raise UsageError(f"This takes more than one picture: {fewer}.")
    return show_in_notebook(picture)


def show_in_notebook(picture: Picture) -> Picture:
    """Let a notebook show the figure of a picture, and return it."""
    picture.figure._repr_png_ = partial(render, picture.figure, "png")  # type: ignore[attr-defined] # IPython asks for it
    return picture


def render(figure: Figure, file_format: str) -> bytes:
    """Return the figure as a file in one of the `IMAGE_FORMATS`: always the same bytes.

    The text of an SVG stays text: it can be searched and edited. A viewer that lacks the fonts that were measured here
    takes others, which are as a rule narrower, so labels still fit.
    """
    if file_format == "png":
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        return png(np.asarray(canvas.buffer_rgba())[..., :3], figure.dpi)
    file = io.BytesIO()
    families = {family for words in figure.findobj(Text) for family in words.get_fontfamily()} - {"sans-serif"}
    fonts = rc_context({"font.sans-serif": [FONT], "svg.fonttype": "none", "pdf.fonttype": fit_into_pdf(families)})
    with fonts, rc_context({"svg.hashsalt": "attnviz", "savefig.bbox": None}):
        figure.savefig(file, format=file_format, dpi=figure.dpi, metadata={_DATES[file_format]: None})
    return file.getvalue()


def count_bytes(figure: Figure, file_format: str) -> int:
    """Return about how much memory it takes to `render` a figure beyond what any picture takes."""
    cells = [artist for artist in figure.artists if isinstance(artist, Cells)]
    taken = sum(each.count_bytes(in_points=file_format != "png") for each in cells)
    pixels = math.prod(figure.bbox.size) if file_format == "png" else 0
    return taken + int(_OF_PIXEL * pixels)


def release(figure: Figure) -> None:
    """Let go of what a figure holds, and of its file in PDF, which the garbage collector would find only much later."""
    figure.clear()
    FigureCanvasBase(figure)  # in place of the one that was drawn on, and its pixels
    gc.collect(_YOUNG)


def _picture(name: str, sheet: Sheet, style: Style, largest: Weights) -> Picture:
    """Return the picture of a sheet, with notes on what could not be drawn as it was asked for.

    `largest` is the largest weight of each query [..., queries].
    """
    fonts = fonts_for(sheet.texts(), style.font)
    sheet = fit(sheet, style, fonts)
    figure = draw(sheet, style, fonts)
    notes = [f"No installed font has {script}, so they are drawn as codes: {_INSTALL}" for script in fonts.scripts()]
    if style.annotate and not sheet.numbers_fit:
        notes.append("There is no room for numbers in the cells, so they are left out.")
    if sheet.measure == WEIGHT and not style.log and style.vmax is None and (faint := note_faint(largest, _SEEN)):
        auto = ", {vmax:auto} ends the colours at the largest" if largest.max() < _FAR_BELOW_1 else ""
        notes.append(Advice(f"{faint}:", f"{{log:True}} shows small weights{auto}."))
    if sheet.text.remarks and not style.caption:
        notes.append(note_left_out(replace(sheet.text, heading="").small_print))
    if figure.dpi < style.resolution:
        notes.append(f"At {style.resolution} dpi the picture would be too large, so it is drawn at {figure.dpi:g} dpi.")
    return Picture(name, figure, tuple(notes))


def _axis_labels(indices: Sequence[int], length: int, gap: int) -> list[Label]:
    """Return a label in the middle of each of these layers or heads, `length` cells long and `gap` cells apart."""
    return [Label(index_name(index), number * (length + gap) + length / 2) for number, index in enumerate(indices)]


def _mosaic(weights: Weights, gap: int) -> Weights:
    """Return all heads in one picture, blank (NaN) between them: [layers, heads, rows, columns] -> [rows, columns]."""
    layers, heads, rows, columns = weights.shape
    spread = np.full((layers, rows + gap, heads, columns + gap), np.nan, np.float32)
    spread[:, :rows, :, :columns] = weights.transpose(0, 2, 1, 3)
    return spread.reshape(layers * (rows + gap), heads * (columns + gap))[:-gap, :-gap]


if __name__ == "__main__":
    from attnviz.views.example import example_attention, write_example

    write_example(render(next(LAYOUTS[Layout.GRID](example_attention(), Style())).figure, "png"), "example.png")
