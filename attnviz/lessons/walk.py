"""The walk through one head for one query: from the token to what is added to the residual stream."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from attnviz.lessons.lesson import BY_KEY, DIMENSIONS, TOP_BY_DIMENSION, Axis, Quantity, Step
from attnviz.lessons.wording import Wording, wording
from attnviz.reference.head_steps import DOTS, Numbers, Reals, entropy, find_key_head, project
from attnviz.reference.masks import zero_after_softmax
from attnviz.reference.multi_head import split_output
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import compute_weights
from attnviz.reference.trace import Trace


def head_steps(trace: Trace, layer: int, head: int, names: Sequence[str]) -> Iterator[Step]:
    """Yield the steps of one head, whose layer is the one of the trace; `names` are those of the keys."""
    words = wording(trace, head)
    yield from _embedding(trace)
    yield from _input_of_layer(trace, layer, words)
    yield from from_query(trace, head, names)


def from_query(trace: Trace, head: int, names: Sequence[str]) -> Iterator[Step]:
    """Yield the steps of one head from its query on; those after the values as far as the model shows them."""
    numbers, words, names = Numbers.of(trace, head), wording(trace, head), _tell_apart(names)
    yield _query(trace, head, numbers, words)
    yield _keys(trace, head, numbers, words)
    yield from _weighing(trace, head, numbers, words, names)
    every_value = Quantity("values", "the value of every token", numbers.values, (Axis.KEYS, Axis.DIMENSIONS))
    yield Step("Every token's value", words.values, words.values_why, (every_value,))
    yield _mixture(numbers, names)
    if trace.mixed is not None and trace.parameters is not None:
        yield _output(trace, trace.parameters, trace.mixed, head)
    if trace.residual is not None and trace.passed is not None:
        yield _residual(trace, trace.residual, trace.passed)


def _tell_apart(names: Sequence[str]) -> list[str]:
    """Return the names, with their positions where several are the same."""
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{position} {name}" for position, name in enumerate(names)]


_PARTS = {
    "token": ("E[token]", "the row of the embedding table for this token"),
    "type": ("T[text]", "the row for the text that it belongs to"),
    "position": ("P[position]", "the row, or wave, for its place in the text"),
}
_PASSED = "passed"


def _embedding(trace: Trace) -> Iterator[Step]:
    """Yield what the token begins with, if the model shows it."""
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
    """Return the formula of a sum, with the norm or the map that is applied to it if there is one."""
    if total.shape != passed.shape:
        return f"W norm({formula})"
    return formula if np.allclose(total, passed, atol=1e-5) else f"norm({formula})"


def _input_of_layer(trace: Trace, layer: int, words: Wording) -> Iterator[Step]:
    """Yield what the layer reads in the token's place, if the model shows it."""
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


def _query(trace: Trace, head: int, numbers: Numbers, words: Wording) -> Step:
    quantities = [Quantity("query", f"the query of head {head}", trace.query[head], DIMENSIONS)]
    if trace.turned_query is not None:
        quantities.append(Quantity("turned_query", "the query, turned", numbers.query, DIMENSIONS))
    if len(trace.query) > 1:
        each = Quantity("queries", "the queries of all heads", trace.query, (Axis.HEADS, Axis.DIMENSIONS))
        quantities.insert(0, each)
    return Step("Its query", words.query, words.query_why, tuple(quantities))


def _keys(trace: Trace, head: int, numbers: Numbers, words: Wording) -> Step:
    axes = Axis.KEYS, Axis.DIMENSIONS
    quantities = [Quantity("keys", "the key of every token", trace.keys[find_key_head(trace, head)], axes)]
    if trace.turned_keys is not None:
        quantities.append(Quantity("turned_keys", "the keys, each turned for its own position", numbers.keys, axes))
    if trace.context is not None:
        made_from = Quantity("key_inputs", "what keys and values are made from", trace.context, axes, shown=False)
        quantities.insert(0, made_from)
    return Step("Every token's key", words.keys, words.keys_why, tuple(quantities))


def _weighing(trace: Trace, head: int, numbers: Numbers, words: Wording, names: Sequence[str]) -> Iterator[Step]:
    """Yield the steps from scores to weights, or the weights alone where the model makes them in another way."""
    if trace.weights is not None:
        yield _own_weights(numbers)
        return
    yield _scores(trace, numbers, words, names)
    if trace.score in DOTS:
        yield _scale(trace, numbers)
    if trace.bias is not None:
        yield _bias(trace, trace.bias[head], numbers)
    yield _mask(trace, numbers)
    yield _softmax(numbers)


