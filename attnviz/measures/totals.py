"""Totals: what the values of many texts come to, the same whatever the order of the texts and who added them up."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from attnviz.records import Column, HeadTable
from attnviz.text import grouping
from attnviz.vocabulary import Kind

_KINDS = list(Kind)

_ONE = 2**40
"""The value 1 in fixed point. Sums of such integers are exact, so that they can be added up in any order."""


@dataclass(slots=True)
class Moments:
    """How many values there were, their sum, and the sum of their squares, in fixed point."""

    count: int = 0
    sum: int = 0
    squares: int = 0

    def add(self, value: float) -> None:
        """Take in one value, rounded to fixed point."""
        fixed = round(value * _ONE)
        self.count, self.sum, self.squares = self.count + 1, self.sum + fixed, self.squares + fixed * fixed

    def merge(self, other: "Moments") -> None:
        """Take in all values of another."""
        self.count += other.count
        self.sum += other.sum
        self.squares += other.squares

    @property
    def mean(self) -> float:
        """Return the mean, NaN of no values."""
        return self.sum / self.count / _ONE if self.count else math.nan

    @property
    def error(self) -> float:
        """Return the standard error of the mean, NaN of fewer than two values."""
        if self.count < 2:
            return math.nan
        spread = self.count * self.squares - self.sum * self.sum  # n² (n - 1) times the squared error
        return math.sqrt(spread / (self.count**2 * (self.count - 1))) / _ONE


@dataclass(slots=True)
class Total:
    """The sums of texts that have the same heads: of each statistic, for each layer and head."""

    texts: int = 0
    moments: dict[str, list[list[Moments]]] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)

    def add(self, table: HeadTable) -> None:
        """Take in the table of one text."""
        self.texts += 1
        for name, column in table.columns.items():
            for row, values in zip(self._of(name, column.means.shape, column.definition), column.means, strict=True):
                for moments, value in zip(row, values, strict=True):
                    if math.isfinite(value):
                        moments.add(float(value))

    def merge(self, other: "Total") -> None:
        """Take in all texts of another."""
        self.texts += other.texts
        for name, rows in other.moments.items():
            own = self._of(name, (len(rows), len(rows[0])), other.definitions[name])
            for row, theirs in zip(own, rows, strict=True):
                for moments, each in zip(row, theirs, strict=True):
                    moments.merge(each)

    def columns(self) -> dict[str, Column]:
        """Return the means over all texts, by name."""
        return {name: _column(rows, self.definitions[name]) for name, rows in self.moments.items()}

    def _of(self, name: str, shape: tuple[int, ...], definition: str) -> list[list[Moments]]:
        self.definitions[name] = definition
        layers, heads = shape
        return self.moments.setdefault(name, [[Moments() for _ in range(heads)] for _ in range(layers)])


def _column(rows: list[list[Moments]], definition: str) -> Column:
    return Column(
        np.array([[cell.mean for cell in row] for row in rows]),
        np.array([[cell.count for cell in row] for row in rows]),
        np.array([[cell.error for cell in row] for row in rows]),
        definition,
    )


Key = tuple[str, Kind, str, tuple[int, ...], tuple[int, ...]]
"""What texts have in common that are added up: the model, the kind, what tokens are grouped by, layers and heads."""


@dataclass(slots=True)
class Totals:
    """The totals of all texts. Those of other models, kinds, groups of tokens, layers or heads are kept apart."""

    each: dict[Key, Total] = field(default_factory=dict)

    def add(self, table: HeadTable) -> None:
        """Take in the table of one text."""
        key = table.model, table.kind, table.by.value, table.layers, table.heads
        self.each.setdefault(key, Total()).add(table)

    def merge(self, other: "Totals") -> None:
        """Take in all texts of another."""
        for key, total in other.each.items():
            self.each.setdefault(key, Total()).merge(total)

    def tables(self) -> Iterator[HeadTable]:
        """Return the table of each total, by the names of models and kinds."""
        for key in sorted(self.each, key=lambda key: (key[0], _KINDS.index(key[1]), *key[2:])):
            model, kind, by, layers, heads = key
            total = self.each[key]
            yield HeadTable(
                model=model,
                kind=kind,
                by=grouping(by),
                layers=layers,
                heads=heads,
                texts=total.texts,
                columns=total.columns(),
            )
