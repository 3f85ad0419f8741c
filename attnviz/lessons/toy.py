"""Attention on a few small vectors, from the form without parameters to several heads."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from msgspec import Struct, field
from msgspec.structs import force_setattr, replace

from attnviz.errors import UsageError
from attnviz.lessons.comparisons import WhatIf, compare
from attnviz.lessons.lesson import Axis, Lesson, Quantity, Step
from attnviz.lessons.reruns import Variant
from attnviz.lessons.walk import query_steps
from attnviz.lessons.wording import LOOKS_BACK, NO_ORDER, Told, explain_slope
from attnviz.reference import masks
from attnviz.reference.head_steps import Numbers, Reals
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
"""Five words: how much each is an animal, a vehicle and a colour, and how fast it is."""

_NEAR = _PREFIX = 2

MASKS: dict[str, Mask | None] = {
    "none": None,
    "causal": masks.causal,
    "window": masks.sliding_window(_NEAR),
    "prefix": masks.prefix(_PREFIX),
}
"""The masks of the toy, by their names on the command line."""

_WHY_HIDDEN = {
    "causal": LOOKS_BACK,
    "window": "In a window, a query only sees tokens that are near: itself and the token on each side.",
    "prefix": f"The first {_PREFIX} tokens, the prefix, are given, so every query sees them. The others are to be "
    "predicted, so a query must not look ahead at them.",
}

_NEVER_LEARNED = "additive", "location"
"""The score functions whose parameters nothing in a head of dot products stands for."""


class Toy(Struct, frozen=True, eq=False, kw_only=True):
    """Vectors [tokens, width] with names, the index of the query among them, and the number of heads.

    `positions` is one of `POSITIONS`, and `others` are those to compare it with; `mask` is one of `MASKS`; W_Q, W_K,
    W_V and W_O are drawn at random from `seed`. A query of -1 is the last vector from which the mask hides something,
    or the last of all.

    Raises:
        UsageError: the width cannot be split among the heads, or not be turned by rotary positions.
    """

    vectors: Reals = field(default_factory=VECTORS.copy)
    names: tuple[str, ...] = NAMES
    query: int = -1
    head: int = 0
    heads: int = 1
    mask: str = "none"
    positions: str = "none"
    others: tuple[str, ...] = ()
    seed: int = 1

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise UsageError(
                f"Vectors of {self.width} numbers cannot be split among {self.heads} heads: the number of heads must "
                "divide the width."
            )
        if not 0 <= self.head < self.heads:
            there = f"heads 0 to {self.heads - 1}" if self.heads > 1 else "only head 0"
            raise UsageError(f"There is no head {self.head}: the toy has {there}.")
        if "rotary" in (self.positions, *self.others) and self.width // self.heads % 2:
            raise UsageError(
                "Rotary positions rotate pairs of numbers, so each head needs an even width, and here it is "
                f"{self.width // self.heads}: take fewer heads, or vectors of another width."
            )
        if self.query < 0:
            force_setattr(self, "query", self._find_last_query())

    def _find_last_query(self) -> int:
        """Return the last vector from which the mask hides something, or the last of all if there is none."""
        at, mask = np.arange(len(self.vectors)), MASKS[self.mask]
        hides = np.flatnonzero(~mask(at[:, None], at).all(axis=1)) if mask else at
        return int(hides[-1] if hides.size else at[-1])

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


class _Placing(Struct, frozen=True):
    """The effect of one kind of positions on the vectors, on queries and keys, and on scores.

    `added` makes the vectors of positions [tokens, width], which are added for the reason `why`.
    """

    added: Callable[[Toy], Reals] | None = None
    why: str = ""
    turn: Callable[[Toy], Turn] | None = None
    bias: Callable[[Toy], Bias] | None = None


def _make_waves(toy: Toy) -> Reals:
    waves: Reals = sinusoidal(np.arange(len(toy.vectors), dtype=toy.vectors.dtype), toy.width)
    return waves


def _draw_table(toy: Toy) -> Reals:
    return np.random.default_rng(toy.seed).normal(0, 1, toy.vectors.shape)


def _make_rotation(toy: Toy) -> Turn:
    positions = np.arange(len(toy.vectors), dtype=toy.vectors.dtype)
    return rotation(positions, frequencies(toy.width // toy.heads, 10000.0, like=positions))


POSITIONS: dict[str, _Placing] = {
    "none": _Placing(),
    "learned": _Placing(
        added=_draw_table,
        why="So a table has a vector for each position, which is added to the vector there. A model learns its table; "
        "this one is random. Beyond its last row there is no position, so a model with such a table reads no more.",
    ),
    "sinusoidal": _Placing(
        added=_make_waves,
        why="So a vector of sines and cosines is added to the vector at each position. Each pair of its numbers "
        "follows a wave of its own length from position to position.",
    ),
    "rotary": _Placing(turn=_make_rotation),
    "alibi": _Placing(bias=lambda toy: alibi(toy.heads)),
}
"""The ways to give the toy's vectors an order, by their names on the command line."""


