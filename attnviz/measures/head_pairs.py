"""Pairs of heads of two models, and their divergence over one text or many."""

from itertools import product

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.measures.assignment import assign
from attnviz.measures.totals import Moments, SharedHeads, Summand, Total
from attnviz.records import Column, HeadTable

Reals = NDArray[np.float64]

_NAME = "divergence"

_DEFINITION = (
    "Jensen-Shannon divergence of two rows in nats, mean over rows (the source takes their sum), after each weight a "
    "is replaced by 0.999 a + 0.001 / keys (Clark et al. 2019, What Does BERT Look At?, section 6)"
)

_PAIRED = "; between each head and its partner in the second, paired so that the heads differ least in total"


class HeadPairs(SharedHeads, frozen=True):
    """The heads of which divergences are taken: each layer and head of the first with the same of the second.

    Or where the second has `others`, its own layers and heads, each with each of them.
    """

    others: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    @property
    def rank(self) -> tuple[object, ...]:
        """See `SharedHeads.rank`."""
        return *super().rank, self.others or ()

    def column(self, values: Reals) -> Column:
        """Return the divergences of one text, [layers, heads], or of all pairs of heads, [heads, others]."""
        return Column.of_one_text(values, _DEFINITION + _PAIRED * bool(self.others))

    def add_up(self, column: Column) -> Summand:
        """Return what the divergences of one text add to those of all."""
        return self, Total(1, {_NAME: Moments.of(column)})

    def table(self, total: Total) -> HeadTable:
        """See `SharedHeads.table`; heads are paired by what they come to over all texts."""
        return self.pair(total.parts[_NAME].column(), total.texts)

    def pair(self, column: Column, texts: int) -> HeadTable:
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
        return replace(
            self.make_table(texts, {_NAME: column}),
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
