"""What all models have in common that come with the package: a card, a tokenizer, and weights, read when needed."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.models.base import Model
from attnviz.models.builtin.folder import TOKENIZER, read_card, read_weights
from attnviz.models.tokenization import TextReader
from attnviz.reference.parameters import Parameters

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class PackagedModel(Model):
    """A model of ours, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.card = read_card(folder)
        self._folder = folder
        self._reader = TextReader(folder / TOKENIZER, literal=True)

    @cached_property
    def parameters(self) -> Parameters:
        """The learned arrays, by the names of what runs the model."""
        return Parameters(read_weights(self._folder))

    @property
    def tokenizer(self) -> "Tokenizer":
        """What cuts texts into pieces."""
        return self._reader.tokenizer
