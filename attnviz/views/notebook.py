"""Records in a notebook: a picture that shows wherever scripts are taken out, then the page in a frame of its own."""

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any
from uuid import uuid4

import numpy as np

from attnviz.records import HeadMatrix, HeadTable
from attnviz.text import visible
from attnviz.views.names import head_name
from attnviz.views.page.pages import PageStart, make_page

_BUDGET = 5_000_000  # bytes of numbers in an output, which is saved with the notebook
_HEIGHT = 680  # pixels of a frame
_ROWS = 50  # heads of a table
_DPI = 100


def draw(shown: Any) -> Mapping[str, str]:
    """Return what a notebook can show of a record, a table, or a list of either; nothing of anything else."""
    given = shown if isinstance(shown, Sequence) else [shown]
    if given and all(isinstance(one, HeadTable) for one in given):
        return {"text/html": "".join(map(_draw_table, given))}
    if given and all(isinstance(one, HeadMatrix) for one in given):
        return _draw_records(given)
    return {}


def _draw_records(found: Sequence[HeadMatrix]) -> Mapping[str, str]:
    from attnviz.views.image.pictures import LAYOUTS, render
    from attnviz.views.image.style import Style
    from attnviz.vocabulary import Layout

    drawn = (picture for record in found for picture in LAYOUTS[Layout.GRID](record, Style(dpi=_DPI)))
    pictures = [base64.b64encode(render(picture.figure, "png")).decode() for picture in drawn]
    text = next((token.source.text for token in found[0].query_tokens if token.source), "")
    page = make_page(found, text, PageStart(), _BUDGET).data.decode()
    images = "".join(
        f'<img style="max-width: 36rem; width: 100%" src="data:image/png;base64,{one}" alt="{_name(found[0])}">'
        for one in pictures
    )
    frame = (
        f'<iframe id="attnviz-{uuid4().hex}" title="{_name(found[0])}" width="100%" height="{_HEIGHT}" '
        'style="border: 0" sandbox="allow-scripts allow-downloads" allow="clipboard-write" '
        f'srcdoc="{html.escape(page)}"></iframe>'
    )
    return {"image/png": pictures[0], "text/html": f"<div>{images}</div>{frame}"}


def _name(record: HeadMatrix) -> str:
    return html.escape(f"{record.kind.value} attention of {visible(record.model)}")


def _draw_table(table: HeadTable) -> str:
    """Return a table in HTML: a row a head, a column a number, with its definition under the pointer."""
    heads = list(product(table.layers, table.heads))
    names = [
        f'<th title="{html.escape(column.definition)}">{html.escape(name)}</th>'
        for name, column in table.columns.items()
    ]
    rows = [
        (head_name(layer, head), *_numbers(table, place), _label(table, layer, head))
        for place, (layer, head) in enumerate(heads[:_ROWS])
    ]
    caption = f"{html.escape(visible(table.model))}, {table.kind.value} attention, texts: {table.texts}"
    caption += f"; {_ROWS} of {len(heads)} heads" if len(heads) > _ROWS else ""
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><caption>{caption}</caption><tr><th>head</th>{''.join(names)}<th></th></tr>{body}</table>"


def _numbers(table: HeadTable, place: int) -> Iterable[str]:
    for column in table.columns.values():
        number = column.means.ravel()[place]
        yield f"{number:.2f}" if np.isfinite(number) else ""


def _label(table: HeadTable, layer: int, head: int) -> str:
    label, partner = table.labels.get((layer, head)), table.partners.get((layer, head))
    return " ".join([*([f"paired with {head_name(*partner)}"] if partner else []), *([label.name] if label else [])])
