"""A checkpoint as the rest of the house knows models."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from attnviz.errors import ModelError, UsageError
from attnviz.models.checkpoint.readers import choose_reader, with_transformers
from attnviz.models.checkpoint.recognition import recognized
from attnviz.models.lengths import fitted
from attnviz.models.on_reference import ReferenceModel
from attnviz.models.reading import Passage, Reading
from attnviz.models.tokenization import Reader
from attnviz.reference.arrays import Array
from attnviz.reference.parameters import Parameters


class CheckpointModel(ReferenceModel):
    """A checkpoint in a folder: config.json, a tokenizer, and its weights in safetensors files.

    Raises:
        UnsupportedError: the reference transformer does not know such a model.
        ModelError: a file is damaged, or does not fit the others.
    """

    def __init__(self, name: str, folder: Path, files: Sequence[Path]) -> None:
        known = recognized(name, folder, files)
        self.card, self.shape, self._stored = known.card, known.shape, known.stored
        self._folder = folder
        self._has_types = "types" in known.family.modules

    @cached_property
    def parameters(self) -> Parameters:
        """See `ReferenceModel.parameters`; each is read from its file when it is used, as `Stored` has it."""
        return Parameters(self._stored)

    @cached_property
    def reader(self) -> Reader:
        """What cuts texts into tokens.

        Raises:
            ModelError: there is no tokenizer, or it is damaged.
        """
        return choose_reader(self.card.name, self._folder, self.card.config)

    @cached_property
    def _full_reader(self) -> Reader:
        """The tokenizer of transformers, which knows of templates for chats, and of the token that begins texts."""
        return with_transformers(self.card.name, self._folder)

    def read(self, passage: Passage) -> Reading:
        """See `Model.read`."""
        self.accept(passage)
        if passage.generate:
            name = self.card.name
            raise UsageError(f"The reference engine writes nothing: let transformers continue what {name} reads.")
        reader = self._full_reader if passage.chat or passage.bos else self.reader
        reading = reader.read(passage, self.card)
        known = self._rows("embedding")
        if max(reading.ids) >= known:
            raise ModelError(f"The tokenizer of {self.card.name} is not its own: it has more than {known:,} tokens.")
        typed = self._has_types and max(reading.types, default=0) < self._rows("types")
        return fitted(reading if typed else replace(reading, types=()), self.card)

    def types(self, readings: Sequence[Reading]) -> Array | None:
        """See `ReferenceModel.types`; all are the first if the tokenizer gives none."""
        if not self._has_types:
            return None
        return np.asarray([reading.types or [0] * len(reading.ids) for reading in readings])

    def _rows(self, table: str) -> int:
        """How many rows a table has."""
        return self._stored.tensor(f"{table}.weight").shape[0]
