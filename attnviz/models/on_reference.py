"""What all models have in common that the reference transformer runs."""

from abc import abstractmethod

import numpy as np

from attnviz.attention import Kind, Selection
from attnviz.folds import Block
from attnviz.models.base import Each, Model, Reading
from attnviz.reference.arrays import Array
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import Config, transformer


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
        return Kind.DECODER if self.shape.causal else Kind.ENCODER

    def run(self, reading: Reading, select: Selection, each: Each) -> None:
        """See `Model.run`; layers above the last one wanted are not run."""
        (axes,) = self.axes(reading, select)
        heads = list(axes.heads)

        def watch(layer: int, first_row: int, weights: Array) -> None:
            if layer in axes.layers:
                each(Block(self.kind, layer, axes.heads, first_row, weights[heads]))

        with np.errstate(all="ignore"):  # a record of weights that are no numbers is refused
            transformer(
                np.asarray(reading.ids),
                self.parameters,
                self.shape,
                types=self.types(reading),
                watch=watch,
                depth=max(axes.layers, default=-1) + 1,
            )
