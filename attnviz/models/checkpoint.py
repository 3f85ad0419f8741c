"""Pretrained checkpoints of well-known families, run on NumPy by the reference transformer."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from attnviz.errors import ModelError, UsageError
from attnviz.models.base import Card, Passage, Reading, Stack
from attnviz.models.configuration import CONFIG, UnsupportedError, configuration
from attnviz.models.families import FAMILIES, Family
from attnviz.models.on_reference import ReferenceModel
from attnviz.models.stored import Stored
from attnviz.models.tokenization import TextReader, gives_types
from attnviz.reference.arrays import Array
from attnviz.reference.layers import ACTIVATIONS
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import Config

TOKENIZER = "tokenizer.json"


class CheckpointModel(ReferenceModel):
    """A checkpoint in a folder: config.json, tokenizer.json, and its weights in safetensors files.

    Raises:
        UnsupportedError: the reference transformer does not know such a model.
        ModelError: a file is damaged, or does not fit the others.
    """

    def __init__(self, name: str, folder: Path, files: Sequence[Path]) -> None:
        config = configuration(folder)
        self._family, self.shape = understood(config, folder)
        self._stored = Stored(self._family, self.shape, files)
        self._reader = TextReader(folder / TOKENIZER)
        self._typed = "types" in self._family.modules and gives_types(folder, otherwise=self._family.typed)
        self.card = Card(
            name=name,
            purpose="",
            stacks={self.kind: Stack(tuple(range(self.shape.layers)), self.shape.heads)},
            parameters=sum(tensor.size for tensor in self._stored.tensors.values()),
            positions=self._family.positions(config, self.shape),
            config=config,
        )

    @cached_property
    def parameters(self) -> Parameters:
        """See `ReferenceModel.parameters`; each is read from its file when it is used, and let go after it."""
        return Parameters(self._stored)

    def read(self, passage: Passage) -> Reading:
        """See `Model.read`."""
        self.accept(passage)
        if passage.generate:
            raise UsageError(
                f"The reference engine writes nothing: let transformers continue what {self.card.name} reads."
            )
        reading = self._reader.read(passage, self.card)
        if not self._typed:
            reading = replace(reading, types=())
        known = self._stored.tensor("embedding.weight").shape[0]
        if max(reading.ids) >= known:
            raise ModelError(f"The tokenizer of {self.card.name} is not its own: it has more than {known:,} tokens.")
        return reading

    def types(self, reading: Reading) -> Array | None:
        """See `ReferenceModel.types`; all are the first if the tokenizer gives none, or those of another model."""
        if "types" not in self._family.modules:
            return None
        known = self._stored.tensor("types.weight").shape[0]
        fit = reading.types and max(reading.types) < known
        return np.asarray(reading.types) if fit else np.zeros(len(reading.ids), np.int64)


def understood(config: Mapping[str, Any], folder: Path) -> tuple[Family, Config]:
    """The family and the shape of a checkpoint, from its config.json.

    Raises:
        UnsupportedError: the reference transformer does not know such a model.
        ModelError: config.json makes no sense.
    """
    family = FAMILIES.get(config["model_type"])
    if family is None:
        raise UnsupportedError(
            f"The reference engine knows no {config['model_type']} models, only {', '.join(FAMILIES)}."
        )
    _check_support(family, config, folder)
    try:
        shape = family.shape(config)
        if min(shape.width, shape.layers, shape.heads) < 1 or shape.heads % (shape.key_heads or shape.heads):
            raise ValueError(f"{shape.layers} layers of {shape.heads} heads")
    except (TypeError, ValueError, KeyError, ArithmeticError) as error:
        raise ModelError(f"{folder / CONFIG} makes no sense: {error}.") from error
    if shape.activation not in ACTIVATIONS:
        raise UnsupportedError(f"The reference engine knows no activation {shape.activation!r}.")
    return family, shape


def _check_support(family: Family, config: Mapping[str, Any], folder: Path) -> None:
    for key, value in family.supports.items():
        if config.get(key, value) != value:
            raise UnsupportedError(
                f"The reference engine knows no {config['model_type']} models whose {key} is not {value}."
            )
    if "quantization_config" in config:
        raise UnsupportedError(f"The reference engine reads no quantized weights, such as those in {folder}.")
    if not (folder / TOKENIZER).exists():
        raise UnsupportedError(f"The reference engine needs a {TOKENIZER}, and {folder} has none.")
