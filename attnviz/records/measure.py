"""Measures: what the numbers of a record are, for each query and key."""

from attnviz.records.described import Described
from attnviz.vocabulary import DIFFERENCE, WEIGHT


class Measure(Described, frozen=True, kw_only=True):
    """A number for each query and key of a head.

    Where rows are `distributions`, no number is negative and each row sums to 1: such records are `Attention`. Numbers
    that are `signed` may be negative: they are written with their sign, and 0 is the middle of their colours. Records
    of the `usual` measure do not say so, and one that says nothing is of it.
    """

    distributions: bool = False
    signed: bool = False
    usual: bool = False


MEASURES: dict[str, Measure] = {
    WEIGHT: Measure(
        "share of a query's attention that a key gets, after softmax",
        "Vaswani et al. 2017, Attention Is All You Need, section 3.2.1",
        formula="softmax(q kᵀ / √d_k), or with another score function",
        extent="0 to 1; each row sums to 1, or to less where a sink takes the rest",
        high="looks at this key, and at little else",
        distributions=True,
        usual=True,
    ),
    DIFFERENCE: Measure(
        "weight in the second of two records minus that in the first, between tokens that both have",
        "ours",
        formula="b[i, j] − a[i, j], of rows that are rescaled to these tokens",
        extent="−1 to 1; each row sums to 0",
        high="looks at this key more in the second record",
        signed=True,
    ),
}
"""The measures, by the name that records and the data formats know them by; one of your own is an entry more."""

_UNKNOWN = Measure("numbers of another program", "unknown", signed=True)


def find_measure(name: str) -> Measure:
    """Return the measure of this name; one that nobody knows is signed, since its numbers may be anything."""
    return MEASURES.get(name, _UNKNOWN)
