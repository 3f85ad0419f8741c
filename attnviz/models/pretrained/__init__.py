"""Pretrained models, run by the transformers library; nothing heavy is imported until one is loaded."""

from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.models.loading import Loading
from attnviz.models.pretrained.edge import quiet

if TYPE_CHECKING:
    from attnviz.models.pretrained.model import PretrainedModel


def load(name: str, folder: Path, loading: Loading) -> "PretrainedModel":
    """The model whose config, tokenizer and safetensors files are in this folder.

    Raises:
        ModelError: a file is missing or damaged, the model wants to run its own code, or it yields no weights.
        UsageError: there is no such device, dtype or language.
    """
    with quiet():
        from attnviz.models.pretrained.model import PretrainedModel

        return PretrainedModel(name, folder, loading)
