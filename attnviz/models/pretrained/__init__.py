"""Pretrained models, run by the transformers library; nothing heavy is imported until one is loaded."""

from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.errors import UsageError
from attnviz.models.loading import Loading
from attnviz.models.pretrained.edge import quiet
from attnviz.text import visible

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from attnviz.models.model import Model


def load(name: str, folder: Path, loading: Loading) -> "Model":
    """Return the model whose config, tokenizer and safetensors files are in this folder.

    Raises:
        ModelError: a file is missing or damaged, the model wants to run its own code, or it yields no weights.
        UsageError: there is no such device, dtype or language.
    """
    with quiet():
        from attnviz.models.pretrained.network_loading import load_files
        from attnviz.models.pretrained.pretrained_reader import compose

        return compose(name, load_files(name, folder, loading), loading, folder)


def adopt(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase | None") -> "Model":
    """Return a model of transformers that is in memory already, with its tokenizer, as one of ours.

    From then on it is in evaluation mode, attends eagerly, and keeps no keys and values for later runs.

    Raises:
        UsageError: there is no tokenizer.
        ModelError: it reads no text, or yields no weights.
    """
    name = visible(model.name_or_path or type(model).__name__)
    if tokenizer is None:
        raise UsageError(f"{name} is a model without a tokenizer: give both, as in attnviz.load(model, tokenizer).")
    with quiet():
        from attnviz.models.pretrained.network_loading import adopt as adopt_whole
        from attnviz.models.pretrained.pretrained_reader import compose

        return compose(name, adopt_whole(name, model, tokenizer))
