"""Traces of attention that transformers computes, for one query of one layer."""

from collections.abc import Callable

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray
from torch import Tensor

from attnviz.errors import UsageError
from attnviz.models.base import Part
from attnviz.models.pretrained.attending import Attending
from attnviz.models.pretrained.eager import Hooked, Returned
from attnviz.models.pretrained.observation import Observation
from attnviz.models.pretrained.places import AttentionLayer, Inputs, check_lengths, count_lengths, unlike_shorter
from attnviz.models.pretrained.survey import Way, make_trial_inputs
from attnviz.models.pretrained.watching import Around, Product, Softmax, Watching
from attnviz.records import Block, Each, watch_nothing
from attnviz.reference.trace import Trace


def trace_query(
    name: str, way: Way, inputs: Inputs, place: AttentionLayer, heads: int, query: int, check: Each
) -> Trace:
    """Return what meets in a layer of so many heads for one query, whose weights pass a check.

    Queries and keys are as they meet: normed and turned by their positions, in some models scaled already. An attention
    function that does more than score, scale, add, mask and softmax (it caps scores) is shown with the weights that it
    computes.

    Raises:
        UsageError: what the model computes is no such attention, or too rough to be told apart from another.
        TextError: the model attends to this text in another way than to shorter ones.
    """
    if isinstance(way, (Hooked, Returned)):
        return _trace_own_code(name, way, inputs, place, heads, query, check)
    call = way.call(inputs, place)
    if call is None:
        raise unlike_shorter()
    check_lengths(place, inputs, call.lengths)
    met = observe(call, query)
    weights = torch.from_numpy(met.weights)[None, :, None]
    check(Block.starting(place.kind, place.layer, tuple(range(len(met.weights))), query, weights))
    if (trace := met.explain() or met.plain()) is None:
        raise _refused(name, place, "what it puts out is not its values mixed by the weights that it returns")
    return trace


def observe(call: Attending, query: int) -> Observation:
    """Return what one query meets in a call of the attention function.

    The function is run in float32 whatever the precision of the model, so that rounding hides no difference.
    """
    cut, seen = call.of_rows(range(query, query + 1))
    row = cut.in_float32()
    scores, output, weights = _run(row)
    zero_scores, _, _ = _run(replace(row, query=torch.zeros_like(row.query)))
    before, after = seen.start, call.key.shape[2] - seen.stop  # keys that no row sees

    def whole(made: Tensor, unseen: float) -> NDArray[np.float32]:
        """Return numbers [heads, keys + sinks], those of seen keys being `made`, those of the keys around `unseen`."""
        last = seen.stop - seen.start
        parts = torch.full((heads, before), unseen), made[:, :last], torch.full((heads, after), unseen), made[:, last:]
        return _to_array(torch.cat([part.float().cpu() for part in parts], 1))

    heads = row.query.shape[1]
    return Observation(
        position=query,
        query=_to_array(row.query[0, :, 0]),
        keys=_to_array(call.key[0]),
        values=_to_array(call.value[0]),
        scores=None if scores is None else whole(scores, -torch.inf),
        zero_scores=None if zero_scores is None else whole(zero_scores, -torch.inf),
        weights=whole(weights, 0),
        mixed=_to_array(output[0, 0]),
    )


