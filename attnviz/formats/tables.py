"""Tables of numbers as data for other programs: a line of JSON each, or rows of CSV and TSV."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from attnviz.errors import UsageError
from attnviz.formats.writing import json_line
from attnviz.records import Followed, HeadTable, Relation, RelationTable

Table = HeadTable | RelationTable
"""Numbers for each head, or for each relation between words."""


def stream_lines(portions: Iterable[Sequence[Table]]) -> Iterator[bytes]:
    """Yield a line for each table, as `to_line` makes it."""
    return (to_line(table) for tables in portions for table in tables)


def to_line(table: Table) -> bytes:
    """Return one line: the model, the kind, how many texts, a record for each row, and what each number means.

    A row is a head, or a relation. A number of a head stands under its name, how many texts have it under the name with
    `_n`, and its standard error over texts under the name with `_se`. Null stands for what is undefined, and for the
    label of a head that no label fits, or the partner of one that has none. The table of one text of several says which
    that is, that of a search what was `asked` for, that of a comparison what was done to compare (`notes`), and that of
    a treebank how many of its words are `left_out`.
    """
    whole = {**_text(table), "model": table.model, "kind": table.kind.value, **_grouping(table), "texts": table.texts}
    if table.asked:
        whole["asked"] = table.asked
    if isinstance(table, HeadTable):
        whole |= {"notes": table.notes} if table.notes else {}
        rows = {"heads": [fields | _label(table, fields) for fields in _heads(table, paired=bool(table.partners))]}
    else:
        whole["left_out"] = table.left_out
        rows = {"relations": [_relation(relation) for relation in table.relations]}
    return json_line(whole | rows | {"definitions": table.definitions})


def _text(table: Table) -> dict[str, Any]:
    """Return which text of several a table is of; nothing at all if it is of all."""
    if isinstance(table, RelationTable) or table.text_index is None:
        return {}
    return {"text_index": table.text_index, "text": table.text}


def _grouping(table: Table) -> dict[str, str]:
    """Return what the numbers of a table are between."""
    return {"by": table.by.value} if isinstance(table, HeadTable) else {}


def stream_rows(portions: Iterable[Sequence[Table]], delimiter: str) -> Iterator[bytes]:
    """Yield a header, and a row for each head, or relation, delimited fields each; what is undefined is empty.

    Rows of several models, or of several ways to group tokens, end with these; so do those of saved records one by one,
    which may be of several. Rows of single texts begin with the index of the text.

    Raises:
        UsageError: tables that come later are of another model, or have other columns.
    """
    known, told, names = set[tuple[str, ...]](), False, list[str]()
    for tables in filter(None, portions):
        sources = {_source(table) for table in tables}
        if not known:
            known, told = sources, len(sources) > 1 or any(map(_is_saved, tables))
        elif not told and (others := sources - known):
            raise UsageError(
                f"The rows so far are of {min(known)[0]} and have no model column, but these are of {min(others)[0]}:",
                hint="choose {format:json}, or give saved records first.",
            )
        rows = list(_rows(tables, told=told))
        yield delimit(rows, delimiter, names)
        names = names or [name for row in rows[:1] for name in row]


def _source(table: Table) -> tuple[str, ...]:
    """Return the model of a table, and what its numbers are between."""
    return table.model, *_grouping(table).values()


def _is_saved(table: Table) -> bool:
    """Return whether a table is that of one saved record of several, whose text is not told."""
    return isinstance(table, HeadTable) and table.text_index is not None and not table.text


def delimit(rows: Iterable[Mapping[str, Any]], delimiter: str, names: Sequence[str] = ()) -> bytes:
    """Return a header, the names of the first row, and all rows as delimited fields; None is empty.

    Where there is a header already, with these `names`, return the rows alone.

    Raises:
        UsageError: the fields of another row have other names.
    """
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    for row in rows:
        if not names:
            writer.writerow(names := list(row))
        if names != list(row):
            raise UsageError(
                f"Tables of other columns do not fit into one file: {', '.join(names)} and {', '.join(row)}."
            )
        writer.writerow("" if value is None else value for value in row.values())
    return file.getvalue().encode()


def _rows(tables: Sequence[Table], *, told: bool) -> Iterator[dict[str, Any]]:
    """Yield the fields of each row of each table, by name; it is `told` of which model a row is."""
    paired = any(isinstance(table, HeadTable) and table.partners for table in tables)
    for table in tables:
        source = {"model": table.model, **_grouping(table)} if told else {}
        rows = _heads(table, paired=paired) if isinstance(table, HeadTable) else map(_relation, table.relations)
        for row in rows:
            fields = {**_text(table), "kind": table.kind.value, **row, **source}
            fields.pop("text", None)
            yield fields


DELIMITERS: Mapping[str, str] = {"csv": ",", "tsv": "\t"}
"""What stands between the fields of a row, in the formats that have rows."""

PORTIONS: Mapping[str, Callable[[Iterable[Sequence[Table]]], Iterator[bytes]]] = {
    "json": stream_lines,
    **{form: partial(stream_rows, delimiter=delimiter) for form, delimiter in DELIMITERS.items()},
}
"""The formats of tables that come some at a time, by name, which is also the suffix."""


def encode_tables(tables: Sequence[Table], form: str) -> bytes:
    """Return tables in one of these formats."""
    return b"".join(PORTIONS[form]([tables]))


def _heads(table: HeadTable, *, paired: bool) -> Iterator[dict[str, Any]]:
    """Yield for each head its layer, its number, those of its partner if heads are `paired`, and its numbers, by name.

    In a table without partners, each head is compared with that of the same layer and number.
    """
    for place in table.places():
        row, column_of_head = place
        own = table.layers[row], table.heads[column_of_head]
        fields: dict[str, Any] = dict(zip(("layer", "head"), own, strict=True))
        if paired:
            partner = table.partners.get(own, (None, None)) if table.partners else own
            fields |= zip(("partner_layer", "partner_head"), partner, strict=True)
        for name, column in table.columns.items():
            fields[name] = _defined(column.means[place])
            fields[f"{name}_n"] = int(column.counts[place])
            fields[f"{name}_se"] = _defined(column.errors[place])
        yield fields


def _relation(relation: Relation) -> dict[str, Any]:
    """Return what is known of a relation, by name."""
    return {
        "relation": relation.name,
        "layer": relation.layer,
        "head": relation.head,
        "direction": relation.direction.value,
        **_followed(relation.whole),
        "offset": relation.offset,
        **{f"held_out_{name}": value for name, value in _followed(relation.held_out).items()},
    }


def _followed(followed: Followed) -> dict[str, float | None]:
    return {"accuracy": followed.accuracy, "baseline": followed.baseline, "count": followed.count}


def _label(table: HeadTable, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the label of a head with its rule and number; nothing at all where the table has none for any."""
    if not table.labels:
        return {}
    found = table.labels.get((fields["layer"], fields["head"]))
    named = {"label": None, "label_rule": None, "label_number": None}
    return named if found is None else dict(zip(named, (found.name, found.rule, found.number), strict=True))


def _defined(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
