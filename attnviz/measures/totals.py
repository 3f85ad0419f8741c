"""Totals over many texts, which come out the same in any order and however the work was shared."""

import math
from collections.abc import Callable, Iterator
from typing import Self

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.measures.labels import find_labels
from attnviz.measures.statistics import STATISTICS, Reals
from attnviz.measures.variability import Sample
from attnviz.records import Column, HeadTable
from attnviz.text import read_grouping
from attnviz.vocabulary import Kind

_ONE = 2**40
"""The value 1 in fixed point. Sums of such integers are exact, so that they can be added up in any order."""

Integers = NDArray[np.object_]
"""Integers of Python, which never overflow: [layers, heads]."""


class Moments(Struct, frozen=True, eq=False):
    """The number of texts that have a value, the sum of the values, and the sum of their squares, in fixed point."""

    counts: Integers
    sums: Integers
    squares: Integers
    definition: str

    @classmethod
    def of(cls, column: Column) -> Self:
        """Return those of the values of one text, rounded to fixed point."""
        there = np.isfinite(column.means)
        fixed = _INTEGER(np.rint(np.where(there, column.means, 0) * _ONE))
        return cls(there.astype(object), fixed, fixed * fixed, column.definition)

    def __add__(self, other: "Moments") -> "Moments":
        """Return those of the values of both."""
        return Moments(
            self.counts + other.counts, self.sums + other.sums, self.squares + other.squares, self.definition
        )

    def column(self) -> Column:
        """Return the means, and their standard errors over texts."""
        means, errors = _MEAN(self.counts, self.sums), _ERROR(self.counts, self.sums, self.squares)
        return Column(means.astype(float), self.counts.astype(np.int64), errors.astype(float), self.definition)


def _mean(count: int, total: int) -> float:
    return total / count / _ONE if count else math.nan


def _error(count: int, total: int, squares: int) -> float:
    if count < 2:
        return math.nan
    spread = count * squares - total * total  # n² (n - 1) times the squared error
    return math.sqrt(spread / (count**2 * (count - 1))) / _ONE


_INTEGER: Callable[..., Integers] = np.frompyfunc(int, 1, 1)
_MEAN: Callable[..., Integers] = np.frompyfunc(_mean, 2, 1)
_ERROR: Callable[..., Integers] = np.frompyfunc(_error, 3, 1)


class Compared(Struct, frozen=True, eq=False):
    """A sample of texts for a number that only several texts have, and what makes it of them."""

    sample: Sample
    compute: Callable[[Reals], Reals]
    definition: str

    def __add__(self, other: "Compared") -> "Compared":
        """Return that of both."""
        return replace(self, sample=self.sample + other.sample)

    def column(self) -> Column:
        """Return the number of the sample, which has no standard error."""
        values = self.sample.compute(self.compute)
        counts = np.where(np.isfinite(values), len(self.sample.corners), 0)
        return Column(values, counts, np.full(values.shape, np.nan), self.definition)


class Total(Struct):
    """The total over texts that have the same heads: the number of texts, and what each statistic comes to."""

    texts: int = 0
    moments: dict[str, Moments | Compared] = field(default_factory=dict)

    def merge(self, other: "Total") -> None:
        """Take in all texts of another."""
        self.texts += other.texts
        for name, theirs in other.moments.items():
            self.moments[name] = _join(self.moments[name], theirs) if name in self.moments else theirs


def _join(one: Moments | Compared, other: Moments | Compared) -> Moments | Compared:
    """Return the total of both; a text that is not defined for a comparison is no part of it."""
    if isinstance(one, Compared) and isinstance(other, Compared):
        return one + other
    if isinstance(one, Moments) and isinstance(other, Moments):
        return one + other
    return one if isinstance(one, Compared) else other


def _total_of(name: str, column: Column) -> Moments | Compared:
    if column.corner is None:
        return Moments.of(column)
    compute = STATISTICS[name].over_texts
    assert compute is not None  # else its column has no corner
    return Compared(Sample.of(column.corner), compute, column.definition)


Key = tuple[str, Kind, str, tuple[int, ...], tuple[int, ...]]
"""The key of texts that are added up: their model, kind, grouping of tokens, layers and heads."""


class Totals(Struct):
    """The totals of all texts. Those of other models, kinds, groups of tokens, layers or heads are kept apart."""

    each: dict[Key, Total] = field(default_factory=dict)

    def add(self, table: HeadTable) -> None:
        """Take in the table of one text."""
        key = table.model, table.kind, table.by.value, table.layers, table.heads
        moments = {name: _total_of(name, column) for name, column in table.columns.items()}
        self.merge(Totals({key: Total(1, moments)}))

    def merge(self, other: "Totals") -> None:
        """Take in all texts of another."""
        for key, total in other.each.items():
            self.each.setdefault(key, Total()).merge(total)

    def tables(self) -> Iterator[HeadTable]:
        """Yield the table of each total, by the names of models and kinds."""
        for key in sorted(self.each, key=lambda key: (key[0], key[1].rank, *key[2:])):
            model, kind, by, layers, heads = key
            total = self.each[key]
            table = HeadTable(
                model=model,
                kind=kind,
                by=read_grouping(by),
                layers=layers,
                heads=heads,
                texts=total.texts,
                columns={name: moments.column() for name, moments in total.moments.items()},
            )
            yield replace(table, labels=find_labels(table))
