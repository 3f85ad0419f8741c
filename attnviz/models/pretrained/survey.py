"""What attends in a model and how its weights can be had, found out by running it on a few tokens.

What the model itself returns as its attention weights (`output_attentions`) is the measure: another way to get at them
is taken only where it gives the same, run in blocks of a few rows. Running a large model takes time, so it is run as
few times as can be: once for the measure, and once more for a way that is right, on two texts at once.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from transformers import PreTrainedModel

from attnviz.attention import Kind
from attnviz.errors import ModelError
from attnviz.models.base import Stack
from attnviz.models.pretrained.attending import READ, UNREAD, Attending
from attnviz.models.pretrained.capture import Capture, recorded
from attnviz.models.pretrained.eager import Hooked, Returned, returned, watched
from attnviz.models.pretrained.narrowing import narrowed
from attnviz.models.pretrained.passes import in_few_passes
from attnviz.models.pretrained.places import Inputs, Part, Piece, Place, Way, accepted, in_turn, lengths, places_of
from attnviz.models.pretrained.positions import vocabulary

TOKENS, TARGET_TOKENS = 6, 4
"""How many tokens the model is tried on; none of them many, so that it takes no time, and not the same number.

Nor is it odd, as is the number of keys in a window around a query (Longformer), whose weights would look like all.
"""

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

Found = tuple[Way, bool]
"""A way to get at the weights, and whether texts may be read together on it."""


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
    """Tries a model on a few tokens, in windows of even fewer if it can be run so.

    Raises:
        ModelError: it computes no attention, or what it returns are no plain attention weights.
    """
    parts, found = set(network.modules()), None
    with suppress(Exception), narrowed(network):
        found = _survey(network, name)
    if not found and set(network.modules()) == parts:
        found = _survey(network, name)
    if found and set(network.modules()) == parts:
        return found
    # BigBird, which from now on would look at long texts as it does at short ones
    raise ModelError(f"{name} attends in another way to long texts than to short ones: choose another model.")


def _survey(network: PreTrainedModel, name: str) -> Survey:
    inputs = trial_inputs(network)
    with watched(network) as seen:
        own = returned(network, inputs)
    sink = any("sink" in parameter for parameter, _ in network.named_parameters())
    _check(own, inputs, sink, name)
    way, together = (
        _captured(network, inputs, own, sink) or _hooked(network, inputs, own, seen) or _returned(network, inputs, own)
    )
    return Survey(_stacks(own, way.places, name), sink, way, together)


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
            if isinstance(weights, Tensor) and not weights.isfinite().all():
                raise no_numbers(f"weights of layer {number}", name, weights.dtype)
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
    if weights.min() < 0:
        return "holds numbers below 0"
    sums = weights.float().sum(-1)
    if not sum_to_one(sums, weights.dtype, sink):
        return f"sums not to 1 in each row but to {sums.min():.3g} to {sums.max():.3g}"
    return None


def no_numbers(what: str, name: str, dtype: torch.dtype) -> ModelError:
    """What is to be said where a model computes weights that are infinite, or no numbers at all."""
    if dtype is torch.float16:
        return ModelError(f"{name} overflows in float16 ({what}): use --dtype bfloat16 or --dtype float32.")
    return ModelError(f"{name} computes {what} that are no finite numbers: its files may be damaged.")


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


def _captured(
    network: PreTrainedModel, inputs: Inputs, own: Mapping[Kind, Mapping[int, Tensor]], sink: bool
) -> Found | None:
    """The model with our attention function in it, if it then gives its own weights."""
    for together in (True, False):
        try:
            calls = recorded(network, _doubled(inputs) if together else inputs, ROWS)
        except Exception:  # whatever a model does that ours has not foreseen, there is another way
            continue
        if not calls or not all(call.given <= READ | UNREAD for call, _ in calls):
            return None
        kinds = _matched([weights[:1] for _, weights in calls], own)
        if kinds is not None:
            return _capture(network, calls, kinds, sink), together
    return None


def _capture(
    network: PreTrainedModel, calls: list[tuple[Attending, Tensor]], kinds: list[Kind | None], sink: bool
) -> Capture:
    """The model with our attention function in it, as fast as what this was called with shows that it may be."""
    made = [call for call, _ in calls]
    fusing = all(part._supports_sdpa for part in network.modules() if isinstance(part, PreTrainedModel))
    return Capture(
        network,
        calls=places_of([(call.module, kind) for call, kind in zip(made, kinds, strict=True)], network),
        options=frozenset[str]().union(*(call.given for call in made)),
        fuses=fusing and not sink and all(map(_fuses, made)),
        slices=all(_slices(call, weights) for call, weights in calls),
        plain=not sink and all(map(_is_plain, made)),
    )


def _is_plain(call: Attending) -> bool:
    """Whether a module's own function makes the same as `in_few_passes`, and is given no more than that reads."""
    if not call.given <= UNREAD | {"scaling", "dropout"}:
        return False
    with suppress(Exception):  # it wants its queries and keys in another form
        whole, _ = _loud(call).of_rows(range(call.query.shape[2]))
        own, ours = whole.by(call.own), whole.by(in_few_passes)
        return all(
            theirs is not None and mine is not None and _same(theirs, mine)
            for theirs, mine in zip(own, ours, strict=True)
        )
    return False


