"""The Python code that comes with a model, which runs only if whoever wrote it is trusted."""

from collections.abc import Mapping
from typing import Any

import transformers
from transformers import PreTrainedConfig

from attnviz.errors import Advice
from attnviz.models.pretrained.edge import TRUST
from attnviz.text import visible

_FIRST = ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModel")  # those that write, then the bare network


def own_models(config: Mapping[str, Any]) -> dict[str, str]:
    """Where config.json says that code of the model's own is, for each of transformers' automatic classes of models."""
    places = config.get("auto_map")
    named = places.items() if isinstance(places, Mapping) else ()
    return {name: str(place) for name, place in named if name.startswith("AutoModel") and hasattr(transformers, name)}


def own_class(config: PreTrainedConfig) -> Any:
    """The automatic class that runs the code of the model's own; None if it has none."""
    places = own_models({"auto_map": getattr(config, "auto_map", None)})
    first = next((name for name in (*_FIRST, *places) if name in places), None)
    return None if first is None else getattr(transformers, first)


def note_on_own_code(name: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """What is to be said of a model whose own code does not run, although it has some."""
    places = own_models(config)
    if not places:
        return ()
    files = ", ".join(sorted({visible(place.rpartition(".")[0]) + ".py" for place in places.values()}))
    note = (
        f"{name} comes with Python code of its own ({files}), which did not run: these are the weights of a plain "
        f"{visible(str(config.get('model_type')))} model, and its own may differ."
    )
    return (Advice(note, TRUST),)
