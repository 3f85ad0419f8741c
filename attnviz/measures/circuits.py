"""Circuits: numbers for each head from the weights of a model alone, without any text."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.records import Described

Reals = NDArray[np.float64]

_ROWS = 2**13  # of a table of embeddings that are read at a time


class ValueCircuit(Struct, frozen=True, eq=False):
    """The linear map by which each head of a layer moves something from key to query.

    It is read by `value` [heads, width, d] and written by `output` [heads, d, width].
    Heads that share their values have the same array. Norms and biases are left out, as in Elhage et al. 2021.
    """

    value: Reals
    output: Reals

    @classmethod
    def of_maps(cls, value: Reals, output: Reals, heads: int) -> Self:
        """Return the circuits of so many heads from a layer's maps, [groups · d, width] and [width, heads · d]."""
        depth = output.shape[1] // heads
        groups = len(value) // depth
        own = value.reshape(groups, depth, -1).swapaxes(1, 2)  # [groups, width, d]
        written = output.reshape(len(output), heads, depth).transpose(1, 2, 0)  # [heads, d, width]
        return cls(own[np.arange(heads) * groups // heads], written)


class CircuitNumber(Described, frozen=True):
    """A number for each head of a layer, from what it moves and from the map `words` of the model.

    `words` [width, width] is W_U W_E: what is written into the residual stream as words, and read from embeddings.
    """

    of_layer: Callable[[ValueCircuit, Reals], Reals]


def join_words(unembedding: Any, embedding: Any) -> Reals:
    """Return W_U W_E from two tables that have a row for each word: [words, width] twice -> [width, width].

    The tables are indexed with some rows at a time, so that they need not be in memory.
    """
    count = min(unembedding.shape[0], embedding.shape[0])
    total = np.zeros(())
    for first in range(0, count, _ROWS):
        rows = np.arange(first, min(first + _ROWS, count))
        out, into = (np.asarray(table[rows], np.float32) for table in (unembedding, embedding))
        total = total + (out.T @ into).astype(float)
    return total


def score_copying(circuit: ValueCircuit, words: Reals) -> Reals:
    """Return Σλ / Σ|λ| over the eigenvalues of the full circuit W_E W_V W_O W_U of each head: [heads].

    That is a matrix of all words by all words, the eigenvalues of which other than 0 are those of W_O W_U W_E W_V, of
    the width of the head.
    """
    small = circuit.output @ words @ circuit.value  # [heads, d, d]
    eigenvalues = np.linalg.eigvals(small)
    sizes = np.abs(eigenvalues).sum(-1)
    total = eigenvalues.sum(-1).real
    score: Reals = np.divide(total, sizes, out=np.full(len(small), np.nan), where=sizes > 0)
    return score


CIRCUITS: dict[str, CircuitNumber] = {
    "ov_copying": CircuitNumber(
        "sum of the eigenvalues of what a head moves from word to word, divided by the sum of their sizes; from the "
        "weights of the model alone, norms and biases left out",
        "Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; of encoders ours",
        score_copying,
        formula="Σ λ / Σ |λ|, over the eigenvalues λ of W_E W_V W_O W_U",
        extent="−1 to 1",
        high="makes the words likelier that it looks at: it copies",
    ),
}
"""The numbers that need no text, by the name that `--stat` and the data formats know them by."""
