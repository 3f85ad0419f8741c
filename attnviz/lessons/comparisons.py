"""Comparisons that show the use of a part of a head: without it, with another in its place, or for all queries."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from msgspec import Struct

from attnviz.errors import UsageError
from attnviz.lessons.lesson import Axis, Quantity, Step, count, side_by_side
from attnviz.lessons.other_scores import compare_scores
from attnviz.lessons.reruns import Rerun, Variant, compare_order, compare_positions, compare_training
from attnviz.reference.head_steps import DOTS, Numbers, Reals, weigh_scores
from attnviz.reference.masks import zero_after_softmax
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import compute_weights
from attnviz.reference.streaming import Running
from attnviz.reference.trace import Trace


class WhatIf(Struct, frozen=True, kw_only=True):
    """The comparisons that follow the walk through a head.

    `scores` names score functions, `order` is another order of the tokens, `tile` is the number of keys that online
    softmax reads at a time. `matrices` is the same head for all queries, `hard` compares soft, hard and local
    attention, `untrained` the same model before training.
    """

    matrices: bool = False
    scores: tuple[str, ...] = ()
    hard: bool = False
    no_scale: bool = False
    no_mask: bool = False
    no_positions: bool = False
    order: tuple[int, ...] | None = None
    tile: int | None = None
    untrained: bool = False


def compare(
    trace: Trace,
    head: int,
    what_if: WhatIf,
    rerun: Rerun,
    names: Sequence[str],
    drawn: Mapping[str, Parameters] | None = None,
) -> Iterator[Step]:
    """Yield the steps that compare a head with what it would be otherwise; `names` are those of the queries.

    `drawn` holds the random parameters of the score functions of an untrained head; it is None for a trained one.

    Raises:
        UsageError: the model has no such part, or cannot run without it.
    """
    if trace.weights is not None and what_if != WhatIf():
        raise UsageError(
            "The weights of this model do not follow from scores, scale and mask alone, so they cannot be compared: "
            "leave the comparisons out."
        )
    numbers = Numbers.of(trace, head)
    order = what_if.order or ()
    steps: tuple[tuple[object, Callable[[], Step]], ...] = (
        (what_if.matrices, lambda: _multiply_matrices(trace, head, numbers, rerun(Variant()), names)),
        (what_if.tile, lambda: _online(numbers, what_if.tile or 1)),
        (what_if.scores, lambda: compare_scores(trace, head, what_if.scores, drawn)),
        (what_if.hard, lambda: _compare_reach(trace, numbers)),
        (what_if.no_scale, lambda: _without_scale(trace, head, numbers)),
        (what_if.no_mask, lambda: _without_mask(trace, numbers)),
        (what_if.no_positions, lambda: compare_positions(trace, numbers, rerun)),
        (order, lambda: compare_order(trace, order, rerun)),
        (what_if.untrained, lambda: compare_training(trace, numbers, rerun)),
    )
    yield from (make() for wanted, make in steps if wanted)


def _without_scale(trace: Trace, head: int, numbers: Numbers) -> Step:
    title = "Without the scale"
    if trace.score not in DOTS or trace.scale == 1:
        return Step(title, "s_j stays as it is", "These scores are not scaled, so there is no scale to leave out.", ())
    weights = {"with": numbers.weights, "without": weigh_scores(trace, head, numbers.scores)}
    return Step(
        title,
        "softmax(s_j / √d_k) beside softmax(s_j)",
        "Without the scale, scores lie further apart, and softmax gives more weight to the largest. If one key has "
        "nearly all weight, small changes of the query change almost nothing, and training learns slowly. That is why "
        "scores are scaled.",
        tuple(side_by_side("weights_without_scale", "weights with and without the scale", weights)),
    )


_ZEROED = "zeroed after"


def _without_mask(trace: Trace, numbers: Numbers) -> Step:
    bare = compute_weights(numbers.biased, None, numbers.sink)
    weights = {"with": numbers.weights, "without": bare}
    why = "No key is hidden from this query, so its weights are the same without a mask."
    if trace.allowed is not None and not np.all(trace.allowed):
        weights[_ZEROED] = zero_after_softmax(bare, trace.allowed)
        why = (
            "Without the mask, this query also gives weight to keys that it must not see. Setting these weights to 0 "
            "after softmax does not repair that: the share that they took is lost, and the weights sum to less than 1. "
            "So they are no distribution, and have no entropy."
        )
    return Step(
        "Without the mask",
        "softmax(s_j, or −∞ where hidden) beside softmax(s_j)",
        why,
        tuple(side_by_side("weights_without_mask", "weights with and without the mask", weights, (_ZEROED,))),
    )


_REACH = 1  # how many keys on each side local attention sees


def _compare_reach(trace: Trace, numbers: Numbers) -> Step:
    keys = np.arange(len(numbers.keys))
    near = abs(keys - min(trace.position, len(keys) - 1)) <= _REACH
    near &= ~np.isneginf(numbers.masked)
    weights = {
        "soft": numbers.weights,
        "hard": (keys == numbers.masked.argmax()).astype(float),
        "local": compute_weights(numbers.biased, near if near.any() else trace.allowed, numbers.sink),
    }
    taken = np.array([row @ numbers.values for row in weights.values()])
    return Step(
        "Soft, hard and local attention",
        "z = Σ_j w_j v_j;  hard: z = v_h, h = argmax_j s_j;  local: only j near the query",
        "Soft attention is a dictionary that mixes: it takes all values, each in proportion to how well its key fits. "
        "Hard attention takes one value alone, that of the key which fits best, as a dictionary does: its weights are "
        "one-hot. But then a small change of a score changes nothing or everything, so training has nothing to follow. "
        f"Local attention is soft, but sees only keys near the position of the query, here {_REACH} on each side. It "
        "costs less for long texts, and cannot look far (Luong et al. 2015).",
        (
            *side_by_side("weights_by_reach", "weights of each", weights),
            Quantity("taken_by_reach", "what each takes, z", taken, (Axis.PARTS, Axis.DIMENSIONS), tuple(weights)),
        ),
    )


def _multiply_matrices(trace: Trace, head: int, numbers: Numbers, weights: Reals, names: Sequence[str]) -> Step:
    """Return the step with the same head for all queries; `weights` are those of all: [queries, keys]."""
    rows = tuple(f"{row} {name}{', this one' * (row == trace.position)}" for row, name in enumerate(names))
    added = " + M" * (trace.allowed is not None or trace.bias is not None)
    formula, asked = "Z = A V", tuple[Quantity, ...]()
    if trace.queries is not None and trace.score in DOTS:
        q = np.asarray(trace.queries[head])
        scale = "" if trace.scale == 1 else " / √d_k"
        formula = f"Z = A V,  A = softmax(Q Kᵀ{scale}{added})"
        scores = q @ numbers.keys.T * trace.scale
        asked = (
            Quantity("matrix_queries", f"Q, {_write_shape(q)}", q, (Axis.QUERIES, Axis.DIMENSIONS), rows),
            Quantity("matrix_scores", f"Q Kᵀ{scale}", scores, (Axis.QUERIES, Axis.KEYS), rows),
        )
    mixed = weights @ numbers.values
    return Step(
        "All queries at once: matrices",
        formula,
        "The walk follows one query, but all are computed at once. Queries, keys and values are the rows of three "
        "matrices, Q, K and V. Row i of Q Kᵀ has the scores of query i with all keys, softmax turns each row into "
        "weights, and row i of Z is the sum for query i."
        + " M is what is added to the scores: −∞ for hidden keys, and biases."
        * bool(added and asked),
        (
            *asked,
            Quantity("matrix_weights", "A, the weights", weights, (Axis.QUERIES, Axis.KEYS), rows),
            Quantity("matrix_mixed", f"Z, {_write_shape(mixed)}", mixed, (Axis.QUERIES, Axis.DIMENSIONS), rows),
        ),
    )


def _write_shape(array: Reals) -> str:
    return " × ".join(map(str, array.shape))


def _online(numbers: Numbers, tile: int) -> Step:
    """Return the step with FlashAttention's way to the same weights: it reads keys in tiles and keeps two numbers."""
    running = Running.before(numbers.query[None], numbers.values)
    why_sink = ""
    if numbers.sink is not None:  # a score like any other, but with nothing to take
        why_sink = " The score of the sink is read before the first tile."
        running = running.after(numbers.sink[None, None], np.zeros_like(numbers.values[:1]))
    kept: list[Running] = []
    ends = [min(first + tile, len(numbers.keys)) for first in range(0, len(numbers.keys), tile)]
    for first, end in zip(range(0, len(numbers.keys), tile), ends, strict=True):
        running = running.after(numbers.masked[None, first:end], numbers.values[first:end])
        kept.append(running)
    again = np.exp(numbers.masked - running.log_sum_exp[0])
    rows = tuple(f"after {end}" for end in ends)
    return Step(
        "Softmax, tile by tile (FlashAttention)",
        "m ← max(m, s_j),  l ← l·exp(m_old − m) + Σ exp(s_j − m)",
        "Softmax seems to need all scores at once, but it can read them in tiles: groups, here of "
        f"{count(tile, 'key')}. For a query it keeps only the largest score so far, m, the sum of exponentials, l, and "
        "the weighted sum of values. When a larger score comes, the old l and the old weighted sum are made smaller to "
        "match. At the end, log-sum-exp, which is ln Σ exp(s_j) = m + ln l, is enough to compute the weights of any "
        "tile again. So the memory for N queries grows as N, not N². The time stays N²: every query still meets every "
        f"key (Dao et al. 2022).{why_sink}",
        (
            Quantity("running_maximum", "largest score", np.array([k.maximum[0] for k in kept]), (Axis.TILES,), rows),
            Quantity("running_sum", "sum of exponentials", np.array([k.total[0] for k in kept]), (Axis.TILES,), rows),
            Quantity(
                "running_output",
                "the weighted sum so far",
                np.array([k.output[0] for k in kept]),
                (Axis.TILES, Axis.DIMENSIONS),
                rows,
            ),
            Quantity("log_sum_exp", "log-sum-exp at the end, m + ln l", running.log_sum_exp[0]),
            Quantity("recomputed_weights", "exp(s_j − log-sum-exp)", again, (Axis.KEYS,)),
            Quantity("recomputed_apart", "largest difference from the weights", np.abs(again - numbers.weights).max()),
        ),
    )
