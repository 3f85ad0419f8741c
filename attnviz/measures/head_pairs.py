"""Pairs of heads of two models, and their divergence over one text or many."""

from collections.abc import Iterator
from itertools import product

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from attnviz.measures.assignment import assign
from attnviz.measures.totals import Moments, Total
from attnviz.records import Column, HeadTable
from attnviz.text import Grouping
from attnviz.vocabulary import Kind

Reals = NDArray[np.float64]

_NAME = "divergence"

_DEFINITION = (
    "Jensen-Shannon divergence of two rows in nats, mean over rows (the source takes their sum), after each weight a "
    "is replaced by 0.999 a + 0.001 / keys (Clark et al. 2019, What Does BERT Look At?, section 6)"
)

_PAIRED = "; between each head and its partner in the second, paired so that the heads differ least in total"


class HeadPairs(Struct, frozen=True):
    """The heads of which divergences are taken: each layer and head of the first with the same of the second.

    Or where the second has `others`, its own layers and heads, each with each of them.
    """

    model: str
    kind: Kind
    by: Grouping
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    others: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    @property
    def rank(self) -> tuple[object, ...]:
        """Return by what tables are sorted: as those of statistics are, by the names of models and kinds."""
        return self.model, self.kind.rank, self.by.value, self.layers, self.heads, self.others or ()

    def table(self, column: Column, texts: int) -> HeadTable:
        """Return the table of the divergence of each head over some texts, largest first.

        Where all heads are compared with all `others`, [heads, others], each has the partner that an assignment of
        least total divergence gives it.
        """
        shape = len(self.layers), len(self.heads)
        partners = np.full(shape, -1)  # the place of each head's partner among the others
        if self.others:
            heads, others = assign(np.nan_to_num(column.means, nan=np.log(2)))
            partners.flat[heads] = others
            column = _pad(column)[np.arange(partners.size).reshape(shape), partners]
        named = list(product(*self.others)) if self.others else []
        own = product(self.layers, self.heads)
        return HeadTable(
            model=self.model,
            kind=self.kind,
            by=self.by,
            layers=self.layers,
            heads=self.heads,
            texts=texts,
            columns={_NAME: column},
            partners={head: named[place] for head, place in zip(own, partners.flat, strict=True) if place >= 0},
            ranked_by=(_NAME,),
        )


def _pad(column: Column) -> Column:
    """Return a column of pairs [heads, others] with one more of the others, for heads that have no partner."""
    beyond = (0, 0), (0, 1)
    return Column(
        np.pad(column.means, beyond, constant_values=np.nan),
        np.pad(column.counts, beyond),
        np.pad(column.errors, beyond, constant_values=np.nan),
        column.definition,
    )


class Divergences(Struct, frozen=True, eq=False):
    """The divergence of each head of one text, [layers, heads], or of all pairs of heads, [heads, others]."""

    pairs: HeadPairs
    values: Reals

    @property
    def column(self) -> Column:
        """Return the values as those of one text."""
        return Column.of_one_text(self.values, _DEFINITION + _PAIRED * bool(self.pairs.others))

    def table(self) -> HeadTable:
        """Return the table of this text alone."""
        return self.pairs.table(self.column, 1)


class DivergenceTotals(Struct):
    """The divergences of all texts; those of other models, kinds, groups of tokens, layers or heads are kept apart.

    Heads are paired by what they come to over all texts.
    """

    each: dict[HeadPairs, Total] = field(default_factory=dict)

    def add(self, found: Divergences) -> None:
        """Take in those of one text."""
        self.each.setdefault(found.pairs, Total()).merge(Total(1, {_NAME: Moments.of(found.column)}))

    def merge(self, other: "DivergenceTotals") -> None:
        """Take in all texts of another."""
        for pairs, total in other.each.items():
            self.each.setdefault(pairs, Total()).merge(total)

    def tables(self) -> Iterator[HeadTable]:
        """Yield the table of each total, by the names of models and kinds."""
        for pairs in sorted(self.each, key=lambda pairs: pairs.rank):
            total = self.each[pairs]
            yield pairs.table(total.moments[_NAME].column(), total.texts)
