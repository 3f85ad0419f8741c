"""What all models have in common that come with the package: a card, a tokenizer, and weights, read when needed."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.errors import UsageError
from attnviz.models.base import Model
from attnviz.models.builtin.folder import TOKENIZER, read_card, read_weights
from attnviz.models.reading import Passage
from attnviz.models.tokenization import TextReader
from attnviz.reference.parameters import Parameters

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class PackagedModel(Model):
    """A model of ours, in a folder; `begins` says that it has a token that begins texts."""

    begins = False

    def __init__(self, folder: Path) -> None:
        self.card = read_card(folder)
        self._folder = folder
        self._reader = TextReader(folder / TOKENIZER, literal=True)

    def accept(self, passage: Passage) -> None:
        """See `Model.accept`."""
        super().accept(passage)
        name = self.card.name
        if passage.chat:
            raise UsageError(f"{name} has no chat template:", hint="leave {chat} out, or choose a chat model.")
        if passage.bos and not self.begins:
            raise UsageError(f"{name} has no token that begins a text:", hint="leave {bos} out.")

    @cached_property
    def parameters(self) -> Parameters:
        """The learned arrays, by the names of what runs the model."""
        return Parameters(read_weights(self._folder))

    @property
    def tokenizer(self) -> "Tokenizer":
        """What cuts texts into pieces."""
        return self._reader.tokenizer
