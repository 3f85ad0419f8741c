"""The terms of scores, kept beside weights, and whether they lead to these."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.measures.reducers import Reducer, make_keeper
from attnviz.records import (
    Attention,
    Axes,
    Block,
    BlockTerms,
    HeadMatrix,
    LayerTerms,
    ScoreTerms,
    find_distances,
    to_array,
    to_numpy,
)
from attnviz.text import By, Grouping

_TOLERANCE = {"float64": 1e-5, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
"""How far a weight may be from the one that follows from its terms, in each precision."""


class ScoredRecord(Struct, frozen=True):
    """A record, and what its scores are made of, where that is known and leads to its weights."""

    record: HeadMatrix
    terms: ScoreTerms | None


class KeepTerms:
    """The reducer that keeps weights, grouped or not, and of single tokens what scores are made of.

    That is left out where it would take more than `room` bytes, as with wide heads it may many times what weights do. A
    text that is read in windows has no one key for a token: there only weights are kept, too.
    """

    def __init__(self, axes: Axes, by: Grouping, *, room: float) -> None:
        self._keeper: Reducer[HeadMatrix] = make_keeper(axes, by)
        windowed = any(token.window is not None for token in axes.key_tokens)
        self._terms = _CollectTerms(axes, room) if room > 0 and by is By.TOKEN and not windowed else None

    def update(self, block: Block) -> None:
        """Take in one block."""
        self._keeper.update(block)
        if self._terms is not None and block.terms is not None:
            self._terms.update(block)

    def result(self) -> ScoredRecord:
        """Return the record of all blocks, and the terms if they are those of its weights."""
        record = self._keeper.result()
        terms = None if self._terms is None else self._terms.result()
        leads = terms is not None and isinstance(record, Attention) and _leads(terms, record)
        return ScoredRecord(record, terms if leads else None)


class _CollectTerms:
    """Collects the queries, keys and biases of all blocks, if they fit into `room` bytes."""

    def __init__(self, axes: Axes, room: float) -> None:
        self._axes, self._room = axes, room
        self._layers: dict[int, LayerTerms] = {}
        distances = find_distances(axes)  # [queries, keys]
        self._first = int(distances.min(initial=0))
        self._distances = distances - self._first

    def update(self, block: Block) -> None:
        """Put the terms of a block in their place."""
        assert block.terms is not None
        if self._count_bytes(block.terms) > self._room:
            return
        heads = np.asarray([self._axes.heads.index(head) for head in block.heads])
        rows, columns = to_array(block.rows), to_array(block.keys)
        queries, keys = to_numpy(block.terms.queries), block.terms.find_keys()
        layer = self._layers.get(block.layer) or self._start(block.terms)
        self._layers[block.layer] = layer
        layer.queries[np.ix_(heads, rows)] = queries
        layer.keys[np.ix_(heads, columns)] = keys
        if layer.biases is not None:
            bias, distances = to_numpy(block.terms.bias), self._distances[np.ix_(rows, columns)]
            for head, own in zip(heads, np.broadcast_to(bias, (len(heads), *distances.shape)), strict=True):
                layer.biases[head, distances] = own

    def result(self) -> ScoreTerms | None:
        """Return the terms, if there are any of every layer."""
        whole = self._layers.keys() == {*self._axes.layers}
        return ScoreTerms(self._axes, self._layers, self._first) if whole else None

    def _count_bytes(self, terms: BlockTerms) -> int:
        """Return what the terms of all layers take if they are like these."""
        layers, heads, queries, keys = self._axes.shape
        biases = 0 if terms.bias is None else self._count_distances()
        depth: int = terms.queries.shape[-1]
        return layers * heads * ((queries + keys) * depth + biases) * np.float32().itemsize

    def _count_distances(self) -> int:
        return int(self._distances.max(initial=0)) + 1

    def _start(self, terms: BlockTerms) -> LayerTerms:
        """Return the terms of a layer that are still to be put in, of the width of these."""
        _, heads, queries, keys = self._axes.shape
        depth: int = terms.queries.shape[-1]
        return LayerTerms(
            np.zeros((heads, queries, depth), np.float32),
            np.zeros((heads, keys, depth), np.float32),
            terms.scale,
            None if terms.bias is None else np.zeros((heads, self._count_distances()), np.float32),
        )


def find_log_sums(scores: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ln Σ exp(score) of each row [..., queries], from the scores and weights [..., queries, keys].

    A weight is exp(score - this). It is read off the largest weight of the row, so that what is masked, and a sink that
    is not shown, need not be known.
    """
    place = weights.argmax(-1)[..., None]
    largest, score = (np.take_along_axis(each, place, -1)[..., 0] for each in (weights, scores))
    with np.errstate(divide="ignore"):
        sums: NDArray[np.float32] = score - np.log(largest)
    return sums


def _leads(terms: ScoreTerms, record: Attention) -> bool:
    """Return whether the weights that are not 0, as those of masked keys are, follow from the terms by softmax."""
    tolerance = _TOLERANCE[record.precision]
    for place, layer in enumerate(record.layers):
        for scores, weights in zip(terms.head_scores(layer), record.weights[place], strict=True):
            with np.errstate(all="ignore"):  # what is no number does not lead there
                found = np.exp(scores - find_log_sums(scores, weights)[..., None])
                if not (np.abs(found - weights)[weights > 0] <= tolerance).all():
                    return False
    return True
