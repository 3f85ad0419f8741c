"""The part of a network that reads text: all of it, or one of two towers, the other being for pictures or sounds."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch.nn import Module
from transformers import PreTrainedModel

from attnviz.errors import AttnvizError, ModelError
from attnviz.models.pretrained.changes import hold_hooks
from attnviz.models.pretrained.edge import NO_MEMORY, explain
from attnviz.models.pretrained.survey import make_trial_inputs
from attnviz.text import visible

_OTHERS = {
    "pixel": "pictures",
    "image": "pictures",
    "visual": "pictures",
    "vision": "pictures",
    "bbox": "the places of words on a page",
    "input_features": "sounds",
    "input_values": "sounds",
    "audio": "sounds",
    "mel": "sounds",
    "past_values": "series of numbers",
    "lang_ids": "the language of a text",
    "query_embeds": "what another network has made",
    "hidden_states": "what another network has made",
}
"""The kinds of input other than text, by how the names of parameters for them begin."""


def find_text_part(whole: PreTrainedModel, name: str) -> PreTrainedModel:
    """Return the network that computes the attention of a text, whatever else there is in a model.

    Raises:
        ModelError: it reads no text.
    """
    network: PreTrainedModel = whole.base_model  # type: ignore[assignment]  # mypy takes it for a parameter
    owner = next((part for part in whole.modules() if hasattr(part, "get_text_features")), None)
    if isinstance(owner, PreTrainedModel) and (tower := _find_called(owner)) is not None:
        return tower
    if network.main_input_name != "input_ids":
        raise ModelError(f"{name} reads no text but {network.main_input_name}: choose a text model.")
    return network


def _find_called(owner: PreTrainedModel) -> PreTrainedModel | None:
    """Return the part that a model runs on a text to compare it with pictures or sounds; None if none is found."""
    called: list[PreTrainedModel] = []

    def hook(module: Module, args: object) -> None:
        if isinstance(module, PreTrainedModel):
            called.append(module)

    of_text: Callable[..., Any] = owner.get_text_features  # type: ignore[assignment]  # mypy takes it for a parameter
    hooks = (part.register_forward_pre_hook(hook) for part in owner.modules() if part is not owner)
    with suppress(Exception), torch.inference_mode(), hold_hooks(hooks):  # it may want what was made of other inputs
        accepted = _list_parameters(of_text)
        of_text(**{name: ids for name, ids in make_trial_inputs(owner).items() if name in accepted})
        return called[0].base_model if called else None  # type: ignore[return-value]
    return None


@contextmanager
def explain_failure(network: PreTrainedModel, name: str) -> Iterator[None]:
    """Turn an error of a network that cannot run on a text into a sentence on what it is made for.

    Raises:
        ModelError: it stopped.
    """
    try:
        yield
    except AttnvizError:
        raise
    except Exception as error:
        kind = f"{name} is a model of type {visible(str(network.config.model_type))} ({type(network).__name__})"
        others = {
            parameter: said
            for parameter in _list_parameters(network.forward)
            for part, said in _OTHERS.items()
            if parameter.startswith(part)
        }
        if not others or explain(error) == NO_MEMORY:
            raise ModelError(
                f"{kind}, and does not run on a few tokens as text models do: " + explain(error)
            ) from error
        listed = ", ".join(dict.fromkeys(others.values()))
        raise ModelError(
            f"{kind}, which reads {listed} beside or instead of text ({', '.join(others)}) and does not run on a text "
            "alone: choose a text model."
        ) from error


def _list_parameters(function: Callable[..., Any]) -> list[str]:
    """Return the names of what a function takes."""
    return list(inspect.signature(function).parameters)
