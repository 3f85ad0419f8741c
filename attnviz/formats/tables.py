"""Head tables as data for other programs: a line of JSON each, or rows of CSV and TSV."""

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from attnviz.formats.writing import json_line
from attnviz.records import HeadTable


def to_lines(tables: Sequence[HeadTable]) -> bytes:
    """Return a line for each table, as `to_line` makes it."""
    return b"".join(map(to_line, tables))


def to_line(table: HeadTable) -> bytes:
    """Return one line: the model, the kind, how many texts, a record for each head, and what each number means.

    A number stands under its name, how many texts have it under the name with `_n`, and its standard error over texts
    under the name with `_se`. Null stands for what is undefined, and for the label of a head that no label fits. The
    table of one text of several says which that is.
    """
    return json_line(
        {
            **({} if table.text_index is None else {"text_index": table.text_index, "text": table.text}),
            "model": table.model,
            "kind": table.kind.value,
            "by": table.by.value,
            "texts": table.texts,
            "heads": [fields | _label(table, fields) for fields in _heads(table)],
            "definitions": {name: column.definition for name, column in table.columns.items()},
        }
    )


def to_rows(tables: Sequence[HeadTable], delimiter: str) -> bytes:
    """Return a header and a row for each head, fields separated by a delimiter; what is undefined is empty.

    Rows of several models, or of several ways to group tokens, end with these. Rows of single texts begin with the
    index of the text.
    """
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    several = len({(table.model, table.by.value) for table in tables}) > 1
    for number, table in enumerate(tables):
        of_text = {} if table.text_index is None else {"text_index": table.text_index}
        source = {"model": table.model, "by": table.by.value} if several else {}
        for row, head in enumerate(_heads(table)):
            fields = {**of_text, "kind": table.kind.value, **head, **source}
            if not (number or row):
                writer.writerow(fields)
            writer.writerow("" if value is None else value for value in fields.values())
    return file.getvalue().encode()


TABLES: Mapping[str, Callable[[Sequence[HeadTable]], bytes]] = {
    "json": to_lines,
    "csv": partial(to_rows, delimiter=","),
    "tsv": partial(to_rows, delimiter="\t"),
}
"""The formats of head tables, by name, which is also the suffix."""


def _heads(table: HeadTable) -> Iterator[dict[str, Any]]:
    """Return for each head its layer, its number and its numbers, by name."""
    for row, layer in enumerate(table.layers):
        for place, head in enumerate(table.heads):
            fields: dict[str, Any] = {"layer": layer, "head": head}
            for name, column in table.columns.items():
                fields[name] = _defined(column.means[row, place])
                fields[f"{name}_n"] = int(column.counts[row, place])
                fields[f"{name}_se"] = _defined(column.errors[row, place])
            yield fields


def _label(table: HeadTable, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the label of a head with its rule and number; nothing at all where the table has none for any."""
    if not table.labels:
        return {}
    found = table.labels.get((fields["layer"], fields["head"]))
    named = {"label": None, "label_rule": None, "label_number": None}
    return named if found is None else dict(zip(named, (found.name, found.rule, found.number), strict=True))


def _defined(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
