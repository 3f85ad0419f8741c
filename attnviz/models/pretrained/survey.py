"""What attends in a model and how its weights can be had, found out by running it on a few tokens.

What the model itself returns as its attention weights (`output_attentions`) is the measure: another way to get at them
is taken only where it gives the same, run in blocks of a few rows.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from transformers import PreTrainedModel

from attnviz.errors import ModelError
from attnviz.models.base import Stack
from attnviz.models.pretrained.attending import Attending
from attnviz.models.pretrained.capture import Capture, own_attention, recorded
from attnviz.models.pretrained.eager import Hooked, Returned, returned, watched
from attnviz.models.pretrained.passes import in_few_passes
from attnviz.models.pretrained.places import Inputs, Part, Piece, Place, Way, accepted, in_turn, lengths, places_of
from attnviz.models.pretrained.positions import vocabulary
from attnviz.vocabulary import Kind

TOKENS, TARGET_TOKENS = 7, 5
"""How many tokens the model is tried on; none of them many, so that it takes no time, and not the same number."""

ROWS = 3
"""How many query rows there are in a block while it is tried."""

TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far row sums may be from 1, in each precision."""

HIGH = 30.0
"""How high the highest score is when it is tried whether scores are capped."""

EXACT, ROUGH = 1e-4, 1e-2
"""How far weights may be from the model's own: any of them in float32, all of them on the average in less."""

Weights = Mapping[Place, Tensor]
"""Weights [texts, heads, queries, keys] of layers that attend."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Which layers attend, by kind, whether they have a sink, and the way to get at their weights.

    `together` says that texts which are read together get the weights that each gets alone.
    """

    stacks: dict[Kind, Stack]
    sink: bool
    way: Way
    together: bool


def survey(network: PreTrainedModel, name: str) -> Survey:
    """Tries a model on a few tokens.

    Raises:
        ModelError: it computes no attention, or what it returns are no plain attention weights.
    """
    inputs = trial_inputs(network)
    parts = set(network.modules())
    with watched(network) as seen:
        own = returned(network, inputs)
    sink = any("sink" in parameter for parameter, _ in network.named_parameters())
    _check(own, inputs, sink, name)
    if set(network.modules()) != parts:  # BigBird, which from now on would look at long texts as it does at short ones
        raise ModelError(f"{name} attends in another way to long texts than to short ones: choose another model.")
    way = _captured(network, inputs, own) or _hooked(network, inputs, own, seen)
    way = way or Returned(network, tuple(Place(kind, number) for kind, layers in own.items() for number in layers))
    stacks = _stacks(own, way.places, name)
    return Survey(stacks, sink, way, _reads_together(way, inputs, stacks))


def trial_inputs(network: PreTrainedModel) -> Inputs:
    """A few ordinary tokens, and for the decoder of an encoder-decoder a few others."""
    size = _common_vocabulary(network)
    inputs = {"input_ids": _spread(size, TOKENS, network.device)}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if network.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = _spread(size, TARGET_TOKENS, network.device)
    return accepted(network, inputs)


