"""What attends in a model and how its weights can be had, found out by running it on a few tokens.

What the model itself returns as its attention weights (`output_attentions`) is the measure: another way to get at them
is taken only where it gives the same, run in blocks of a few rows.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor
from torch.nn import Module
from transformers import PreTrainedModel

from attnviz.models.base import Stack, Withheld
from attnviz.models.pretrained.attending import Attending
from attnviz.models.pretrained.capture import Capture, own_attention, recorded
from attnviz.models.pretrained.changes import unchanged
from attnviz.models.pretrained.eager import Hooked, Returned, returned, watched
from attnviz.models.pretrained.passes import in_few_passes
from attnviz.models.pretrained.places import (
    Inputs,
    Part,
    Piece,
    Place,
    Way,
    accepted,
    decodes,
    in_turn,
    lengths,
    places_of,
)
from attnviz.models.pretrained.plain import find_changing, find_faults, find_faults_of_longer, keep_plain, withhold
from attnviz.models.pretrained.positions import vocabulary
from attnviz.vocabulary import Kind

TOKENS, TARGET_TOKENS = 7, 5
"""How many tokens the model is tried on; none of them many, so that it takes no time, and not the same number."""

LONGER = 139
"""How many tokens are read where it is asked which layers attend in another way to longer texts."""

ROWS = 3
"""How many query rows there are in a block while it is tried."""

HIGH = 30.0
"""How high the highest score is when it is tried whether scores are capped."""

EXACT, ROUGH = 1e-4, 1e-2
"""How far weights may be from the model's own: any of them in float32, all of them on the average in less."""

Weights = Mapping[Place, Tensor]
"""Weights [texts, heads, queries, keys] of layers that attend."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Which layers attend, by kind, whether they have a sink, and the way to get at their weights.

    `together` says that texts which are read together get the weights that each gets alone, `withheld` what attends but
    not in a way that could be shown, `changes` that the model becomes another by reading a short text.
    """

    stacks: dict[Kind, Stack]
    sink: bool
    way: Way
    together: bool
    withheld: tuple[Withheld, ...]
    changes: bool


def survey(network: PreTrainedModel, name: str) -> Survey:
    """Tries a model on a few tokens.

    Raises:
        ModelError: it computes no attention, or what it returns are no plain attention weights.
    """
    inputs = trial_inputs(network)
    parts = set(network.modules())
    with unchanged(network):
        with watched(network) as seen:
            returns = returned(network, inputs)
        sink = any("sink" in parameter for parameter, _ in network.named_parameters())
        changed = set(network.modules()) - parts
        wrong = find_faults(returns, inputs, sink, name)
        if wrong:  # then other layers may be plain only as long as texts are short
            wrong |= find_faults_of_longer(network, trial_inputs(network, LONGER), sink, name)
        if changed:
            wrong |= find_changing(returns, changed, network, name)
        own = keep_plain(returns, wrong, name)
        way = _captured(network, inputs, own) or _hooked(network, inputs, own, seen)
        way = way or Returned(network, tuple(Place(kind, number) for kind, layers in own.items() for number in layers))
        stacks = _stacks(own, way.places)
        together = _reads_together(way, inputs, stacks)
    return Survey(stacks, sink, way, together, withhold(wrong), changes=bool(changed))


def trial_inputs(network: PreTrainedModel, tokens: int = TOKENS) -> Inputs:
    """A few ordinary tokens, and for the decoder of an encoder-decoder a few others."""
    size = _common_vocabulary(network)
    inputs = {"input_ids": _spread(size, tokens, network.device)}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if decodes(network):
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


def _stacks(own: Mapping[Kind, Mapping[int, Tensor]], places: Collection[Place]) -> dict[Kind, Stack]:
    """Return which layers attend, and with how many heads each; both are in the order in which they are called."""
    stacks = {}
    for kind, layers in own.items():
        numbers = (place.layer for place in places if place.kind is kind)
        stacks[kind] = Stack.of({n: each.shape[1] for n, each in zip(numbers, layers.values(), strict=True)})
    return stacks


def _captured(network: PreTrainedModel, inputs: Inputs, own: Mapping[Kind, Mapping[int, Tensor]]) -> Way | None:
    """The model with our attention function in it, if it then gives its own weights."""
    try:
        calls = recorded(network, inputs, ROWS)
    except Exception:  # whatever a model does that ours has not foreseen, there is another way
        return None
    matched = _matched([weights for _, weights in calls], own)
    if matched is None:
        return None
    located = places_of([(call.module, place) for (call, _), place in zip(calls, matched, strict=True)], network)
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


def _matched(calls: list[Tensor], own: Mapping[Kind, Mapping[int, Tensor]]) -> list[Place | None] | None:
    """Which layer each call is, by the model's own weights, which come in the same order; None if some are missing."""
    left = {kind: list(layers.items()) for kind, layers in own.items()}
    found = []
    for weights in calls:
        kind = next((kind for kind, layers in left.items() if layers and _same(layers[0][1], weights)), None)
        found.append(None if kind is None else Place(kind, left[kind].pop(0)[0]))
    return None if any(left.values()) else found


def _hooked(
    network: PreTrainedModel,
    inputs: Inputs,
    own: Mapping[Kind, Mapping[int, Tensor]],
    seen: list[tuple[Module, int, Tensor]],
) -> Way | None:
    """The model with hooks on the modules that first returned each of its weights, if it can do without them."""
    places = {id(weights): Place(kind, number) for kind, layers in own.items() for number, weights in layers.items()}
    sources: dict[int, tuple[Module, int, Tensor]] = {}
    for module, index, tensor in seen:
        if id(tensor) in places:
            sources.setdefault(id(tensor), (module, index, tensor))
    if len(sources) < len(places):
        return None
    calls = places_of([(module, places[key]) for key, (module, _, _) in sources.items()], network)
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
        Place(kind, layers[-1]): _part(range(len(heads)), lengths(kind, inputs)[0])
        for kind, stack in stacks.items()
        for layers, heads in stack.groups
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
