"""What each part of a head is for, seen by doing without it or by putting another in its place."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from attnviz.errors import UsageError
from attnviz.lessons.lesson import Axis, Quantity, Step, side_by_side
from attnviz.lessons.other_scores import under_scores
from attnviz.reference.head_steps import DOTS, Numbers, Reals, weigh_scores
from attnviz.reference.masks import zero_after_softmax
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import compute_weights
from attnviz.reference.streaming import Running
from attnviz.reference.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way to run the whole model again: its tokens in another order, without positions, with nothing hidden."""

    order: tuple[int, ...] | None = None
    positions: bool = True
    mask: bool = True


Rerun = Callable[[Variant], Reals]
"""The weights of the same query in the same head, for the keys in their first order: [keys]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What a walk through a head is to be compared with.

    `scores` names score functions, `order` is another order of the tokens, `tile` is how many keys at a time go through
    the online softmax.
    """

    scores: tuple[str, ...] = ()
    no_scale: bool = False
    no_mask: bool = False
    no_positions: bool = False
    order: tuple[int, ...] | None = None
    tile: int | None = None


def comparisons(
    trace: Trace, head: int, what_if: WhatIf, rerun: Rerun, drawn: Mapping[str, Parameters] | None = None
) -> Iterator[Step]:
    """Yield the steps in which a head is compared with what it would be otherwise.

    The parameters of some score functions may be `drawn` by chance.

    Raises:
        UsageError: the model has no such part, or cannot do without it.
    """
    if trace.weights is not None and what_if != WhatIf():
        raise UsageError("These weights do not follow from scores, scale and mask alone: leave the comparisons out.")
    numbers = Numbers.of(trace, head)
    if what_if.tile:
        yield _online(numbers, what_if.tile)
    if what_if.scores:
        yield under_scores(trace, head, what_if.scores, drawn or {})
    if what_if.no_scale:
        yield _without_scale(trace, head, numbers)
    if what_if.no_mask:
        yield _without_mask(trace, numbers)
    if what_if.no_positions:
        yield _without_positions(numbers, rerun)
    if what_if.order:
        yield _permuted(what_if.order, rerun, masked=trace.allowed is not None)


def _without_scale(trace: Trace, head: int, numbers: Numbers) -> Step:
    title = "Without the scale"
    if trace.score not in DOTS or trace.scale == 1:
        return Step(title, "s_j stays as it is", "Scores have no scale here that could be left out.", ())
    weights = {"with": numbers.weights, "without": weigh_scores(trace, head, numbers.scores)}
    return Step(
        title,
        "softmax(s_j / √d_k) beside softmax(s_j)",
        "Scores of many dimensions lie far apart, and softmax gives nearly everything to the largest. Small changes of "
        "a query would then change nothing, and training would stand still. The scale keeps more tokens in play.",
        tuple(side_by_side("weights_without_scale", "weights with the scale and without", weights)),
    )


def _without_mask(trace: Trace, numbers: Numbers) -> Step:
    bare = compute_weights(numbers.biased, None, numbers.sink)
    weights = {"with": numbers.weights, "without": bare}
    why = "Nothing is hidden from this query, so nothing changes without a mask."
    if trace.allowed is not None:
        weights["zeroed after"] = zero_after_softmax(bare, trace.allowed)
        why = (
            "Without the mask, weight goes to tokens that this query is not to see. To put zeros there after softmax "
            "does not mend it: the row sums to less, since the hidden tokens have taken their share."
        )
    return Step(
        "Without the mask",
        "softmax(s_j, or −∞ where hidden) beside softmax(s_j)",
        why,
        tuple(side_by_side("weights_without_mask", "weights with the mask and without", weights)),
    )


def _without_positions(numbers: Numbers, rerun: Rerun) -> Step:
    weights = {"with": numbers.weights, "without": rerun(Variant(positions=False))}
    return Step(
        "Without positions",
        "the same model, not told where its tokens stand",
        "The model was run again without knowing where its tokens stand. What changes was done by place (the previous "
        "token, the next one); what stays is done by meaning, or by a mask, which tells order too.",
        tuple(side_by_side("weights_without_positions", "weights with positions and without", weights)),
    )


def _permuted(order: tuple[int, ...], rerun: Rerun, *, masked: bool) -> Step:
    weights: dict[str, Reals] = {}
    apart: dict[str, float] = {}
    variants = {"as it is": Variant(), "no positions": Variant(positions=False)}
    if masked:
        variants["no positions, no mask"] = Variant(positions=False, mask=False)
    for name, variant in variants.items():
        with suppress(UsageError):  # a model that cannot do without them is shown as it is
            plain, moved = rerun(variant), rerun(replace(variant, order=order))
            weights |= {name: plain, f"{name}, shuffled": moved}
            apart[name] = float(np.abs(plain - moved).max())
    why = (
        "The tokens were shuffled, the model run again, and the weights put back to where their tokens stood. Without "
        "positions attention cannot tell the difference: it is permutation-equivariant. Only a mask still can, for "
        "what it hides depends on the order."
    )
    if len(apart) < len(variants):
        why += " (This model cannot be run without its positions here.)"
    changes = np.array(list(apart.values()))
    return Step(
        "The tokens in another order",
        "shuffle, run, put the weights back",
        why,
        (
            Quantity("order", "which token stands there", np.array(order), (Axis.KEYS,), shown=False),
            Quantity("weights_permuted", "weights", np.array(list(weights.values())), _PARTS_BY_KEY, tuple(weights)),
            Quantity("largest_change", "largest change of a weight", changes, (Axis.PARTS,), tuple(apart)),
        ),
    )


_PARTS_BY_KEY = Axis.PARTS, Axis.KEYS


def _online(numbers: Numbers, tile: int) -> Step:
    """Explain FlashAttention's way to the same weights: keys come in tiles, of which only two numbers are kept."""
    running = Running.before(numbers.query[None], numbers.values)
    why_sink = ""
    if numbers.sink is not None:  # a score like any other, but with nothing to take
        why_sink = " The score of the sink is counted before the first tile."
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
        f"Softmax seems to need all scores at once. It does not: {tile} keys at a time, it is enough to keep the "
        "largest score so far and the sum of exponentials; when a larger one comes, the old sum is shrunk. From "
        "log(sum) at the end any tile's weights can be had again, so nobody ever holds all of them (Dao et al. 2022)."
        + why_sink,
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
            Quantity("log_sum_exp", "log-sum-exp, saved", running.log_sum_exp[0]),
            Quantity("recomputed_weights", "exp(s_j − log-sum-exp)", again, (Axis.KEYS,)),
            Quantity("recomputed_apart", "largest difference from the weights", np.abs(again - numbers.weights).max()),
        ),
    )
