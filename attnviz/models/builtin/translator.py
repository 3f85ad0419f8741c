"""The built-in translator: a transformer with an encoder and a decoder (Vaswani et al. 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from msgspec import Struct

from attnviz.measures.circuits import Reals, ValueCircuit, join_words
from attnviz.models.base import Card, Part, Runner
from attnviz.models.builtin.encoder_decoder import TranslationReader, stack_targets
from attnviz.models.builtin.package import Package
from attnviz.models.model import Model
from attnviz.models.passages import Reading
from attnviz.models.shapes import read_shape
from attnviz.models.stack_runner import read_circuit, stack_ids, strip_shape, watch_only
from attnviz.records import Each, watch_nothing
from attnviz.reference.arrays import Array
from attnviz.reference.layer_trace import LayerNotes, trace_layer
from attnviz.reference.layers import linear
from attnviz.reference.masks import Mask, padding
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Trace
from attnviz.reference.transformer import Config, transformer
from attnviz.vocabulary import Kind


class TransformerNetwork(Struct, frozen=True):
    """Two stacks of layers with one table of embeddings, which also says what comes next (Press and Wolf 2017)."""

    encoder: Config
    decoder: Config

    def encode(self, ids: Array, parameters: Parameters, lengths: Array | None = None, **options: Any) -> Array:
        """See `Network.encode`; the options are those of `transformer`."""
        own = _stack(parameters, "encoder")
        return transformer(ids, own, self.encoder, mask=_padding(lengths), **options)

    def contextualize(
        self, ids: Array, encoded: Array, parameters: Parameters, lengths: Array | None = None, **options: Any
    ) -> Array:
        """Return what the decoder makes of a target, [..., targets, width]; the options are those of `transformer`."""
        options |= {"context": encoded, "context_mask": _padding(lengths)}
        return transformer(ids, _stack(parameters, "decoder"), self.decoder, **options)

    def decode(
        self,
        ids: Array,
        encoded: Array,
        parameters: Parameters,
        lengths: Array | None = None,
        *,
        watch: Each = watch_nothing,
    ) -> Array:
        """See `Network.decode`."""
        vectors = self.contextualize(ids, encoded, parameters, lengths, watch=watch)
        return linear(vectors, parameters.within("embedding"))


def _stack(parameters: Parameters, name: str) -> Parameters:
    """Return the arrays of one of the two stacks, the embeddings that they share among them."""
    shared = {f"{name}.embedding.weight": parameters["embedding.weight"]}
    return Parameters({**parameters.arrays, **shared}).within(name)


def _padding(lengths: Array | None) -> Mask | None:
    return None if lengths is None else padding(lengths)


@dataclass(frozen=True)
class TranslatorRunner(Runner):
    """A transformer that translates."""

    card: Card
    network: TransformerNetwork
    parameters: Parameters

    def run(self, readings: Sequence[Reading], parts: Sequence[Part], each: Each) -> None:
        """See `Runner.run`; the decoder runs where its weights are wanted, and neither stack further than it must."""
        deepest = {part.kind: max(part.layers) + 1 for part in parts}
        decoded = [depth for kind, depth in deepest.items() if kind is not Kind.ENCODER]
        watch = watch_only(parts, each)
        with np.errstate(all="ignore"):  # a record of weights that are no numbers is refused
            depth = None if decoded else deepest[Kind.ENCODER]
            encoded = self.network.encode(stack_ids(readings), self.parameters, watch=watch, depth=depth)
            if decoded:
                targets = stack_targets(readings)
                self.network.contextualize(targets, encoded, self.parameters, watch=watch, depth=max(decoded))

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """See `Runner.trace`."""
        notes, network = LayerNotes(layer), self.network
        ids, targets = stack_ids([reading])[0], stack_targets([reading])[0]
        if kind is Kind.ENCODER:
            network.encode(ids, self.parameters, note=notes.take, depth=layer + 1)
            return trace_layer(notes, self.parameters.within("encoder"), network.encoder, query)
        encoded = network.encode(ids, self.parameters)
        network.contextualize(targets, encoded, self.parameters, note=notes.take, depth=layer + 1)
        context = encoded if kind.crosses else None
        return trace_layer(notes, self.parameters.within("decoder"), network.decoder, query, context=context)

    def circuit(self, kind: Kind, layer: int) -> ValueCircuit:
        """See `Runner.circuit`."""
        stack, shape = ("encoder", self.network.encoder) if kind is Kind.ENCODER else ("decoder", self.network.decoder)
        return read_circuit(self.parameters.within(f"{stack}.layers.{layer}.attention"), shape)

    def join_words(self) -> Reals:
        """See `Runner.join_words`; both stacks and what comes next share one table."""
        return join_words(self.parameters["embedding.weight"], self.parameters["embedding.weight"])

    def without(self, *, positions: bool = False, mask: bool = False) -> Self:
        """See `Runner.without`."""
        stacks = self.network.encoder, self.network.decoder
        bare = (strip_shape(stack, positions=positions, mask=mask) for stack in stacks)
        return replace(self, network=TransformerNetwork(*bare))

    def untrain(self, seed: int) -> Self:
        """See `Runner.untrain`."""
        return replace(self, parameters=self.parameters.untrain(seed))


def load(folder: Path) -> Model:
    """Return the translator in a folder."""
    package = Package.of(folder)
    network = TransformerNetwork(*(read_shape(package.card.config[side]) for side in ("encoder", "decoder")))
    runner = TranslatorRunner(package.card, network, package.parameters)
    return Model(package.card, TranslationReader(package, network), runner)
