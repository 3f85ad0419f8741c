"""The trained models that come with the package, run on NumPy by the reference implementation."""

from collections.abc import Callable
from pathlib import Path

from attnviz.models.base import Model
from attnviz.models.builtin.bahdanau import BuiltinBahdanau
from attnviz.models.builtin.decoder import BuiltinDecoder
from attnviz.models.builtin.encoder import BuiltinEncoder
from attnviz.models.builtin.folder import CARD, FOLDER, TOKENIZER, WEIGHTS, folders, read_card
from attnviz.models.builtin.translator import BuiltinTranslator

MODELS: dict[str, Callable[[Path], Model]] = {
    "encoder": BuiltinEncoder,
    "decoder": BuiltinDecoder,
    "translator": BuiltinTranslator,
    "bahdanau": BuiltinBahdanau,
}
"""What runs each of them, by the name of its folder."""

__all__ = ["CARD", "FOLDER", "MODELS", "TOKENIZER", "WEIGHTS", "BuiltinEncoder", "folders", "load", "read_card"]


def load(folder: Path) -> Model:
    """The built-in model in one of these folders."""
    return MODELS[folder.name](folder)
