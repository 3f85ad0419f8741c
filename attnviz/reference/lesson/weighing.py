"""The middle steps: query meets keys, and the scores become weights."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from attnviz.reference.layers import linear
from attnviz.reference.lesson.numbers import DOTS, Numbers, Reals, entropy
from attnviz.reference.lesson.steps import BY_KEY, TOP_BY_DIMENSION, Quantity, Step
from attnviz.reference.lesson.wording import Wording
from attnviz.reference.masks import zeroed_afterwards
from attnviz.reference.scores import weights_of
from attnviz.reference.trace import Trace


def weighing(trace: Trace, head: int, numbers: Numbers, words: Wording, names: Sequence[str]) -> Iterator[Step]:
    """All of them; `names` are those of the keys."""
    if trace.weights is not None:
        yield _own_weights(numbers)
        return
    yield _scores(trace, numbers, words, names)
    if trace.score in DOTS:
        yield _scale(trace, numbers)
    if trace.bias is not None:
        yield _bias(trace, trace.bias[head], numbers)
    yield _mask(trace, numbers)
    yield _softmax(numbers) if numbers.sink is None else _softmax_with_sink(numbers, numbers.sink)


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
    parts = numbers.query * numbers.keys[top] if trace.score in DOTS else _additive_parts(trace, numbers, top)
    return Step(
        "Query meets keys: the scores",
        words.scores,
        words.scores_why,
        (
            Quantity("scores", "score", numbers.scores, BY_KEY),
            Quantity("contributions", words.parts, parts, TOP_BY_DIMENSION, tuple(names[key] for key in top)),
        ),
    )


def _additive_parts(trace: Trace, numbers: Numbers, top: Sequence[int]) -> Reals:
    """What each unit adds to the scores of some keys: [top, inner]."""
    learned = trace.score_parameters
    assert learned is not None, "additive scores are learned"
    asked, offered = linear(numbers.query, learned.within("query")), linear(numbers.keys, learned.within("key"))
    parts: Reals = np.tanh(asked + offered[list(top)]) * learned["v"]
    return parts


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
    zeroed = zeroed_afterwards(weights_of(numbers.biased, None, numbers.sink), trace.allowed)
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
    return Step(
        "Softmax: scores become weights",
        "w_j = exp(s_j) / Σ_k exp(s_k)",
        "The exponential makes every score positive and large ones much larger; dividing by the sum makes shares of a "
        "whole. These are the attention weights: how much of each token is taken.",
        (Quantity("masked_scores", "score", numbers.masked, BY_KEY), *_weights(numbers)),
    )


def _softmax_with_sink(numbers: Numbers, sink: Reals) -> Step:
    share = 1 - numbers.weights.sum()
    return Step(
        "Softmax: scores become weights",
        "w_j = exp(s_j) / (exp(sink) + Σ_k exp(s_k))",
        "The exponential makes every score positive and large ones much larger; dividing by the sum makes shares of a "
        "whole. One score in that sum belongs to no token, the sink of this head: what it takes goes nowhere, so that "
        "a head with nothing to look at need not look. These are the attention weights; they sum to less than 1.",
        (
            Quantity("masked_scores", "score", numbers.masked, BY_KEY),
            Quantity("sink_score", "score of the sink", sink),
            Quantity("sink_share", "what the sink takes", share),
            *_weights(numbers),
        ),
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