def explain_toy(toy: Toy, what_if: WhatIf) -> Lesson:
    """Return the lesson on a toy: attention without parameters, the walk through one head, then the comparisons.

    Raises:
        UsageError: as in `compare`.
    """
    trace, names = _trace(toy), toy.names
    if what_if.no_positions and toy.positions == "none":
        raise UsageError("The toy has no positions to leave out:", hint="add some, as with {positions:rotary}.")
    if what_if.untrained:
        raise UsageError("The toy is not trained, so there is nothing to compare: leave", hint="{untrained} out.")

    def rerun(variant: Variant) -> Reals:
        order = variant.order or tuple(range(len(names)))
        weights: Reals = np.empty((len(names), len(names)))
        weights[np.ix_(order, order)] = _run(toy, variant, order)
        return weights

    depth = toy.width // toy.heads
    untrained = (name for name in what_if.scores if name in _NEVER_LEARNED)
    drawn = {name: draw_parameters(name, depth, depth, len(names), toy.seed) for name in untrained}
    walk = (
        *_attend_without_parameters(toy),
        *_add_positions(toy),
        *query_steps(trace, toy.head, names, Told(hidden=_WHY_HIDDEN.get(toy.mask), bias=_explain_bias(toy))),
    )
    return Lesson(
        subject="toy",
        query=names[toy.query],
        position=toy.query,
        keys=names,
        steps=(*walk, *_compare_kinds(toy), *compare(trace, toy.head, what_if, rerun, names, drawn)),
        walked=len(walk),
        notes=(f"W_Q, W_K, W_V and W_O are random numbers (seed {toy.seed}): they are not trained.",),
    )


def _attend_without_parameters(toy: Toy) -> Iterator[Step]:
    x, i = toy.vectors, toy.query
    name = toy.names[i]
    similar = dot(x, x)  # [tokens, tokens]
    weights = compute_weights(similar, None)
    yield Step(
        "The vectors",
        "X",
        "Each word is a list of numbers, a vector. These four numbers were chosen by hand: they say how much the word "
        "is an animal, a vehicle and a colour, and how fast it is. A model learns its own numbers, and their meanings "
        "have no names."
        if toy.names is NAMES
        else "Each line is a vector: a list of numbers that stands for something.",
        (Quantity("vectors", "the vectors", x, (Axis.KEYS, Axis.DIMENSIONS)),),
    )
    yield Step(
        "Attention without parameters",
        "Y = (X Xᵀ) X,  Y_i = Σ_j (X_i · X_j) X_j",
        f"The simplest attention compares {name} with every vector: the two are multiplied number by number, and the "
        "products are added. Then each vector is multiplied by its result, and all are added. Nothing is learned here.",
        (
            Quantity("similarities", f"{name} · X_j", similar[i], (Axis.KEYS,)),
            Quantity("summed", f"the new {name}", similar[i] @ x, (Axis.DIMENSIONS,)),
        ),
    )
    yield Step(
        "With softmax",
        "Y = softmax(X Xᵀ) X",
        "The results of the comparison can be negative, and their sum can be any number. Softmax turns them into "
        f"weights: none is negative, and their sum is 1. So the new {name} is a weighted average of the vectors. X "
        f"stands here in three roles: as queries that ask ({name}), as keys that are compared, and as values that are "
        "averaged. The next steps give each role a vector of its own.",
        (
            Quantity("parameter_free_weights", "weight", weights[i], (Axis.KEYS,)),
            Quantity("parameter_free_sum", "sum of the weights", weights[i].sum()),
            Quantity("averaged", f"the new {name}", weights[i] @ x, (Axis.DIMENSIONS,)),
        ),
    )


