"""Labels: what a head does, in a word, by a rule on its numbers."""

from dataclasses import dataclass

from attnviz.records import HeadTable


@dataclass(frozen=True, slots=True)
class HeadLabel:
    """A word for heads whose number of this name is `least` or more; `source` says whose rule that is."""

    name: str
    statistic: str
    least: float
    source: str


_CLARK = "Clark et al. 2019"

LABELS = (
    HeadLabel("broad", "normalized_entropy", 0.8, "ours; in Clark et al. 2019, above 3.8 nats for texts of 128 tokens"),
    HeadLabel("positional", "positional", 0.9, "Voita et al. 2019"),
    HeadLabel("previous", "previous", 0.5, _CLARK),
    HeadLabel("next", "next", 0.5, _CLARK),
    HeadLabel("same", "same", 0.5, "ours"),
    HeadLabel("special", "special", 0.6, _CLARK),
    HeadLabel("punctuation", "punctuation", 0.6, _CLARK),
    HeadLabel("first", "first", 0.6, _CLARK),
)
"""The labels of heads. Of those whose rule a head meets it has the last."""


def find_labels(table: HeadTable) -> dict[tuple[int, int], HeadLabel]:
    """Return the label of each head that has one, by its layer and its head, from the numbers that the table has."""
    found: dict[tuple[int, int], HeadLabel] = {}
    for label in LABELS:
        if label.statistic in table.columns:
            found |= {
                (layer, head): label
                for layer, head, number in table.highest(label.statistic, None)
                if number >= label.least
            }
    return found
