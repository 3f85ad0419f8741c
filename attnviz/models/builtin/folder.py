"""The files of the models that come with the package: a card, a tokenizer, and weights for each."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from attnviz.models.base import Card, Stack
from attnviz.reference.arrays import Array
from attnviz.reference.transformer import Config, Positions
from attnviz.vocabulary import Kind

FOLDER = Path(__file__).parent.parent / "data"
WEIGHTS, TOKENIZER, CARD = "model.safetensors", "tokenizer.json", "card.json"


MODELS = {
    "encoder": "BuiltinEncoder",
    "decoder": "BuiltinDecoder",
    "translator": "BuiltinTranslator",
    "bahdanau": "BuiltinBahdanau",
}
"""The folders, the simplest model first, and the class that runs each, in the module of the same name."""


def folders() -> dict[str, Path]:
    """Where each built-in model's files are, by its name."""
    return {f"builtin/{name}": FOLDER / name for name in MODELS if (FOLDER / name / CARD).exists()}


def read_card(folder: Path) -> Card:
    """What the card of a built-in model says of it."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    return Card(
        name=card["name"],
        purpose=card["purpose"],
        stacks=_stacks(card["config"]),
        parameters=card["parameters"],
        positions=card["positions"],
        config=card["config"],
    )


def _stacks(config: Mapping[str, Any]) -> dict[Kind, Stack]:
    """Where a model attends: a stack of layers, an encoder and a decoder, or one head of a recurrent network."""
    if "encoder" in config:
        encoder, decoder = _stack(config["encoder"]), _stack(config["decoder"])
        return {Kind.ENCODER: encoder, Kind.DECODER: decoder, Kind.CROSS: decoder}
    if "layers" not in config:
        return {Kind.CROSS: Stack((0,), 1)}
    return {Kind.DECODER if config.get("causal") else Kind.ENCODER: _stack(config)}


def _stack(config: Mapping[str, Any]) -> Stack:
    return Stack(tuple(range(config["layers"])), config["heads"])


def read_shape(config: Mapping[str, Any]) -> Config:
    """The shape of a stack of layers, as a card has it."""
    return Config(**dict(config) | {"positions": Positions(config["positions"])})


def read_weights(folder: Path) -> dict[str, Array]:
    """The learned arrays by name, kept in half precision and computed with in single."""
    return {name: array.astype(np.float32) for name, array in load_file(folder / WEIGHTS).items()}
