"""One head, one query: from the token to what is added to the residual stream."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from attnviz.reference.heads import contributions
from attnviz.reference.layers import linear
from attnviz.reference.lesson.numbers import DOTS, Numbers, entropy, shared
from attnviz.reference.lesson.steps import Axis, Quantity, Step
from attnviz.reference.masks import zeroed_afterwards
from attnviz.reference.scores import SCORES, weights_of
from attnviz.reference.trace import Trace

_DIMENSIONS = (Axis.DIMENSIONS,)
_BY_KEY = (Axis.KEYS,)
_PART_WORDS = {
    "token": "the row of the embedding table for this token",
    "type": "the row for the text it belongs to",
    "position": "the row, or wave, for its place in the text",
}
_SUBLAYER_WORDS = {"attention": "self-attention", "cross_attention": "cross-attention", "feed_forward": "feed-forward"}


def head_steps(trace: Trace, layer: int, head: int, names: Sequence[str]) -> Iterator[Step]:
    """The steps of one head, whose layer is the one of the trace; `names` are those of the keys."""
    numbers = Numbers.of(trace, head)
    yield from _before(trace, layer)
    yield _query(trace, head, numbers)
    yield _keys(trace, head, numbers)
    yield _scores(trace, numbers, names)
    if trace.score in DOTS:
        yield _scale(trace, numbers)
    if trace.bias is not None:
        yield _bias(trace, head, numbers)
    yield _mask(trace, numbers)
    yield _softmax(numbers)
    yield _values(trace, numbers)
    yield _mixture(numbers, names)
    if trace.mixed is not None and trace.parameters is not None:
        yield _output(trace, head)
    if trace.residual is not None:
        yield _residual(trace)


def _before(trace: Trace, layer: int) -> Iterator[Step]:
    """Where the vector comes from that the query is made of, as far as the model shows it."""
    parts = [Quantity(f"{n}_embedding", _PART_WORDS[n], np.asarray(a), _DIMENSIONS) for n, a in trace.embedding.items()]
    if parts:
        why = (
            "A model cannot compute with words, so each token starts as a list of learned numbers, its embedding. "
            "Tokens that are used alike have got similar numbers."
        )
        placed = "position" in trace.embedding
        if placed:
            why += " A second list, for the place in the text, is added: attention itself knows no order."
        elif trace.turn is not None:
            why += " The order of tokens comes in later: positions will turn the query and the keys."
        yield Step("The token becomes a vector", "x = E[token]" + " + P[position]" * placed, why, tuple(parts))
    if trace.residual is None or trace.input is None:
        return
    quantities = [
        Quantity("residual", f"what reaches layer {layer} in this token's place", trace.residual, _DIMENSIONS)
    ]
    why = "Every token has a place of its own, the residual stream, in which its vector travels upwards. " + (
        "Nothing was added to it yet." if layer == 0 else "Each layer below has added what it found out."
    )
    formula = "x"
    if not np.array_equal(trace.input, trace.residual):
        quantities.append(
            Quantity("input", "the same after the norm, as this layer reads it", trace.input, _DIMENSIONS)
        )
        why += " Before it is read, a norm brings it to a usual size, so that no token shouts."
        formula = "x̂ = norm(x)"
    yield Step(f"What layer {layer} reads", formula, why, tuple(quantities))


def _query(trace: Trace, head: int, numbers: Numbers) -> Step:
    why = "The query is what this token is looking for, like the words that you type into a search box."
    quantities = [Quantity("query", f"the query of head {head}", trace.query[head], _DIMENSIONS)]
    if trace.score not in DOTS:
        why += " Here it is the whole state of the decoder's network, after what has been written so far."
        return Step("Its query", "q = s_i−1", why, tuple(quantities))
    formula = f"q = {_map(trace, 'query', 'W_Q')}"
    if trace.turned_query is not None:
        why += " Its pairs of dimensions are then turned by an angle for its position, so that scores know distances."
        quantities.append(Quantity("turned_query", "the query, turned", numbers.query, _DIMENSIONS))
        formula += ",  q' = R(position) q"
    if trace.parameters is not None:
        width, depth = trace.parameters["query.weight"].shape[1], numbers.query.shape[-1]
        why += f" W_Q is learned; it makes {depth} numbers out of {width}, and each head has its own."
    return Step("Its query", formula, why, tuple(quantities))


def _keys(trace: Trace, head: int, numbers: Numbers) -> Step:
    own = shared(trace, head)
    why = (
        "The key of a token is what it offers to be found by, like the title of a video that the search is matched "
        "with."
    )
    if len(trace.keys) < len(trace.query):
        why += f" Groups of heads share their keys and values here: this one uses those of key head {own}."
    quantities = [Quantity("keys", "the key of every token", trace.keys[own], (Axis.KEYS, Axis.DIMENSIONS))]
    if trace.score not in DOTS:
        why += " Here it is what the encoder's network knows at that token, read forwards and backwards."
        return Step("Every token's key", "k_j = h_j = [→h_j; ←h_j]", why, tuple(quantities))
    formula = f"k_j = {_map(trace, 'key', 'W_K', 'x̂_j')}"
    if trace.turned_keys is not None:
        turned = Quantity(
            "turned_keys", "the keys, each turned for its own position", numbers.keys, (Axis.KEYS, Axis.DIMENSIONS)
        )
        quantities.append(turned)
        formula += ",  k'_j = R(j) k_j"
    return Step("Every token's key", formula, why, tuple(quantities))


def _map(trace: Trace, part: str, matrix: str, x: str = "x̂") -> str:
    biased = trace.parameters is not None and trace.parameters.get(f"{part}.bias") is not None
    return f"{matrix} {x}" + f" + b_{matrix[-1]}" * biased


def _scores(trace: Trace, numbers: Numbers, names: Sequence[str]) -> Step:
    top = numbers.largest()
    rows = tuple(names[key] for key in top)
    if trace.score in DOTS:
        formula = "s_j = q · k_j = Σ_i q_i k_ji"
        why = (
            "The score says how well a title fits the search: query and key are multiplied number by number and the "
            "products summed. Where both have the same sign the score rises, where they differ it falls."
        )
        words, parts = "what each dimension adds to the largest scores, q_i · k_i", numbers.query * numbers.keys[top]
    else:
        assert trace.score_parameters is not None, "no other score function does without parameters"
        formula = f"s_j = {SCORES[trace.score].formula}"
        why = (
            "Here a small network reads query and key together and says how well they fit: each is mapped to the same "
            "width, their sum goes through a tanh, and v weighs what comes out."
        )
        words, parts = "what each unit of the network adds to the largest scores", _additive_parts(trace, numbers, top)
    return Step(
        "Query meets keys: the scores",
        formula,
        why,
        (
            Quantity("scores", "score", numbers.scores, _BY_KEY),
            Quantity("contributions", words, parts, (Axis.TOP_KEYS, Axis.DIMENSIONS), rows),
        ),
    )


def _additive_parts(trace: Trace, numbers: Numbers, top: Sequence[int]) -> np.ndarray:
    parameters = trace.score_parameters
    assert parameters is not None
    asked = linear(numbers.query, parameters.within("query"))  # [inner]
    offered = linear(numbers.keys[list(top)], parameters.within("key"))  # [top, inner]
    parts: np.ndarray = np.tanh(asked + offered) * parameters["v"]
    return parts


def _scale(trace: Trace, numbers: Numbers) -> Step:
    depth = numbers.query.shape[-1]
    usual = math.isclose(trace.scale, 1 / math.sqrt(depth), rel_tol=1e-6)
    why = (
        "A sum of many products is large by its length alone, and softmax of large numbers puts everything on one key. "
        f"Dividing by √{depth} keeps the spread near what it was for a single product."
    )
    if trace.scale == 1 and trace.parameters is None:
        why = "The attention function of this model is given no scale: if there is one, it is in the queries already."
    elif trace.scale == 1:
        why = "This model does not scale its scores: its training has taken the size into the learned maps."
    elif not usual:
        why = f"This model multiplies its scores by {trace.scale:.4g} to keep their spread small."
    return Step(
        "The scale",
        f"s_j / √d_k = s_j / √{depth}" if usual else f"s_j · {trace.scale:.4g}",
        why,
        (
            Quantity("scaled_scores", "scaled", numbers.scaled, _BY_KEY),
            Quantity("scale_divisor", "what scores are divided by", np.float64(1 / trace.scale)),
            Quantity("spread_before", "spread of the scores before (standard deviation)", numbers.scores.std()),
            Quantity("spread_after", "and after", numbers.scaled.std()),
        ),
    )


def _bias(trace: Trace, head: int, numbers: Numbers) -> Step:
    assert trace.bias is not None
    return Step(
        "Positions change the scores",
        "s_j + b(j − i)",
        "This model tells order by a number for each distance, which is added to the score; each head has its own.",
        (
            Quantity("position_bias", "bias", trace.bias[head], _BY_KEY),
            Quantity("biased_scores", "score + bias", numbers.biased, _BY_KEY),
        ),
    )


def _mask(trace: Trace, numbers: Numbers) -> Step:
    if trace.allowed is None or bool(np.all(trace.allowed)):
        return Step(
            "The mask",
            "s_j stays as it is",
            "Nothing is hidden from this query: it may look at every token here."
            if trace.allowed is None
            else "Only what comes later, or is too far away, is hidden in this model, and no such token is here.",
            (),
        )
    zeroed = zeroed_afterwards(weights_of(numbers.biased, None), trace.allowed)
    return Step(
        "The mask",
        "s_j = −∞ where the query may not look",
        "A model that writes must not look ahead. Hidden scores become −∞ before softmax, for e^−∞ = 0 and the rest "
        "still sums to 1. To set weights to zero after softmax would be wrong: the row would sum to less, by what was "
        "hidden.",
        (
            Quantity("allowed", "may be seen", np.asarray(trace.allowed), _BY_KEY),
            Quantity("sum_if_zeroed_after", "what the row would sum to if zeroed after softmax", zeroed.sum()),
        ),
    )


def _softmax(numbers: Numbers) -> Step:
    return Step(
        "Softmax: scores become weights",
        "w_j = exp(s_j) / Σ_k exp(s_k)",
        "The exponential makes every score positive and large ones much larger; dividing by the sum makes shares of a "
        "whole. These are the attention weights: how much of each token is taken.",
        (
            Quantity("masked_scores", "score", numbers.masked, _BY_KEY),
            Quantity("weights", "weight", numbers.weights, _BY_KEY),
            Quantity("sum_of_weights", "their sum", numbers.weights.sum()),
            Quantity(
                "entropy",
                f"how spread they are: entropy in bits (0 is one token, {math.log2(len(numbers.weights)):.2f} all "
                "alike)",
                np.float64(entropy(numbers.weights)),
            ),
        ),
    )


def _values(trace: Trace, numbers: Numbers) -> Step:
    why = "The value is what a token hands over when it is looked at: the video itself, while the key was its title."
    formula = f"v_j = {_map(trace, 'value', 'W_V', 'x̂_j')}"
    if trace.score not in DOTS:
        formula, why = "v_j = h_j", f"{why} In the first attention models, key and value were still the same."
    return Step(
        "Every token's value",
        formula,
        why,
        (Quantity("values", "the value of every token", numbers.values, (Axis.KEYS, Axis.DIMENSIONS)),),
    )


def _mixture(numbers: Numbers, names: Sequence[str]) -> Step:
    top = numbers.largest()
    parts = numbers.weights[top, None] * numbers.values[top]
    return Step(
        "The weighted sum",
        "z = Σ_j w_j v_j",
        "The values are averaged by the weights. What comes out is mostly the values of the tokens that were looked "
        "at.",
        (
            Quantity(
                "weighted_values",
                "what the most looked-at tokens bring, w_j · v_j",
                parts,
                (Axis.TOP_KEYS, Axis.DIMENSIONS),
                tuple(names[key] for key in top),
            ),
            Quantity("mixed", "the sum over all tokens", numbers.mixed, _DIMENSIONS),
        ),
    )


def _output(trace: Trace, head: int) -> Step:
    assert trace.mixed is not None and trace.parameters is not None
    each = contributions(trace.mixed[:, None, :], trace.parameters)[:, 0]  # [heads, width]
    return Step(
        "All heads together: concatenation and W_O",
        "o = W_O [z_0; z_1; …]",
        "All heads have done this at once, each with its own maps. Their results are put side by side, and W_O maps "
        "them back to the width of the stream. That is the same as each head adding its own slice of W_O times its z.",
        (
            Quantity("heads", "z of each head", trace.mixed, (Axis.HEADS, Axis.DIMENSIONS)),
            Quantity("head_lengths", "how long what each head adds is", np.linalg.norm(each, axis=-1), (Axis.HEADS,)),
            Quantity("head_output", f"what head {head} adds", each[head], _DIMENSIONS),
            *(
                [Quantity("output", "what all of them add", trace.added[trace.part], _DIMENSIONS)]
                if trace.added
                else []
            ),
        ),
    )


def _residual(trace: Trace) -> Step:
    assert trace.residual is not None
    total = trace.residual + trace.added[trace.part]
    return Step(
        "Added to the residual stream",
        "x ← x + o",
        "Attention does not replace the token's vector, it adds to it: what was known stays, and what the heads found "
        "comes on top. " + _LAYER.get(len(trace.added), ""),
        (
            Quantity("residual_after", "the stream after it", total, _DIMENSIONS),
            Quantity("residual_length", "how long the stream was", np.linalg.norm(trace.residual)),
            Quantity(
                "added_lengths",
                "how long what each part of this layer adds is",
                np.array([np.linalg.norm(added) for added in trace.added.values()]),
                (Axis.PARTS,),
                tuple(_SUBLAYER_WORDS[name] for name in trace.added),
            ),
        ),
    )


_LAYER = {
    2: "Then the feed-forward network reads the sum, at each token alone, and adds its part; the next layer goes on.",
    3: "A decoder's layer looks at its own text first, then across at the encoder's, then thinks it over at each token "
    "alone (feed-forward). Each adds its part; the next layer goes on.",
}
