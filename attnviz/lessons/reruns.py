"""Comparisons for which the whole model runs again: without a part, in another order, or untrained."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import UsageError
from attnviz.lessons.lesson import Axis, Quantity, Step, side_by_side
from attnviz.reference.head_steps import Numbers, Reals
from attnviz.reference.trace import Trace

SEED = 1
"""The seed of the arrays of an untrained model."""


class Variant(Struct, frozen=True, kw_only=True):
    """A way to run the whole model again: its tokens in another order, or without positions, mask or training."""

    order: tuple[int, ...] | None = None
    positions: bool = True
    mask: bool = True
    trained: bool = True


Rerun = Callable[[Variant], Reals]
"""All weights of the same head, for the queries and keys in their first order: [queries, keys]."""


def compare_positions(trace: Trace, numbers: Numbers, rerun: Rerun) -> Step:
    """Return the step with the weights of a model that is run without positions."""
    weights = {"with": numbers.weights, "without": rerun(Variant(positions=False))[trace.position]}
    return Step(
        "Without positions",
        "the same model, run without positions",
        "The model ran again without positions. A weight that changes depends on where tokens are, such as a weight on "
        "the previous token. A weight that stays the same depends on what the tokens are, or on a mask, which tells "
        "the order too.",
        tuple(side_by_side("weights_without_positions", "weights with and without positions", weights)),
    )


def compare_training(trace: Trace, numbers: Numbers, rerun: Rerun) -> Step:
    """Return the step with the weights of a model of the same shape that nobody has trained."""
    weights = {"trained": numbers.weights, "untrained": rerun(Variant(trained=False))[trace.position]}
    return Step(
        "Without training",
        "the same model, with random arrays",
        f"All learned arrays were drawn anew (seed {SEED}), as before training: the numbers of a matrix vary by 1 / "
        "√inputs (their standard deviation), biases are 0, norms 1. Then the model ran again. The computation is the "
        "same, so what only the trained head does was learned.",
        tuple(side_by_side("weights_untrained", "weights with and without training", weights)),
    )


def compare_order(trace: Trace, order: tuple[int, ...], rerun: Rerun) -> Step:
    """Return the step with the weights of a model that reads the tokens in another order."""
    weights: dict[str, Reals] = {}
    apart: dict[str, float] = {}
    variants = {"as it is": Variant(), "no positions": Variant(positions=False)}
    if trace.allowed is not None:
        variants["no positions, no mask"] = Variant(positions=False, mask=False)
    for name, variant in variants.items():
        with suppress(UsageError):  # a model that cannot do without them is shown as it is
            plain, moved = (rerun(each)[trace.position] for each in (variant, replace(variant, order=order)))
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
            Quantity(
                "weights_permuted", "weights", np.array(list(weights.values())), (Axis.PARTS, Axis.KEYS), tuple(weights)
            ),
            Quantity("largest_change", "largest change of a weight", changes, (Axis.PARTS,), tuple(apart)),
        ),
    )


_EQUIVARIANT = "it is permutation-equivariant, which means that each token keeps its weight wherever it stands."


def _why_order_counts(trace: Trace, *, complete: bool) -> str:
    if trace.score == "additive":  # only recurrent networks have such scores
        return (
            "This model has no positions: its networks read one token after the other, and what they know of a token "
            "depends on those that they read before it. So the order counts."
        )
    why = (
        "If the weights change, the model knows the order from its positions. Attention without positions cannot tell "
        f"one order from another: {_EQUIVARIANT}"
    )
    if trace.allowed is not None:
        why = (
            "If the weights change, the model knows the order: from its positions, or from the mask, because the order "
            f"decides which tokens it hides. Attention with neither cannot tell one order from another: {_EQUIVARIANT}"
        )
    return why if complete else f"{why} (This model cannot be run without its positions here.)"
