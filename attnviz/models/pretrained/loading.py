"""From a folder of files to a network and its tokenizer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    AutoModelForTextEncoding,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
)

from attnviz.errors import ModelError, UsageError
from attnviz.models.loading import Loading
from attnviz.models.pretrained.edge import translated
from attnviz.models.pretrained.tokenizers import load_tokenizer
from attnviz.text import visible

PRECISIONS = ("float32", "bfloat16", "float16")

HARMLESS = ("pooler", "position_ids", "rotary_emb", "masked_bias")
"""Parameters that no attention weight depends on, so that a checkpoint may lack them."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model as its files have it.

    `network` computes the attention, `writer` the words that come next, if the checkpoint has all that it takes;
    `start` is the token that the decoder of an encoder-decoder begins with.
    """

    config: dict[str, Any]
    network: PreTrainedModel
    writer: PreTrainedModel | None
    start: int | None
    tokenizer: PreTrainedTokenizerBase


def load_files(name: str, folder: Path, loading: Loading) -> Loaded:
    """What the files of a model make together.

    Raises:
        ModelError: a file is missing or damaged, or the model wants to run its own code.
        UsageError: there is no such device or dtype.
    """
    raw = _read_config(name, folder, loading)
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{name} has no weights in a safetensors file, and pickled ones can run code when they are read: "
            f"choose a model, or a revision of it, that has a safetensors file."
        )
    where = {
        "local_files_only": loading.offline or not loading.trust_remote_code,
        "trust_remote_code": loading.trust_remote_code,
    }
    with translated(name, "loaded"):
        whole, missing = _load_whole(folder, loading, where)
    tokenizer = load_tokenizer(name, folder, local=where["local_files_only"], trust=where["trust_remote_code"])
    network: PreTrainedModel = whole.base_model  # type: ignore[assignment]  # mypy takes it for a parameter
    if network.main_input_name != "input_ids":
        raise ModelError(f"{name} reads no text but {network.main_input_name}: choose a text model.")
    _remember_nothing(network.config)
    writes = _is_complete(missing, whole, name) and whole.can_generate()
    start = _start(whole)
    if writes:
        _write_greedily(whole)
    return Loaded(raw, network, whole if writes else None, start, tokenizer)


def _load_whole(folder: Path, loading: Loading, where: dict[str, bool]) -> tuple[PreTrainedModel, set[str]]:
    """The network with all that stands around it, and the names of the parameters that the files lack."""
    device, dtype = _device(loading.device), _dtype(loading.dtype)
    config = AutoConfig.from_pretrained(folder, **where)
    whole, info = _class_for(config).from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        use_safetensors=True,
        attn_implementation="eager",
        output_loading_info=True,
        **where,
    )
    return whole.to(device).eval(), info["missing_keys"]


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
            f"{name} wants to run Python code that comes with it: if you trust whoever wrote that, "
            "pass --trust-remote-code."
        )
    return raw


def _class_for(config: PreTrainedConfig) -> Any:
    """The class that computes all the attention of a model, and writes if such a model can."""
    architecture = (config.architectures or [""])[0]
    if architecture.endswith("EncoderModel"):  # only one half of T5 and its like
        return AutoModelForTextEncoding
    if getattr(config, "is_encoder_decoder", False):
        return AutoModelForSeq2SeqLM if type(config) in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING else AutoModel
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return AutoModelForImageTextToText
    writes = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING or "AutoModelForCausalLM" in getattr(config, "auto_map", {})
    masked = type(config) in MODEL_FOR_MASKED_LM_MAPPING
    return AutoModelForCausalLM if writes and (not masked or getattr(config, "is_decoder", False)) else AutoModel


def _is_complete(missing: set[str], whole: PreTrainedModel, name: str) -> bool:
    """Whether every parameter was there; what only the words to come depend on may be missing.

    Raises:
        ModelError: attention depends on one that was not there.
    """
    missing = {key for key in missing if not any(part in key for part in HARMLESS)}
    needed = sorted(key for key in missing if not _is_head(key, whole))
    if needed:
        raise ModelError(
            f"{name} lacks the weights of {visible(needed[0])} and {len(needed) - 1} others: its safetensors file is "
            "cut short, or its config.json is another model's."
        )
    return not missing


def _is_head(key: str, whole: PreTrainedModel) -> bool:
    """Whether a parameter stands outside the network that computes the attention."""
    if whole.base_model is not whole:
        return not key.startswith(f"{whole.base_model_prefix}.")
    return key.startswith(("lm_head.", "final_logits_bias"))  # T5 and its like have no network within


def _write_greedily(whole: PreTrainedModel) -> None:
    """Leaves of how a model is meant to write only which tokens begin and end it, and which it must never write."""
    given = whole.generation_config
    kept = {name: getattr(given, name, None) for name in _HOW_TO_WRITE}
    whole.generation_config = GenerationConfig(**kept)  # type: ignore[no-untyped-call]


_HOW_TO_WRITE = (
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
)


def _start(whole: PreTrainedModel) -> int | None:
    """The token that a decoder begins with, if its files name one."""
    configs = [config for config in (getattr(whole, "generation_config", None), whole.config) if config is not None]
    named = [getattr(config, name, None) for name in ("decoder_start_token_id", "bos_token_id") for config in configs]
    return next((id_ for id_ in named if isinstance(id_, int)), None)


def _remember_nothing(config: PreTrainedConfig) -> None:
    """One run reads the whole text, so keys and values need not be kept for later ones."""
    for part in (config, *(getattr(config, name, None) for name in config.sub_configs)):
        if part is not None:
            part.use_cache = False


def _dtype(name: str) -> Any:
    if name != "auto" and name not in PRECISIONS:
        raise UsageError(f"There is no dtype {visible(name)!r}: choose auto, {', '.join(PRECISIONS)}.")
    return "auto" if name == "auto" else getattr(torch, name)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"There is no device {visible(name)!r}: choose auto, cpu or cuda.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("There is no CUDA device here: choose --device cpu, or auto.")
    return device
