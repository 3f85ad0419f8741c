"""What a model itself returns as its weights, eagerly, loaded by plain transformers."""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, PreTrainedModel

from attnviz.vocabulary import Kind
from tests.tools.zoo.building import Built

Layers = list[NDArray[Any] | None]
"""The weights [heads, queries, keys] of each layer that a model returns; None for a layer that returns none."""

ONLY = ""
"""The kind of the weights of a model that has one stack of layers."""


def returned(
    built: Built, text: str, target: Sequence[int] | None, dtype: torch.dtype = torch.float32
) -> dict[str, Layers]:
    """Return what a model gives for a text, by kind; `target` is the ids that a decoder beside an encoder reads.

    Of a model that does not run on text alone, it is what the outermost of its parts gives that does.

    Raises:
        Exception: neither does; the first one's.
        LookupError: no attention weights are returned.
    """
    whole = built.model.from_pretrained(built.folder, attn_implementation="eager", dtype=dtype).eval()
    if dtype is torch.float64 and hasattr(whole, "set_experts_implementation"):
        whole.set_experts_implementation("eager")  # the others know no float64
    inputs = dict(AutoTokenizer.from_pretrained(built.folder)(text, return_tensors="pt"))
    inputs.pop("token_type_ids", None)
    if target is not None:
        inputs["decoder_input_ids"] = torch.tensor([target])
    fault: Exception | None = None
    for network in (whole, *_text_parts(whole)):
        try:
            output = _run(network, inputs)
        except Exception as error:
            fault = fault or error
            continue
        if found := {kind: layers for kind, layers in _named(output, target is not None) if layers}:
            return found
    raise fault or LookupError("no attention weights are returned")


def _text_parts(whole: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """The parts of a model that read tokens, the outermost first."""
    for part in whole.modules():
        if part is not whole and isinstance(part, PreTrainedModel) and part.main_input_name == "input_ids":
            yield part


def _run(network: PreTrainedModel, inputs: dict[str, Any]) -> Any:
    parameters = inspect.signature(network.forward).parameters
    asked = {"output_attentions": True, "return_dict": True, "use_cache": False}
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    given = {key: value for key, value in (inputs | asked).items() if open_ended or key in parameters}
    with torch.inference_mode():
        return network(**given)


def _named(output: Any, translates: bool) -> Iterator[tuple[str, Layers]]:
    """The weights in what a model returns, by kind."""
    if not translates:
        yield ONLY, _layers(getattr(output, "attentions", None) or getattr(output, "encoder_attentions", None))
        return
    for kind in Kind:
        yield kind.value, _layers(getattr(output, f"{kind.value}_attentions", None))


def _layers(attentions: Sequence[Any] | None) -> Layers:
    """The weights of each layer; nothing if none has any."""
    layers = [
        layer[0].double().numpy() if isinstance(layer, torch.Tensor) and layer.ndim == 4 else None
        for layer in attentions or ()
    ]
    return layers if any(layer is not None for layer in layers) else []
