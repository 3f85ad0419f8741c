"""Loading a network and its tokenizer from a folder of files."""

import json
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from attnviz.errors import ModelError, UsageError
from attnviz.models.adapters import check_adapter
from attnviz.models.checkpoint.tensors import find_tensors
from attnviz.models.hub.folder import find_variant, weight_files
from attnviz.models.loading import Loading
from attnviz.models.pretrained.adapter_merging import hide_adapter, merge_adapter
from attnviz.models.pretrained.classes import choose_class, find_own_class, note_on_own_code
from attnviz.models.pretrained.completeness import check_numbers, check_unread, is_complete
from attnviz.models.pretrained.edge import translate_errors
from attnviz.models.pretrained.tokenizers import load_tokenizer
from attnviz.models.pretrained.towers import find_text_part
from attnviz.models.tensor_names import find_wrappings
from attnviz.text import visible
from attnviz.vocabulary import DTYPES


class Loaded(Struct, frozen=True):
    """A model as its files have it.

    `network` computes the attention, `writer` the words that come next, if the checkpoint has all that it takes;
    `start` is the token that the decoder of an encoder-decoder begins with. `notes` is what a user must be told.
    """

    config: dict[str, Any]
    network: PreTrainedModel
    writer: PreTrainedModel | None
    start: int | None
    tokenizer: PreTrainedTokenizerBase
    notes: tuple[str, ...] = ()


def load_files(name: str, folder: Path, loading: Loading) -> Loaded:
    """Return what the files of a model make together.

    Raises:
        ModelError: a file is missing or damaged, or the model wants to run its own code.
        UsageError: there is no such device or dtype.
    """
    raw = _read_config(name, folder, loading)
    stored, adapted = find_tensors(weight_files(folder)), check_adapter(name, folder)
    check_numbers(name, stored, raw)
    where = {
        "local_files_only": loading.offline or not loading.trust_remote_code,
        "trust_remote_code": loading.trust_remote_code,
    }
    with translate_errors(name, "loaded"), hide_adapter(folder, adapted) as base:
        whole, info = _load_whole(base, loading, where, find_wrappings(stored))
    tokenizer = load_tokenizer(name, folder, local=where["local_files_only"], trust=where["trust_remote_code"])
    notes = () if loading.trust_remote_code else note_on_own_code(name, raw)
    missing, unexpected = info["missing_keys"], info["unexpected_keys"]
    complete = is_complete(missing, unexpected, whole, name, without_code=bool(notes))
    notes += check_unread(unexpected, whole, name)
    if adapted:
        whole = merge_adapter(whole, name, folder)
    network = find_text_part(whole, name)
    _remember_nothing(network.config)
    writer = whole if complete and whole.can_generate() else None
    return Loaded(raw, network, writer, _find_start(whole), tokenizer, notes)


def adopt(name: str, whole: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Loaded:
    """Return what a model and its tokenizer make together that are in memory already.

    From then on the model is in evaluation mode, attends eagerly, and keeps no keys and values for later runs.

    Raises:
        ModelError: it reads no text.
    """
    network = find_text_part(whole.train(mode=False), name)  # what eval() does, with types
    network.set_attn_implementation("eager")
    _remember_nothing(network.config)
    writer = whole if whole.can_generate() else None
    return Loaded(network.config.to_dict(), network, writer, _find_start(whole), tokenizer)


def _load_whole(
    folder: Path, loading: Loading, where: dict[str, bool], renaming: dict[str, str]
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Return the network with all that stands around it, and which parameters the files lack, and have beside it."""
    device, dtype = _choose_device(loading.device), _choose_dtype(loading.dtype)
    config = AutoConfig.from_pretrained(folder, **where)
    own = find_own_class(config) if loading.trust_remote_code else None
    whole, info = (own or choose_class(config)).from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        use_safetensors=True,
        attn_implementation="eager",
        output_loading_info=True,
        variant=find_variant(str(folder), [path.name for path in folder.iterdir()]),
        key_mapping=renaming or None,
        **where,
    )
    return whole.to(device).eval(), info


def _read_config(name: str, folder: Path, loading: Loading) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{name} has no config.json, so nothing says what kind of model it is.") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"The config.json of {name} cannot be read: {visible(str(error))}.") from None
    if not isinstance(raw, dict):
        raise ModelError(f"The config.json of {name} is no JSON object, so nothing says what kind of model it is.")
    if "auto_map" in raw and raw.get("model_type") not in CONFIG_MAPPING and not loading.trust_remote_code:
        raise ModelError(
            f"{name} needs to run Python code that comes with it:",
            hint="if you trust its authors, pass {trust_remote_code:True}.",
        )
    return raw


def _find_start(whole: PreTrainedModel) -> int | None:
    """Return the token that a decoder begins with, if its files name one."""
    configs = [config for config in (getattr(whole, "generation_config", None), whole.config) if config is not None]
    named = [getattr(config, name, None) for name in ("decoder_start_token_id", "bos_token_id") for config in configs]
    return next((id_ for id_ in named if isinstance(id_, int)), None)


def _remember_nothing(config: PreTrainedConfig) -> None:
    """Turn off the cache of keys and values: one run reads the whole text."""
    for part in (config, *(getattr(config, name, None) for name in config.sub_configs)):
        if part is not None:
            part.use_cache = False


def _choose_dtype(name: str) -> Any:
    if name != "auto" and name not in DTYPES:
        raise UsageError(f"There is no dtype {visible(name)!r}: choose auto, {', '.join(DTYPES)}.")
    return "auto" if name == "auto" else getattr(torch, name)


def _choose_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"There is no device {visible(name)!r}: choose auto, cpu or cuda.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("There is no CUDA device here:", hint="choose {device:cpu}, or auto.")
    return device
