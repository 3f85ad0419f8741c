"""Stacks of layers that the reference transformer runs."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.errors import UsageError
from attnviz.measures.circuits import Reals, ValueCircuit, join_words
from attnviz.models.base import Card, Part, Runner
from attnviz.models.passages import Reading
from attnviz.records import Block, Each, to_numpy
from attnviz.reference.arrays import Array
from attnviz.reference.layer_trace import LayerNotes, trace_layer
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Trace
from attnviz.reference.transformer import Config, Positions, show_layer, transformer
from attnviz.vocabulary import Kind


@dataclass(frozen=True)
class StackRunner(Runner):
    """One stack of layers of a certain shape, whose tokens have types if it is `typed`.

    `unembedding` returns the table that makes words of vectors, where that is not the one of embeddings.
    """

    card: Card
    shape: Config
    parameters: Parameters
    typed: bool = False
    unembedding: Callable[[], Array] | None = None

    def run(self, readings: Sequence[Reading], parts: Sequence[Part], each: Each) -> None:
        """See `Runner.run`; of the last layer wanted only the weights are computed, and no layer above it is run."""
        (part,) = parts
        with np.errstate(all="ignore"):  # a record of weights that are no numbers is refused
            show_layer(
                max(part.layers),
                stack_ids(readings),
                self.parameters,
                self.shape,
                types=self._types(readings),
                heads=part.heads,
                rows=part.rows,
                watch=watch_only(parts, each),
            )

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """See `Runner.trace`."""
        notes, types = LayerNotes(layer), self._types([reading])
        own = None if types is None else types[0]
        transformer(stack_ids([reading])[0], self.parameters, self.shape, types=own, note=notes.take, depth=layer + 1)
        return trace_layer(notes, self.parameters, self.shape, query)

    def circuit(self, kind: Kind, layer: int) -> ValueCircuit:
        """See `Runner.circuit`."""
        return read_circuit(self.parameters.within(f"layers.{layer}.attention"), self.shape)

    def join_words(self) -> Reals:
        """See `Runner.join_words`."""
        embedding = self.parameters["embedding.weight"]
        if embedding.shape[-1] != self.shape.width:
            raise UsageError(f"{self.card.name} has embeddings of another width than its layers: no words are joined.")
        words = join_words(embedding if self.unembedding is None else self.unembedding(), embedding)
        if (following := self.parameters.get("next.weight")) is not None:
            words = np.asarray(following, float).T @ words
        return words

    def score_words(self, reading: Reading) -> NDArray[np.float32]:
        """See `Runner.score_words`; only decoders whose table of words is told have them."""
        if self.unembedding is None or not self.shape.looks_back:
            return super().score_words(reading)
        vectors = transformer(stack_ids([reading])[0], self.parameters, self.shape)  # [tokens, width]
        table = self.unembedding()  # [words, width]
        return to_numpy(vectors @ table[np.arange(table.shape[0])].T)

    def without(self, *, positions: bool = False, mask: bool = False) -> Self:
        """See `Runner.without`."""
        return dataclasses.replace(self, shape=strip_shape(self.shape, positions=positions, mask=mask))

    def untrain(self, seed: int) -> Self:
        """See `Runner.untrain`."""
        return dataclasses.replace(self, parameters=self.parameters.untrain(seed))

    def _types(self, readings: Sequence[Reading]) -> Array | None:
        """Return the token types [texts, tokens] if there are such; all are the first if the tokenizer gives none."""
        if not self.typed:
            return None
        return np.asarray([reading.types or [0] * len(reading.ids) for reading in readings])


def read_circuit(attention: Parameters, shape: Config) -> ValueCircuit:
    """Return what each head of a layer moves, from the maps of its attention, [out, in] each."""
    value, output = (np.asarray(attention[f"{name}.weight"], float) for name in ("value", "output"))
    return ValueCircuit.of_maps(value, output, shape.heads)


def strip_shape(shape: Config, *, positions: bool, mask: bool) -> Config:
    """Return the same shape without its positions, or with every token seen."""
    shape = replace(shape, positions=Positions.NONE) if positions else shape
    return replace(shape, unmasked=True) if mask else shape


def stack_ids(readings: Sequence[Reading]) -> Array:
    """Return the ids of readings of one length: [texts, tokens]."""
    return np.asarray([reading.ids for reading in readings])


def watch_only(parts: Sequence[Part], each: Each) -> Each:
    """Return a callback that hands on only the wanted layers and heads of each block."""
    wanted = {(part.kind, layer): part.heads for part in parts for layer in part.layers}

    def watch(block: Block) -> None:
        if heads := wanted.get((block.kind, block.layer)):
            each(block.of_heads(heads))

    return watch
