"""Reports on tables: which of their sections are shown, and in which order."""

from collections.abc import Iterator
from itertools import product

from msgspec import Struct

from attnviz.measures.labels import LABELS, is_judged_alone
from attnviz.records import HeadTable, RelationTable
from attnviz.views.report import Answer, Definitions, HeadNumber, HeadRows, RankedHeads, RelationRows, Section, Summary


class TableReport(Struct, frozen=True):
    """A report on tables: all numbers of `every` head, or the `top` heads of each number and their labels.

    Heads are in the order of the model, or sorted by the number `sort`, largest first. Of tables that list the best
    heads, or relations, first, it shows the `top` first.
    """

    every: bool
    top: int
    sort: str | None
    define: bool

    def sections(self, table: HeadTable | RelationTable) -> Iterator[Section]:
        """Yield the sections of a table: the summary, its numbers, and their definitions.

        Raises:
            UsageError: the table does not have the number to sort by.
        """
        yield Summary(table)
        if table.asked:
            yield Answer(table)
        top = None if self.every else self.top
        if isinstance(table, RelationTable):
            yield RelationRows(table, top)
        elif table.ranked_by:
            yield HeadRows(table, table.listed()[:top])
        elif self.every or self.sort:
            yield HeadRows(table, self._order(table))
        else:
            yield from self._rank(table)
        if self.define:
            yield Definitions(table)

    def _rank(self, table: HeadTable) -> Iterator[RankedHeads]:
        """Yield what heads do by each number, and then the highest heads of each."""
        if judged := dict(_judge(table)):
            yield RankedHeads("What these heads do, judged by a number", judged, "no head")
        ranks = {name: table.highest(name, self.top) for name in table.columns}
        yield RankedHeads("Heads with the highest numbers", ranks)

    def _order(self, table: HeadTable) -> list[tuple[int, int]]:
        """Return the heads in the order asked for; those without the number come last."""
        heads = list(product(table.layers, table.heads))
        if self.sort is None:
            return heads
        first = [(layer, head) for layer, head, _ in table.highest(self.sort, None)]
        ordered = list(dict.fromkeys([*first, *heads]))
        return ordered if self.every else ordered[: self.top]


def _judge(table: HeadTable) -> Iterator[tuple[str, list[HeadNumber]]]:
    """Yield each label with its rule, and the heads that have it.

    Where only some numbers were asked for, heads have no labels by them; then each rule on one of these stands for
    itself, even if no head meets it.
    """
    for label in LABELS:
        if label.statistic not in table.columns:
            continue
        ranked = table.highest(label.statistic, None)
        if alone := is_judged_alone(table, label):
            having = [each for each in ranked if label.fits(each[2])]
        else:
            having = [each for each in ranked if each[:2] in table.labels and table.labels[each[:2]].name == label.name]
        if having or (alone and ranked):
            yield f"{label.name} ({label.rule})", having
