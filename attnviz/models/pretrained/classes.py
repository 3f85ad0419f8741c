"""The class that holds all that a checkpoint has: one of transformers, or of Python code that comes with the model.

The latter runs only if whoever wrote it is trusted.
"""

from collections.abc import Mapping
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

from attnviz.errors import Advice
from attnviz.models.pretrained.edge import TRUST
from attnviz.text import visible

_FIRST = ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModel")  # those that write, then the bare network


def choose_class(config: PreTrainedConfig) -> Any:
    """Return the class that computes all the attention of a model, and writes if such a model can.

    It is the one that the config names. One that names no class, or a bare network, around which the files may have
    what it takes to write, gets what transformers has for its type.
    """
    named = _find_named(config)
    if named is None or (named in _find_among(MODEL_MAPPING, config) and not hasattr(named, "get_text_features")):
        return _choose_usual(config)
    return named


def _find_named(config: PreTrainedConfig) -> type[PreTrainedModel] | None:
    """Return the class of the library that config.json says the files were saved from, if it is for such a config."""
    name = (config.architectures or [""])[0]
    found = getattr(transformers, name, None) if isinstance(name, str) and name.isidentifier() else None
    if not (isinstance(found, type) and issubclass(found, PreTrainedModel)):
        return None
    relatives = [known.config_class for known in _find_among(MODEL_MAPPING, config)]  # ShieldGemma 2 is a Gemma 3
    return found if _suits(found, config) or found.config_class in relatives else None


def _suits(known: type[PreTrainedModel], config: PreTrainedConfig) -> bool:
    """Return whether a class takes such a config, and not only a part of it."""
    return known.config_class is not None and isinstance(config, known.config_class)


def _find_among(mapping: Any, config: PreTrainedConfig) -> tuple[type[PreTrainedModel], ...]:
    """Return the classes that a mapping of the library has for a config."""
    found = mapping.get(type(config), ())
    return found if isinstance(found, tuple) else (found,)


def _choose_usual(config: PreTrainedConfig) -> Any:
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
    return any(_suits(known, config) for known in _find_among(MODEL_FOR_CAUSAL_LM_MAPPING, config))


def find_own_models(config: Mapping[str, Any]) -> dict[str, str]:
    """Return where config.json says that the model's own code is, for each automatic class of transformers."""
    places = config.get("auto_map")
    named = places.items() if isinstance(places, Mapping) else ()
    return {name: str(place) for name, place in named if name.startswith("AutoModel") and hasattr(transformers, name)}


def find_own_class(config: PreTrainedConfig) -> Any:
    """Return the automatic class that runs the code of the model's own; None if it has none."""
    places = find_own_models({"auto_map": getattr(config, "auto_map", None)})
    first = next((name for name in (*_FIRST, *places) if name in places), None)
    return None if first is None else getattr(transformers, first)


def note_on_own_code(name: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is to be said of a model whose own code does not run, although it has some."""
    places = find_own_models(config)
    if not places:
        return ()
    files = ", ".join(sorted({visible(place.rpartition(".")[0]) + ".py" for place in places.values()}))
    note = (
        f"{name} comes with Python code of its own ({files}), which did not run: these are the weights of a plain "
        f"{visible(str(config.get('model_type')))} model, and its own may differ."
    )
    return (Advice(note, TRUST),)
