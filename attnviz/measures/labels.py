"""Labels: what a head does, in a word, by a rule on its numbers."""

from msgspec import Struct

from attnviz.measures.head_statistics import Statistics
from attnviz.measures.probes import PROBES
from attnviz.measures.reducers import reduce_record
from attnviz.measures.statistics import find_statistics
from attnviz.records import HeadMatrix, HeadTable, Judgement


class HeadLabel(Struct, frozen=True):
    """A word for heads whose number of this name is above `least`, or equal to it if it is `inclusive`.

    `source` says whose rule that is.
    """

    name: str
    statistic: str
    least: float
    source: str
    inclusive: bool = False

    @property
    def rule(self) -> str:
        """Return the rule in signs: `next > 0.5`."""
        return f"{self.statistic} {'≥' if self.inclusive else '>'} {self.least}"

    def fits(self, number: float) -> bool:
        """Return whether a head with this number has the label."""
        return number > self.least or (self.inclusive and number == self.least)


_CLARK = "Clark et al. 2019"

LABELS = (
    HeadLabel("broad", "normalized_entropy", 0.8, "ours; in Clark et al. 2019, above 3.8 nats for texts of 128 tokens"),
    HeadLabel("positional", "positional", 0.9, "Voita et al. 2019", inclusive=True),
    HeadLabel("same", "same", 0.5, "ours"),
    HeadLabel("previous", "previous", 0.5, _CLARK),
    HeadLabel("next", "next", 0.5, _CLARK),
    HeadLabel("first", "first", 0.6, "Clark et al. 2019, of [CLS]"),
    HeadLabel("separator", "separator", 0.6, "Clark et al. 2019, of [SEP]"),
    HeadLabel("punctuation", "punctuation", 0.6, _CLARK),
    HeadLabel("induction", "induction", 0.5, "ours"),
)
"""The labels of heads. Of those whose rule a head meets it has the last, as in the notebook of Clark et al."""

_BY_STATISTIC = [label for label in LABELS if label.statistic not in PROBES]


def find_labels(table: HeadTable) -> dict[tuple[int, int], Judgement]:
    """Return the label of each head that has one, by its layer and its head.

    Labels by statistics are given only where a table has the numbers of all their rules, so that the label of a head
    does not depend on which numbers were asked for; those by a probe where that was run.
    """
    return {
        (layer, head): Judgement(label.name, label.rule, number)
        for label in LABELS
        if label.statistic in table.columns and (label.statistic in PROBES or _has_all(table))
        for layer, head, number in table.highest(label.statistic, None)
        if label.fits(number)
    }


def is_judged_alone(table: HeadTable, label: HeadLabel) -> bool:
    """Return whether no other rule of the same table can give a head another label in place of this one."""
    return label.statistic in PROBES or not _has_all(table)


def judge_heads(record: HeadMatrix) -> dict[tuple[int, int], Judgement]:
    """Return the label of each head of a text that has one, by its layer and its head; none for a part of a text."""
    if not record.is_whole:
        return {}
    wanted = find_statistics([label.statistic for label in _BY_STATISTIC])
    return find_labels(reduce_record(record, Statistics(record, wanted)))


def _has_all(table: HeadTable) -> bool:
    """Return whether a table has the numbers of all labels by statistics."""
    return all(label.statistic in table.columns for label in _BY_STATISTIC)
