"""The attention of one layer for one query, taken apart into the steps of an explanation: scale, bias, mask, sink."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.reference.head_steps import Numbers
from attnviz.reference.trace import Trace

Reals = NDArray[np.floating[Any]]

HIDDEN = -5e3
"""The bound below which an addition to a score hides its key: old models add -10,000, others -∞."""

ROUNDING = 4 * float(np.finfo(np.float32).eps)
"""The relative error of float32 within which two numbers count as equal.

It is relative to the largest parts of a sum for scores, and to the weight itself for weights, whose relative error is
the absolute error of their scores.
"""


class Observation(Trace, frozen=True, eq=False, kw_only=True, dict=True):
    """A trace of an observed query, which has the model's own weights, and the input of the model's own softmax.

    `scores` are the input; `zero_scores` are the scores if the query were 0: what the model adds, and where it hides a
    key. Both may hold scores of sinks after those of the keys, and are None for a function without a softmax.
    """

    weights: Reals  # [heads, keys]
    mixed: Reals  # [heads, d]
    scores: Reals | None = None  # [heads, keys + sinks]
    zero_scores: Reals | None = None  # [heads, keys + sinks]

    def explain(self) -> Trace | None:
        """Return the steps that lead from the query to the model's own weights, if softmax of scaled scores does."""
        if self.scores is None or self.zero_scores is None:
            return None
        with np.errstate(all="ignore"):  # numbers that are none are close to nothing
            return next(
                (trace for trace in self._read_scores(self.scores, self.zero_scores) if self.is_by(trace)), None
            )

    def plain(self) -> Trace | None:
        """Return the same, with no steps to the model's own weights, if it mixes the values by these."""
        with np.errstate(all="ignore"):
            return self if self.is_by(self) else None

    def is_by(self, trace: Trace) -> bool:
        """Return whether a trace ends in the model's own weights and what it mixes by them, but for rounding."""
        exact = replace(trace, query=trace.query.astype(np.float64))
        return all(self._is_by(exact, head) for head in range(len(self.weights)))

    def _is_by(self, trace: Trace, head: int) -> bool:
        numbers, sizes = Numbers.of(trace, head), self._sizes[head] * abs(trace.scale)
        bias = np.zeros_like(sizes) if trace.bias is None else trace.bias[head]
        largest = (sizes + np.abs(bias)).max(where=numbers.masked > HIDDEN, initial=0)
        off = ROUNDING * (1 + largest)
        summing = ROUNDING * len(sizes) ** 0.5  # what so many roundings at random come to
        mixed_off = (off + summing) * (numbers.weights @ np.abs(numbers.values))  # [d]
        return bool(
            np.allclose(numbers.weights, self.weights[head], rtol=off, atol=_NOTHING)
            and (np.abs(numbers.mixed - self.mixed[head]) <= mixed_off).all()
        )

    def _read_scores(self, scores: Reals, zero_scores: Reals) -> Iterator[Trace]:
        """Yield scores as scaled products plus an addition, first as they are, then with a number taken from each row.

        Some models take away its largest score, which softmax does not see.
        """
        visible = zero_scores > HIDDEN  # [heads, keys + sinks]
        sinks = scores.shape[1] - self.weights.shape[1]
        products, sizes = (np.pad(each, ((0, 0), (0, sinks))) for each in (self._products, self._sizes))
        gained = scores - zero_scores
        for centred in (False, True):
            if centred:
                products, gained = (each - _average_where(each, visible) for each in (products, gained))
                zero_scores = _lift(zero_scores, visible, self.weights.shape[1])
            given = (
                _maximize_where(np.abs(scores) + np.abs(zero_scores), visible),
                _maximize_where(sizes, visible),
            )  # [heads, 1] each
            met, more = (np.where(visible, each, 0) for each in (products, gained))
            if (scale := _find_factor(self.query.shape[-1], met, more, *given)) is not None:
                yield self._make_trace(scale, zero_scores)

    def _make_trace(self, scale: float, added: Reals) -> Trace:
        keys = self.weights.shape[1]
        added, sinks = added[:, :keys], added[:, keys:]
        hidden = (added <= HIDDEN).all(0)  # [keys]
        bias = np.where(hidden, 0, added)
        return Trace(
            position=self.position,
            query=self.query,
            keys=self.keys,
            values=self.values,
            scale=scale,
            bias=bias if bias.any() else None,
            allowed=~hidden if hidden.any() else None,
            sink=np.logaddexp.reduce(sinks, axis=1) if sinks.size else None,
            mixed=self.mixed,
        )

    @cached_property
    def _products(self) -> Reals:
        """Return q·k: [heads, keys]."""
        return self._multiply(self.query, self.keys)

    @cached_property
    def _sizes(self) -> Reals:
        """Return Σ |q_i k_i|, which says how much q·k is rounded: [heads, keys]."""
        return self._multiply(np.abs(self.query), np.abs(self.keys))

    def _multiply(self, query: Reals, keys: Reals) -> Reals:
        sharing = len(query) // len(keys)
        grouped = query.reshape(len(keys), sharing, -1).astype(np.float64)
        products: Reals = (grouped @ keys.swapaxes(1, 2)).reshape(len(query), -1)
        return products


_NOTHING = 1e-30
"""Weights below this are none in float32, or hardly any."""


def _find_factor(depth: int, products: Reals, gained: Reals, given: Reals, sizes: Reals) -> float | None:
    """Return the one factor that turned the products [heads, keys] into scores; None if there is no such factor.

    Rounding leaves a range of factors open: 1 / √d or 1 is taken if it lies in it. The range follows from the sizes of
    the scores `given` to softmax in each head, and of the sums that products consist of: [heads, 1] each.
    """
    usual = depth**-0.5
    length = np.linalg.norm(products)
    measured = float((products * gained).sum() / length**2) if length else usual
    off = ROUNDING * (given + abs(measured) * sizes) * np.ones_like(products)
    open_ = np.linalg.norm(off) / length if length else 0
    scale = next((likely for likely in (usual, 1.0) if abs(measured - likely) <= open_), measured)
    return scale if (np.abs(gained - scale * products) <= off).all() else None


def _lift(added: Reals, visible: NDArray[np.bool_], keys: int) -> Reals:
    """Return what is added to scores, less what every visible key of a head (and its sinks) gets alike."""
    own, seen = added[:, :keys], visible[:, :keys]
    lowest = np.min(own, axis=1, keepdims=True, where=seen, initial=np.inf)
    highest = np.max(own, axis=1, keepdims=True, where=seen, initial=-np.inf)
    return added - np.where(lowest == highest, lowest, 0)


def _average_where(numbers: Reals, where: NDArray[np.bool_]) -> Reals:
    mean: Reals = np.sum(numbers, axis=1, keepdims=True, where=where) / np.maximum(where.sum(1, keepdims=True), 1)
    return mean


def _maximize_where(numbers: Reals, where: NDArray[np.bool_]) -> Reals:
    largest: Reals = np.max(numbers, axis=1, keepdims=True, where=where, initial=0)
    return largest
