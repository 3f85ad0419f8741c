"""The first steps: from a token to its query, and to every token's key."""

from collections.abc import Iterator

import numpy as np

from attnviz.reference.lesson.numbers import Numbers, Reals, shared
from attnviz.reference.lesson.steps import DIMENSIONS, Axis, Quantity, Step
from attnviz.reference.lesson.wording import Wording
from attnviz.reference.trace import Trace

_PARTS = {
    "token": ("E[token]", "the row of the embedding table for this token"),
    "type": ("T[text]", "the row for the text that it belongs to"),
    "position": ("P[position]", "the row, or wave, for its place in the text"),
}
_PASSED = "passed"


def embedding(trace: Trace) -> Iterator[Step]:
    """What the token begins with, if the model shows it."""
    parts = {name: np.asarray(array) for name, array in trace.embedding.items() if name in _PARTS}
    if not parts:
        return
    why = (
        "A model cannot compute with words, so each token starts as a list of learned numbers, its embedding. Tokens "
        "that are used alike have got similar numbers."
    )
    if "position" in parts:
        why += " A second list, for the place in the text, is added: attention itself knows no order."
    elif trace.turn is not None:
        why += " The order of tokens comes in later: positions will turn the query and the keys."
    quantities = [Quantity(f"{name}_embedding", _PARTS[name][1], array, DIMENSIONS) for name, array in parts.items()]
    formula = " + ".join(_PARTS[name][0] for name in parts)
    if (passed := trace.embedding.get(_PASSED)) is not None:
        formula = _afterwards(formula, np.sum(list(parts.values()), axis=0), passed)
        quantities.append(Quantity("embedded", "what it starts with", passed, DIMENSIONS, shown=len(quantities) > 1))
    yield Step("The token becomes a vector", f"x = {formula}", why, tuple(quantities))


def _afterwards(formula: str, total: Reals, passed: Reals) -> str:
    """The formula of a sum, with the norm or the map that is applied to it if there is one."""
    if total.shape != passed.shape:
        return f"W norm({formula})"
    return formula if np.allclose(total, passed, atol=1e-5) else f"norm({formula})"


def input_of_layer(trace: Trace, layer: int, words: Wording) -> Iterator[Step]:
    """What the layer reads in the token's place, if the model shows it."""
    if trace.residual is None:
        return
    first = layer == 0 and trace.part == "attention"
    why = (
        "Each token carries one list of numbers up through the layers, and every layer adds to it. It is called the "
        "residual stream. " + ("Nothing was added to it yet." if first else "What is here now was added further down.")
    )
    quantities = [Quantity("residual", f"what reaches layer {layer} in this token's place", trace.residual, DIMENSIONS)]
    if words.x != "x":
        why += " Before it is read, a norm brings it to a usual size."
        quantities.append(Quantity("input", "the same after the norm, as this layer reads it", trace.input, DIMENSIONS))
    yield Step(f"What layer {layer} reads", "x" if words.x == "x" else f"{words.x} = norm(x)", why, tuple(quantities))


def query(trace: Trace, head: int, numbers: Numbers, words: Wording) -> Step:
    """What the token is looking for."""
    quantities = [Quantity("query", f"the query of head {head}", trace.query[head], DIMENSIONS)]
    if trace.turned_query is not None:
        quantities.append(Quantity("turned_query", "the query, turned", numbers.query, DIMENSIONS))
    if len(trace.query) > 1:
        each = Quantity("queries", "the queries of all heads", trace.query, (Axis.HEADS, Axis.DIMENSIONS))
        quantities.insert(0, each)
    return Step("Its query", words.query, words.query_why, tuple(quantities))


def keys(trace: Trace, head: int, numbers: Numbers, words: Wording) -> Step:
    """What every token offers to be found by."""
    axes = Axis.KEYS, Axis.DIMENSIONS
    quantities = [Quantity("keys", "the key of every token", trace.keys[shared(trace, head)], axes)]
    if trace.turned_keys is not None:
        quantities.append(Quantity("turned_keys", "the keys, each turned for its own position", numbers.keys, axes))
    if trace.context is not None:
        made_from = Quantity("key_inputs", "what keys and values are made from", trace.context, axes, shown=False)
        quantities.insert(0, made_from)
    return Step("Every token's key", words.keys, words.keys_why, tuple(quantities))
