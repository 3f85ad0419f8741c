"""A survey of a model: which layers attend and how to get at their weights, found out by running it on a few tokens.

What the model itself returns as its attention weights (`output_attentions`) is the measure: another way to get at them
is taken only where it gives the same, run in blocks of a few rows. Running a large model takes time, so it is run as
few times as can be: once for the measure, and once more for a way that is right, on two texts at once.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress

import torch
from msgspec import Struct
from msgspec.structs import replace
from torch import Tensor
from torch.nn import Module
from transformers import PreTrainedModel

from attnviz.models.base import Part, Stack, Withheld
from attnviz.models.pretrained.attending import READ, UNREAD, Attending, attend_in_few_passes
from attnviz.models.pretrained.capacity import count_vocabulary
from attnviz.models.pretrained.capture import Capture, record_calls
from attnviz.models.pretrained.changes import keep_unchanged, narrow
from attnviz.models.pretrained.eager import Hooked, Returned, return_weights, watch_modules
from attnviz.models.pretrained.places import AttentionLayer, Inputs, decodes, find_places, keep_accepted, split_range
from attnviz.models.pretrained.plain import find_changing, find_faults, find_faults_of_longer, keep_plain, withhold
from attnviz.records import Block
from attnviz.vocabulary import Kind

TOKENS, TARGET_TOKENS = 6, 4
"""The numbers of tokens that a model is tried on: small, to be fast, and different, to tell the two apart.

The first is even because a window around a query has an odd number of keys (Longformer): its weights cannot then be
taken for those of all keys.
"""

LONGER = 139
"""The number of tokens in the trial that finds layers which attend in another way to longer texts."""

ROWS = 3
"""The number of query rows in a block of a trial."""

HIGH = 30.0
"""The highest score in the trial that finds whether scores are capped."""

EXACT, ROUGH = 1e-4, 1e-2
"""The largest distance of weights from the model's own: of each weight in float32, of their mean in half precision."""

Weights = Mapping[AttentionLayer, Tensor]
"""Weights [texts, heads, queries, keys] of layers that attend."""

Way = Capture | Hooked | Returned
"""A way to get at the attention weights of a model."""

Found = tuple[Way, bool]
"""A way to get at the weights, and whether texts may be read together on it."""


class Survey(Struct, frozen=True):
    """The layers that attend in a model, by kind, whether they have a sink, and the way to get at their weights.

    `together` says that texts which are read together get the weights that each gets alone, `withheld` what attends but
    not in a way that could be shown, `changes` that the model becomes another by reading a short text.
    """

    stacks: dict[Kind, Stack]
    sink: bool
    way: Way
    together: bool
    withheld: tuple[Withheld, ...]
    changes: bool


def survey_model(network: PreTrainedModel, name: str) -> Survey:
    """Try a model on a few tokens, in windows of even fewer if it can be run so.

    Raises:
        ModelError: it computes no attention, or what it returns are no plain attention weights.
    """
    with suppress(Exception), narrow(network):
        return _try_model(network, name)
    return _try_model(network, name)


def _try_model(network: PreTrainedModel, name: str) -> Survey:
    inputs, parts = make_trial_inputs(network), set(network.modules())
    with keep_unchanged(network):
        with watch_modules(network) as seen:
            returns = return_weights(network, inputs)
        sink = any("sink" in parameter for parameter, _ in network.named_parameters())
        changed = set(network.modules()) - parts
        wrong = find_faults(returns, inputs, sink, name)
        if wrong:  # then other layers may be plain only as long as texts are short
            kinds = {place.kind for place in returns}
            only = next(iter(kinds)) if len(kinds) == 1 else None
            wrong |= find_faults_of_longer(network, make_trial_inputs(network, LONGER), only, sink, name)
        if changed:
            wrong |= find_changing(returns, changed, network, name)
        own = keep_plain(returns, wrong, name)
        way, together = (
            _try_capture(network, inputs, own, sink)
            or _try_hooks(network, inputs, own, seen)
            or _try_returned(network, inputs, own)
        )
    return Survey(_make_stacks(own, way.places), sink, way, together, withhold(wrong), changes=bool(changed))


