"""Every array of every lesson, computed again by a reader who has the JSON and knows the formulas."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import attnviz
from attnviz.lessons import WhatIf
from attnviz.lessons.explaining import HeadQuery, explain_head
from attnviz.lessons.toy import MASKS, POSITIONS, Toy, explain_toy
from attnviz.models.passages import Passage
from attnviz.reference.parameters import Parameters
from attnviz.vocabulary import Kind
from tests.lessons.reader import Reader, arrays_of, check, softmax, turn_each

LOOKED = {"residual", "input", "embedded", "feed_forward_inner", "feed_forward_output"}
"""What layers below, norms and the feed-forward network make, whose arrays are not in a lesson: held to the model."""

ORDER = (3, 0, 4, 2, 1)
EVERY = WhatIf(
    matrices=True,
    scores=("dot", "scaled-dot", "cosine", "general"),
    hard=True,
    no_scale=True,
    no_mask=True,
    tile=2,
)


SEEN = {
    "none": lambda i, j: True,
    "causal": lambda i, j: j <= i,
    "window": lambda i, j: abs(i - j) < 2,
    "prefix": lambda i, j: j < 2 or j <= i,
}


def toy_rules(toy: Toy) -> dict[str, Callable[[Reader], Any]]:
    """The rules of what only the toy shows, because its other heads and queries are known."""
    p, heads, depth = toy.parameters(), toy.heads, toy.width // toy.heads

    def part(name: str, head: int, x: np.ndarray) -> np.ndarray:
        own = slice(head * depth, (head + 1) * depth)
        return x @ p[f"{name}.weight"][own].T + p[f"{name}.bias"][own]

    def bias(head: int) -> np.ndarray:
        at = np.arange(5)
        return -(2.0 ** (-8 * (head + 1) / heads)) * np.abs(at[:, None] - at) * (toy.positions == "alibi")

    def seen() -> np.ndarray:
        return np.array([[SEEN[toy.mask](i, j) for j in range(5)] for i in range(5)])

    def asked(r: Reader, head: int) -> np.ndarray:
        q = part("query", head, r.a["key_inputs"])
        return turn_each(q) if toy.positions == "rotary" else q

    def weights(r: Reader, head: int) -> np.ndarray:
        k = part("key", head, r.a["key_inputs"])
        k = turn_each(k) if toy.positions == "rotary" else k
        return softmax(np.where(seen(), asked(r, head) @ k.T / math.sqrt(depth) + bias(head), -np.inf))

    def mixed(r: Reader) -> np.ndarray:
        return np.array([(weights(r, h) @ part("value", h, r.a["key_inputs"]))[r.i] for h in range(heads)])

    def added(r: Reader, head: int) -> np.ndarray:
        return p["output.weight"][:, head * depth : (head + 1) * depth] @ mixed(r)[head]

    return {
        "vectors": lambda r: toy.vectors,
        "position_vectors": lambda r: (
            waves(5, toy.width) if toy.positions == "sinusoidal" else r.a["placed"] - toy.vectors
        ),
        "key_inputs": lambda r: r.a.get("placed", toy.vectors),
        "queries": lambda r: [part("query", h, r.a["query_input"]) for h in range(heads)],
        "position_bias": lambda r: bias(toy.head)[r.i],
        "allowed": lambda r: seen()[r.i],
        "heads": mixed,
        "head_lengths": lambda r: [math.sqrt((added(r, h) ** 2).sum()) for h in range(heads)],
        "output": lambda r: sum(added(r, h) for h in range(heads)) + p["output.bias"],
        "added_lengths": lambda r: [math.sqrt((r.a["output"] ** 2).sum())],
        "matrix_queries": lambda r: asked(r, toy.head),
        "matrix_weights": lambda r: weights(r, toy.head),
    }


def waves(tokens: int, width: int) -> np.ndarray:
    return np.array(
        [
            [(math.cos if i % 2 else math.sin)(t / 10000 ** ((i - i % 2) / width)) for i in range(width)]
            for t in range(tokens)
        ]
    )


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("heads", "head", "query"), [(1, 0, 4), (2, 1, 1), (2, 0, 3)])
def test_every_array_of_a_toy_follows_from_those_before_it(
    mask: str, positions: str, heads: int, head: int, query: int
) -> None:
    toy = Toy(mask=mask, positions=positions, heads=heads, head=head, query=query)
    lesson = explain_toy(toy, EVERY)
    check(Reader(lesson, head), **toy_rules(toy))


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("mask", MASKS)
def test_what_runs_again_is_the_toy_in_another_order_or_without_positions(mask: str, positions: str) -> None:
    toy = Toy(mask=mask, positions=positions, heads=2, head=1, query=1)
    what_if = WhatIf(order=ORDER, no_positions=positions != "none")
    a = arrays_of(explain_toy(toy, what_if))

    def row(positions: str, mask: str, order: tuple[int, ...] = (0, 1, 2, 3, 4)) -> np.ndarray:
        """A toy whose vectors stand in that order from the start, and each weight at the place of its vector."""
        moved = Toy(
            vectors=toy.vectors[list(order)],
            names=tuple(toy.names[i] for i in order),
            mask=mask,
            positions=positions,
            heads=2,
            head=1,
            query=order.index(1),
        )
        weights = arrays_of(explain_toy(moved, WhatIf()))["weights"]
        return np.array([weights[order.index(vector)] for vector in range(5)])

    variants = [(positions, mask), ("none", mask), *([("none", "none")] if mask != "none" else [])]
    expected = [row(*variant, order) for variant in variants for order in ((0, 1, 2, 3, 4), ORDER)]
    assert a["order"].tolist() == list(ORDER)
    assert_allclose(a["weights_permuted"], expected, atol=1e-6)
    changes = [np.abs(one - other).max() for one, other in zip(expected[::2], expected[1::2], strict=True)]
    assert_allclose(a["largest_change"], changes, atol=1e-6)
    if positions != "none":
        assert_allclose(a["weights_without_positions"], [row(positions, mask), row("none", mask)], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "kind", "layer", "head", "query"),
    [
        ("builtin", Kind.ENCODER, 1, 1, 3),
        ("builtin", Kind.ENCODER, 0, 5, 0),
        ("builtin/decoder", Kind.DECODER, 1, 3, 2),
        ("builtin/translator", Kind.CROSS, 1, 3, 2),
        ("builtin/translator", Kind.DECODER, 1, 2, 2),
        ("builtin/bahdanau", Kind.CROSS, 0, 0, 1),
    ],
)
def test_every_array_of_a_model_follows_from_those_before_it(
    name: str, kind: Kind, layer: int, head: int, query: int
) -> None:
    model = attnviz.load(name)
    reading = model.read(Passage(text="The old man saw the young woman"))
    place = HeadQuery(kind=kind, layer=layer, head=head, query=query)
    lesson = explain_head(model, reading, place, EVERY)
    reader = Reader(lesson, head)
    trace = model.trace(reading, kind, layer, query)
    every = model.weights(reading, place.select)[0].weights[0, 0]

    def lengths(r: Reader) -> list[float]:
        parts = [r.a["output"] if part == trace.part else added for part, added in trace.added.items()]
        assert_allclose(trace.added["feed_forward"], r.a["feed_forward_output"], atol=1e-5)
        return [math.sqrt(sum(part**2)) for part in parts]

    def join(r: Reader) -> np.ndarray:
        weight = np.asarray((trace.parameters or Parameters({}))["output.weight"])
        return weight @ r.a["concatenated"] + r.a["output_bias"]

    looks_back = kind is Kind.DECODER
    after = "cross_attention" in trace.added and kind is Kind.DECODER  # which comes between the two
    check(
        reader,
        apart={*LOOKED, "key_inputs", "queries", "heads", "matrix_queries", "head_lengths"}
        | ({"layer_output"} if after else set())
        | ({"keys", "values", "query", "scores_by_function", "weights_by_score"} if reader.additive else set()),
        allowed=lambda r: [not looks_back or key <= query for key in range(len(r.k))],
        matrix_weights=lambda r: every,
        added_lengths=lengths,
        output=join,
    )
    a = reader.a
    assert_allclose(a["matrix_weights"][query], a["weights"], atol=1e-5)
    if not reader.additive:
        assert_allclose(a["queries"][head], a["query"])
        assert_allclose(a["heads"][head], a["mixed"], atol=1e-5)
        assert_allclose(a["matrix_queries"][query], reader.q, atol=1e-5)
        assert_allclose(a["head_lengths"][head], np.linalg.norm(a["head_output"]), rtol=1e-5)
        stack = trace.added["feed_forward"]
        assert_allclose(a["feed_forward_output"], stack)
    if kind is Kind.ENCODER:
        ff = model.runner.parameters.within(f"layers.{layer}.feed_forward")  # type: ignore[attr-defined]
        inner = a["feed_forward_inner"]
        assert (inner >= 0).all() and inner.any()  # relu
        assert_allclose(ff["down.weight"] @ inner + ff["down.bias"], a["feed_forward_output"], atol=1e-3)
        assert_allclose(a["key_inputs"][query], a["input"], atol=1e-6)
        assert_allclose(a["token_embedding"], model.runner.parameters["embedding.weight"][reading.ids[query]])  # type: ignore[attr-defined]
