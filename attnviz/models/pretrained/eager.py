"""Weights from models with attention of their own making: as they return them, a layer at a time if possible."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from msgspec import Struct
from torch import Tensor
from torch.nn import Module
from transformers import PreTrainedModel

from attnviz.models.base import Part
from attnviz.models.pretrained.attending import count_rows
from attnviz.models.pretrained.changes import hold_hooks
from attnviz.models.pretrained.places import (
    AttentionLayer,
    Called,
    Finished,
    Inputs,
    Visit,
    check_lengths,
    split_range,
    unlike_shorter,
)
from attnviz.records import Block, Each
from attnviz.vocabulary import Kind

OUTPUTS = {"encoder_attentions": Kind.ENCODER, "decoder_attentions": Kind.DECODER, "cross_attentions": Kind.CROSS}
"""The names of the weights in the outputs of encoder-decoders."""


def return_weights(network: PreTrainedModel, inputs: Inputs, only: Kind | None = None) -> dict[AttentionLayer, Any]:
    """Return what a model itself gives as its attention weights; layers have their number among those of the kind.

    Of a model with one stack of layers, `only` is the kind, if that is known: a text of one token does not show it.
    """
    output = network(**inputs, output_attentions=True, return_dict=True)
    if "decoder_input_ids" in inputs:
        named = {kind: _find_layers(getattr(output, name, None), network) for name, kind in OUTPUTS.items()}
    else:
        layers = _find_layers(getattr(output, "attentions", None), network)
        named = {only or (Kind.DECODER if _is_causal(layers.values()) else Kind.ENCODER): layers}
    return {AttentionLayer(kind, number): each for kind, layers in named.items() for number, each in layers.items()}


def _find_layers(weights: Sequence[Any] | None, network: PreTrainedModel) -> dict[int, Any]:
    """Return the layers that attend, by number; some models give the states of linear attention too (MiniMax)."""
    there = {number: layer for number, layer in enumerate(weights or ()) if layer is not None}
    types = getattr(network.config.get_text_config(), "layer_types", None) or ()
    if len(weights or ()) != len(types):  # they are those of another stack, or some return nothing
        return there
    return {number: layer for number, layer in there.items() if "linear" not in types[number]}


def _is_causal(layers: Iterable[Any]) -> bool:
    """Return whether no query has looked at a key after it, where the keys are the queries."""
    there = [layer for layer in layers if isinstance(layer, Tensor) and layer.ndim > 1]
    square = [layer for layer in there if layer.shape[-1] == layer.shape[-2]]
    return all(not layer.triu(1).any() for layer in square or there)


class Hooked(Called, frozen=True, tag=True):
    """A model whose attention modules return their weights, which are taken from them and freed at once.

    `index` is where they stand in what each of the modules returns.
    """

    index: Sequence[tuple[Module, int]]

    def run(self, inputs: Inputs, wanted: Mapping[AttentionLayer, Part], each: Each) -> None:
        """See `Capture.run`."""
        visit, indices = Visit(self.calls, wanted), dict(self.index)

        def hook(module: Module, args: Any, output: Sequence[Any]) -> Sequence[Any]:
            place, index = visit.place(module), indices[module]
            if place is not None:
                _hand_over(place, output[index], inputs, wanted[place], each)
                visit.leave(place)
            return type(output)([*output[:index], output[index].new_empty(0), *output[index + 1 :]])  # type: ignore[call-arg]

        with suppress(Finished), hold_hooks(one.register_forward_hook(hook, prepend=True) for one in indices):
            self.network(**inputs, output_attentions=True)


class Returned(Struct, frozen=True, tag=True):
    """A model whose weights can be had in no other way than all of them at its end."""

    network: PreTrainedModel
    places: tuple[AttentionLayer, ...]

    def run(self, inputs: Inputs, wanted: Mapping[AttentionLayer, Part], each: Each) -> None:
        """See `Capture.run`."""
        for place, weights in return_weights(self.network, inputs, self.places[0].kind).items():
            if place in wanted:
                _hand_over(place, weights, inputs, wanted[place], each)


def _hand_over(place: AttentionLayer, weights: Any, inputs: Inputs, part: Part, each: Each) -> None:
    """Hand over a part of weights [texts, heads, queries, keys] a few rows at a time, as if they were computed so.

    Raises:
        TextError: they have another shape, as those of models that look at long texts through a summary of them.
    """
    if not isinstance(weights, Tensor) or weights.ndim != 4:
        raise unlike_shorter()
    texts, heads, queries, keys = weights.shape
    check_lengths(place, inputs, (queries, keys))
    at_once = count_rows(texts * heads, keys, keys)
    for rows in (few for stretch in part.rows for few in split_range(stretch, at_once)):
        some = weights[:, :, rows.start : rows.stop]
        block = Block(place.kind, place.layer, tuple(range(heads)), rows, range(keys), some)
        each(block.of_heads(part.heads))


@contextmanager
def watch_modules(network: PreTrainedModel) -> Iterator[list[tuple[Module, int, Tensor]]]:
    """Yield a list that fills with the four-axis tensors in what modules return: module, index there, tensor."""
    seen: list[tuple[Module, int, Tensor]] = []

    def hook(module: Module, args: Any, output: Any) -> None:
        if isinstance(output, (tuple, list)):
            seen.extend((module, i, x) for i, x in enumerate(output) if isinstance(x, Tensor) and x.ndim == 4)

    with hold_hooks(module.register_forward_hook(hook) for module in network.modules()):
        yield seen