def make_trial_inputs(network: PreTrainedModel, tokens: int = TOKENS) -> Inputs:
    """Return a few ordinary tokens, and for the decoder of an encoder-decoder a few others."""
    size = _count_common_ids(network)
    inputs = {"input_ids": _spread_ids(size, tokens, network.device)}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if decodes(network):
        inputs["decoder_input_ids"] = _spread_ids(size, TARGET_TOKENS, network.device)
    return keep_accepted(network, inputs)


def _spread_ids(size: int, count: int, device: torch.device) -> Tensor:
    """Return ids from all over the vocabulary, its special tokens mostly being at its ends."""
    return torch.tensor([[(i + 1) * size // (count + 1) for i in range(count)]], device=device)


def _count_common_ids(network: PreTrainedModel) -> int:
    """Return how many ids there are at least, in the encoder and the decoder; where nothing says it, any will do."""
    decoder = getattr(network.config, "decoder", network.config).get_text_config()
    sizes = (count_vocabulary(network), getattr(decoder, "vocab_size", None))
    return min((size for size in sizes if size is not None), default=128)


def _make_stacks(own: Weights, places: Collection[AttentionLayer]) -> dict[Kind, Stack]:
    """Return which layers attend, and with how many heads each; both are in the order in which they are called."""
    stacks = {}
    for kind in dict.fromkeys(place.kind for place in own):
        numbers = (place.layer for place in places if place.kind is kind)
        heads = (weights.shape[1] for place, weights in own.items() if place.kind is kind)
        stacks[kind] = Stack.of(dict(zip(numbers, heads, strict=True)))
    return stacks


def _try_capture(network: PreTrainedModel, inputs: Inputs, own: Weights, sink: bool) -> Found | None:
    """Return the model with our attention function in it, if it then gives its own weights."""
    for together in (True, False):
        try:
            calls = record_calls(network, _double(inputs) if together else inputs, ROWS)
        except Exception:  # whatever a model does that ours has not foreseen, there is another way
            continue
        if not calls or not all(call.given <= READ | UNREAD for call, _ in calls):
            return None
        places = _match([weights[:1] for _, weights in calls], own)
        if places is not None:
            return _make_capture(network, calls, places, sink), together
    return None


def _make_capture(
    network: PreTrainedModel, calls: list[tuple[Attending, Tensor]], places: list[AttentionLayer | None], sink: bool
) -> Capture:
    """Return the model with our attention function, on the fastest paths that the recorded calls show to be right."""
    made = [call for call, _ in calls]
    fusing = all(part._supports_sdpa for part in network.modules() if isinstance(part, PreTrainedModel))
    return Capture(
        network,
        calls=find_places([(call.module, place) for call, place in zip(made, places, strict=True)], network),
        options=frozenset[str]().union(*(call.given for call in made)),
        fuses=fusing and not sink and all(map(_can_fuse, made)),
        slices=all(_can_slice(call, weights) for call, weights in calls),
        plain=not sink and all(map(_is_plain, made)),
    )


def _is_plain(call: Attending) -> bool:
    """Return whether a module's own function does what `attend_in_few_passes` does, given only what that reads."""
    if not call.given <= UNREAD | {"scaling", "dropout"}:
        return False
    with suppress(Exception):  # it wants its queries and keys in another form
        whole, _ = _raise_scores(call).of_rows(range(call.query.shape[2]))
        own, ours = whole.by(call.own), whole.by(attend_in_few_passes)
        return all(
            theirs is not None and mine is not None and _is_same(theirs, mine)
            for theirs, mine in zip(own, ours, strict=True)
        )
    return False


def _can_fuse(call: Attending) -> bool:
    """Return whether fused attention makes the same as a module's own function."""
    with suppress(Exception):  # it knows no such options
        loud = _raise_scores(call)
        whole, _ = loud.of_rows(range(call.query.shape[2]))
        return _is_same(whole.by(call.own)[0], loud.attend_fused([range(call.query.shape[1])]))
    return False


def _can_slice(call: Attending, weights: Tensor) -> bool:
    """Return whether a module's own function gives these weights for its last heads alone, and without values."""
    _, heads, queries, _ = call.query.shape
    last = range(heads - call.sharing, heads)
    with suppress(Exception):  # it has something for each head elsewhere
        whole, keys = call.of_rows(range(queries))
        _, some = whole.of_heads(last).mixing_nothing().by(call.own)
        return some is not None and _is_same(weights[:, last.start :, :, keys.start : keys.stop], some)
    return False


def _raise_scores(call: Attending) -> Attending:
    """Return the same in float32 with high scores, so that it shows if they are capped."""
    call = call.in_float32()
    highest = (call.query @ call.key.repeat_interleave(call.sharing, 1).mT).abs().max()
    return replace(call, query=call.query * (HIGH * call.query.shape[-1] ** 0.5 / highest))


def _match(calls: list[Tensor], own: Weights) -> list[AttentionLayer | None] | None:
    """Return which layer each call is, by the model's own weights in the same order; None if some are missing."""
    left, found = [*own], list[AttentionLayer | None]()
    for weights in calls:
        due = {place.kind: place for place in reversed(left)}  # of each kind the first, the kinds backwards
        place = next((place for place in reversed(due.values()) if _is_same(own[place], weights)), None)
        left = [other for other in left if other is not place]
        found.append(place)
    return None if left else found


def _try_hooks(
    network: PreTrainedModel, inputs: Inputs, own: Weights, seen: list[tuple[Module, int, Tensor]]
) -> Found | None:
    """Return the model with hooks on the modules that first returned each of its weights, if it can do without them."""
    places = {id(weights): place for place, weights in own.items()}
    sources: dict[int, tuple[Module, int, Tensor]] = {}
    for module, index, tensor in seen:
        if id(tensor) in places:
            sources.setdefault(id(tensor), (module, index, tensor))
    if len(sources) < len(places):
        return None
    calls = find_places([(module, places[key]) for key, (module, _, _) in sources.items()], network)
    expected = {place: sources[key][2] for key, (_, place) in zip(sources, calls, strict=True) if place}
    indices = list({module: index for module, index, _ in sources.values()}.items())
    return _try_way(Hooked(network, calls, indices), inputs, expected)


def _try_returned(network: PreTrainedModel, inputs: Inputs, own: Weights) -> Found:
    """Return the model as it is, all its weights being returned at its end."""
    way = Returned(network, tuple(own))
    return _try_way(way, inputs, own) or (way, False)


def _try_way(way: Way, inputs: Inputs, expected: Weights) -> Found | None:
    """Return the way, if it yields these weights of a text: also together with another one, or only alone."""
    for together in (True, False):
        with suppress(Exception):  # a model that reads one text at a time, or does more with weights taken from it
            if _agrees(way, _double(inputs) if together else inputs, expected):
                return way, together
    return None


def _agrees(way: Way, inputs: Inputs, expected: Weights) -> bool:
    """Return whether a way yields these weights of the first text, a few rows at a time."""
    got = {place: own.new_zeros(len(inputs["input_ids"]), *own.shape[1:]) for place, own in expected.items()}

    def take(block: Block) -> None:
        heads, rows, keys = (torch.tensor(list(indices)) for indices in (block.heads, block.rows, block.keys))
        got[AttentionLayer(block.kind, block.layer)][:, heads[:, None, None], rows[:, None], keys] = block.weights

    way.run(inputs, {place: _make_part(place, *own.shape[1:3]) for place, own in expected.items()}, take)
    return all(_is_same(own, got[place][:1]) for place, own in expected.items())


def _double(inputs: Inputs) -> Inputs:
    """Return a second text after the first, of the same tokens backwards."""
    return {name: torch.cat([values, values.flip(1)]) for name, values in inputs.items()}


def _make_part(place: AttentionLayer, heads: int, queries: int) -> Part:
    """Return all rows of so many heads, a few at a time."""
    return Part(place.kind, (place.layer,), tuple(range(heads)), tuple(split_range(range(queries), ROWS)))


def _is_same(own: Tensor, weights: Tensor) -> bool:
    """Return whether these are the same weights, but for rounding, which in half precision adds up here and there."""
    if own.shape != weights.shape:
        return False
    differences = (own.float() - weights.float()).abs()
    return bool(differences.mean() <= ROUGH if own.dtype.itemsize < 4 else differences.max() <= EXACT)
