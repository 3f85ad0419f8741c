"""The trained models that come with the package, run on NumPy by the reference transformer."""

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file

from attnviz.attention import Kind
from attnviz.errors import UsageError
from attnviz.models.base import Card, Passage, Reading, Stack
from attnviz.models.on_reference import ReferenceModel
from attnviz.models.tokenization import TextReader
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import Config, Positions

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FOLDER = Path(__file__).parent / "data"
WEIGHTS, TOKENIZER, CARD = "model.safetensors", "tokenizer.json", "card.json"


def folders() -> dict[str, Path]:
    """Where each built-in model's files are, by its name: its card, its tokenizer, its weights."""
    return {f"builtin/{folder.name}": folder for folder in sorted(FOLDER.iterdir()) if (folder / CARD).exists()}


def read_card(folder: Path) -> Card:
    """What the card of a built-in model says of it."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    return Card(
        name=card["name"],
        purpose=card["purpose"],
        stacks={Kind.ENCODER: Stack(tuple(range(card["config"]["layers"])), card["config"]["heads"])},
        parameters=card["parameters"],
        positions=card["positions"],
        config=card["config"],
    )


class BuiltinEncoder(ReferenceModel):
    """An encoder of ours."""

    def __init__(self, folder: Path) -> None:
        self.card = read_card(folder)
        self.shape = Config(**dict(self.card.config) | {"positions": Positions(self.card.config["positions"])})
        self._weights = folder / WEIGHTS
        self._reader = TextReader(folder / TOKENIZER, literal=True)

    @cached_property
    def parameters(self) -> Parameters:
        """The weights, kept in half precision and computed with in single."""
        arrays = load_file(self._weights)
        return Parameters({name: array.astype(np.float32) for name, array in arrays.items()})

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
