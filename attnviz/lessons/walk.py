"""The walk through one head for one query: from the token to what is added to the residual stream."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from attnviz.lessons.lesson import (
    BY_KEY,
    DIMENSIONS,
    MATRIX,
    TOP_BY_DIMENSION,
    Axis,
    Quantity,
    Step,
    count,
    count_decimals,
)
from attnviz.lessons.weighing import weigh_steps
from attnviz.lessons.wording import NO_ORDER, Told, Wording, word_head, write_sum
from attnviz.reference.head_steps import DOTS, Numbers, Reals, find_key_head, slice_map
from attnviz.reference.multi_head import split_output
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Trace


def head_steps(trace: Trace, layer: int, head: int, names: Sequence[str]) -> Iterator[Step]:
    """Yield the steps of one head, whose layer is the one of the trace; `names` are those of the keys."""
    words = word_head(trace, head)
    yield from _embed(trace)
    yield from _read_stream(trace, layer, words)
    yield from query_steps(trace, head, names)


def query_steps(trace: Trace, head: int, names: Sequence[str], told: Told | None = None) -> Iterator[Step]:
    """Yield the steps of one head from its query on; those after the values as far as the model shows them."""
    numbers, words, names = Numbers.of(trace, head), word_head(trace, head), _tell_apart(names)
    yield _query(trace, head, numbers, words)
    yield _keys(trace, head, numbers, words)
    yield from weigh_steps(trace, head, numbers, words, names, told or Told())
    every_value = Quantity("values", "the values", numbers.values, (Axis.KEYS, Axis.DIMENSIONS))
    maps = _list_map(trace, "value", "V", head)
    yield Step("The value of every token", words.values, words.values_why, (*maps, every_value))
    yield _mix(trace, numbers, head, names)
    if trace.mixed is not None and trace.parameters is not None:
        yield _join_heads(trace, trace.parameters, trace.mixed, head)
    if trace.residual is not None and trace.passed is not None:
        yield _add_to_stream(trace, trace.residual, trace.passed)
    if trace.inner is not None and trace.left is not None:
        yield _transform(trace, trace.inner, trace.left)


def _tell_apart(names: Sequence[str]) -> list[str]:
    """Return the names, with their positions where several are the same."""
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{position} {name}" for position, name in enumerate(names)]


_PARTS = {
    "token": ("E[token]", "the row of the embedding table for this token"),
    "type": ("T[text]", "the row of the table for the first or the second text"),
    "position": ("P[position]", "the vector of its position"),
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
        why += f" The vector of its position is added. {NO_ORDER}"
    elif trace.turn is not None:
        why += " The order of the tokens comes in later: positions rotate the query and the keys of the next steps."
    quantities = [Quantity(f"{name}_embedding", _PARTS[name][1], array, DIMENSIONS) for name, array in parts.items()]
    formula = " + ".join(_PARTS[name][0] for name in parts)
    if (passed := trace.embedding.get(_PASSED)) is not None:
        formula = write_sum(formula, np.sum(list(parts.values()), axis=0), passed)
        if "norm" in formula:
            widened = ", and W to another width" * ("W" in formula)
            why += f" Here a norm brings the vector to a standard size{widened}."
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
    if trace.part == "cross_attention":
        why += " The self-attention of this layer has added to it too, just before."
    quantities = [Quantity("residual", "the residual stream of this token", trace.residual, DIMENSIONS)]
    if words.x != "x":
        why += " Before the layer reads it, a norm brings it to a standard size."
        quantities.append(Quantity("input", "the same after the norm", trace.input, DIMENSIONS))
    yield Step(f"What layer {layer} reads", "x" if words.x == "x" else f"{words.x} = norm(x)", why, tuple(quantities))


def _list_map(trace: Trace, part: str, letter: str, head: int) -> Iterator[Quantity]:
    """Yield a head's part of W_Q, W_K or W_V and of its bias, if the model shows them."""
    if trace.parameters is None:
        return
    heads, own = (len(trace.query), head) if part == "query" else (len(trace.keys), find_key_head(trace, head))
    weight, bias = slice_map(trace.parameters, part, own, heads)
    yield Quantity(f"{part}_weight", f"W_{letter} of head {own}", weight, MATRIX)
    if bias is not None:
        yield Quantity(f"{part}_bias", f"b_{letter} of head {own}", bias, DIMENSIONS)


