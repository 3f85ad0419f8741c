"""The built-in encoder."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.errors import UsageError
from attnviz.models.base import Passage, Reading
from attnviz.models.builtin.folder import TOKENIZER, read_card, read_shape, read_weights
from attnviz.models.on_reference import ReferenceModel
from attnviz.models.tokenization import TextReader
from attnviz.reference.parameters import Parameters

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class BuiltinEncoder(ReferenceModel):
    """An encoder of ours."""

    def __init__(self, folder: Path) -> None:
        self.card = read_card(folder)
        self.shape = read_shape(self.card.config)
        self._folder = folder
        self._reader = TextReader(folder / TOKENIZER, literal=True)

    @cached_property
    def parameters(self) -> Parameters:
        """See `ReferenceModel.parameters`."""
        return Parameters(read_weights(self._folder))

    @property
    def tokenizer(self) -> "Tokenizer":
        """What cuts texts into pieces."""
        return self._reader.tokenizer

    def read(self, passage: Passage) -> Reading:
        """See `Model.read`."""
        self.accept(passage)
        if passage.pair is not None:
            raise UsageError(f"{self.card.name} takes no second text: it was trained on single ones.")
        return self._reader.read(passage, self.card)
