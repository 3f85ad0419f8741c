"""A checkpoint as the rest of the house knows models."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attnviz.errors import ModelError, UsageError
from attnviz.models.checkpoint.recognition import TOKENIZER, recognized
from attnviz.models.checkpoint.tokenizer_config import TokenizerConfig
from attnviz.models.lengths import fitted
from attnviz.models.on_reference import ReferenceModel
from attnviz.models.reading import Passage, Reading
from attnviz.models.tokenization import TextReader
from attnviz.reference.arrays import Array
from attnviz.reference.parameters import Parameters

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class CheckpointModel(ReferenceModel):
    """A checkpoint in a folder: config.json, tokenizer.json, and its weights in safetensors files.

    Raises:
        UnsupportedError: the reference transformer does not know such a model.
        ModelError: a file is damaged, or does not fit the others.
    """

    def __init__(self, name: str, folder: Path, files: Sequence[Path]) -> None:
        known = recognized(name, folder, files)
        self.card, self.shape, self._stored = known.card, known.shape, known.stored
        self._folder, self._reader = folder, TextReader(folder / TOKENIZER)
        config = TokenizerConfig(folder)
        config.check_overrules(self._reader.tokenizer)
        self._has_types = "types" in known.family.modules
        self._typed = self._has_types and config.gives_types(otherwise=known.family.typed)

    @cached_property
    def parameters(self) -> Parameters:
        """See `ReferenceModel.parameters`; each is read from its file when it is used, as `Stored` has it."""
        return Parameters(self._stored)

    def read(self, passage: Passage) -> Reading:
        """See `Model.read`."""
        self.accept(passage)
        if passage.generate:
            name = self.card.name
            raise UsageError(f"The reference engine writes nothing: let transformers continue what {name} reads.")
        reading = self._prompted(passage) if passage.chat or passage.bos else self._reader.read(passage, self.card)
        known = self._rows("embedding")
        if max(reading.ids) >= known:
            raise ModelError(f"The tokenizer of {self.card.name} is not its own: it has more than {known:,} tokens.")
        typed = self._typed and max(reading.types) < self._rows("types")
        return fitted(reading if typed else replace(reading, types=()), self.card)

    def _prompted(self, passage: Passage) -> Reading:
        """What is read of a chat, or with a begin token: transformers knows what the files say of these."""
        from attnviz.models.pretrained import prompts  # transformers

        name, tokenizer = self.card.name, self._tokenizer
        reading = self._reader.read(prompts.prompted(passage, tokenizer, name), self.card)
        return reading.begun(prompts.begin_token(tokenizer, name)) if passage.bos else reading

    @cached_property
    def _tokenizer(self) -> "PreTrainedTokenizerBase":
        from attnviz.models.pretrained import prompts  # transformers

        return prompts.load_tokenizer(self.card.name, self._folder)

    def types(self, readings: Sequence[Reading]) -> Array | None:
        """See `ReferenceModel.types`; all are the first if the tokenizer gives none."""
        if not self._has_types:
            return None
        return np.asarray([reading.types or [0] * len(reading.ids) for reading in readings])

    def _rows(self, table: str) -> int:
        """How many rows a table has."""
        return self._stored.tensor(f"{table}.weight").shape[0]
