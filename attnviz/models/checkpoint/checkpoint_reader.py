"""A checkpoint in a folder, composed to a model: config.json, a tokenizer, and its weights in safetensors files."""

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import ModelError, UsageError
from attnviz.models.base import Card
from attnviz.models.checkpoint.readers import choose_reader, use_transformers
from attnviz.models.checkpoint.recognition import Recognized, recognize
from attnviz.models.checkpoint.stored import Stored
from attnviz.models.lengths import fit_length
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading
from attnviz.models.stack_runner import StackRunner
from attnviz.models.token_names import Vocabulary
from attnviz.models.tokenization import TextReader
from attnviz.reference.arrays import Array
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import Positions

if TYPE_CHECKING:
    from attnviz.models.pretrained.tokenizers import TransformersReader

_UNEMBEDDING = "lm_head.weight"


class CheckpointReader(Struct, frozen=True, dict=True):
    """A reader of texts for the checkpoint in a folder; its tokens have types if it is `typed`."""

    card: Card
    folder: Path
    stored: Stored
    typed: bool

    def read(self, passage: Passage) -> Reading:
        """See `Reader.read`.

        Raises:
            ModelError: there is no tokenizer, or it is damaged, or another model's.
        """
        self.card.accept(passage)
        name = self.card.name
        if passage.generate:
            raise UsageError(f"The reference engine cannot write text: let transformers run {name} to continue one.")
        tokenizer = self._full_tokenizer if passage.chat or passage.bos else self._tokenizer
        reading = tokenizer.read(passage, self.card)
        known = self._rows("embedding")
        if max(reading.ids) >= known:
            raise ModelError(f"The tokenizer of {name} is not its own: it has more than {known:,} tokens.")
        typed = self.typed and max(reading.types, default=0) < self._rows("types")
        return fit_length(reading if typed else replace(reading, types=()), self.card)

    def vocabulary(self) -> Vocabulary:
        """See `Reader.vocabulary`."""
        known = self._tokenizer.vocabulary
        return replace(known, size=min(known.size, self._rows("embedding")))

    @cached_property
    def _tokenizer(self) -> "TextReader | TransformersReader":
        return choose_reader(self.card.name, self.folder, self.card.config)

    @cached_property
    def _full_tokenizer(self) -> "TransformersReader":
        """Return the tokenizer of transformers, which knows chat templates and the token that begins a text."""
        return use_transformers(self.card.name, self.folder)

    def _rows(self, table: str) -> int:
        """Return how many rows a table has."""
        return self.stored.tensor(f"{table}.weight").shape[0]


def read_unembedding(known: Recognized) -> Array:
    """Return the table that makes words of vectors: the one that is stored, or that of embeddings where it is the same.

    Raises:
        UsageError: it was not saved with the model.
    """
    stored = known.stored.tensors.get(_UNEMBEDDING)
    if stored is not None:
        return stored
    usual = not known.shape.causal or known.shape.positions is Positions.LEARNED
    if known.card.config.get("tie_word_embeddings", usual):
        return known.stored["embedding.weight"]
    raise UsageError(
        f"{known.card.name} was saved without {_UNEMBEDDING}, which makes words of its vectors: take one with it."
    )


def load(name: str, folder: Path, files: Sequence[Path]) -> Model:
    """Return the model in a folder, with its weights in these files, each array being read when it is used.

    Raises:
        UnsupportedError: the reference transformer does not know such a model.
        ModelError: a file is damaged, or does not fit the others.
    """
    known = recognize(name, folder, files)
    typed = "types" in known.family.modules
    unembedding = partial(read_unembedding, known)
    runner = StackRunner(known.card, known.shape, Parameters(known.stored), typed, unembedding)
    return Model(known.card, CheckpointReader(known.card, folder, known.stored, typed), runner)
