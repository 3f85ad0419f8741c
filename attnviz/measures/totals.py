"""Totals: what the values of many texts come to, the same whatever the order of the texts and who added them up."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from attnviz.records import Column, HeadTable
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


Cell = tuple[int, int, str]
"""A layer, a head, and the name of a statistic."""


@dataclass(slots=True)
class Total:
    """The sums of one kind of attention of one model; a head has those of the texts that hold it."""

    texts: int = 0
    cells: dict[Cell, Moments] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)

    def add(self, table: HeadTable) -> None:
        """Take in the table of one text."""
        self.texts += 1
        for name, column in table.columns.items():
            self.definitions[name] = column.definition
            for row, layer in enumerate(table.layers):
                for place, head in enumerate(table.heads):
                    moments = self.cells.setdefault((layer, head, name), Moments())
                    if math.isfinite(value := float(column.means[row, place])):
                        moments.add(value)

    def merge(self, other: "Total") -> None:
        """Take in all texts of another."""
        self.texts += other.texts
        self.definitions |= other.definitions
        for cell, moments in other.cells.items():
            self.cells.setdefault(cell, Moments()).merge(moments)

    def table(self, model: str, kind: Kind) -> HeadTable:
        """Return the means over all texts."""
        layers = tuple(sorted({layer for layer, _, _ in self.cells}))
        heads = tuple(sorted({head for _, head, _ in self.cells}))
        columns = {name: self._column(name, layers, heads) for name in self.definitions}
        return HeadTable(model=model, kind=kind, layers=layers, heads=heads, texts=self.texts, columns=columns)

    def _column(self, name: str, layers: Iterable[int], heads: tuple[int, ...]) -> Column:
        cells = [[self.cells.get((layer, head, name), Moments()) for head in heads] for layer in layers]
        return Column(
            np.array([[cell.mean for cell in row] for row in cells]),
            np.array([[cell.count for cell in row] for row in cells]),
            np.array([[cell.error for cell in row] for row in cells]),
            self.definitions[name],
        )


@dataclass(slots=True)
class Totals:
    """The totals of each model and kind of attention."""

    each: dict[tuple[str, Kind], Total] = field(default_factory=dict)

    def add(self, table: HeadTable) -> None:
        """Take in the table of one text."""
        self.each.setdefault((table.model, table.kind), Total()).add(table)

    def merge(self, other: "Totals") -> None:
        """Take in all texts of another."""
        for key, total in other.each.items():
            self.each.setdefault(key, Total()).merge(total)

    def tables(self) -> Iterator[HeadTable]:
        """Return a table for each model and kind, in the order of their names."""
        for model, kind in sorted(self.each, key=lambda key: (key[0], _KINDS.index(key[1]))):
            yield self.each[model, kind].table(model, kind)
