"""The steps from the scores of one query to its weights: the scale, what positions add, the mask, and softmax."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from attnviz.lessons.lesson import BY_KEY, DIMENSIONS, MATRIX, TOP_BY_DIMENSION, Axis, Quantity, Step
from attnviz.lessons.wording import NO_ORDER, Told, Wording, explain_no_scale, guess_why_hidden
from attnviz.reference.arrays import softmax
from attnviz.reference.head_steps import DOTS, Numbers, Reals, entropy, project
from attnviz.reference.masks import zero_after_softmax
from attnviz.reference.scores import compute_weights
from attnviz.reference.trace import Trace


def weigh_steps(
    trace: Trace, head: int, numbers: Numbers, words: Wording, names: Sequence[str], told: Told
) -> Iterator[Step]:
    """Yield the steps from scores to weights, or the weights alone if the model computes them in another way."""
    if trace.weights is not None:
        yield _own_weights(numbers)
        return
    yield _scores(trace, numbers, words, names)
    if trace.score in DOTS:
        yield _scale(trace, numbers)
    if trace.bias is not None:
        yield _bias(trace, trace.bias[head], numbers, told.bias)
    yield _mask(trace, numbers, told.hidden)
    yield _softmax(numbers)


def _own_weights(numbers: Numbers) -> Step:
    return Step(
        "The weights",
        "w_j",
        "This model does more to its scores than scale them, add a bias, mask them and take softmax; it may cap them, "
        "for example. So the weights are shown as the model computes them, without the steps before.",
        _weights(numbers),
    )


def _scores(trace: Trace, numbers: Numbers, words: Wording, names: Sequence[str]) -> Step:
    top, compared = numbers.largest_scores(), tuple[Quantity, ...]()
    if trace.score in DOTS:
        compared = tuple(_multiply(numbers, words, names, key) for key in top[:1])
        parts = numbers.query * numbers.keys[top]  # [top, d]
    else:  # of each unit of the network in which additive scores are made
        asked, offered = project(trace, numbers.query, numbers.keys[top])
        parts = np.tanh(asked + offered) * trace.score_parameters["v"]  # [top, inner]
    rows = tuple(names[key] for key in top)
    return Step(
        "The scores: the query is compared with every key",
        words.scores,
        words.scores_why,
        (
            *_list_learned(trace),
            Quantity("scores", "score", numbers.scores, BY_KEY),
            *compared,
            Quantity(
                "contributions", words.parts, parts, TOP_BY_DIMENSION, rows, shown=not compared, whole=not compared
            ),
        ),
    )


def _multiply(numbers: Numbers, words: Wording, names: Sequence[str], key: int) -> Quantity:
    """Return the query, a key, and the products of their numbers, whose sum is the score: [3, d]."""
    query, of_key = numbers.query, numbers.keys[key]
    return Quantity(
        "largest_score",
        f"the score of {names[key]}, number by number: the products add up to {_write(numbers.scores[key])}",
        np.array([query, of_key, query * of_key]),
        (Axis.PARTS, Axis.DIMENSIONS),
        (words.q, f"{words.k} of {names[key]}", "products"),
        whole=True,
    )


def _write(number: float) -> str:
    return f"{number:z,.2f}".replace("-", "−")


def _list_learned(trace: Trace) -> Iterator[Quantity]:
    """Yield the learned arrays of the score function, if it has any."""
    for name, words in {"query": "W_q", "key": "W_k"}.items():
        if (weight := trace.score_parameters.get(f"{name}.weight")) is not None:
            yield Quantity(f"score_{name}_weight", words, weight, MATRIX)
        if (bias := trace.score_parameters.get(f"{name}.bias")) is not None:
            yield Quantity(f"score_{name}_bias", f"the bias of {words}", bias, DIMENSIONS, shown=False)
    if (v := trace.score_parameters.get("v")) is not None:
        yield Quantity("score_v", "u", v, DIMENSIONS)


_WHY_THE_ROOT = (
    " If the numbers of q and k are independent, with mean 0 and standard deviation 1, then such a sum has standard "
    "deviation √d_k."
)
_NOT_QUITE = " The numbers of this head are not quite like that, so the spread below is another one."


def _scale(trace: Trace, numbers: Numbers) -> Step:
    depth, seen = numbers.query.shape[-1], numbers.visible
    before, after = numbers.scores[seen].std(), numbers.scaled[seen].std()
    of_which = "the scores" if len(seen) == len(numbers.scores) else "the scores of the visible keys,"
    divisor = f"√{depth}" if math.isclose(trace.scale, depth**-0.5, rel_tol=1e-6) else f"{1 / trace.scale:.4g}"
    formula = f"s_j ← s_j / {divisor}"
    why = (
        "A score is a sum of d_k products, one for each number of a key. The larger d_k is, the further apart scores "
        "tend to lie, and softmax, which turns scores into weights below, then gives nearly all weight to one key."
        f"{_WHY_THE_ROOT if '√' in divisor else ''} So scores are divided by "
        f"{f'√d_k, here {divisor}.{_NOT_QUITE}' if '√' in divisor else f'{divisor}.'}"
    )
    if trace.scale == 1:
        formula, why = "s_j stays as it is", explain_no_scale(trace, depth)
    return Step(
        "The scale",
        formula,
        why,
        (
            Quantity("scaled_scores", "scaled score", numbers.scaled, BY_KEY),
            Quantity(
                "scale_divisor", "the number that scores are divided by", np.float64(1 / trace.scale), shown=False
            ),
            Quantity("spread_before", f"standard deviation (spread) of {of_which} before", before),
            Quantity("spread_after", f"standard deviation (spread) of {of_which} after", after),
        ),
    )


def _bias(trace: Trace, bias: Reals, numbers: Numbers, why: str) -> Step:
    biased = Quantity("biased_scores", "score + bias", numbers.biased, BY_KEY)
    if trace.parameters is None:
        return Step(
            "A bias is added to the scores",
            "s_j ← s_j + b_j",
            "This model adds a number, a bias, to each score; each head may have its own. Most models use it for the "
            "order of tokens: the bias depends on where the key is or how far away (ALiBi, T5), or on how well that "
            "distance fits the query and the key (DeBERTa, XLNet).",
            (Quantity("bias", "bias", bias, BY_KEY), biased),
        )
    return Step(
        "Positions change the scores",
        "s_j ← s_j + b(j − i)",
        f"{NO_ORDER} This model adds a number to each score, a bias, that "
        f"depends on the distance from the query to the key; each head has its own biases.{why}",
        (Quantity("position_bias", "bias", bias, BY_KEY), biased),
    )


def _mask(trace: Trace, numbers: Numbers, why_hidden: str | None) -> Step:
    if trace.allowed is None:
        return Step("No mask", "s_j stays as it is", "No key is hidden: this query may look at every token.", ())
    if bool(np.all(trace.allowed)):
        why = "This layer has a mask, but it hides no key from this query. It may hide some from other queries."
        told = " ".join(filter(None, (why, why_hidden)))
        return Step("The mask hides nothing here", "s_j stays as it is", told, ())
    zeroed = zero_after_softmax(compute_weights(numbers.biased, None, numbers.sink), trace.allowed)
    return Step(
        "The mask",
        "s_j ← −∞ where the query may not look",
        f"{why_hidden or guess_why_hidden(trace.allowed, trace.position)} This is called masked attention. The scores "
        "of hidden keys become −∞ before softmax. Because e^−∞ = 0, these keys get weight 0 and the others share the "
        "whole. Setting weights to 0 after softmax would be wrong: the share that the hidden keys had taken would be "
        "lost, and the others would sum to less than 1.",
        (
            Quantity("allowed", "visible", np.asarray(trace.allowed), BY_KEY),
            Quantity(
                "sum_if_zeroed_after", "sum of the weights if hidden ones were set to 0 after softmax", zeroed.sum()
            ),
        ),
    )


def _softmax(numbers: Numbers) -> Step:
    sums, largest = "Σ_k exp(s_k − m)", "max_k s_k"
    meaning = "These shares are the attention weights: how much the query takes from each token."
    everything, summed, taken = numbers.masked, "sum of the exponentials", tuple[Quantity, ...]()
    if numbers.sink is not None:
        sums, largest = f"(exp(sink − m) + {sums})", "max(sink, max_k s_k)"
        meaning = (
            "One more score in that sum belongs to no token: the sink of this head. Its share goes nowhere, so a head "
            "that finds nothing to look at can leave its weight there. The attention weights sum to less than 1."
        )
        everything, summed = np.append(everything, numbers.sink), f"{summed}, with that of the sink"
        taken = (
            Quantity("sink_score", "score of the sink", numbers.sink),
            Quantity("sink_share", "weight of the sink", 1 - numbers.weights.sum()),
        )
    keys = len(numbers.keys)
    exponentials = np.exp(everything - everything.max())
    return Step(
        "Softmax: scores become weights",
        f"w_j = exp(s_j − m) / {sums},  m = {largest}",
        "The exponential makes every score positive, and large scores much larger. Dividing by the sum turns them into "
        f"shares of a whole. {meaning} Subtracting m, the largest score, from every score changes no weight. "
        "Neither does adding 1 to every score: only differences count. Doubled scores lie further apart, so the "
        "largest takes more.",
        (
            Quantity("masked_scores", "score", numbers.masked, BY_KEY),
            Quantity("exponentials", "exp(s_j − m)", exponentials[:keys], BY_KEY, decimals=_EXACT),
            Quantity("sum_of_exponentials", summed, exponentials.sum(), decimals=_EXACT),
            *taken,
            *_weights(numbers),
            Quantity("weights_plus_one", "weight of s_j + 1", softmax(everything + 1)[:keys], BY_KEY),
            Quantity("weights_doubled", "weight of 2 s_j", softmax(2 * everything)[:keys], BY_KEY),
        ),
    )


_EXACT = 4  # decimals, so that a weight can be computed again from what is written


def _weights(numbers: Numbers) -> tuple[Quantity, ...]:
    most = f"{math.log2(max(len(numbers.visible), 1)):.2f}"
    return (
        Quantity("weights", "weight", numbers.weights, BY_KEY),
        Quantity("sum_of_weights", "sum of the weights", numbers.weights.sum()),
        Quantity(
            "entropy",
            f"entropy of the weights in bits (0: all on one token; {most}: the same on each visible token)",
            np.float64(entropy(numbers.weights)),
        ),
    )
