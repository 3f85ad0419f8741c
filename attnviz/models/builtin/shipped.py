"""The files of the models that come with the package: a card, a tokenizer, and weights for each."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from attnviz.models.base import Card
from attnviz.models.shapes import list_stacks, understand_card
from attnviz.reference.arrays import Array

FOLDER = Path(__file__).parent.parent / "data"
WEIGHTS, TOKENIZER, CARD = "model.safetensors", "tokenizer.json", "card.json"

MODELS = {"encoder": "stack", "decoder": "stack", "translator": "translator", "bahdanau": "bahdanau"}
"""The module that loads the model in each folder, the simplest model first."""


def find_folders() -> dict[str, Path]:
    """Return where each built-in model's files are, by its name."""
    return {f"builtin/{name}": FOLDER / name for name in MODELS if (FOLDER / name / CARD).exists()}


def read_card(folder: Path) -> Card:
    """Return what the card of a built-in model says of it."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    return Card(
        name=card["name"],
        purpose=card["purpose"],
        stacks=list_stacks(understand_card(card["config"])),
        parameters=card["parameters"],
        positions=card["positions"],
        config=card["config"],
    )


def read_weights(folder: Path) -> dict[str, Array]:
    """Return the learned arrays by name, kept in half precision and computed with in single."""
    return {name: array.astype(np.float32) for name, array in load_file(folder / WEIGHTS).items()}