def _fuses(call: Attending) -> bool:
    """Whether fused attention makes the same as a module's own function."""
    with suppress(Exception):  # it knows no such options
        loud = _loud(call)
        whole, _ = loud.of_rows(range(call.query.shape[2]))
        return _same(whole.by(call.own)[0], loud.fused([range(call.query.shape[1])]))
    return False


def _slices(call: Attending, weights: Tensor) -> bool:
    """Whether a module's own function gives these weights for its last heads alone, and without values."""
    _, heads, queries, _ = call.query.shape
    last = range(heads - call.sharing, heads)
    with suppress(Exception):  # it has something for each head elsewhere
        whole, keys = call.of_rows(range(queries))
        _, some = whole.of_heads(last).mixing_nothing().by(call.own)
        return some is not None and _same(weights[:, last.start :, :, keys.start : keys.stop], some)
    return False


def _loud(call: Attending) -> Attending:
    """The same in float32 with high scores, so that it shows if they are capped."""
    call = call.in_float32()
    highest = (call.query @ call.key.repeat_interleave(call.sharing, 1).mT).abs().max()
    return replace(call, query=call.query * (HIGH * call.query.shape[-1] ** 0.5 / highest))


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
) -> Found | None:
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
    return _agreeing(Hooked(network, calls, {module: index for module, index, _ in sources.values()}), inputs, expected)


def _returned(network: PreTrainedModel, inputs: Inputs, own: Mapping[Kind, Mapping[int, Tensor]]) -> Found:
    """The model as it is, all its weights being returned at its end."""
    expected = {Place(kind, number): weights for kind, layers in own.items() for number, weights in layers.items()}
    way = Returned(network, tuple(expected))
    return _agreeing(way, inputs, expected) or (way, False)


def _agreeing(way: Way, inputs: Inputs, expected: Weights) -> Found | None:
    """The way, if it yields these weights of a text: also together with another one, or only alone."""
    for together in (True, False):
        with suppress(Exception):  # a model that reads one text at a time, or does more with weights taken from it
            if _agrees(way, _doubled(inputs) if together else inputs, expected):
                return way, together
    return None


def _agrees(way: Way, inputs: Inputs, expected: Weights) -> bool:
    """Whether a way yields these weights of the first text."""
    got = _gathered(way, inputs, {place: _part(*own.shape[1:3]) for place, own in expected.items()})
    return all(_same(weights, got[place][:1]) for place, weights in expected.items())


def _doubled(inputs: Inputs) -> Inputs:
    """A second text after the first, of the same tokens backwards."""
    return {name: torch.cat([values, values.flip(1)]) for name, values in inputs.items()}


def _part(heads: int, queries: int) -> Part:
    """All rows of so many heads, a few at a time."""
    return Part(tuple(range(heads)), tuple(in_turn(range(queries), ROWS)))


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
