"""Attention on a few small vectors, from the form without parameters to several heads."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attnviz.errors import UsageError
from attnviz.lessons.comparisons import Variant, WhatIf, comparisons
from attnviz.lessons.lesson import Axis, Lesson, Quantity, Step
from attnviz.lessons.walk import from_query
from attnviz.reference import masks
from attnviz.reference.head_steps import Reals
from attnviz.reference.layer_trace import trace_heads
from attnviz.reference.masks import Mask
from attnviz.reference.multi_head import Heads, multi_head_attention
from attnviz.reference.parameters import Parameters
from attnviz.reference.positions import Bias, alibi, sinusoidal
from attnviz.reference.rotary import Turn, frequencies, rotation
from attnviz.reference.scores import compute_weights, dot, draw_parameters
from attnviz.reference.trace import Trace

NAMES = "cat", "dog", "car", "bus", "red"
VECTORS: Reals = np.array(
    [
        [2.0, 0.0, 0.0, 1.0],
        [2.0, 0.5, 0.0, 0.5],
        [0.0, 2.0, 0.5, 1.0],
        [0.0, 2.0, 0.0, -0.5],
        [0.0, 0.5, 2.0, 0.0],
    ]
)
"""Five words by how much of an animal, a vehicle and a colour they are, and how fast."""

MASKS: dict[str, Mask | None] = {
    "none": None,
    "causal": masks.causal,
    "window": masks.sliding_window(2),
    "prefix": masks.prefix(2),
}
"""What a query of the toy may look at, by the name that the command line knows it by."""

_NEVER_LEARNED = "additive", "location"
"""The score functions whose parameters nothing in a head of dot products stands for."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Toy:
    """Vectors [tokens, width] with names, one of which asks; how many heads share the width.

    `positions` is one of `POSITIONS`, `mask` one of `MASKS`; `seed` is what W_Q, W_K, W_V and W_O are drawn from.

    Raises:
        UsageError: the width cannot be split among the heads, or not be turned by rotary positions.
    """

    vectors: Reals = field(default_factory=VECTORS.copy)
    names: tuple[str, ...] = NAMES
    query: int = 0
    head: int = 0
    heads: int = 1
    mask: str = "none"
    positions: str = "none"
    seed: int = 1

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise UsageError(f"{self.width} numbers cannot be split among {self.heads} heads: take a divisor.")
        if self.head >= self.heads:
            raise UsageError(f"There is no head {self.head}: the toy has {self.heads}, counted from 0.")
        if self.positions == "rotary" and self.width // self.heads % 2:
            raise UsageError("Rotary positions turn pairs of numbers: take vectors whose heads have an even width.")

    @property
    def width(self) -> int:
        """Return how many numbers each vector has."""
        return int(self.vectors.shape[1])

    def parameters(self) -> Parameters:
        """Draw random maps with small biases."""
        chance, spread = np.random.default_rng(self.seed), 1 / math.sqrt(self.width)
        arrays: dict[str, Reals] = {}
        for part in ("query", "key", "value", "output"):
            arrays[f"{part}.weight"] = chance.normal(0, spread, (self.width, self.width))
            arrays[f"{part}.bias"] = chance.normal(0, 0.1, self.width)
        return Parameters(arrays)


@dataclass(frozen=True, slots=True)
class _Placed:
    """What a kind of positions does: to the vectors, to queries and keys, to scores."""

    vectors: Callable[[Reals], Reals] = lambda x: x
    turn: Callable[[Toy], Turn] | None = None
    bias: Callable[[Toy], Bias] | None = None


def _waves(x: Reals) -> Reals:
    waves: Reals = sinusoidal(np.arange(len(x), dtype=x.dtype), x.shape[-1])
    return waves


