"""Relations between words as a table: the head that follows each best, beside the best fixed offset."""

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from attnviz.records import ALL_RELATIONS, Relation, RelationTable
from attnviz.text import visible
from attnviz.views.names import as_percent, counted, head_name
from attnviz.views.report import RelationRows
from attnviz.views.terminal.cells import GAP, ellipsised, plain_table

_LONGEST = 13  # columns of the name of a relation
_NAMES = "relation", "head", "direction", "accuracy", "baseline", "count"
_HELD_OUT = "held out", "baseline"  # shown where there is room for them
_WIDE = 80
_DISPENSABLE = 5, 2, 4  # places of columns, in the order in which they go where not all fit


def relation_rows(section: RelationRows, width: int) -> Iterator[Table | Text]:
    """Yield a line for each relation; the figures for the texts held out, and then others, go where they do not fit."""
    grid, shown = plain_table("dim"), section.table.relations[: section.top]
    names = (*_NAMES, *_HELD_OUT) if width >= _WIDE else _NAMES
    rows = [_cells(relation)[: len(names)] for relation in shown]
    kept = _fit([max(cell.cell_len for cell in column) for column in zip(map(Text, names), *rows, strict=True)], width)
    for place in kept:
        grid.add_column(names[place], justify="left" if place < 3 else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*(row[place] for place in kept))
    yield grid
    if left := len(section.table.relations) - len(shown):
        yield Text(f"and {left} rarer ones", style="dim")


def _fit(widths: Sequence[int], width: int) -> list[int]:
    """Return the places of the columns of these widths that are shown side by side."""
    kept = list(range(len(widths)))
    for place in (place for place in _DISPENSABLE if place in kept):
        if sum(widths[each] + GAP for each in kept) - GAP <= width:
            break
        kept.remove(place)
    return kept


def tell_best_relation(table: RelationTable) -> str:
    """Tell of the head that follows all relations together best, how often it does, and on other texts."""
    best = table[ALL_RELATIONS]
    whole, held_out = best.whole, best.held_out
    told = f"{head_name(best.layer, best.head)} follows them best"
    if whole.accuracy is not None and whole.baseline is not None:
        told += f", in {as_percent(whole.accuracy)} of {counted(whole.count, 'word')}"
        told += f"; the best fixed distance in {as_percent(whole.baseline)}"
        if held_out.accuracy is not None and held_out.baseline is not None:
            told += f". On texts that neither was chosen on: {as_percent(held_out.accuracy)}"
            told += f", the fixed distance {as_percent(held_out.baseline)}"
    return told


def shown_definitions(table: RelationTable, width: int) -> dict[str, str]:
    """Return what the numbers mean that a table of this width has."""
    return {name: told for name, told in table.definitions.items() if width >= _WIDE or name != "held_out"}


def _cells(relation: Relation) -> list[Text]:
    whole, held_out = relation.whole, relation.held_out
    return [
        Text(ellipsised(visible(relation.name), _LONGEST)),
        Text(head_name(relation.layer, relation.head)),
        Text(relation.direction.value),
        _share(whole.accuracy),
        _share(whole.baseline).append(f" {relation.offset:+d}".replace("-", "−"), "dim"),
        Text(f"{whole.count:,}"),
        _share(held_out.accuracy),
        _share(held_out.baseline),
    ]


def _share(number: float | None) -> Text:
    return Text("–" if number is None else f"{number:.3f}")