def _query(trace: Trace, head: int, numbers: Numbers, words: Wording) -> Step:
    quantities = [Quantity("query", f"the query of head {head}", trace.query[head], DIMENSIONS)]
    if trace.turned_query is not None:
        quantities.append(Quantity("turned_query", "the query, rotated for its position", numbers.query, DIMENSIONS))
    if len(trace.query) > 1:
        axes = Axis.HEADS, Axis.DIMENSIONS
        quantities.insert(0, Quantity("queries", "the queries of all heads", trace.query, axes, shown=False))
    made_from = [] if trace.input is None else [Quantity("query_input", words.x, trace.input, DIMENSIONS, shown=False)]
    maps = _list_map(trace, "query", "Q", head)
    return Step("The query of this token", words.query, words.query_why, (*made_from, *maps, *quantities))


def _keys(trace: Trace, head: int, numbers: Numbers, words: Wording) -> Step:
    axes = Axis.KEYS, Axis.DIMENSIONS
    quantities = [Quantity("keys", "the keys", trace.keys[find_key_head(trace, head)], axes)]
    if trace.turned_keys is not None:
        quantities.append(Quantity("turned_keys", "the keys, each rotated for its own position", numbers.keys, axes))
    made_from = []
    if trace.context is not None:
        words_for_it = "the vectors that keys and values are made from"
        made_from = [Quantity("key_inputs", words_for_it, trace.context, axes, shown=False)]
    maps = _list_map(trace, "key", "K", head)
    return Step("The key of every token", words.keys, words.keys_why, (*made_from, *maps, *quantities))


_SUBLAYERS = {"attention": "self-attention", "cross_attention": "cross-attention", "feed_forward": "feed-forward"}


def _mix(trace: Trace, numbers: Numbers, head: int, names: Sequence[str]) -> Step:
    top = numbers.most_looked_at()
    at_once = ""
    if trace.score in DOTS and trace.weights is None:
        at_once = " All queries at once, a row each, are one product of matrices: Z = softmax(Q Kᵀ / √d_k) V."
    through = " What a value adds to the token goes through W_O, in the next step." * (trace.parameters is not None)
    lengths = _measure_added(trace, numbers, head)
    return Step(
        "The weighted sum",
        "z = Σ_j w_j v_j",
        "Each value is multiplied by its weight, and all are added. So z is a mixture of the values, in the "
        f"proportions of the weights.{at_once}{through} {_weigh_lengths(numbers.weights, lengths[-1], names)}",
        (
            *lengths,
            Quantity(
                "weighted_values",
                "what the tokens of largest weight add, w_j · v_j",
                numbers.weights[top, None] * numbers.values[top],
                TOP_BY_DIMENSION,
                tuple(names[key] for key in top),
                shown=False,
            ),
            Quantity("mixed", "the sum over all tokens", numbers.mixed, DIMENSIONS),
        ),
    )


def _measure_added(trace: Trace, numbers: Numbers, head: int) -> tuple[Quantity, ...]:
    """Return the weight of each token, and the length of its value and of what it adds: through W_O if that is known.

    Source: Kobayashi et al. 2020, Attention is Not Only a Weight: Analyzing Transformers with Vector Norms.
    """
    values, of_value = numbers.values, "v_j"
    if trace.parameters is not None:
        values, of_value = values @ _slice_output(trace.parameters, values.shape[-1], head).T, "W_O v_j"
    lengths = np.linalg.norm(values, axis=-1)
    return (
        Quantity("weights_of_values", "weight w_j", numbers.weights, BY_KEY),
        Quantity("value_lengths", f"length of {of_value}", lengths, BY_KEY),
        Quantity("weighted_lengths", f"length of w_j {of_value}", numbers.weights * lengths, BY_KEY),
    )


def _slice_output(parameters: Parameters, depth: int, head: int) -> Reals:
    """Return the slice of W_O for a head of this depth: [width, depth]."""
    return np.asarray(parameters["output.weight"])[:, head * depth : (head + 1) * depth]


