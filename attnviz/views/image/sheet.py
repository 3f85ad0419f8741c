"""Sheets: panels of coloured cells with labels, a heading and a colour bar."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from msgspec import Struct
from msgspec.structs import replace

from attnviz.records import Weights, find_measure
from attnviz.views.image.fonts import Fonts
from attnviz.views.image.page import INK, MUTED, Page
from attnviz.views.image.style import Scale, Style, scale_of
from attnviz.views.image.words import LINE, Label, SheetText, thinned
from attnviz.views.names import in_cell
from attnviz.vocabulary import WEIGHT

_HEADING, _SMALL, _NUMBER = 10.5, 7.5, 6.0  # sizes of text in points
_SMALLER = 7.0, 6.0  # sizes in points of labels that otherwise would not all have room
GAP = 12.0  # points between the parts of a sheet
_PAD = 3.5  # points between cells and their labels
_BAR_WIDTH, _BAR_HEIGHT = 8.0, (70.0, 180.0)  # points; the height follows the panels between these two
NUMBER_ROOM = 14.0  # the side in points of the smallest cell that a number is legible in
_NUMBER_HEIGHT = 9.0  # the least height in points of an oblong one
_SIGN_ROOM = 5.0  # the side in points of the smallest cell that a sign is drawn into
_SEEN = 0.2  # of the largest number: what is less looks like zero
_NARROWEST = 250.0  # points that the lines of a heading may fill, however small the panels are
_DARK = 0.5  # a colour of lower luma than this is written on in white


class Panel(Struct, frozen=True):
    """A rectangle of coloured cells [rows, columns], blank where they are NaN, and its labels.

    `rules` are the rows before which a thin gap is left.
    """

    cells: Weights
    rows: Sequence[Label]
    columns: Sequence[Label]
    title: str = ""
    column_name: str = ""
    rules: Sequence[int] = ()


class Sheet(Struct, frozen=True, kw_only=True):
    """Panels, `across` in a row, that share their row labels and their scale.

    `cell` is the width and height of a cell in points, `text_size` that of labels, and `measure` what the cells show.
    """

    panels: Sequence[Panel]
    across: int = 1
    cell: tuple[float, float]
    row_name: str
    text_size: float = 8
    columns_on_top: bool = False
    text: SheetText
    measure: str = WEIGHT

    @property
    def numbers_fit(self) -> bool:
        """Return whether a number would be legible in a cell."""
        return self.cell[0] >= NUMBER_ROOM and self.cell[1] >= _NUMBER_HEIGHT

    @property
    def labels_fit(self) -> bool:
        """Return whether all labels of rows and columns have room."""
        sides = [(panel.columns, self.cell[0]) for panel in self.panels]
        sides += [(panel.rows, self.cell[1]) for panel in self.panels]
        return all(len(thinned(labels, side, self.text_size)) == len(labels) for labels, side in sides)

    def texts(self) -> Iterator[str]:
        """Yield all texts on the sheet that come from outside."""
        yield from (self.text.heading, *self.text.remarks, self.text.caption)
        for panel in self.panels:
            yield from (panel.title, *(label.text for label in (*panel.rows, *panel.columns)))


def fit(sheet: Sheet, style: Style, fonts: Fonts) -> Sheet:
    """Return the sheet with cells that make it as wide as the style says; square ones stay square.

    Its labels are as large as they can be if all of them are to be shown, and as large as usual where not all can.

    Raises:
        UnfitTextError: the cells would be smaller than a pixel.
    """
    if style.width is None:
        return sheet
    sizes = (size for size in _SMALLER if size < sheet.text_size)
    smaller = (_fill(replace(sheet, text_size=size), style, fonts) for size in sizes)
    usual = _fill(sheet, style, fonts)
    return usual if usual.labels_fit else next((each for each in smaller if each.labels_fit), usual)


def _fill(sheet: Sheet, style: Style, fonts: Fonts) -> Sheet:
    """Return the sheet with cells that fill the width of a style."""
    width, height = sheet.cell
    square = width == height

    def fitted(side: float) -> Sheet:
        return replace(sheet, cell=(side, side if square else height))

    columns = sum(panel.cells.shape[1] for panel in sheet.panels[: sheet.across])
    return fitted(Page.fill(lambda side: _draw_panels(fitted(side), style, fonts), width, columns))


def draw(sheet: Sheet, style: Style, fonts: Fonts) -> Figure:
    """Return the sheet as a figure just large enough for it."""
    page = _draw_panels(sheet, style, fonts)
    _draw_words(page, sheet, style)
    return page.finished()


def _draw_panels(sheet: Sheet, style: Style, fonts: Fonts) -> Page:
    """Return a page with the panels, their labels and the colour bar."""
    page = Page(style, fonts)
    scale = scale_of([panel.cells for panel in sheet.panels], style, sheet.measure)
    bottom = 0.0
    for index, left, top in _places(sheet, page):
        panel = sheet.panels[index]
        height = panel.cells.shape[0] * sheet.cell[1]
        _draw_cells(page, sheet, panel, scale, left, top)
        if style.annotate and sheet.numbers_fit:
            _draw_numbers(page, sheet, panel, scale, left, top)
        elif find_measure(sheet.measure).signed and min(sheet.cell) >= _SIGN_ROOM:
            _draw_signs(page, sheet, panel, scale, left, top)
        titles = _title_lines(page, sheet, panel)
        page.lines(left, top - _PAD - len(titles) * _line(sheet), titles, sheet.text_size, INK)
        if index % sheet.across == 0:
            _draw_row_labels(page, sheet, panel, top)
        if sheet.columns_on_top or index + sheet.across >= len(sheet.panels):
            _draw_column_labels(page, sheet, panel, left, top)
        bottom = max(bottom, top + height)
    if style.colorbar:
        _draw_bar(page, scale, bottom)
    return page


def _places(sheet: Sheet, page: Page) -> Iterator[tuple[int, float, float]]:
    """Yield the index of each panel with its left and top in points."""
    lines = max(len(_title_lines(page, sheet, panel)) for panel in sheet.panels)
    title = _SMALL * LINE + _PAD + (lines - 1) * _line(sheet) if lines else 0.0
    left = top = 0.0
    for index, panel in enumerate(sheet.panels):
        if index and index % sheet.across == 0:
            left = 0.0
            top += page.snapped(panel.cells.shape[0] * sheet.cell[1] + title + GAP)
        yield index, left, top
        titles = (page.width(line, sheet.text_size) for line in _title_lines(page, sheet, panel))
        left += page.snapped(max(panel.cells.shape[1] * sheet.cell[0], *titles, 0.0) + GAP)


def _title_lines(page: Page, sheet: Sheet, panel: Panel) -> list[str]:
    """Return the title of a panel in lines: one, unless the page is no wider than it is told to be."""
    if not panel.title or page.room is None:
        return [panel.title] if panel.title else []
    return page.wrapped(panel.title, sheet.text_size, panel.cells.shape[1] * sheet.cell[0])


def _line(sheet: Sheet) -> float:
    """Return the height of a line of labels in points."""
    return sheet.text_size * LINE


def _draw_cells(page: Page, sheet: Sheet, panel: Panel, scale: Scale, left: float, top: float) -> None:
    rows, columns = panel.cells.shape
    width, height = columns * sheet.cell[0], rows * sheet.cell[1]
    page.image(panel.cells, (left, top, width, height), scale.norm, scale.colours)
    for row in panel.rules:
        page.line((left - _PAD, left + width + _PAD), (top + row * sheet.cell[1],) * 2, "white", 2.0)


def _draw_numbers(page: Page, sheet: Sheet, panel: Panel, scale: Scale, left: float, top: float) -> None:
    colours = scale.colours(scale.norm(panel.cells))  # [rows, columns, red green blue alpha]
    dark = colours[..., :3] @ (0.299, 0.587, 0.114) < _DARK
    for (row, column), weight in np.ndenumerate(panel.cells):
        if not math.isnan(weight):
            x, y = left + (column + 0.5) * sheet.cell[0], top + (row + 0.5) * sheet.cell[1]
            written = in_cell(float(weight), signed=find_measure(sheet.measure).signed)
            page.text(x, y, written, _NUMBER, "center", "center", "white" if dark[row, column] else INK)


def _draw_signs(page: Page, sheet: Sheet, panel: Panel, scale: Scale, left: float, top: float) -> None:
    """Draw a line into each cell well below zero, so that signs are seen without colours too."""
    width, height = sheet.cell
    least = float(scale.norm.vmin or 0) * _SEEN
    for row, column in np.argwhere(panel.cells <= least):
        x, y = left + (column + 0.5) * width, top + (row + 0.5) * height
        page.line((x - width / 5, x + width / 5), (y, y), "white", 0.8)


def _draw_row_labels(page: Page, sheet: Sheet, panel: Panel, top: float) -> None:
    height = sheet.cell[1]
    labels = page.spelled(panel.rows, sheet.text_size)
    shown = thinned(labels, height, sheet.text_size)
    tick = _PAD * (len(shown) < len(panel.rows))
    for label in shown:
        y = top + label.at * height
        page.text(-_PAD - tick, y, label.text, sheet.text_size, "right", "center", MUTED if label.muted else INK)
        if tick:
            page.line((-_PAD, 0.0), (y, y), MUTED, 0.4)
    widest = max(page.width(label.text, sheet.text_size) for label in labels)
    middle = top + panel.cells.shape[0] * height / 2
    page.text(-2.5 * _PAD - tick - widest, middle, sheet.row_name, _SMALL, "right", "center", MUTED, upright=True)


def _draw_column_labels(page: Page, sheet: Sheet, panel: Panel, left: float, top: float) -> None:
    width, size = sheet.cell[0], sheet.text_size
    up = -1 if sheet.columns_on_top else 1  # the direction away from the panel
    edge = top if sheet.columns_on_top else top + panel.cells.shape[0] * sheet.cell[1]
    side = "bottom" if sheet.columns_on_top else "top"
    labels = page.spelled(panel.columns, size)
    upright = not _fit_side_by_side(page, labels, width, size)
    shown = thinned(labels, width, size) if upright else labels
    tick = _PAD * (len(shown) < len(panel.columns))
    for label in shown:
        x = left + label.at * width
        tone = MUTED if label.muted else INK
        page.text(x, edge + up * (_PAD + tick), label.text, size, "center", side, tone, upright)
        if tick:
            page.line((x, x), (edge, edge + up * _PAD), MUTED, 0.4)
    deep = max(page.width(label.text, size) for label in shown) if upright else size * LINE
    middle = left + panel.cells.shape[1] * width / 2
    page.text(middle, edge + up * (2 * _PAD + tick + deep), panel.column_name, _SMALL, "center", side, MUTED)


def _fit_side_by_side(page: Page, labels: Sequence[Label], cell: float, size: float) -> bool:
    """Return whether all labels can be written horizontally."""
    pitch = min((b.at - a.at for a, b in pairwise(labels)), default=math.inf) * cell
    return all(page.width(label.text, size) <= pitch - size / 2 for label in labels)


def _draw_bar(page: Page, scale: Scale, bottom: float) -> None:
    """Draw the colour bar, right of everything drawn so far."""
    left = page.snapped(page.right + GAP)
    height = min(max(bottom, _BAR_HEIGHT[0]), _BAR_HEIGHT[1])
    ramp = np.linspace(1, 0, 256, dtype=np.float32)[:, None]
    page.image(ramp, (left, 0.0, _BAR_WIDTH, height), None, scale.colours)
    for weight, text in scale.ticks:
        y = height * (1 - float(scale.norm(weight)))
        page.line((left + _BAR_WIDTH, left + _BAR_WIDTH + 2), (y, y), MUTED, 0.4)
        page.text(left + _BAR_WIDTH + _PAD, y, text, _SMALL, "left", "center")
    page.text(left, -_PAD - _SMALL / 2, scale.name, _SMALL, "left", "bottom", MUTED)


def _draw_words(page: Page, sheet: Sheet, style: Style) -> None:
    """Write heading and remarks above, and the caption below, as wide as the panels; nothing above without a heading.

    Remarks are left out with the caption, and stand in it where there is no heading.
    """
    left, width = page.left, page.room or max(page.right - page.left, _NARROWEST)
    text = sheet.text
    above = [(text.heading, _HEADING, INK)]
    if style.caption:
        page.lines(left, page.bottom + GAP, page.wrapped(text.small_print, _SMALL, width), _SMALL, MUTED)
        above += ((remark, _SMALL, MUTED) for remark in text.remarks if text.heading)
    written = [(page.wrapped(words, size, width), size, tone) for words, size, tone in above if words]
    top = page.top - GAP / 2 - sum(len(lines) * size * LINE for lines, size, _ in written)
    for lines, size, tone in written:
        top = page.lines(left, top, lines, size, tone)
