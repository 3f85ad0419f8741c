"""What all models have in common that the reference transformer runs."""

from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np

from attnviz.measures.reducers import Block, stretches
from attnviz.models.base import Each, Model, Wanted
from attnviz.models.reading import Reading, rows_among
from attnviz.records import Selection
from attnviz.reference.arrays import Array
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Trace
from attnviz.reference.tracing import LayerNotes, traced
from attnviz.reference.transformer import Config, Positions, WatchLayers, show_layer, transformer, unwatched
from attnviz.vocabulary import Kind


class ReferenceModel(Model):
    """A stack of layers of a certain shape."""

    shape: Config

    @property
    @abstractmethod
    def parameters(self) -> Parameters:
        """The learned arrays, by the names of the reference transformer."""

    def types(self, readings: Sequence[Reading]) -> Array | None:
        """The token types [texts, tokens], for models that have some."""
        return None

    @property
    def kind(self) -> Kind:
        """Whether tokens look at all others, or only at those before them."""
        (kind,) = self.card.stacks
        return kind

    def run(self, readings: Sequence[Reading], select: Selection, each: Each) -> None:
        """See `Model.run`; of the last layer wanted only the weights are computed, and no layer above it is run."""
        (wanted,) = self.wanted(select).values()
        if not wanted.layers:
            return
        with np.errstate(all="ignore"):  # a record of weights that are no numbers is refused
            show_layer(
                max(wanted.layers),
                ids_of(readings),
                self.parameters,
                self.shape,
                types=self.types(readings),
                heads=wanted.heads,
                rows=stretches(rows_among(readings, wanted.kind, select)),
                watch=handing_over(wanted, each),
                watch_below=watching(wanted, each),
            )

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """See `Model.trace`."""
        notes = LayerNotes(layer)
        types = self.types([reading])
        one = ids_of([reading])[0], None if types is None else types[0]
        self._transformed(*one, note=notes.take, depth=layer + 1)
        return traced(notes, self.parameters, self.shape, query)

    def without(self, *, positions: bool = False, mask: bool = False) -> Self:
        """See `Model.without`."""
        other = copy(self)
        other.shape = bare(self.shape, positions=positions, mask=mask)
        return other

    def _transformed(self, ids: Array, types: Array | None, **options: Any) -> Array:
        return transformer(ids, self.parameters, self.shape, types=types, **options)


def bare(shape: Config, *, positions: bool, mask: bool) -> Config:
    """The same shape without its positions, or with every token seen."""
    if positions:
        shape = replace(shape, positions=Positions.NONE)
    return replace(shape, causal=False, windows=()) if mask else shape


def ids_of(readings: Sequence[Reading]) -> Array:
    """What equally long readings read: [texts, tokens]."""
    return np.asarray([reading.ids for reading in readings])


def watching(wanted: Wanted | None, each: Each) -> WatchLayers:
    """Hands over the blocks of those layers and heads that are wanted of one kind, if it is, a text at a time."""
    if wanted is None:
        return unwatched
    hand_over, heads = handing_over(wanted, each), list(wanted.heads)

    def watch(layer: int, first_row: int, first_key: int, weights: Array) -> None:
        if layer in wanted.layers:
            every = heads == list(range(weights.shape[1]))
            hand_over(layer, first_row, first_key, weights if every else weights[:, heads])

    return watch


def handing_over(wanted: Wanted, each: Each) -> WatchLayers:
    """Hands over blocks [texts, heads, rows, keys] of nothing but wanted heads, a text at a time."""

    def watch(layer: int, first_row: int, first_key: int, weights: Array) -> None:
        for text, own in enumerate(weights):  # [heads, rows, keys]
            each(Block.starting(wanted.kind, layer, wanted.heads, first_row, own, text, first_key=first_key))

    return watch