def _weigh_lengths(weights: Reals, added: Quantity, names: Sequence[str]) -> str:
    """Return whether the order of the tokens by weight is that by the length of what they add, and if not, where."""
    shares, lengths = np.round(weights, 2).tolist(), np.asarray(added.array)
    longest = np.max(lengths, where=np.isfinite(lengths), initial=0)
    decimals = count_decimals(float(longest))
    lengths = np.round(lengths, decimals).tolist()
    keys = range(len(shares))
    by_weight = sorted(keys, key=lambda key: (-shares[key], -lengths[key]))
    by_length = sorted(keys, key=lambda key: (-lengths[key], -shares[key]))
    told = (
        "A large weight on a short value adds little, so weights alone do not say what counts (Kobayashi et al. 2020). "
    )
    for one, other in zip(by_weight, by_length, strict=True):
        if one != other:
            own, larger = (f"{lengths[key]:.{decimals}f}" for key in (one, other))
            return (
                f"{told}Here the tokens come in different orders by weight and by length: {names[one]} has more weight "
                f"than {names[other]} ({shares[one]:.2f} and {shares[other]:.2f}), but adds less ({own} and {larger})."
            )
    return (
        f"{told}Here, with weights rounded to 2 decimals and lengths to {decimals}, the tokens come in the same order "
        "by both."
    )


def _join_heads(trace: Trace, parameters: Parameters, mixed: Reals, head: int) -> Step:
    each = split_output(mixed[:, None, :], parameters)[:, 0]  # [heads, width]
    own, several = _slice_output(parameters, mixed.shape[-1], head), len(mixed) > 1
    lengths = np.linalg.norm(each, axis=-1)
    bias = parameters.get("output.bias")
    biased = [] if bias is None else [Quantity("output_bias", "b_O, the same for every token", bias, DIMENSIONS)]
    return Step(
        "All heads together: concatenation and W_O",
        "o = W_O [z_0; z_1; …]" + " + b_O" * bool(biased),
        f"{_explain_heads(mixed)} Their results z are put side by side (concatenated), and W_O maps them back to the "
        "width of x, the vector of the token. It comes to the same if each head multiplies its z by its own slice of "
        "W_O, and the products are added. The W_V of a head maps vectors down to the width of the head, so it is "
        "also called value-down; its slice of W_O maps back up: value-up.",
        (
            Quantity("heads", "z of each head", mixed, (Axis.HEADS, Axis.DIMENSIONS), shown=several),
            Quantity("concatenated", "z of all heads, side by side", mixed.reshape(-1), DIMENSIONS, shown=False),
            Quantity("output_weight", f"W_O, the slice of head {head}", own, MATRIX),
            Quantity("head_lengths", "length of what each head adds", lengths, (Axis.HEADS,), shown=several),
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


def _explain_heads(mixed: Reals) -> str:
    heads, depth = mixed.shape
    if heads == 1:
        return (
            "There is one head here, so this token has one set of weights, and looks for one thing. Several heads "
            "would look for several things at once, each on its own."
        )
    return (
        "Why several heads? A head gives a token one set of weights, so it can look for one thing at a time; "
        f"{heads} heads look for {heads}. They work at the same time, each on its own, and each has only "
        f"{count(depth, 'number')} for a vector. How many heads share the width is a choice."
    )


def _transform(trace: Trace, inner: Reals, left: Reals) -> Step:
    added = trace.added["feed_forward"]
    return Step(
        "The feed-forward network (MLP)",
        "x ← x + W_2 f(W_1 x + b_1) + b_2",
        "Attention moves numbers from token to token. This network then works on each token by itself: W_1 maps it to "
        f"{count(len(inner), 'number')}, f changes each of them, and W_2 maps them back. After that, the next layer "
        "begins.",
        (
            Quantity("feed_forward_inner", f"the {len(inner)} numbers after f", inner, DIMENSIONS),
            Quantity("feed_forward_output", "what the network adds", added, DIMENSIONS),
            Quantity("layer_output", "the residual stream after this layer", left, DIMENSIONS),
        ),
    )


def _add_to_stream(trace: Trace, before: Reals, passed: Reals) -> Step:
    normed = not np.allclose(before + trace.added[trace.part], passed, atol=1e-4)
    why = (
        "Attention does not replace the vector of the token; it adds to it. What was there stays, and the output of "
        "the heads, o, comes on top. This vector, to which every layer adds, is the residual stream."
    )
    if normed:
        why += " In this model, a norm then brings the sum to a standard size."
    if len(trace.added) > 1:
        why += " Each part of a layer adds in this way."
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
