"""The trained models that come with the package, run on NumPy by the reference transformer."""

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from attnviz.attention import Kind, Selection
from attnviz.folds import Block
from attnviz.models.base import Card, Model, Reading, Stack
from attnviz.models.tokenization import TextReader
from attnviz.reference.arrays import Array
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import Config, Positions, encoder

FOLDER = Path(__file__).parent / "data"
WEIGHTS, TOKENIZER, CARD = "model.safetensors", "tokenizer.json", "card.json"


def names() -> list[str]:
    """The built-in models there are."""
    return sorted(f"builtin/{folder.name}" for folder in FOLDER.iterdir() if (folder / CARD).exists())


def folder_of(name: str) -> Path:
    """Where a built-in model's files are: its card, its tokenizer, its weights."""
    return FOLDER / name.removeprefix("builtin/")


def read_card(name: str) -> Card:
    """The card of a built-in model."""
    described = json.loads((folder_of(name) / CARD).read_text(encoding="utf-8"))
    config = described["config"]
    return Card(
        name=name,
        purpose=described["purpose"],
        stacks={Kind.ENCODER: Stack(config["layers"], config["heads"])},
        parameters=described["parameters"],
        positions=described["positions"],
        roles={(head["layer"], head["head"]): head["role"] for head in described["heads"]},
    )


def read_config(name: str) -> Config:
    """The shape of a built-in model."""
    fields: dict[str, Any] = json.loads((folder_of(name) / CARD).read_text(encoding="utf-8"))["config"]
    return Config(**fields | {"positions": Positions(fields["positions"])})


class BuiltinEncoder(Model):
    """An encoder of ours."""

    def __init__(self, name: str) -> None:
        self.card = read_card(name)
        self.config = read_config(name)
        self._reader = TextReader(folder_of(name) / TOKENIZER)

    @cached_property
    def parameters(self) -> Parameters:
        """The weights, kept in half precision and computed with in single."""
        arrays = load_file(folder_of(self.card.name) / WEIGHTS)
        return Parameters({name: array.astype(np.float32) for name, array in arrays.items()})

    def read(self, text: str) -> Reading:
        """See `Model.read`."""
        reading = self._reader.read(text)
        self._check_length(len(reading.ids))
        return reading

    def run(self, reading: Reading, select: Selection, each: Callable[[Block], None]) -> None:
        """See `Model.run`; layers above the last one wanted are not run."""
        layers = select.layers_of(self.config.layers, self.card.name)
        heads = select.heads_of(self.config.heads, self.card.name)

        def watch(layer: int, first_row: int, weights: Array) -> None:
            if layer in layers:
                each(Block(Kind.ENCODER, layer, heads, first_row, weights[list(heads)]))

        encoder(np.asarray(reading.ids), self.parameters, self.config, watch=watch, depth=max(layers) + 1)
