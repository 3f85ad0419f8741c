"""The trained models that come with the package, run on NumPy by the reference implementation."""

from importlib import import_module
from pathlib import Path

from attnviz.models.builtin.shipped import CARD, FOLDER, MODELS, TOKENIZER, WEIGHTS, find_folders, read_card
from attnviz.models.model import Model

__all__ = ["CARD", "FOLDER", "MODELS", "TOKENIZER", "WEIGHTS", "find_folders", "load", "read_card"]


def load(folder: Path) -> Model:
    """Return the built-in model in one of these folders."""
    model: Model = import_module(f"{__name__}.{MODELS[folder.name]}").load(folder)
    return model
