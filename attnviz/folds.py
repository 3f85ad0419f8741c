"""Folds: what is kept of the blocks of query rows that a model yields, so that no N×N matrix is held unasked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from attnviz.attention import Attention, Axes, Kind
from attnviz.text import Groups

Result = TypeVar("Result", covariant=True)

Indices = range | NDArray[np.intp]
"""Which tokens of a sequence: those next to each other, or any."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some query rows of some heads of one layer: `weights` [heads, rows, keys] of any array library, on any device.

    `rows` and `keys` are the indices of its queries and keys; the other keys have no weight. `text` is the number of
    the text among those that a model reads together.
    """

    kind: Kind
    layer: int
    heads: tuple[int, ...]
    rows: Indices
    keys: Indices
    weights: Any
    text: int = 0

    @classmethod
    def starting(cls, kind: Kind, layer: int, heads: tuple[int, ...], first: int, weights: Any, text: int = 0) -> Self:
        """The block of neighbouring rows whose keys are the first ones of all."""
        _, rows, keys = weights.shape
        return cls(kind, layer, heads, range(first, first + rows), range(keys), weights, text)


class Fold(Protocol[Result]):
    """A small state that blocks are folded into, in any order, here or elsewhere."""

    def update(self, block: Block) -> None:
        """Takes in one block."""

    def merge(self, other: Self) -> None:
        """Takes in what another fold of the same axes has seen."""

    def result(self) -> Result:
        """What has been kept."""


class Collect:
    """The fold that keeps every weight of the rows that it is for: a dense `Attention`.

    `rows` are the indices that the axes' queries have in the blocks, in ascending order; all of them if left out.
    """

    def __init__(self, axes: Axes, rows: Sequence[int] | None = None) -> None:
        self.axes = axes
        self.weights = np.zeros(axes.shape, np.float32)
        self._rows = np.arange(len(axes.query_tokens)) if rows is None else np.asarray(rows)

    def update(self, block: Block) -> None:
        """Puts those rows of a block that are wanted in their place."""
        layer = self.weights[self.axes.layers.index(block.layer)]  # [heads, queries, keys]
        heads = [self.axes.heads.index(head) for head in block.heads]
        _, here, there = np.intersect1d(block.rows, self._rows, assume_unique=True, return_indices=True)
        if here.size:
            wanted = block.weights if here.size == len(block.rows) else block.weights[:, here]
            layer[np.ix_(np.asarray(heads), there, np.asarray(block.keys))] = _on_host(wanted)

    def merge(self, other: Self) -> None:
        """Adds what another has collected; no two may have seen the same rows."""
        self.weights += other.weights

    def result(self) -> Attention:
        """The record of all blocks."""
        self.weights.flags.writeable = False  # the record has it from now on
        return self.axes.filled(self.weights)


class Group:
    """The fold that keeps weights between groups of tokens: an `Attention` whose tokens are the groups.

    Attention to a group is the sum over its keys, attention from a group the mean over its queries, so rows still sum
    to 1 (Clark et al. 2019, "What Does BERT Look At?", section 4.1).
    """

    def __init__(self, axes: Axes, queries: Groups, keys: Groups) -> None:
        self.axes = replace(axes.of_tokens(queries.tokens, keys.tokens), by=queries.by)
        self.weights = np.zeros(self.axes.shape, np.float32)
        self._from, self._to = np.asarray(queries.index), np.asarray(keys.index)
        self._shares = 1 / np.bincount(queries.index)[:, None]  # [groups, 1]: of each query in its group

    def update(self, block: Block) -> None:
        """Adds the rows of a block to the groups that they belong to."""
        layer = self.weights[self.axes.layers.index(block.layer)]  # [heads, groups, groups]
        heads = [self.axes.heads.index(head) for head in block.heads]
        groups, index = np.unique(self._from[np.asarray(block.rows)], return_inverse=True)
        sums = _summed(
            block.weights, self._to[np.asarray(block.keys)], len(self.axes.key_tokens), 2
        )  # [heads, rows, groups]
        sums = _on_host(_summed(sums, index, len(groups), 1))  # [heads, groups of these rows, groups]
        layer[np.ix_(np.asarray(heads), groups)] += sums * self._shares[groups]

    def merge(self, other: Self) -> None:
        """Adds what another has seen of other rows."""
        self.weights += other.weights

    def result(self) -> Attention:
        """The record between groups."""
        return self.axes.filled(self.weights)


def group(attention: Attention, queries: Groups, keys: Groups) -> Attention:
    """A record that is already there, its tokens grouped as `Group` does it."""
    fold = Group(attention, queries, keys)
    for layer, weights in zip(attention.layers, attention.weights, strict=True):
        fold.update(Block.starting(attention.kind, layer, attention.heads, 0, weights))
    return fold.result()


def _on_host(weights: Any) -> NDArray[Any]:
    """The numbers as a NumPy array; torch has dtypes, devices and gradients that NumPy has not."""
    return np.asarray(weights.detach().float().cpu() if hasattr(weights, "detach") else weights)


def _summed(values: Any, index: NDArray[np.intp], count: int, axis: int) -> Any:
    """The sums of those slices of an axis that have the same index, from 0 to `count` - 1, where the values are."""
    if not hasattr(values, "index_add_"):
        order = np.argsort(index, kind="stable")
        there, starts = np.unique(index[order], return_index=True)
        sums = np.zeros((*values.shape[:axis], count, *values.shape[axis + 1 :]), np.float32)
        sums[(slice(None),) * axis + (there,)] = np.add.reduceat(values.take(order, axis), starts, axis)
        return sums
    import torch

    zeros = values.new_zeros((*values.shape[:axis], count, *values.shape[axis + 1 :]), dtype=torch.float32)
    return zeros.index_add_(axis, torch.as_tensor(index, device=values.device), values.detach().float())
