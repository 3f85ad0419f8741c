"""What all models have in common that the reference transformer runs."""

from abc import abstractmethod
from copy import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np

from attnviz.attention import Axes, Kind, Selection
from attnviz.folds import Block
from attnviz.models.base import Each, Model, Reading
from attnviz.reference.arrays import Array
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Trace
from attnviz.reference.tracing import Notes, traced
from attnviz.reference.transformer import Config, Positions, WatchLayers, transformer, unwatched


class ReferenceModel(Model):
    """A stack of layers of a certain shape."""

    shape: Config

    @property
    @abstractmethod
    def parameters(self) -> Parameters:
        """The learned arrays, by the names of the reference transformer."""

    def types(self, reading: Reading) -> Array | None:
        """The token types [tokens], for models that have some."""
        return None

    @property
    def kind(self) -> Kind:
        """Whether tokens look at all others, or only at those before them."""
        (kind,) = self.card.stacks
        return kind

    def run(self, reading: Reading, select: Selection, each: Each) -> None:
        """See `Model.run`; layers above the last one wanted are not run."""
        (axes,) = self.axes(reading, select)
        with np.errstate(all="ignore"):  # a record of weights that are no numbers is refused
            self._transformed(reading, watch=watching(axes, each), depth=max(axes.layers, default=-1) + 1)

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """See `Model.trace`."""
        notes = Notes(layer)
        self._transformed(reading, note=notes.take, depth=layer + 1)
        return traced(notes, self.parameters, self.shape, query)

    def without(self, *, positions: bool = False, mask: bool = False) -> Self:
        """See `Model.without`."""
        other = copy(self)
        other.shape = bare(self.shape, positions=positions, mask=mask)
        return other

    def _transformed(self, reading: Reading, **options: Any) -> Array:
        return transformer(np.asarray(reading.ids), self.parameters, self.shape, types=self.types(reading), **options)


def bare(shape: Config, *, positions: bool, mask: bool) -> Config:
    """The same shape without its positions, or with every token seen."""
    if positions:
        shape = replace(shape, positions=Positions.NONE)
    return replace(shape, causal=False, windows=()) if mask else shape


def watching(axes: Axes | None, each: Each) -> WatchLayers:
    """Hands over the blocks of those layers and heads that are wanted of one kind, if it is."""
    if axes is None:
        return unwatched
    heads = list(axes.heads)

    def watch(layer: int, first_row: int, weights: Array) -> None:
        if layer in axes.layers:
            each(Block(axes.kind, layer, axes.heads, first_row, weights[heads]))

    return watch