def _add_positions(toy: Toy) -> Iterator[Step]:
    """Yield the step in which vectors of positions are added, if there are such."""
    placing = POSITIONS[toy.positions]
    if placing.added is None:
        return
    added, axes = placing.added(toy), (Axis.KEYS, Axis.DIMENSIONS)
    yield Step(
        "Positions are added",
        "x_j = X_j + P_j",
        f"{NO_ORDER} {placing.why}",
        (
            Quantity("position_vectors", "P, the vector of each position", added, axes),
            Quantity("placed", "the vectors with those of their positions", toy.vectors + added, axes),
        ),
    )


def _explain_bias(toy: Toy) -> str:
    """Return what the bias of the toy's head is made of, if it is that of ALiBi."""
    if toy.positions != "alibi":
        return ""
    return explain_slope(-alibi(toy.heads)(np.array([[0]]), np.array([[1]]))[toy.head].item(), len(toy.names))


def _compare_kinds(toy: Toy) -> Iterator[Step]:
    """Yield the step with the score of one pair under each kind of positions, there and one place further."""
    if not toy.others:
        return
    kinds, i = (toy.positions, *toy.others), toy.query
    j = i - 1 if i else min(1, len(toy.names) - 1)
    here, further = (np.array([_score(replace(toy, positions=kind), j, before) for kind in kinds]) for before in (0, 1))
    yield Step(
        "The same pair, one place further",
        "s_ij beside s_i+1,j+1 of the same two vectors",
        f"The query is {toy.names[i]} and the key {toy.names[j]}. Then one more vector is put before them all, so that "
        "both stand one place further, as far from each other as before. Under rotary positions and ALiBi only the "
        "distance counts, so the score stays the same. Positions P that are added to the vectors change it: "
        "(x_i + P_i) · (x_j + P_j), to leave out W_Q and W_K, has x_i · P_j and P_i · x_j in it, and these change when "
        "both move. Of sinusoidal positions, only P_i · P_j depends on the distance alone.",
        (
            Quantity("pair_scores", "score", here, (Axis.PARTS,), kinds),
            Quantity("pair_scores_further", "one place further", further, (Axis.PARTS,), kinds),
            Quantity("pair_changes", "change", np.round(further - here, 12), (Axis.PARTS,), kinds),
        ),
    )


def _score(toy: Toy, key: int, before: int) -> float:
    """Return the score of the query and a key, with so many more vectors before them all."""
    moved = replace(
        toy,
        vectors=np.pad(toy.vectors, ((before, 0), (0, 0))),
        names=("",) * before + toy.names,
        query=toy.query + before,
    )
    return float(Numbers.of(_trace(moved), toy.head).biased[key + before])


def _make_heads(toy: Toy, variant: Variant) -> Heads:
    placing = _choose_positions(toy, variant)
    return Heads(
        toy.heads,
        mask=MASKS[toy.mask] if variant.mask else None,
        turn=placing.turn(toy) if placing.turn else None,
        bias=placing.bias(toy) if placing.bias else None,
    )


def _choose_positions(toy: Toy, variant: Variant) -> _Placing:
    return POSITIONS[toy.positions if variant.positions else "none"]


def _attend(toy: Toy, variant: Variant, order: tuple[int, ...], **watching: Any) -> tuple[Reals, Reals]:
    """Return what multi-head attention over the vectors in an order reads and writes; both [tokens, width]."""
    x, placing = toy.vectors[list(order)], _choose_positions(toy, variant)
    x = x + placing.added(toy) if placing.added else x
    return x, multi_head_attention(x, x, toy.parameters(), _make_heads(toy, variant), **watching)


def _run(toy: Toy, variant: Variant, order: tuple[int, ...]) -> Reals:
    """Return the weights of the head over the vectors in this order: [tokens, tokens]."""
    seen: list[Reals] = []
    _attend(toy, variant, order, watch=lambda block: seen.append(block.weights))
    weights: Reals = seen[0][toy.head]
    return weights


def _trace(toy: Toy) -> Trace:
    noted: dict[str, Reals] = {}
    x, written = _attend(toy, Variant(), tuple(range(len(toy.vectors))), note=noted.__setitem__)
    own = x[toy.query]
    return trace_heads(
        noted,
        _make_heads(toy, Variant()),
        toy.query,
        parameters=toy.parameters(),
        input=own,
        context=x,
        residual=own,
        added={"attention": written[toy.query]},
        passed=own + written[toy.query],
    )