def _rotation(toy: Toy) -> Turn:
    positions = np.arange(len(toy.vectors), dtype=toy.vectors.dtype)
    return rotation(positions, frequencies(toy.width // toy.heads, 10000.0, like=positions))


POSITIONS: dict[str, _Placed] = {
    "none": _Placed(),
    "sinusoidal": _Placed(vectors=lambda x: x + _waves(x)),
    "rotary": _Placed(turn=_rotation),
    "alibi": _Placed(bias=lambda toy: alibi(toy.heads)),
}
"""How the toy tells the order of its vectors, by the name that the command line knows it by."""


def toy_lesson(toy: Toy, what_if: WhatIf) -> Lesson:
    """Return the walk: the vectors as they are, then through one head, then what would be otherwise.

    Raises:
        UsageError: as in `comparisons`.
    """
    trace, names = _traced(toy), toy.names
    if what_if.no_positions and toy.positions == "none":
        raise UsageError("The toy has no positions to leave out:", hint="give it some with {positions}.")

    def rerun(variant: Variant) -> Reals:
        order = variant.order or tuple(range(len(names)))
        weights: Reals = np.empty(len(names))
        weights[list(order)] = _row(toy, variant, order)
        return weights

    depth = toy.width // toy.heads
    by_chance = (name for name in what_if.scores if name in _NEVER_LEARNED)
    drawn = {name: draw_parameters(name, depth, depth, len(names), toy.seed) for name in by_chance}
    steps = (
        *_without_parameters(toy),
        *_placed(toy, trace),
        *from_query(trace, toy.head, names),
        *comparisons(trace, toy.head, what_if, rerun, drawn),
    )
    return Lesson(
        subject="toy",
        query=names[toy.query],
        position=toy.query,
        keys=names,
        steps=steps,
        notes=(f"W_Q, W_K, W_V and W_O are drawn by chance (seed {toy.seed}): nobody trained them.",),
    )


def _without_parameters(toy: Toy) -> Iterator[Step]:
    x, i = toy.vectors, toy.query
    name = toy.names[i]
    similar = dot(x, x)  # [tokens, tokens]
    weights = compute_weights(similar, None)
    yield Step(
        "The vectors",
        "X",
        "Each word is a list of numbers. These are made up by hand: how much of an animal, a vehicle, a colour it is, "
        "and how fast. A model learns its own, and nobody names their dimensions."
        if toy.names is NAMES
        else "Each line is a vector, a list of numbers that stands for something.",
        (Quantity("vectors", "the vectors", x, (Axis.KEYS, Axis.DIMENSIONS)),),
    )
    yield Step(
        "Attention without parameters",
        "Y = (X Xᵀ) X,  Y_i = Σ_j (X_i · X_j) X_j",
        f"The simplest attention: {name} is compared with every vector (multiply number by number, and sum), and "
        "takes of each vector as much as that product says. There is nothing to learn yet.",
        (
            Quantity("similarities", f"{name} · X_j", similar[i], (Axis.KEYS,)),
            Quantity("summed", f"the new {name}", similar[i] @ x, (Axis.DIMENSIONS,)),
        ),
    )
    yield Step(
        "With softmax",
        "Y = softmax(X Xᵀ) X",
        "Those numbers may be negative and sum to anything. Softmax makes them shares of a whole, so that what comes "
        "out is an average of the vectors, no longer than the longest of them.",
        (
            Quantity("parameter_free_weights", "weight", weights[i], (Axis.KEYS,)),
            Quantity("parameter_free_sum", "their sum", weights[i].sum()),
            Quantity("averaged", f"the new {name}", weights[i] @ x, (Axis.DIMENSIONS,)),
        ),
    )


def _placed(toy: Toy, trace: Trace) -> Iterator[Step]:
    """Yield what positions that are added do to the vectors."""
    placed = np.asarray(trace.context)
    waves = placed - toy.vectors
    if waves.any():
        axes = Axis.KEYS, Axis.DIMENSIONS
        yield Step(
            "Positions are added",
            "x_j = X_j + P_j",
            "Attention itself knows no order. So each place has a wave of its own, sines and cosines of several "
            "lengths, which is added to the vector that stands there.",
            (
                Quantity("waves", "the wave of each place", waves, axes),
                Quantity("placed", "the vectors with their places", placed, axes),
            ),
        )


def _heads(toy: Toy, variant: Variant) -> Heads:
    placed = _placing(toy, variant)
    return Heads(
        toy.heads,
        mask=MASKS[toy.mask] if variant.mask else None,
        turn=placed.turn(toy) if placed.turn else None,
        bias=placed.bias(toy) if placed.bias else None,
    )


def _placing(toy: Toy, variant: Variant) -> _Placed:
    return POSITIONS[toy.positions if variant.positions else "none"]


def _attend(toy: Toy, variant: Variant, order: tuple[int, ...], **watching: Any) -> tuple[Reals, Reals]:
    """Return what multi-head attention over the vectors in an order reads and writes; both [tokens, width]."""
    x = _placing(toy, variant).vectors(toy.vectors[list(order)])
    return x, multi_head_attention(x, x, toy.parameters(), _heads(toy, variant), **watching)


def _row(toy: Toy, variant: Variant, order: tuple[int, ...]) -> Reals:
    """Return what the query looks at, in this order: [tokens]."""
    seen: list[Reals] = []
    _attend(toy, variant, order, watch=lambda block: seen.append(block.weights))
    row: Reals = seen[0][toy.head, order.index(toy.query)]
    return row


def _traced(toy: Toy) -> Trace:
    noted: dict[str, Reals] = {}
    x, written = _attend(toy, Variant(), tuple(range(len(toy.vectors))), note=noted.__setitem__)
    own = x[toy.query]
    return trace_heads(
        noted,
        _heads(toy, Variant()),
        toy.query,
        parameters=toy.parameters(),
        input=own,
        context=x,
        residual=own,
        added={"attention": written[toy.query]},
        passed=own + written[toy.query],
    )
