"""What can be seen of attention that transformers computes: what the attention function is given for a query."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from attnviz.errors import UsageError
from attnviz.models.pretrained.attending import Attending
from attnviz.models.pretrained.capture import Capture
from attnviz.models.pretrained.masks import widened
from attnviz.models.pretrained.places import Inputs, Piece, Place, Take, Way, check_lengths, unlike_shorter
from attnviz.models.pretrained.survey import EXACT
from attnviz.reference.lesson.numbers import Numbers
from attnviz.reference.trace import Trace

HIDDEN = -5e3
"""What is added to the scores of keys that a query may not see is below this: -10,000 in old models, -∞ in others."""


def traced(name: str, way: Way, inputs: Inputs, place: Place, query: int, check: Take) -> Trace:
    """What the attention function of a layer is given for one query, whose weights pass a check.

    Queries and keys are as they meet there: normed and turned by their positions, in some models scaled already. A
    function that does more than score, scale, mask and softmax (it caps scores, or leaves weight to a sink) is shown
    with the weights that it computes.

    Raises:
        UsageError: the model has no such function, or it does not average values by its weights.
        TextError: the model attends to this text in another way than to shorter ones.
    """
    if not isinstance(way, Capture):
        raise UsageError(
            f"{name} attends with code of its own, from which its weights can be had, but not its queries, keys and "
            "values: look at the weights with attnviz show."
        )
    call = way.call(inputs, place)
    if call is None:
        raise unlike_shorter()
    check_lengths(place, inputs, call.lengths)
    trace, weights = trace_of(call, query)
    heads, keys = weights.shape
    check(place, Piece(tuple(range(heads)), range(query, query + 1), range(keys), weights[None, :, None]))
    for shown in (trace, replace(trace, weights=_array(weights))):
        if explains(shown, weights):
            return shown
    raise UsageError(
        f"The attention function of {name} does more in {place.kind.value} layer {place.layer} than the explanation "
        "knows: look at its weights with attnviz show."
    )


def trace_of(call: Attending, query: int) -> tuple[Trace, Tensor]:
    """What one query meets in a call of the attention function, and the function's own weights [heads, keys].

    The function is run in float32 whatever the precision of the model, so that rounding hides no difference.
    """
    cut, seen = call.of_rows(range(query, query + 1))
    row = cut.in_float32()
    output, weights = row.by(row.own)  # [1, 1, heads, d], [1, heads, 1, keys]
    assert weights is not None  # an eager function that gives none has not passed the survey
    unseen = seen.start, call.key.shape[2] - seen.stop  # before and after
    added = pad(_added(row), unseen, value=-torch.inf)  # [heads, keys]
    hidden = (added < HIDDEN).all(0)  # [keys]
    bias = added.masked_fill(hidden, 0)
    trace = Trace(
        position=query,
        query=_array(row.query[0, :, 0]),
        keys=_array(call.key[0]),
        values=_array(call.value[0]),
        scale=_scale(row),
        bias=_array(bias) if bias.any() else None,
        allowed=~hidden.numpy(force=True) if hidden.any() else None,
        mixed=_array(output[0, 0]),
    )
    return trace, pad(weights[0, :, 0], unseen)


def explains(trace: Trace, weights: Tensor) -> bool:
    """Whether an explanation ends in the model's own weights [heads, keys], and in what it mixes by them."""
    with np.errstate(all="ignore"):  # numbers that are none are close to nothing
        heads = [Numbers.of(trace, head) for head in range(len(weights))]
        mixed = _close([head.mixed for head in heads], trace.mixed, EXACT * np.abs(trace.values).max())
        return mixed and _close([head.weights for head in heads], _array(weights), EXACT)


def _added(row: Attending) -> Tensor:
    """What is added to the scores of one query, [heads, keys]: the mask, and a bias for positions."""
    added = row.query.new_zeros(1, row.query.shape[1], 1, row.key.shape[2])
    for part in (widened(row.mask, row.key.shape[2]), row.options.get("position_bias")):
        added = added if part is None else added + part
    return added[0, :, 0]


def _scale(row: Attending) -> float:
    """What scores are multiplied by; a function that is not told takes 1 / √d."""
    scaling = row.options.get("scaling")
    return float(row.query.shape[-1] ** -0.5 if scaling is None else scaling)


def _close(ours: Any, theirs: Any, tolerance: float) -> bool:
    return np.allclose(ours, theirs, rtol=0, atol=tolerance)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.float().numpy(force=True)
