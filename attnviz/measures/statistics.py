"""Statistics: a number for each head of a text, from its attention weights, a block of rows at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import UsageError, require
from attnviz.measures.reducers import Block
from attnviz.records import Axes, Column, HeadTable, on_host

Reals = NDArray[np.float64]

_SMOOTHING = 1e-4
"""The share of a row that Clark et al. spread evenly over its keys before they take the entropy."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some query rows of the heads of a layer, as a statistic sees them.

    `weights` is [heads, rows, keys]; `all_keys` counts the keys of the text, those that no row of the block sees
    included; `distances` [rows, keys] says how many tokens each key stands after its query, None between two sequences.
    """

    weights: Reals
    all_keys: int
    distances: NDArray[np.int64] | None

    def at_distance(self, distance: int) -> Reals:
        """Return the weight of the key that stands so far after each query: [heads, rows], 0 where there is none."""
        assert self.distances is not None  # such a statistic is not asked for between two sequences
        there = self.distances == distance  # [rows, keys]
        found: Reals = np.where(there, self.weights, 0).sum(-1)
        return found

    @property
    def entropy(self) -> Reals:
        """Return the entropy of each smoothed row in nats: [heads, rows]."""
        least = _SMOOTHING / self.all_keys  # what is left of a weight of 0
        smooth = self.weights * (1 - _SMOOTHING) + least
        unseen = self.all_keys - self.weights.shape[-1]
        total: Reals = -(smooth * np.log(smooth)).sum(-1) - unseen * least * np.log(least)
        return total


@dataclass(frozen=True, slots=True)
class Statistic:
    """A number for each head: the mean over all queries of a text of what `of_rows` gives for each, [heads, rows].

    Between two sequences, where no key stands before or after a query, one that `takes_order` is undefined.
    """

    definition: str
    source: str
    of_rows: Callable[[Rows], Reals]
    takes_order: bool = False

    def is_defined(self, axes: Axes) -> bool:
        """Return whether a text with these axes has such a number."""
        return not (self.takes_order and axes.kind.crosses)


_CLARK = "Clark et al. 2019, What Does BERT Look At?"


def _share(distance: int, key: str) -> Statistic:
    definition = f"mean weight of {key}, over all queries; a query that has no such key counts as 0"
    return Statistic(definition, f"{_CLARK}, section 3.1", lambda rows: rows.at_distance(distance), takes_order=True)


STATISTICS: dict[str, Statistic] = {
    "entropy": Statistic(
        "mean entropy of a row in nats, each weight a first made 0.9999 a + 0.0001 / keys",
        f"{_CLARK}, section 3.3",
        lambda rows: rows.entropy,
    ),
    "normalized_entropy": Statistic(
        "entropy divided by the logarithm of the number of keys: 0 for one key of several, 1 for all alike",
        "ours",
        lambda rows: rows.entropy / (np.log(rows.all_keys) if rows.all_keys > 1 else np.nan),
    ),
    "previous": _share(-1, "the key before the query"),
    "next": _share(1, "the key after the query"),
    "same": _share(0, "the query's own token"),
}
"""The statistics that can be computed for each head, by the name that `--stat` and the data formats know them by.

One of your own is a line more, in Python too. Worker processes (`--jobs`) start anew: they know it if the script that
is run registers it at its top.

Example:
    >>> STATISTICS["largest"] = Statistic("mean of the largest weight", "ours", lambda rows: rows.weights.max(-1))
    >>> statistics_named(["largest"])["largest"].source
    'ours'
    >>> del STATISTICS["largest"]
"""


def statistics_named(names: str | Sequence[str]) -> dict[str, Statistic]:
    """Return the statistics of these names, in this order; all of them where none is named.

    Raises:
        UsageError: there is no such statistic.
    """
    names = (names,) if isinstance(names, str) else names
    require(names, Sequence, f"name statistics as in ({', '.join(map(repr, STATISTICS))}).")
    for name in names:
        if name not in STATISTICS:
            raise UsageError(f"There is no statistic {name!r}: choose {', '.join(STATISTICS)}.")
    return {name: STATISTICS[name] for name in names or STATISTICS}


class Statistics:
    """The reducer that computes statistics of one text: a `HeadTable`. It holds a few numbers for each head."""

    def __init__(self, axes: Axes, wanted: Mapping[str, Statistic]) -> None:
        self._axes, self._wanted = axes, wanted
        self._ranks = axes.ranks()
        self._sums = {  # [layers, heads] each
            name: np.full(axes.shape[:2], 0.0 if statistic.is_defined(axes) else np.nan)
            for name, statistic in wanted.items()
        }

    def update(self, block: Block) -> None:
        """Add the rows of a block."""
        layer = self._axes.layers.index(block.layer)
        heads = [self._axes.heads.index(head) for head in block.heads]
        rows = Rows(on_host(block.weights).astype(float), self._axes.shape[-1], self._distances(block))
        for name, statistic in self._wanted.items():
            if statistic.is_defined(self._axes):
                self._sums[name][layer, heads] += statistic.of_rows(rows).sum(-1)

    def result(self) -> HeadTable:
        """Return the table of this one text."""
        axes, queries = self._axes, len(self._axes.query_tokens)
        columns = {
            name: Column.of_one_text(self._sums[name] / queries, f"{statistic.definition} ({statistic.source})")
            for name, statistic in self._wanted.items()
        }
        return HeadTable(
            model=axes.model,
            kind=axes.kind,
            by=axes.by,
            layers=axes.layers,
            heads=axes.heads,
            texts=1,
            columns=columns,
        )

    def _distances(self, block: Block) -> NDArray[np.int64] | None:
        """Return how many tokens each key of a block stands after each query: [rows, keys]."""
        if self._ranks is None:
            return None
        queries, keys = self._ranks
        distances: NDArray[np.int64] = keys[np.asarray(block.keys)] - queries[np.asarray(block.rows)][:, None]
        return distances
