"""The last steps: the values, their weighted sum, and what is added to the residual stream."""

from collections.abc import Iterator, Sequence

import numpy as np

from attnviz.reference.heads import contributions
from attnviz.reference.lesson.numbers import Numbers, Reals
from attnviz.reference.lesson.steps import DIMENSIONS, TOP_BY_DIMENSION, Axis, Quantity, Step
from attnviz.reference.lesson.wording import Wording
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Trace

_PARTS = {"attention": "self-attention", "cross_attention": "cross-attention", "feed_forward": "feed-forward"}


def taking(trace: Trace, head: int, numbers: Numbers, words: Wording, names: Sequence[str]) -> Iterator[Step]:
    """All of them, as far as the model shows them; `names` are those of the keys."""
    every_value = Quantity("values", "the value of every token", numbers.values, (Axis.KEYS, Axis.DIMENSIONS))
    yield Step("Every token's value", words.values, words.values_why, (every_value,))
    yield _mixture(numbers, names)
    if trace.mixed is not None and trace.parameters is not None:
        yield _output(trace, trace.parameters, trace.mixed, head)
    if trace.residual is not None and trace.passed is not None:
        yield _residual(trace, trace.residual, trace.passed)


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
    each = contributions(mixed[:, None, :], parameters)[:, 0]  # [heads, width]
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
    parts = tuple(_PARTS[name] for name in trace.added)
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
