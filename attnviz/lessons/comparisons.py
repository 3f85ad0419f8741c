"""Comparisons that show the use of a part of a head: without it, or with another in its place."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from attnviz.errors import UsageError
from attnviz.lessons.lesson import Axis, Quantity, Step, count, side_by_side
from attnviz.lessons.other_scores import compare_scores
from attnviz.reference.head_steps import DOTS, Numbers, Reals, weigh_scores
from attnviz.reference.masks import zero_after_softmax
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import compute_weights
from attnviz.reference.streaming import Running
from attnviz.reference.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way to run the whole model again: with its tokens in another order, without positions, without its mask."""

    order: tuple[int, ...] | None = None
    positions: bool = True
    mask: bool = True


Rerun = Callable[[Variant], Reals]
"""The weights of the same query in the same head, for the keys in their first order: [keys]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """The comparisons that follow the walk through a head.

    `scores` names score functions, `order` is another order of the tokens, `tile` is the number of keys that online
    softmax reads at a time.
    """

    scores: tuple[str, ...] = ()
    no_scale: bool = False
    no_mask: bool = False
    no_positions: bool = False
    order: tuple[int, ...] | None = None
    tile: int | None = None


def compare(
    trace: Trace, head: int, what_if: WhatIf, rerun: Rerun, drawn: Mapping[str, Parameters] | None = None
) -> Iterator[Step]:
    """Yield the steps that compare a head with what it would be otherwise.

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
    if what_if.tile:
        yield _online(numbers, what_if.tile)
    if what_if.scores:
        yield compare_scores(trace, head, what_if.scores, drawn)
    if what_if.no_scale:
        yield _without_scale(trace, head, numbers)
    if what_if.no_mask:
        yield _without_mask(trace, numbers)
    if what_if.no_positions:
        yield _without_positions(numbers, rerun)
    if what_if.order:
        yield _permute(trace, what_if.order, rerun)


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


def _without_mask(trace: Trace, numbers: Numbers) -> Step:
    bare = compute_weights(numbers.biased, None, numbers.sink)
    weights = {"with": numbers.weights, "without": bare}
    why = "No key is hidden from this query, so its weights are the same without a mask."
    if trace.allowed is not None and not np.all(trace.allowed):
        weights["zeroed after"] = zero_after_softmax(bare, trace.allowed)
        why = (
            "Without the mask, this query also gives weight to keys that it must not see. Setting these weights to 0 "
            "after softmax does not repair that: the share that they took is lost, and the row sums to less."
        )
    return Step(
        "Without the mask",
        "softmax(s_j, or −∞ where hidden) beside softmax(s_j)",
        why,
        tuple(side_by_side("weights_without_mask", "weights with and without the mask", weights)),
    )


def _without_positions(numbers: Numbers, rerun: Rerun) -> Step:
    weights = {"with": numbers.weights, "without": rerun(Variant(positions=False))}
    return Step(
        "Without positions",
        "the same model, run without positions",
        "The model ran again without positions. A weight that changes depends on where tokens are, such as a weight on "
        "the previous token. A weight that stays the same depends on what the tokens are, or on a mask, which tells "
        "the order too.",
        tuple(side_by_side("weights_without_positions", "weights with and without positions", weights)),
    )


def _permute(trace: Trace, order: tuple[int, ...], rerun: Rerun) -> Step:
    weights: dict[str, Reals] = {}
    apart: dict[str, float] = {}
    variants = {"as it is": Variant(), "no positions": Variant(positions=False)}
    if trace.allowed is not None:
        variants["no positions, no mask"] = Variant(positions=False, mask=False)
    for name, variant in variants.items():
        with suppress(UsageError):  # a model that cannot do without them is shown as it is
            plain, moved = rerun(variant), rerun(replace(variant, order=order))
            weights |= {name: plain, f"{name}, shuffled": moved}
            apart[name] = float(np.abs(plain - moved).max())
    changes = np.array(list(apart.values()))
    return Step(
        "The tokens in another order",
        "shuffle, run, put the weights back",
        "The tokens were shuffled, the model ran again, and each weight was put back to the place of its token. "
        f"{_why_order_counts(trace, complete=len(apart) == len(variants))}",
        (
            Quantity("order", "the token at each position", np.array(order), (Axis.KEYS,), shown=False),
            Quantity("weights_permuted", "weights", np.array(list(weights.values())), _PARTS_BY_KEY, tuple(weights)),
            Quantity("largest_change", "largest change of a weight", changes, (Axis.PARTS,), tuple(apart)),
        ),
    )


def _why_order_counts(trace: Trace, *, complete: bool) -> str:
    if trace.score == "additive":  # only recurrent networks have such scores
        return (
            "This model has no positions: its networks read one token after the other, and what they know of a token "
            "depends on those that they read before it. So the order counts."
        )
    why = (
        "If the weights change, the model knows the order from its positions. Attention without positions cannot tell "
        "one order from another: it is permutation-equivariant."
    )
    if trace.allowed is not None:
        why = (
            "If the weights change, the model knows the order: from its positions, or from the mask, because the order "
            "decides which tokens it hides. Attention with neither cannot tell one order from another: it is "
            "permutation-equivariant."
        )
    return why if complete else f"{why} (This model cannot be run without its positions here.)"


_PARTS_BY_KEY = Axis.PARTS, Axis.KEYS


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
        f"Softmax seems to need all scores at once, but it can read them in tiles, here of {count(tile, 'key')}. It "
        "keeps only the largest score so far, m, and the sum of exponentials, l. When a larger score comes, the old "
        "sum is made smaller to match. The two numbers at the end are enough to compute the weights of any tile again, "
        "so all "
        "weights need never be in memory at once (Dao et al. 2022)." + why_sink,
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
