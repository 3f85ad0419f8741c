"""A LoRA adapter merged into the model that it stands beside, by the peft library."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors.torch import load_file
from transformers import PreTrainedModel

from attnviz.errors import ModelError
from attnviz.models.adapters import ADAPTER_WEIGHTS, WITHOUT_ADAPTER
from attnviz.models.hub.folder import some
from attnviz.models.pretrained.edge import translate_errors

_PREFIX = "base_model.model."
_ARRAY = re.compile(r"\.(?:lora_|weight$|bias$)")


@contextmanager
def hide_adapter(folder: Path, adapted: bool) -> Iterator[Path]:
    """Yield a folder with the model but not its adapter, which transformers would read in its own way."""
    if not adapted:
        yield folder
        return
    with TemporaryDirectory() as made:
        for path in folder.iterdir():
            if not path.name.startswith("adapter_"):
                Path(made, path.name).symlink_to(path.resolve())
        yield Path(made)


def merge_adapter(whole: PreTrainedModel, name: str, folder: Path) -> PreTrainedModel:
    """Return the model with the weights of the adapter in this folder added to its own.

    Raises:
        ModelError: the adapter does not fit the model, or asks for something that this version of peft does not know.
    """
    with translate_errors(f"The adapter of {name}", "merged"), warnings.catch_warnings():
        warnings.filterwarnings("ignore")
        warnings.filterwarnings("error", message="Unexpected keyword")  # what peft does not know it would leave out
        from peft import PeftModel, set_peft_model_state_dict

        stored = {_find_place(key, whole): tensor for key, tensor in load_file(folder / ADAPTER_WEIGHTS).items()}
        inside = {key: tensor for key, tensor in stored.items() if not _is_of_head(key, whole)}
        adapted = PeftModel(whole, _read_adapter_config(folder, whole))
        result: Any = set_peft_model_state_dict(adapted, inside)
        missing = [key for key in result.missing_keys if "lora_" in key or "modules_to_save" in key]
        if left := [*result.unexpected_keys, *missing]:
            raise ModelError(
                f"The adapter beside {name} is not one of this model: {some(left)} fits nothing. " + WITHOUT_ADAPTER
            )
        merged: PreTrainedModel = adapted.merge_and_unload()
    return merged


def _read_adapter_config(folder: Path, whole: PreTrainedModel) -> Any:
    """Return what the adapter changes, without heads that were trained along with it and that the model has not got."""
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(str(folder))
    parts = {part for name, _ in whole.named_modules() for part in name.split(".")}
    config.task_type, config.inference_mode = None, True
    config.modules_to_save = [part for part in config.modules_to_save or () if part in parts] or None
    return config


def _find_place(key: str, whole: PreTrainedModel) -> str:
    """Return what an array of an adapter is called in this model, be it with or without the head that was trained."""
    bare, prefix = key.removeprefix(_PREFIX), f"{whole.base_model_prefix}."
    spellings = bare, bare.removeprefix(prefix), prefix + bare
    return _PREFIX + next((name for name in spellings if _has(whole, name)), bare)


def _has(whole: PreTrainedModel, name: str) -> bool:
    """Return whether the model has the part that an array of this name belongs to."""
    try:
        whole.get_submodule(_ARRAY.split(name)[0])
    except AttributeError:
        return False
    return True


def _is_of_head(key: str, whole: PreTrainedModel) -> bool:
    """Return whether an array is of a part that stands beside the network, and is not there."""
    children = {name for network in (whole, whole.base_model) for name, _ in network.named_children()}
    return key.removeprefix(_PREFIX).partition(".")[0] not in children | {whole.base_model_prefix}
