"""The computation of one head for one query, array by array, from a trace of its layer."""

from typing import Any, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.reference.layers import linear
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import SCORES, apply_mask, compute_weights
from attnviz.reference.trace import Trace

Reals = NDArray[np.floating[Any]]

DOTS = "dot", "scaled-dot"
"""The score functions that are a product of query and key; the second has a scale, which is a step of its own."""


class Numbers(Struct, frozen=True, eq=False, kw_only=True):
    """The steps of one head from a query and its keys to the weighted sum of their values.

    `query` and `keys` are turned where positions turn them. `scores` come from the score function alone; `scaled` has
    the model's scale applied, `biased` what positions add, `masked` -∞ where the query may not look. A `sink` is a
    score that belongs to no key and takes its share in softmax, if there is one.
    """

    query: Reals  # [d]
    keys: Reals  # [keys, d]
    values: Reals  # [keys, d]
    scores: Reals  # [keys]
    scaled: Reals  # [keys]
    biased: Reals  # [keys]
    masked: Reals  # [keys]
    sink: Reals | None  # []
    weights: Reals  # [keys]
    mixed: Reals  # [d]

    @classmethod
    def of(cls, trace: Trace, head: int) -> Self:
        """Return the steps of one head of a trace."""
        query, keys, values = select_head(trace, head)
        scores = compute_scores(trace, query, keys)
        scaled = scores * trace.scale
        biased = add_bias(trace, head, scaled)
        sink = select_sink(trace, head)
        weights = compute_weights(biased, trace.allowed, sink) if trace.weights is None else trace.weights[head]
        return cls(
            query=query,
            keys=keys,
            values=values,
            scores=scores,
            scaled=scaled,
            biased=biased,
            masked=apply_mask(biased, trace.allowed),
            sink=sink,
            weights=weights,
            mixed=weights @ values,
        )

    @property
    def visible(self) -> list[int]:
        """Return the keys that the query may look at."""
        return [int(key) for key in np.flatnonzero(~np.isneginf(self.masked))]

    def largest_scores(self) -> list[int]:
        """Return the visible keys of the largest scores, the largest first."""
        return _find_largest(self.scores, self.visible)

    def most_looked_at(self) -> list[int]:
        """Return the visible keys of the largest weights, the largest first."""
        return _find_largest(self.weights, self.visible)


_LOOKED_AT_CLOSELY = 3


def _find_largest(of: Reals, keys: list[int]) -> list[int]:
    return sorted(keys, key=lambda key: -of[key])[:_LOOKED_AT_CLOSELY]


def weigh_scores(trace: Trace, head: int, scores: Reals) -> Reals:
    """Return the weights [keys] of scores [keys] in a head: add its bias, apply its mask and sink, then softmax."""
    weights: Reals = compute_weights(add_bias(trace, head, scores), trace.allowed, select_sink(trace, head))
    return weights


def select_sink(trace: Trace, head: int) -> Reals | None:
    """Return the score of a head's sink, if it has one."""
    return None if trace.sink is None else np.asarray(trace.sink[head])


def find_key_head(trace: Trace, head: int) -> int:
    """Return which head of the keys and values a head uses, where several share one."""
    return head * len(trace.keys) // len(trace.query)


def select_head(trace: Trace, head: int) -> tuple[Reals, Reals, Reals]:
    """Return the query [d], the keys and the values [keys, d] of a head, turned where positions turn them."""
    queries = trace.query if trace.turned_query is None else trace.turned_query
    keys = trace.keys if trace.turned_keys is None else trace.turned_keys
    own = find_key_head(trace, head)
    return np.asarray(queries[head]), np.asarray(keys[own]), np.asarray(trace.values[own])


def slice_map(parameters: Parameters, part: str, head: int, heads: int) -> tuple[Reals, Reals | None]:
    """Return a head's rows of the query, key or value map, [d, width], and of its bias [d] if there is one."""
    weight, bias = np.asarray(parameters[f"{part}.weight"]), parameters.get(f"{part}.bias")
    depth = weight.shape[0] // heads
    own = slice(head * depth, (head + 1) * depth)
    return weight[own], None if bias is None else np.asarray(bias[own])


def project(trace: Trace, query: Reals, keys: Reals) -> tuple[Reals, Reals]:
    """Return the query and the keys of additive attention, mapped to the one width in which they are added."""
    learned = trace.score_parameters
    return linear(query, learned.within("query")), linear(keys, learned.within("key"))


def compute_scores(trace: Trace, query: Reals, keys: Reals) -> Reals:
    """Return the score of each key by the model's score function, before any scale: [keys]."""
    name = "dot" if trace.score in DOTS else trace.score
    scores: Reals = SCORES[name](query[None], keys, trace.score_parameters)[0]
    return scores


def add_bias(trace: Trace, head: int, scores: Reals) -> Reals:
    """Return scores [keys] with what is added to them in this head."""
    return scores if trace.bias is None else scores + trace.bias[head]


def entropy(weights: Reals) -> float:
    """Return -Σ w log₂ w in bits: 0 if all weight is on one of n keys, log₂ n if it is spread evenly."""
    there = weights[weights > 0]
    return float(-(there * np.log2(there)).sum()) + 0.0
