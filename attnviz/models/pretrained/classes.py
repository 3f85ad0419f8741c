"""Which class of transformers holds all that a checkpoint has."""

from typing import Any

import transformers
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    MODEL_MAPPING,
)


def class_for(config: PreTrainedConfig) -> Any:
    """Return the class that computes all the attention of a model, and writes if such a model can.

    It is the one that the config names. One that names no class, or a bare network, around which the files may have
    what it takes to write, gets what transformers has for its type.
    """
    named = _named(config)
    if named is None or (named in _among(MODEL_MAPPING, config) and not hasattr(named, "get_text_features")):
        return _usual(config)
    return named


def _named(config: PreTrainedConfig) -> type[PreTrainedModel] | None:
    """Return the class of the library that config.json says the files were saved from, if it is for such a config."""
    name = (config.architectures or [""])[0]
    found = getattr(transformers, name, None) if isinstance(name, str) and name.isidentifier() else None
    if not (isinstance(found, type) and issubclass(found, PreTrainedModel)):
        return None
    relatives = [known.config_class for known in _among(MODEL_MAPPING, config)]  # ShieldGemma 2 is a Gemma 3
    return found if _suits(found, config) or found.config_class in relatives else None


def _suits(known: type[PreTrainedModel], config: PreTrainedConfig) -> bool:
    """Return whether a class takes such a config, and not only a part of it."""
    return known.config_class is not None and isinstance(config, known.config_class)


def _among(mapping: Any, config: PreTrainedConfig) -> tuple[type[PreTrainedModel], ...]:
    """Return the classes that a mapping of the library has for a config."""
    found = mapping.get(type(config), ())
    return found if isinstance(found, tuple) else (found,)


def _usual(config: PreTrainedConfig) -> Any:
    """Return what transformers has for a type of model, by what such a model does."""
    if getattr(config, "is_encoder_decoder", False):
        return AutoModelForSeq2SeqLM if type(config) in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING else AutoModel
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and not _writes(config):
        return AutoModelForImageTextToText
    masked = type(config) in MODEL_FOR_MASKED_LM_MAPPING
    return (
        AutoModelForCausalLM if _writes(config) and (not masked or getattr(config, "is_decoder", False)) else AutoModel
    )


def _writes(config: PreTrainedConfig) -> bool:
    """Return whether there is a class that writes with all of a model, and not with a part of it (Emu3)."""
    return any(_suits(known, config) for known in _among(MODEL_FOR_CAUSAL_LM_MAPPING, config))
