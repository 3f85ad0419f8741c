"""The reducer that computes the statistics of a text from its blocks, and does not keep its weights."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from attnviz.cores import count_threads
from attnviz.errors import RecordError
from attnviz.measures.rows import Rows, TextPlaces
from attnviz.measures.statistics import Reals, Statistic
from attnviz.measures.variability import CORNER
from attnviz.records import Axes, Block, Column, HeadTable, to_array, to_numpy

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Sums = dict[str, Reals]
"""The sum of each number over some rows, [layers · heads] or [parts, layers · heads]."""

WEIGHTS_AT_ONCE = 2**19
"""How many weights are looked at together, by one thread; a block of a long text has about twice as many."""


class Statistics:
    """The reducer that computes statistics of one text: a `HeadTable`, in ascending order of layers and heads.

    Raises:
        RecordError: a part of the text is missing, so that its numbers would not be those of a text.
    """

    def __init__(self, axes: Axes, wanted: Mapping[str, Statistic]) -> None:
        if not axes.is_whole:
            raise RecordError(
                "These are the weights of a part of a text only, so its heads have no numbers:",
                hint="save them without {rows}, {token} and {no_special}.",
            )
        self._axes, self._wanted, self._places = axes, wanted, TextPlaces(axes)
        self._defined = {name: statistic for name, statistic in wanted.items() if statistic.is_defined(axes)}
        self._sums: dict[str, Reals] = {}  # [layers, heads], or [parts, layers, heads]
        self._corner = np.zeros((*axes.shape[:2], *(min(CORNER, count) for count in axes.shape[2:])), np.float32)
        self._waiting: list[Block] = []

    def update(self, block: Block) -> None:
        """Add the rows of a block; small ones that are alike wait until they can be looked at together."""
        size = prod(block.weights.shape)
        if self._waiting and (
            size * (len(self._waiting) + 1) > WEIGHTS_AT_ONCE // 2 or not _alike(block, self._waiting[0])
        ):
            self._add_waiting()
        if 4 * size <= WEIGHTS_AT_ONCE:
            self._waiting.append(replace(block, weights=np.array(to_numpy(block.weights), np.float32), terms=None))
            return
        parts = _split(block, -(-size // WEIGHTS_AT_ONCE))
        compute = self._threads.map if len(parts) > 1 else map
        for part, found in zip(parts, compute(self._compute, parts), strict=True):
            self._sum([block.layer], part, found)

    def result(self) -> HeadTable:
        """Return the table of this one text."""
        self._add_waiting()
        columns = {name: self._make_column(name, statistic) for name, statistic in self._wanted.items()}
        return HeadTable.of_text(self._axes, columns)

    @cached_property
    def _threads(self) -> "ThreadPoolExecutor":
        """Return as many threads as libraries may use; short texts do without."""
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(count_threads())

    def _add_waiting(self) -> None:
        """Add the blocks that wait, as those of one layer that has all their heads."""
        if self._waiting:
            together = np.concatenate([block.weights for block in self._waiting])  # [layers · heads, rows, keys]
            block = replace(self._waiting[0], weights=together)
            self._sum([block.layer for block in self._waiting], block, self._compute(block))
            self._waiting = []

    def _compute(self, block: Block) -> Sums:
        """Return the sum of each number over these rows."""
        rows = Rows(to_numpy(block.weights).astype(np.float32, copy=False), self._places, block.rows, block.keys)
        return {
            name: statistic.of_rows(rows).sum(-1, dtype=np.float64)
            for name, statistic in self._defined.items()
            if statistic.over_texts is None
        }

    def _sum(self, layers: Sequence[int], block: Block, found: Sums) -> None:
        """Add to the sums what was computed from these rows, and keep their corner."""
        places = [self._axes.layers.index(layer) for layer in layers]
        heads = [self._axes.heads.index(head) for head in block.heads]
        if any(statistic.over_texts for statistic in self._defined.values()):
            self._keep_corner(places, heads, block)
        for name, numbers in found.items():
            numbers = numbers.reshape(*numbers.shape[:-1], len(places), len(heads))
            sums = self._sums.setdefault(name, np.zeros((*numbers.shape[:-2], *self._axes.shape[:2])))
            sums[..., np.array(places)[:, None], np.array(heads)] += numbers

    def _keep_corner(self, places: Sequence[int], heads: Sequence[int], block: Block) -> None:
        """Keep what rows of some layers, [layers · heads, rows, keys], have of the weights between the first tokens."""
        _, _, queries, keys = self._corner.shape
        rows, columns = to_array(block.rows), to_array(block.keys)
        own, others = np.flatnonzero(rows < queries), np.flatnonzero(columns < keys)
        found = to_numpy(block.weights[:, own][..., others]).reshape(len(places), len(heads), len(own), len(others))
        self._corner[np.ix_(np.array(places), np.array(heads), rows[own], columns[others])] = found

    def _make_column(self, name: str, statistic: Statistic) -> Column:
        """Return the number of each head, [layers, heads], NaN where it is undefined."""
        if name in self._sums:
            values = statistic.combine(self._sums[name] / len(self._axes.query_tokens))
        else:
            values = np.full(self._axes.shape[:2], np.nan)
        corner = self._corner if name in self._defined and statistic.over_texts else None
        return Column.of_one_text(values, statistic.sourced, corner)


def _alike(block: Block, other: Block) -> bool:
    """Return whether two blocks have the same heads, rows and keys."""
    return block.heads == other.heads and all(
        one is another or np.array_equal(to_array(one), to_array(another))
        for one, another in ((block.rows, other.rows), (block.keys, other.keys))
    )


def _split(block: Block, count: int) -> list[Block]:
    """Return about so many blocks, each of some rows of this one, all of about the same size."""
    rows = len(block.rows)
    bounds = [rows * part // min(count, rows) for part in range(min(count, rows) + 1)]
    return [block.of_rows(slice(first, end), block.rows[first:end]) for first, end in pairwise(bounds)]
