"""The walk through one head for one query: from the token to what is added to the residual stream."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from attnviz.lessons.lesson import BY_KEY, DIMENSIONS, TOP_BY_DIMENSION, Axis, Quantity, Step
from attnviz.lessons.wording import Wording, explain_no_scale, guess_why_hidden, word_head, write_sum
from attnviz.reference.head_steps import DOTS, Numbers, Reals, entropy, find_key_head, project
from attnviz.reference.masks import zero_after_softmax
from attnviz.reference.multi_head import split_output
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import compute_weights
from attnviz.reference.trace import Trace


def head_steps(trace: Trace, layer: int, head: int, names: Sequence[str]) -> Iterator[Step]:
    """Yield the steps of one head, whose layer is the one of the trace; `names` are those of the keys."""
    words = word_head(trace, head)
    yield from _embed(trace)
    yield from _read_stream(trace, layer, words)
    yield from query_steps(trace, head, names)


def query_steps(trace: Trace, head: int, names: Sequence[str], why_hidden: str | None = None) -> Iterator[Step]:
    """Yield the steps of one head from its query on; those after the values as far as the model shows them.

    `why_hidden` says why the mask hides keys; if it is None, that is guessed from which keys are hidden.
    """
    numbers, words, names = Numbers.of(trace, head), word_head(trace, head), _tell_apart(names)
    yield _query(trace, head, numbers, words)
    yield _keys(trace, head, numbers, words)
    yield from _weigh(trace, head, numbers, words, names, why_hidden)
    every_value = Quantity("values", "the values", numbers.values, (Axis.KEYS, Axis.DIMENSIONS))
    yield Step("The value of every token", words.values, words.values_why, (every_value,))
    yield _mix(numbers, names)
    if trace.mixed is not None and trace.parameters is not None:
        yield _join_heads(trace, trace.parameters, trace.mixed, head)
    if trace.residual is not None and trace.passed is not None:
        yield _add_to_stream(trace, trace.residual, trace.passed)


def _tell_apart(names: Sequence[str]) -> list[str]:
    """Return the names, with their positions where several are the same."""
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{position} {name}" for position, name in enumerate(names)]


_PARTS = {
    "token": ("E[token]", "the row of the embedding table for this token"),
    "type": ("T[text]", "the row of the table for the first or the second text"),
    "position": ("P[position]", "the row, or wave, for its position"),
}
_PASSED = "passed"


def _embed(trace: Trace) -> Iterator[Step]:
    """Yield the step from a token to its first vector, if the model shows it."""
    parts = {name: np.asarray(array) for name, array in trace.embedding.items() if name in _PARTS}
    if not parts:
        return
    why = (
        "A model computes with numbers, not with words. So each token starts as a list of learned numbers, its "
        "embedding. Tokens that are used in similar ways tend to have similar embeddings."
    )
    if "position" in parts:
        why += " The vector of its position is added, because attention itself does not know the order of tokens."
    elif trace.turn is not None:
        why += " The order of the tokens comes in later: positions rotate the query and the keys."
    quantities = [Quantity(f"{name}_embedding", _PARTS[name][1], array, DIMENSIONS) for name, array in parts.items()]
    formula = " + ".join(_PARTS[name][0] for name in parts)
    if (passed := trace.embedding.get(_PASSED)) is not None:
        formula = write_sum(formula, np.sum(list(parts.values()), axis=0), passed)
        quantities.append(
            Quantity("embedded", "the vector that it starts with", passed, DIMENSIONS, shown=len(quantities) > 1)
        )
    yield Step("The token becomes a vector", f"x = {formula}", why, tuple(quantities))


def _read_stream(trace: Trace, layer: int, words: Wording) -> Iterator[Step]:
    """Yield the step in which the layer reads the residual stream of the token, if the model shows it."""
    if trace.residual is None:
        return
    first = layer == 0 and trace.part == "attention"
    why = (
        "Each token has one vector that runs through all layers, and every layer adds to it. It is called the residual "
        "stream. " + ("Nothing has been added to it yet." if first else "It holds all that was added so far.")
    )
    quantities = [Quantity("residual", "the residual stream of this token", trace.residual, DIMENSIONS)]
    if words.x != "x":
        why += " Before the layer reads it, a norm brings it to a standard size."
        quantities.append(Quantity("input", "the same after the norm", trace.input, DIMENSIONS))
    yield Step(f"What layer {layer} reads", "x" if words.x == "x" else f"{words.x} = norm(x)", why, tuple(quantities))


def _query(trace: Trace, head: int, numbers: Numbers, words: Wording) -> Step:
    quantities = [Quantity("query", f"the query of head {head}", trace.query[head], DIMENSIONS)]
    if trace.turned_query is not None:
        quantities.append(Quantity("turned_query", "the query, rotated for its position", numbers.query, DIMENSIONS))
    if len(trace.query) > 1:
        each = Quantity("queries", "the queries of all heads", trace.query, (Axis.HEADS, Axis.DIMENSIONS))
        quantities.insert(0, each)
    return Step("The query of this token", words.query, words.query_why, tuple(quantities))


def _keys(trace: Trace, head: int, numbers: Numbers, words: Wording) -> Step:
    axes = Axis.KEYS, Axis.DIMENSIONS
    quantities = [Quantity("keys", "the keys", trace.keys[find_key_head(trace, head)], axes)]
    if trace.turned_keys is not None:
        quantities.append(Quantity("turned_keys", "the keys, each rotated for its own position", numbers.keys, axes))
    if trace.context is not None:
        made_from = Quantity(
            "key_inputs", "the vectors that keys and values are made from", trace.context, axes, shown=False
        )
        quantities.insert(0, made_from)
    return Step("The key of every token", words.keys, words.keys_why, tuple(quantities))


def _weigh(
    trace: Trace, head: int, numbers: Numbers, words: Wording, names: Sequence[str], why_hidden: str | None
) -> Iterator[Step]:
    """Yield the steps from scores to weights, or the weights alone if the model computes them in another way."""
    if trace.weights is not None:
        yield _own_weights(numbers)
        return
    yield _scores(trace, numbers, words, names)
    if trace.score in DOTS:
        yield _scale(trace, numbers)
    if trace.bias is not None:
        yield _bias(trace, trace.bias[head], numbers)
    yield _mask(trace, numbers, why_hidden)
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
    top = numbers.largest_scores()
    if trace.score in DOTS:
        parts = numbers.query * numbers.keys[top]  # [top, d]
    else:  # of each unit of the network in which additive scores are made
        asked, offered = project(trace, numbers.query, numbers.keys[top])
        parts = np.tanh(asked + offered) * trace.score_parameters["v"]  # [top, inner]
    return Step(
        "The scores: the query is compared with every key",
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
        "A score is a sum of d_k products, one for each number of a key. The larger d_k is, the further apart scores "
        "tend to lie, and softmax then gives nearly all weight to one key. So scores are divided by "
        f"{f'√d_k, here {divisor}' if '√' in divisor else divisor}."
    )
    if trace.scale == 1:
        formula, why = "s_j stays as it is", explain_no_scale(trace, depth)
    return Step(
        "The scale",
        formula,
        why,
        (
            Quantity("scaled_scores", "scaled score", numbers.scaled, BY_KEY),
            Quantity("scale_divisor", "the number that scores are divided by", np.float64(1 / trace.scale)),
            Quantity("spread_before", "standard deviation of the scores before", before),
            Quantity("spread_after", "standard deviation of the scores after", after),
        ),
    )


def _bias(trace: Trace, bias: Reals, numbers: Numbers) -> Step:
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
        "Attention itself does not know the order of tokens. This model adds a number to each score, a bias, that "
        "depends on the distance from the query to the key; each head has its own biases.",
        (Quantity("position_bias", "bias", bias, BY_KEY), biased),
    )


def _mask(trace: Trace, numbers: Numbers, why_hidden: str | None) -> Step:
    if trace.allowed is None:
        return Step("No mask", "s_j stays as it is", "No key is hidden: this query may look at every token.", ())
    if bool(np.all(trace.allowed)):
        why = "This layer has a mask, but it hides no key from this query. It may hide some from other queries."
        return Step("The mask hides nothing here", "s_j stays as it is", why, ())
    zeroed = zero_after_softmax(compute_weights(numbers.biased, None, numbers.sink), trace.allowed)
    return Step(
        "The mask",
        "s_j ← −∞ where the query may not look",
        f"{why_hidden or guess_why_hidden(trace.allowed, trace.position)} The scores of hidden keys become −∞ before "
        "softmax. Because e^−∞ = 0, these keys get weight 0 and the others share the whole. Setting weights to 0 after "
        "softmax would be wrong: the row would lose the share that the hidden keys had taken.",
        (
            Quantity("allowed", "visible", np.asarray(trace.allowed), BY_KEY),
            Quantity("sum_if_zeroed_after", "sum of the row if weights were set to 0 after softmax", zeroed.sum()),
        ),
    )


def _softmax(numbers: Numbers) -> Step:
    formula = "w_j = exp(s_j) / Σ_k exp(s_k)"
    meaning = "These shares are the attention weights: how much the query takes from each token."
    taken: tuple[Quantity, ...] = ()
    if numbers.sink is not None:
        formula = "w_j = exp(s_j) / (exp(sink) + Σ_k exp(s_k))"
        meaning = (
            "One more score in that sum belongs to no token: the sink of this head. Its share goes nowhere, so a head "
            "that finds nothing to look at can leave its weight there. The attention weights sum to less than 1."
        )
        share = 1 - numbers.weights.sum()
        taken = (
            Quantity("sink_score", "score of the sink", numbers.sink),
            Quantity("sink_share", "weight of the sink", share),
        )
    return Step(
        "Softmax: scores become weights",
        formula,
        "The exponential makes every score positive, and large scores much larger. Dividing by the sum turns them into "
        f"shares of a whole. {meaning}",
        (Quantity("masked_scores", "score", numbers.masked, BY_KEY), *taken, *_weights(numbers)),
    )


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


_SUBLAYERS = {"attention": "self-attention", "cross_attention": "cross-attention", "feed_forward": "feed-forward"}


def _mix(numbers: Numbers, names: Sequence[str]) -> Step:
    top = numbers.most_looked_at()
    return Step(
        "The weighted sum",
        "z = Σ_j w_j v_j",
        "Each value is multiplied by its weight, and all are added. So z is a mixture of the values, in the "
        "proportions of the weights.",
        (
            Quantity(
                "weighted_values",
                "what the tokens of largest weight add, w_j · v_j",
                numbers.weights[top, None] * numbers.values[top],
                TOP_BY_DIMENSION,
                tuple(names[key] for key in top),
            ),
            Quantity("mixed", "the sum over all tokens", numbers.mixed, DIMENSIONS),
        ),
    )


def _join_heads(trace: Trace, parameters: Parameters, mixed: Reals, head: int) -> Step:
    each = split_output(mixed[:, None, :], parameters)[:, 0]  # [heads, width]
    bias = parameters.get("output.bias")
    biased = [] if bias is None else [Quantity("output_bias", "b_O, the same for every token", bias, DIMENSIONS)]
    return Step(
        "All heads together: concatenation and W_O",
        "o = W_O [z_0; z_1; …]" + " + b_O" * bool(biased),
        "All heads of a layer work at the same time, each on its own. Their results z are put side by side, and W_O "
        "maps them to the width of the residual stream. It comes to the same if each head multiplies its z by its own "
        "slice of W_O, and the products are added.",
        (
            Quantity("heads", "z of each head", mixed, (Axis.HEADS, Axis.DIMENSIONS)),
            Quantity("concatenated", "z of all heads, side by side", mixed.reshape(-1), DIMENSIONS, shown=False),
            Quantity("head_lengths", "length of what each head adds", np.linalg.norm(each, axis=-1), (Axis.HEADS,)),
            Quantity("head_output", f"what head {head} adds", each[head], DIMENSIONS),
            *biased,
            Quantity(
                "output",
                "what all heads add together" + ", with b_O" * bool(biased),
                trace.added[trace.part],
                DIMENSIONS,
            ),
        ),
    )


def _add_to_stream(trace: Trace, before: Reals, passed: Reals) -> Step:
    normed = not np.allclose(before + trace.added[trace.part], passed, atol=1e-4)
    why = (
        "Attention does not replace the vector of the token; it adds to it. What was there stays, and the output of "
        "the heads comes on top."
    )
    if normed:
        why += " In this model, a norm then brings the sum to a standard size."
    if len(trace.added) > 1:
        why += (
            " Each part of a layer adds in this way. The last one is a feed-forward network, for each token by itself."
        )
    lengths = np.array([np.linalg.norm(added) for added in trace.added.values()])
    parts = tuple(_SUBLAYERS[name] for name in trace.added)
    return Step(
        "Added to the residual stream",
        "x ← norm(x + o)" if normed else "x ← x + o",
        why,
        (
            Quantity("residual_after", "the residual stream after attention", passed, DIMENSIONS),
            Quantity("residual_length", "length of the residual stream before", np.linalg.norm(before)),
            Quantity("added_lengths", "length of what each part of this layer adds", lengths, (Axis.PARTS,), parts),
        ),
    )
