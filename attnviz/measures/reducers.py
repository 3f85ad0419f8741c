"""Reducers consume the blocks of query rows that a model yields, and hold an N×N matrix only if it is wanted."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.errors import RecordError
from attnviz.records import Axes, Block, HeadMatrix, Indices, Word, is_of_torch, make_record, to_array, to_numpy
from attnviz.text import By, Grouping, Groups, group_tokens, join_characters

Result = TypeVar("Result", covariant=True)


class Reducer(Protocol[Result]):
    """Consume the blocks of one text and one kind of attention, and give one record.

    Layers come in ascending order, and again from the first for each batch of windows; the rows of a layer come in any
    order, each once.
    """

    def update(self, block: Block) -> None:
        """Take in one block, whose rows and keys are indices of the axes that the reducer was made for."""

    def result(self) -> Result:
        """Return the record of all blocks."""


Make = Callable[[Axes], Reducer[Result]]
"""A function that makes a reducer for the axes of a text."""


class OfRows(Generic[Result]):
    """Pass on to a reducer only those rows of a text that its axes hold, by their place among these."""

    def __init__(self, reducer: Reducer[Result], rows: Sequence[int]) -> None:
        self._reducer, self._rows = reducer, np.asarray(rows)
        self.result = reducer.result

    def update(self, block: Block) -> None:
        """Take in the rows of a block that are wanted, if there are any."""
        _, here, rows = np.intersect1d(block.rows, self._rows, assume_unique=True, return_indices=True)
        if len(rows):
            self._reducer.update(block.of_rows(here, rows))


class Collect:
    """The reducer that keeps every weight: a dense `Attention`."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.weights = np.zeros(axes.shape, np.float32)

    def update(self, block: Block) -> None:
        """Put the rows of a block in their place."""
        layer = self.weights[self.axes.layers.index(block.layer)]  # [heads, queries, keys]
        place = _index_block(block.rows, block.keys)
        for head, own in zip(block.heads, to_numpy(block.weights), strict=True):
            layer[self.axes.heads.index(head)][place] = own

    def result(self) -> HeadMatrix:
        """Return the record of all blocks."""
        self.weights.flags.writeable = False  # the record has it from now on
        return make_record(self.axes, self.weights)


class Group:
    """The reducer that keeps weights between groups of tokens: an `Attention` whose tokens are the groups.

    Attention to a group is the sum over its keys, attention from a group the mean over its queries, so rows still sum
    to 1 (Clark et al. 2019, "What Does BERT Look At?", section 4.1).
    """

    def __init__(self, axes: Axes, queries: Groups, keys: Groups) -> None:
        self.axes = replace(axes.of_tokens(queries.tokens, keys.tokens), by=queries.by)
        self._from, self._to = np.asarray(queries.index), np.asarray(keys.index)
        self._shares = (1 / np.bincount(queries.index)).astype(np.float32)  # [groups]: of each query in its group

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """The sums so far [layers, heads, groups, groups], which take no memory before the first block is added."""
        return np.zeros(self.axes.shape, np.float32)

    def update(self, block: Block) -> None:
        """Add the rows of a block to the groups that they belong to."""
        layer = self.weights[self.axes.layers.index(block.layer)]  # [heads, groups, groups]
        heads = [self.axes.heads.index(head) for head in block.heads]
        groups, sums = self.group(block)
        layer[np.ix_(np.asarray(heads), groups)] += sums

    def group(self, block: Block) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Return the groups that the rows of a block belong to, and what they add to them: [heads, groups, groups].

        Rows are averaged first: few are left, and a matrix product is the fastest pass over weights.
        """
        groups, index = np.unique(self._from[to_array(block.rows)], return_inverse=True)
        shares = np.where(index == np.arange(len(groups))[:, None], self._shares[groups, None], 0)  # [groups, rows]
        means = _multiply(shares, block.weights)  # [heads, groups of these rows, keys]
        sums = _sum_groups(means, self._to[to_array(block.keys)], len(self.axes.key_tokens))
        return groups, to_numpy(sums)

    def result(self) -> HeadMatrix:
        """Return the record between groups."""
        return make_record(self.axes, self.weights)


def make_keeper(axes: Axes, by: Grouping) -> Collect | Group:
    """Return the reducer that keeps the weights on these axes, between tokens or between groups of them.

    Raises:
        RecordError: they are between other groups already.
    """
    if axes.by == by:
        return Collect(axes)
    if axes.by is not By.TOKEN:
        raise RecordError(f"The weights are between groups already ({axes.by.value}):", hint="leave {by} out.")
    return make_grouper(axes, by)


def make_grouper(axes: Axes, by: Grouping) -> Group:
    """Return the reducer that groups the tokens, or groups, on these axes once more."""
    return Group(axes, group_tokens(axes.query_tokens, by), group_tokens(axes.key_tokens, by))


def reduce_record(attention: HeadMatrix, reducer: Reducer[Result]) -> Result:
    """Run an existing record through a reducer, and return the result."""
    for layer, weights in zip(attention.layers, attention.weights, strict=True):
        reducer.update(Block.starting(attention.kind, layer, attention.heads, 0, weights))
    return reducer.result()


def group_record(attention: HeadMatrix, by: Grouping) -> HeadMatrix:
    """Return an existing record with its tokens grouped, as `Group` groups them."""
    return reduce_record(attention, make_grouper(attention, by))


def join_pieces(record: HeadMatrix) -> HeadMatrix:
    """Return a record in which tokens that stand for one character between them are grouped, with a note on it."""
    queries, keys = join_characters(record.query_tokens), join_characters(record.key_tokens)
    if (len(queries.tokens), len(keys.tokens)) == record.shape[2:]:
        return record
    joined = reduce_record(record, Group(record, queries, keys))
    return replace(joined, notes=(*joined.notes, "tokens that share a character shown as one"))


def join_word(record: HeadMatrix, word: Word) -> Word:
    """Return where a word of a record stands in what `join_pieces` makes of it."""
    queries, keys = join_characters(record.query_tokens).index, join_characters(record.key_tokens).index
    return replace(
        word,
        queries=tuple(sorted({queries[index] for index in word.queries})),
        keys=tuple(sorted({keys[index] for index in word.keys})),
    )


def _index_block(rows: Indices, keys: Indices) -> Any:
    """Return an index of these rows and keys, made of slices where possible, which are far faster."""
    if isinstance(rows, range) or isinstance(keys, range):
        return tuple(slice(one.start, one.stop) if isinstance(one, range) else one for one in (rows, keys))
    return np.ix_(rows, keys)


def _multiply(shares: NDArray[np.float32], weights: Any) -> Any:
    """Multiply matrices [groups, rows] and [heads, rows, keys] where the weights are: [heads, groups, keys]."""
    if not is_of_torch(weights):
        return shares @ weights
    import torch

    there = torch.as_tensor(shares, device=weights.device)
    return there.expand(len(weights), -1, -1).bmm(weights.detach().float())


def _sum_groups(values: Any, index: NDArray[np.intp], count: int) -> Any:
    """Sum the values on the last axis that share an index below `count`, on their own device: [..., count]."""
    if not is_of_torch(values):
        order = np.argsort(index, kind="stable")
        there, starts = np.unique(index[order], return_index=True)
        sums = np.zeros((*values.shape[:-1], count), np.float32)
        sums[..., there] = np.add.reduceat(values[..., order], starts, -1)
        return sums
    import torch

    zeros = values.new_zeros((*values.shape[:-1], count))
    return zeros.index_add_(-1, torch.as_tensor(index, device=values.device), values)