def _own_weights(numbers: Numbers) -> Step:
    return Step(
        "The weights",
        "w_j",
        "This model does more than take softmax of scores that are scaled, added to and masked (it may cap them). So "
        "these are the weights that it computes itself, with no steps between.",
        _weights(numbers),
    )


def _scores(trace: Trace, numbers: Numbers, words: Wording, names: Sequence[str]) -> Step:
    top = numbers.largest_scores()
    if trace.score in DOTS:
        parts = numbers.query * numbers.keys[top]  # [top, d]
    else:  # of each unit of the network in which additive scores are made
        asked, offered = project(trace, numbers.query, numbers.keys[top])
        parts = np.tanh(asked + offered) * trace.score_parameters["v"]  # [top, inner]
    return Step(
        "Query meets keys: the scores",
        words.scores,
        words.scores_why,
        (
            Quantity("scores", "score", numbers.scores, BY_KEY),
            Quantity("contributions", words.parts, parts, TOP_BY_DIMENSION, tuple(names[key] for key in top)),
        ),
    )


def _scale(trace: Trace, numbers: Numbers) -> Step:
    depth, seen = numbers.query.shape[-1], numbers.visible
    before, after = numbers.scores[seen].std(), numbers.scaled[seen].std()
    divisor = f"√{depth}" if math.isclose(trace.scale, depth**-0.5, rel_tol=1e-6) else f"{1 / trace.scale:.4g}"
    formula = f"s_j ← s_j / {divisor}"
    why = (
        "A sum of many products is large by its length alone, and softmax of large numbers puts everything on one key. "
        f"So scores are divided by {divisor}"
        + (", the root of d_k, how many numbers a key has." if "√" in divisor else ".")
    )
    if trace.scale == 1:
        formula = "s_j stays as it is"
        why = (
            "This model does not scale its scores: its training has taken the size into the learned maps."
            if trace.parameters is not None
            else "Scores are not scaled here: if this model has a scale, the query or the keys have it already."
        )
    return Step(
        "The scale",
        formula,
        why,
        (
            Quantity("scaled_scores", "scaled", numbers.scaled, BY_KEY),
            Quantity("scale_divisor", "what scores are divided by", np.float64(1 / trace.scale)),
            Quantity("spread_before", "spread of the scores before (standard deviation)", before),
            Quantity("spread_after", "and after", after),
        ),
    )


def _bias(trace: Trace, bias: Reals, numbers: Numbers) -> Step:
    biased = Quantity("biased_scores", "score + bias", numbers.biased, BY_KEY)
    if trace.parameters is None:
        return Step(
            "What is added to the scores",
            "s_j ← s_j + b_j",
            "This model adds a number to each score; each head may have its own. Most models that do so tell order by "
            "it: where a key stands or how far away it is (ALiBi, T5), or how that fits what query and key hold "
            "(DeBERTa, XLNet).",
            (Quantity("bias", "bias", bias, BY_KEY), biased),
        )
    return Step(
        "Positions change the scores",
        "s_j ← s_j + b(j − i)",
        "This model tells order by a number for each distance, which is added to the score; each head has its own.",
        (Quantity("position_bias", "bias", bias, BY_KEY), biased),
    )


def _mask(trace: Trace, numbers: Numbers) -> Step:
    if trace.allowed is None or bool(np.all(trace.allowed)):
        why = "Nothing is hidden from this query: it may look at every token here."
        if trace.allowed is not None:
            why = "This model hides tokens by their place, but none that is here from this query."
        return Step("No mask here", "s_j stays as it is", why, ())
    zeroed = zero_after_softmax(compute_weights(numbers.biased, None, numbers.sink), trace.allowed)
    return Step(
        "The mask",
        "s_j ← −∞ where the query may not look",
        f"{_why_hidden(trace.allowed, trace.position)} Hidden scores become −∞ before softmax, for e^−∞ = 0 and "
        "the others share all there is. To set weights to zero after softmax would be wrong: the row would sum to "
        "less, by what was hidden.",
        (
            Quantity("allowed", "may be seen", np.asarray(trace.allowed), BY_KEY),
            Quantity("sum_if_zeroed_after", "what the row would sum to if zeroed after softmax", zeroed.sum()),
        ),
    )


def _why_hidden(allowed: Reals, position: int) -> str:
    hidden = np.flatnonzero(~np.asarray(allowed, bool))
    if np.array_equal(hidden, range(position + 1, len(allowed))):
        return "A model that writes must not look ahead, or it would copy the word that it is to guess."
    if np.array_equal(hidden, range(len(hidden))) and len(hidden) <= position:
        return "This layer looks back no further than a window."
    return "This layer looks no further than a window, or sees a part of the text only."