def _spread(size: int, count: int, device: torch.device) -> Tensor:
    """Ids from all over the vocabulary, its special tokens mostly being at its ends."""
    return torch.tensor([[(i + 1) * size // (count + 1) for i in range(count)]], device=device)


def _common_vocabulary(network: PreTrainedModel) -> int:
    """How many ids there are at least, in the encoder and the decoder; where nothing says it, any will do."""
    decoder = getattr(network.config, "decoder", network.config).get_text_config()
    sizes = (vocabulary(network), getattr(decoder, "vocab_size", None))
    return min((size for size in sizes if size is not None), default=128)


def _check(own: Mapping[Kind, Mapping[int, Any]], inputs: Inputs, sink: bool, name: str) -> None:
    if not own:
        raise ModelError(f"{name} computes no attention weights, so there is nothing to show: choose another model.")
    for kind, layers in own.items():
        queries, keys = lengths(kind, inputs)
        for number, weights in layers.items():
            if fault := _fault(weights, queries, keys, sink):
                raise ModelError(
                    f"{name} computes no attention weights that could be shown: what it returns for {kind.value} layer "
                    f"{number} {fault}. Choose another model."
                )


def _fault(weights: Any, queries: int, keys: int, sink: bool) -> str | None:
    """What is wrong with these weights, if anything is."""
    if not isinstance(weights, Tensor) or weights.ndim != 4 or weights.shape[2:] != (queries, keys):
        shape = list(weights.shape) if isinstance(weights, Tensor) else "of several tensors"
        return f"has the shape {shape} for {queries} queries and {keys} keys"
    if not weights.isfinite().all() or weights.min() < 0:
        return "holds numbers below 0, or none at all"
    sums = weights.float().sum(-1)
    if not sum_to_one(sums, weights.dtype, sink):
        return f"sums not to 1 in each row but to {sums.min():.3g} to {sums.max():.3g}"
    return None


def sum_to_one(sums: Tensor, dtype: torch.dtype, sink: bool) -> bool:
    """Whether these sums of rows of weights that were computed in a dtype are 1, or less if there is a sink."""
    tolerance = TOLERANCE[dtype]
    return bool((sums <= 1 + tolerance).all() and (sink or (sums >= 1 - tolerance).all()))


def _stacks(own: Mapping[Kind, Mapping[int, Tensor]], places: Collection[Place], name: str) -> dict[Kind, Stack]:
    stacks = {}
    for kind, layers in own.items():
        heads = {weights.shape[1] for weights in layers.values()}
        if len(heads) > 1:
            counts = ", ".join(map(str, sorted(heads)))
            raise ModelError(f"The layers of {name} have different numbers of heads ({counts}): choose another model.")
        stacks[kind] = Stack(tuple(place.layer for place in places if place.kind is kind), heads.pop())
    return stacks


def _captured(network: PreTrainedModel, inputs: Inputs, own: Mapping[Kind, Mapping[int, Tensor]]) -> Way | None:
    """The model with our attention function in it, if it then gives its own weights."""
    try:
        calls = recorded(network, inputs, ROWS)
    except Exception:  # whatever a model does that ours has not foreseen, there is another way
        return None
    kinds = _matched([weights for _, weights in calls], own)
    if kinds is None:
        return None
    located = places_of([(call.module, kind) for (call, _), kind in zip(calls, kinds, strict=True)], network)
    expected = {place: weights for (_, place), (_, weights) in zip(located, calls, strict=True) if place is not None}
    fusing = all(part._supports_sdpa for part in network.modules() if isinstance(part, PreTrainedModel))
    plain = all(_is_plain(call) for call, _ in calls)
    ways = (
        Capture(network, located, fuses=fuses, slices=slices, plain=plain)
        for fuses, slices in product((True, False), repeat=2)
        if fusing or not fuses
    )
    return next((way for way in ways if _agrees(way, inputs, _last(expected))), None)


def _is_plain(call: Attending) -> bool:
    """Whether a module's own function makes the same as `in_few_passes`, even of high scores, which some models cap."""
    whole, _ = call.of_rows(range(call.query.shape[2]))
    highest = (call.query @ call.key.repeat_interleave(call.sharing, 1).mT).abs().max()
    loud = replace(whole, query=call.query * (HIGH * call.query.shape[-1] ** 0.5 / highest))
    try:
        own, ours = loud.by(own_attention(call.module)), loud.by(in_few_passes)
    except Exception:  # it wants its queries and keys in another form
        return False
    return all(
        theirs is not None and mine is not None and _same(theirs, mine) for theirs, mine in zip(own, ours, strict=True)
    )


def _matched(calls: list[Tensor], own: Mapping[Kind, Mapping[int, Tensor]]) -> list[Kind | None] | None:
    """Which kind each call is, by the model's own weights, which come in the same order; None if some are missing."""
    left = {kind: list(layers.values()) for kind, layers in own.items()}
    kinds = []
    for weights in calls:
        kind = next((kind for kind, layers in left.items() if layers and _same(layers[0], weights)), None)
        kinds.append(kind)
        if kind is not None:
            left[kind].pop(0)
    return None if any(left.values()) else kinds


def _hooked(
    network: PreTrainedModel,
    inputs: Inputs,
    own: Mapping[Kind, Mapping[int, Tensor]],
    seen: list[tuple[Module, int, Tensor]],
) -> Way | None:
    """The model with hooks on the modules that first returned each of its weights, if it can do without them."""
    kinds = {id(weights): kind for kind, layers in own.items() for weights in layers.values()}
    sources: dict[int, tuple[Module, int, Tensor]] = {}
    for module, index, tensor in seen:
        if id(tensor) in kinds:
            sources.setdefault(id(tensor), (module, index, tensor))
    if len(sources) < len(kinds):
        return None
    calls = places_of([(module, kinds[key]) for key, (module, _, _) in sources.items()], network)
    expected = {place: sources[key][2] for key, (_, place) in zip(sources, calls, strict=True) if place}
    way = Hooked(network, calls, {module: index for module, index, _ in sources.values()})
    return way if _agrees(way, inputs, expected) else None


def _last(expected: Weights) -> Weights:
    """The last layer of each kind, whose weights depend on all layers before."""
    last = {place.kind: place for place in expected}.values()
    return {place: expected[place] for place in last}


def _agrees(way: Way, inputs: Inputs, expected: Weights) -> bool:
    """Whether a way yields these weights, where all heads are wanted and where only the last one is."""
    for heads in (slice(None), slice(-1, None)):
        wanted = {place: _part(range(own.shape[1])[heads], own.shape[2]) for place, own in expected.items()}
        try:
            got = _gathered(way, inputs, wanted)
        except Exception:  # such as a model that does something with its weights after they have been taken from it
            return False
        if not all(_same(weights[:, heads], got[place][:, heads]) for place, weights in expected.items()):
            return False
    return True


def _reads_together(way: Way, inputs: Inputs, stacks: Mapping[Kind, Stack]) -> bool:
    """Whether each of two texts that are read together gets the weights that it gets alone, in the last layers."""
    wanted = {
        Place(kind, stack.layers[-1]): _part(range(stack.heads), lengths(kind, inputs)[0])
        for kind, stack in stacks.items()
    }
    other = {name: values.flip(1) for name, values in inputs.items()}
    try:
        alone = [_gathered(way, one, wanted) for one in (inputs, other)]
        both = _gathered(way, {name: torch.cat([inputs[name], other[name]]) for name in inputs}, wanted)
    except Exception:  # a model that reads one text at a time
        return False
    return all(_same(torch.cat([one[place] for one in alone]), both[place]) for place in wanted)


def _part(heads: range, queries: int) -> Part:
    """All rows of some heads, a few at a time."""
    return Part(tuple(heads), tuple(in_turn(range(queries), ROWS)))


def _gathered(way: Way, inputs: Inputs, wanted: Mapping[Place, Part]) -> dict[Place, Tensor]:
    """The wanted weights, [texts, heads, queries, keys] up to the last of these heads."""
    got: dict[Place, Tensor] = {}

    def take(place: Place, piece: Piece) -> None:
        if place not in got:
            heads = max(wanted[place].heads) + 1
            got[place] = piece.weights.new_zeros(len(piece.weights), heads, *lengths(place.kind, inputs))
        piece.put_into(got[place])

    way.run(inputs, wanted, take)
    return got


def _same(own: Tensor, weights: Tensor) -> bool:
    """Whether these are the same weights, but for rounding, which in half precision adds up here and there."""
    if own.shape != weights.shape:
        return False
    differences = (own.float() - weights.float()).abs()
    return bool(differences.mean() <= ROUGH if own.dtype.itemsize < 4 else differences.max() <= EXACT)
