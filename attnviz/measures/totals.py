"""Totals over many texts, which come out the same in any order and however the work was shared."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.measures.labels import find_labels
from attnviz.measures.statistics import STATISTICS
from attnviz.measures.variability import Sample
from attnviz.records import Axes, Column, HeadTable
from attnviz.text import Grouping
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

    def __add__(self, other: "Moments | Sample") -> "Moments | Sample":
        """Return those of the values of both; a text that is not defined for a comparison is no part of it."""
        if isinstance(other, Sample):
            return other
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


def _measure_column(name: str, column: Column) -> Moments | Sample:
    """Return the part of a total that the column of one text is."""
    if column.corner is None:
        return Moments.of(column)
    compute = STATISTICS[name].over_texts
    assert compute is not None  # else its column has no corner
    return Sample.of(column.corner, compute, column.definition)


class Total(Struct):
    """The total over texts that have the same heads: the number of texts, and the sum of each of their named parts.

    `left_out` is how many words of a treebank are in none of the parts.
    """

    texts: int = 0
    parts: dict[Any, Any] = field(default_factory=dict)
    left_out: int = 0

    def merge(self, other: "Total") -> None:
        """Take in all texts of another."""
        self.texts += other.texts
        self.left_out += other.left_out
        for name, part in other.parts.items():
            self.parts[name] = self.parts[name] + part if name in self.parts else part


class SharedHeads(Struct, frozen=True):
    """The heads that texts have in common whose numbers are added up, and what these are between."""

    model: str
    kind: Kind
    by: Grouping
    layers: tuple[int, ...]
    heads: tuple[int, ...]

    @classmethod
    def of(cls, axes: Axes | HeadTable) -> Self:
        """Return the heads on these axes, or of a table."""
        return cls(axes.model, axes.kind, axes.by, axes.layers, axes.heads)

    @property
    def rank(self) -> tuple[object, ...]:
        """Return by what tables are sorted: by the names of models and kinds."""
        return self.model, self.kind.rank, self.by.value, self.layers, self.heads

    def table(self, total: Total) -> Any:
        """Return the table of the numbers of these heads over all texts of a total."""
        table = self.make_table(total.texts, {name: part.column() for name, part in total.parts.items()})
        return replace(table, labels=find_labels(table))

    def make_table(self, texts: int, columns: Mapping[str, Column]) -> HeadTable:
        """Return the table that has these columns, of so many texts."""
        return HeadTable(
            model=self.model,
            kind=self.kind,
            by=self.by,
            layers=self.layers,
            heads=self.heads,
            texts=texts,
            columns=columns,
        )


Summand = tuple[SharedHeads, Total]
"""What a text adds to the totals, and of which heads."""


class Totals(Struct):
    """The totals of all texts. Those of other models, kinds, groups of tokens, layers or heads are kept apart."""

    each: dict[SharedHeads, Total] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Iterable[HeadTable | Summand]) -> Self:
        """Return the totals of what some texts add."""
        totals = cls()
        for each in found:
            totals.add(each)
        return totals

    def add(self, found: HeadTable | Summand) -> None:
        """Take in one text: its table, or what it adds."""
        heads, total = _measure_table(found) if isinstance(found, HeadTable) else found
        self.each.setdefault(heads, Total()).merge(total)

    def merge(self, other: "Totals") -> None:
        """Take in all texts of another."""
        for summand in other.each.items():
            self.add(summand)

    def tables(self) -> Iterator[Any]:
        """Yield the table of each total, by the names of models and kinds."""
        for heads in sorted(self.each, key=lambda heads: heads.rank):
            yield heads.table(self.each[heads])


def _measure_table(table: HeadTable) -> Summand:
    return SharedHeads.of(table), Total(
        1, {name: _measure_column(name, column) for name, column in table.columns.items()}
    )