def _run(row: Attending) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return what an attention function gives softmax for one query, what it puts out, and its weights.

    These are [heads, keys + sinks], [1, 1, heads, d] and [heads, keys]; there are no scores if it calls no softmax.
    """
    steps: list[Softmax | Product] = []
    with Watching(steps.append):
        output, weights = row.by(row.own)
    given = [step.given for step in steps if isinstance(step, Softmax)]
    assert weights is not None  # an eager function that gives none has not passed the survey
    _, heads, _, keys = weights.shape
    fits = given and given[-1].numel() == heads * given[-1].shape[-1] and given[-1].shape[-1] >= keys
    return given[-1].reshape(heads, -1) if fits else None, output, weights[0, :, 0]


def _trace_own_code(
    name: str, way: Hooked | Returned, inputs: Inputs, place: AttentionLayer, heads: int, query: int, check: Each
) -> Trace:
    """Return what one query meets in a layer of a model with attention code of its own, seen while that runs."""
    if way.network.dtype.itemsize < 4:
        raise UsageError(
            f"{name} attends with code of its own, and in half precision an explanation of it cannot be checked:",
            hint="use {dtype:float32}.",
        )
    part = _make_whole(place, heads, inputs)
    if (number := _find_softmax(way, place, heads)) is None:
        raise _refused(name, place, "no softmax in it gives its weights")
    around, weights = Around(number), []

    def take(block: Block) -> None:
        check(block)
        if not (around.softmax and _is_made(block, around.softmax)):
            raise unlike_shorter()
        if query in block.rows:
            weights.append(block.weights[0, :, query - int(block.rows[0])].clone())

    with Watching(around.see):
        way.run(inputs, {place: part}, take)

    def zero_scores(product: Product) -> Tensor:
        """Return what softmax is given if the query of a product is 0."""
        again = Around(number)
        with Watching(again.see, silenced=product.number):
            way.run(inputs, {place: part}, watch_nothing)
        assert again.softmax is not None  # a silenced product changes no more than numbers
        return again.softmax.given

    return _explain(name, place, query, around, weights[0], zero_scores)


def _explain(
    name: str,
    place: AttentionLayer,
    query: int,
    around: Around,
    weights: Tensor,
    zero_scores: Callable[[Product], Tensor],
) -> Trace:
    """Explain a query by one of the products before a softmax and the first after it with its weights."""
    heads, keys = weights.shape
    assert around.softmax is not None
    scores, made = (each.reshape(heads, -1, each.shape[-1]) for each in (around.softmax.given, around.softmax.made))
    mixing = (step for step in around.after if step.left.shape == made[..., :keys].shape)
    mixture = next((step for step in mixing if torch.equal(step.left, made[..., :keys])), None)
    if mixture is None:
        raise _refused(name, place, "no matrix product mixes values by its weights")
    for product in around.before:
        if product.made.shape == (heads, made.shape[1], keys):
            met = Observation(
                position=query,
                query=_to_array(product.left[:, query]),
                keys=_to_array(product.right.mT),
                values=_to_array(mixture.right),
                scores=_to_array(scores[:, query]),
                zero_scores=_to_array(zero_scores(product).reshape(scores.shape)[:, query]),
                weights=_to_array(weights),
                mixed=_to_array(mixture.made[:, query]),
            )
            if (trace := met.explain()) is not None:
                return trace
    raise _refused(name, place, "its scores are not a matrix product of queries and keys, scaled, with something added")


def _find_softmax(way: Hooked | Returned, place: AttentionLayer, heads: int) -> int | None:
    """Return the number of the softmax in a run that makes the weights of a layer, found on a few tokens, if any."""
    inputs, made = make_trial_inputs(way.network), list[Softmax]()
    matching: list[set[int]] = []

    def see(step: Softmax | Product) -> None:
        if isinstance(step, Softmax):
            made.append(step)

    def take(block: Block) -> None:
        matching.append({number for number, softmax in enumerate(made) if _is_made(block, softmax)})

    part = _make_whole(place, heads, inputs)
    with Watching(see):
        way.run(inputs, {place: part}, take)
    return max(set.intersection(*matching), default=None)


def _make_whole(place: AttentionLayer, heads: int, inputs: Inputs) -> Part:
    """Return all rows of so many heads."""
    return Part(place.kind, (place.layer,), tuple(range(heads)), (range(count_lengths(place.kind, inputs)[0]),))


def _is_made(block: Block, softmax: Softmax) -> bool:
    """Return whether weights are those that a softmax has made."""
    heads, first, end, keys = len(block.heads), int(block.rows[0]), int(block.rows[-1]) + 1, len(block.keys)
    made = softmax.made
    if made.ndim < 3 or made.shape[-1] < keys or made.shape[-2] < end or made[..., 0, 0].numel() != heads:
        return False
    own = made.reshape(heads, *made.shape[-2:])[:, first:end, :keys]
    return torch.equal(own.to(block.weights.dtype), block.weights[0])


def _refused(name: str, place: AttentionLayer, why: str) -> UsageError:
    return UsageError(
        f"The steps to the weights of {name} in {place.kind.value} layer {place.layer} cannot be shown, because {why}: "
        "use attnviz show to see the weights."
    )


def _to_array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.float().numpy(force=True)
