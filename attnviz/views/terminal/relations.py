"""Relations between words as a table: the head that follows each best, beside the best fixed offset."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from attnviz.measures.relations import ALL
from attnviz.records import Relation, RelationTable
from attnviz.text import visible
from attnviz.views.names import as_percent, counted, head_name
from attnviz.views.report import RelationRows
from attnviz.views.terminal.cells import ellipsised, plain_table

_LONGEST = 13  # columns of the name of a relation
_NAMES = "relation", "head", "direction", "accuracy", "baseline", "count"
_HELD_OUT = "held out", "baseline"  # shown where there is room for them
_WIDE = 80


def relation_rows(section: RelationRows, width: int) -> Iterator[Table | Text]:
    """Yield a line for each relation; the figures for the texts held out are left out where they do not fit."""
    grid, shown = plain_table("dim"), section.table.relations[: section.top]
    names = (*_NAMES, *_HELD_OUT) if width >= _WIDE else _NAMES
    for index, name in enumerate(names):
        grid.add_column(name, justify="left" if index < 3 else "right", no_wrap=True)
    for relation in shown:
        grid.add_row(*_cells(relation)[: len(names)])
    yield grid
    if left := len(section.table.relations) - len(shown):
        yield Text(f"and {left} rarer ones", style="dim")


def best_relation(table: RelationTable) -> Text:
    """Return a sentence on the head that follows all relations together best, and how often it does."""
    whole = table[ALL]
    told = f"{head_name(whole.layer, whole.head)} follows them best"
    if whole.whole.accuracy is not None and whole.whole.baseline is not None:
        told += f", in {as_percent(whole.whole.accuracy)} of {counted(whole.whole.count, 'word')}"
        told += f"; the best fixed distance in {as_percent(whole.whole.baseline)}"
    return Text(visible(table.asked), style="bold").append(f": {told}", "not bold")


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