def _softmax(numbers: Numbers) -> Step:
    formula = "w_j = exp(s_j) / Σ_k exp(s_k)"
    meaning = "These are the attention weights: how much of each token is taken."
    taken: tuple[Quantity, ...] = ()
    if numbers.sink is not None:
        formula = "w_j = exp(s_j) / (exp(sink) + Σ_k exp(s_k))"
        meaning = (
            "One score in that sum belongs to no token, the sink of this head: what it takes goes nowhere, so that a "
            "head with nothing to look at need not look. These are the attention weights; they sum to less than 1."
        )
        share = 1 - numbers.weights.sum()
        taken = (
            Quantity("sink_score", "score of the sink", numbers.sink),
            Quantity("sink_share", "what the sink takes", share),
        )
    return Step(
        "Softmax: scores become weights",
        formula,
        "The exponential makes every score positive and large ones much larger; dividing by the sum makes shares of a "
        f"whole. {meaning}",
        (Quantity("masked_scores", "score", numbers.masked, BY_KEY), *taken, *_weights(numbers)),
    )


def _weights(numbers: Numbers) -> tuple[Quantity, ...]:
    most = f"{math.log2(max(len(numbers.visible), 1)):.2f}"
    return (
        Quantity("weights", "weight", numbers.weights, BY_KEY),
        Quantity("sum_of_weights", "their sum", numbers.weights.sum()),
        Quantity(
            "entropy",
            f"how spread they are: entropy in bits (0: all on one token, {most}: the same on all that may be seen)",
            np.float64(entropy(numbers.weights)),
        ),
    )


_SUBLAYERS = {"attention": "self-attention", "cross_attention": "cross-attention", "feed_forward": "feed-forward"}


def _mixture(numbers: Numbers, names: Sequence[str]) -> Step:
    top = numbers.most_looked_at()
    return Step(
        "The weighted sum",
        "z = Σ_j w_j v_j",
        "The values are summed, each times its weight. What comes out is mostly the values of the tokens that were "
        "looked at.",
        (
            Quantity(
                "weighted_values",
                "what the most looked-at tokens bring, w_j · v_j",
                numbers.weights[top, None] * numbers.values[top],
                TOP_BY_DIMENSION,
                tuple(names[key] for key in top),
            ),
            Quantity("mixed", "the sum over all tokens", numbers.mixed, DIMENSIONS),
        ),
    )


def _output(trace: Trace, parameters: Parameters, mixed: Reals, head: int) -> Step:
    each = split_output(mixed[:, None, :], parameters)[:, 0]  # [heads, width]
    bias = parameters.get("output.bias")
    biased = [] if bias is None else [Quantity("output_bias", "b_O, the same for every token", bias, DIMENSIONS)]
    return Step(
        "All heads together: concatenation and W_O",
        "o = W_O [z_0; z_1; …]" + " + b_O" * bool(biased),
        "All heads have done this at once, each in its own way. Their results are put side by side, and W_O maps them "
        "back to the width of the stream. That is the same as each head adding its own slice of W_O times its z.",
        (
            Quantity("heads", "z of each head", mixed, (Axis.HEADS, Axis.DIMENSIONS)),
            Quantity("concatenated", "all of them side by side", mixed.reshape(-1), DIMENSIONS, shown=False),
            Quantity("head_lengths", "length of what each head adds", np.linalg.norm(each, axis=-1), (Axis.HEADS,)),
            Quantity("head_output", f"what head {head} adds", each[head], DIMENSIONS),
            *biased,
            Quantity("output", "what all of them add", trace.added[trace.part], DIMENSIONS),
        ),
    )


def _residual(trace: Trace, before: Reals, passed: Reals) -> Step:
    normed = not np.allclose(before + trace.added[trace.part], passed, atol=1e-4)
    why = (
        "Attention does not replace the token's vector, it adds to it: what was known stays, and what the heads found "
        "comes on top."
    )
    if normed:
        why += " In this model a norm then brings the sum to a usual size."
    if len(trace.added) > 1:
        why += " Each part of a layer adds in this way; last, a feed-forward network reads each token alone."
    lengths = np.array([np.linalg.norm(added) for added in trace.added.values()])
    parts = tuple(_SUBLAYERS[name] for name in trace.added)
    return Step(
        "Added to the residual stream",
        "x ← norm(x + o)" if normed else "x ← x + o",
        why,
        (
            Quantity("residual_after", "the stream after it", passed, DIMENSIONS),
            Quantity("residual_length", "length of the stream before", np.linalg.norm(before)),
            Quantity("added_lengths", "length of what each part of this layer adds", lengths, (Axis.PARTS,), parts),
        ),
    )
