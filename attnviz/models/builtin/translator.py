"""The built-in translator: a transformer with an encoder and a decoder (Vaswani et al. 2017)."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from attnviz.models.base import Each
from attnviz.models.builtin.encoder_decoder import EncoderDecoder, targets_of
from attnviz.models.on_reference import bare, ids_of, watching
from attnviz.models.reading import Reading
from attnviz.models.shapes import read_shape
from attnviz.records import Selection
from attnviz.reference.arrays import Array
from attnviz.reference.layers import linear
from attnviz.reference.masks import Mask, padding
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Note, Trace, silent
from attnviz.reference.tracing import LayerNotes, traced
from attnviz.reference.transformer import Config, WatchLayers, transformer, unwatched
from attnviz.vocabulary import Kind


@dataclass(frozen=True, slots=True)
class TransformerNetwork:
    """Two stacks of layers with one table of embeddings, which also says what comes next (Press and Wolf 2017)."""

    encoder: Config
    decoder: Config

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The network of such a shape, as a card has it."""
        return cls(read_shape(config["encoder"]), read_shape(config["decoder"]))

    def encode(
        self,
        ids: Array,
        parameters: Parameters,
        lengths: Array | None = None,
        *,
        watch: WatchLayers = unwatched,
        note: Note = silent,
        depth: int | None = None,
    ) -> Array:
        """See `Network.encode`; only the first `depth` layers run if it is given."""
        own = _stack(parameters, "encoder")
        return transformer(ids, own, self.encoder, mask=_padding(lengths), watch=watch, note=note, depth=depth)

    def contextual(
        self,
        ids: Array,
        encoded: Array,
        parameters: Parameters,
        lengths: Array | None = None,
        *,
        watch: WatchLayers = unwatched,
        watch_context: WatchLayers = unwatched,
        note: Note = silent,
        depth: int | None = None,
    ) -> Array:
        """What the first `depth` layers of the decoder, or all, make of the target: [..., targets, width]."""
        return transformer(
            ids,
            _stack(parameters, "decoder"),
            self.decoder,
            context=encoded,
            context_mask=_padding(lengths),
            watch=watch,
            watch_context=watch_context,
            note=note,
            depth=depth,
        )

    def decode(
        self,
        ids: Array,
        encoded: Array,
        parameters: Parameters,
        lengths: Array | None = None,
        *,
        watch_context: WatchLayers = unwatched,
    ) -> Array:
        """See `Network.decode`."""
        vectors = self.contextual(ids, encoded, parameters, lengths, watch_context=watch_context)
        return linear(vectors, parameters.within("embedding"))


def _stack(parameters: Parameters, name: str) -> Parameters:
    """The arrays of one of the two stacks, the embeddings that they share among them."""
    shared = {f"{name}.embedding.weight": parameters["embedding.weight"]}
    return Parameters({**parameters.arrays, **shared}).within(name)


def _padding(lengths: Array | None) -> Mask | None:
    return None if lengths is None else padding(lengths)


class BuiltinTranslator(EncoderDecoder):
    """A transformer of ours that translates."""

    @cached_property
    def network(self) -> TransformerNetwork:
        """See `EncoderDecoder.network`."""
        return TransformerNetwork.of(self.card.config)

    def run(self, readings: Sequence[Reading], select: Selection, each: Each) -> None:
        """See `Model.run`; the decoder runs where its weights are wanted, and neither stack further than it must."""
        wanted = self.wanted(select)
        watch = {kind: watching(wanted.get(kind), each) for kind in Kind}
        deepest = {kind: max(own.layers, default=-1) + 1 for kind, own in wanted.items()}
        decoded = [depth for kind, depth in deepest.items() if kind is not Kind.ENCODER]
        with np.errstate(all="ignore"):  # a record of weights that are no numbers is refused
            depth = None if decoded else deepest[Kind.ENCODER]
            encoded = self._encoded(ids_of(readings), watch=watch[Kind.ENCODER], depth=depth)
            if decoded:
                looks = {"watch": watch[Kind.DECODER], "watch_context": watch[Kind.CROSS]}
                self._decoded(targets_of(readings), encoded, **looks, depth=max(decoded))

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """See `Model.trace`."""
        notes, network = LayerNotes(layer), self.network
        ids, targets = ids_of([reading])[0], targets_of([reading])[0]
        if kind is Kind.ENCODER:
            self._encoded(ids, note=notes.take, depth=layer + 1)
            return traced(notes, self.parameters.within("encoder"), network.encoder, query)
        encoded = self._encoded(ids)
        self._decoded(targets, encoded, note=notes.take, depth=layer + 1)
        context = encoded if kind.crosses else None
        return traced(notes, self.parameters.within("decoder"), network.decoder, query, context=context)

    def without(self, *, positions: bool = False, mask: bool = False) -> Self:
        """See `Model.without`."""
        other, stacks = copy(self), (self.network.encoder, self.network.decoder)
        other.network = TransformerNetwork(*(bare(stack, positions=positions, mask=mask) for stack in stacks))
        return other

    def _encoded(self, ids: Array, **options: Any) -> Array:
        return self.network.encode(ids, self.parameters, **options)

    def _decoded(self, ids: Array, encoded: Array, **options: Any) -> None:
        self.network.contextual(ids, encoded, self.parameters, **options)
