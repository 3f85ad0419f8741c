"""Holds what attnviz gives for a model to what the model itself returns, eagerly: every kind, layer and head."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, PreTrainedModel

import attnviz
from attnviz.attention import Attention, Engine, Kind
from attnviz.errors import AttnvizError
from attnviz.models.base import Model
from attnviz.models.reading import Passage, Reading
from tests.tools.zoo.building import Built, UnbuildableError, build

EXACT = 1e-5
ROUNDING = 3.0
"""How many times farther from float64 than the model's own float32 weights may be what differs by rounding alone."""

Layers = list[NDArray[Any] | None]
"""The weights [heads, queries, keys] of each layer that a model returns; None for a layer that returns none."""


class Verdict(Enum):
    """What comes of a model type."""

    EXACT = "exact"
    REFUSED = "refused"
    WRONG = "wrong"
    CRASHED = "crashed"
    UNCHECKED = "unchecked"
    UNBUILDABLE = "unbuildable"


@dataclass(frozen=True)
class Finding:
    """What one engine makes of a model type at one length.

    `difference` is the largest one, `contrast` how far the rows of the flattest layer are from even weights, in total
    variation, `keys` how many keys the widest row of the narrowest layer has; `layers` is how many were shown of those
    that the model returns, and `said` what was said where it was refused, or what is wrong.
    """

    name: str
    verdict: Verdict
    model: str = ""
    engine: str = ""
    length: int = 0
    difference: float = 0.0
    contrast: float = 0.0
    keys: int = 0
    layers: str = ""
    said: str = ""


def check(name: str, lengths: Sequence[int], folder: Path) -> list[Finding]:
    """Build a model of this type and check it, on each engine that runs it, at each length in tokens."""
    try:
        built = build(name, folder)
    except UnbuildableError as error:
        return [Finding(name, Verdict.UNBUILDABLE, said=_line(error))]
    found: list[Finding] = []
    for engine in (None, Engine.TRANSFORMERS):
        if engine and not any(each.engine == Engine.REFERENCE.value for each in found):
            break  # it is what has run already
        found += _on_engine(built, Finding(name, Verdict.EXACT, model=built.model.__name__), lengths, engine)
    return found


def _on_engine(built: Built, finding: Finding, lengths: Sequence[int], engine: Engine | None) -> Iterator[Finding]:
    try:
        model = attnviz.load(str(built.folder), engine=engine and engine.value)
    except AttnvizError as error:
        yield replace(finding, verdict=Verdict.REFUSED, said=_line(error).replace(str(built.folder), "it"))
        return
    except Exception as error:
        yield replace(finding, verdict=Verdict.CRASHED, said=f"{type(error).__name__}: {_line(error)}")
        return
    for length in lengths:
        yield _at_length(built, model, replace(finding, length=length))


def _at_length(built: Built, model: Model, finding: Finding) -> Finding:
    """What comes of a text of so many tokens."""
    text, target = built.text(finding.length), built.text(finding.length - 2)
    try:
        reading = model.read(Passage(text=text, target=target if Kind.CROSS in model.card.stacks else None))
        given = model.weights(reading)
    except AttnvizError as error:
        return replace(finding, verdict=Verdict.REFUSED, said=_line(error).replace(str(built.folder), "it"))
    except Exception as error:
        return replace(finding, verdict=Verdict.CRASHED, said=f"{type(error).__name__}: {_line(error)}")
    finding = replace(finding, engine=given[0].engine.value)
    try:
        own = returned(built, text, reading, torch.float32)
    except Exception as error:
        return replace(finding, verdict=Verdict.UNCHECKED, said=f"{type(error).__name__}: {_line(error)}")
    return _compared(given, own, lambda: returned(built, text, reading, torch.float64), finding)


def returned(built: Built, text: str, reading: Reading, dtype: torch.dtype) -> dict[str, Layers]:
    """Return what the model itself gives for the same text, by kind; "" is that of a model with one stack."""
    whole = built.model.from_pretrained(built.folder, attn_implementation="eager", dtype=dtype).eval()
    if dtype is torch.float64 and hasattr(whole, "set_experts_implementation"):
        whole.set_experts_implementation("eager")  # the others know no float64
    inputs = dict(AutoTokenizer.from_pretrained(built.folder)(text, return_tensors="pt"))
    inputs.pop("token_type_ids", None)
    if reading.target is not None:
        inputs["decoder_input_ids"] = torch.tensor([reading.target.ids])
    fault: Exception | None = None
    for network in (whole, *_text_towers(whole)):
        takes = inspect.signature(network.forward).parameters
        try:
            with torch.inference_mode():
                output = network(
                    **{key: value for key, value in inputs.items() if key in takes or "kwargs" in takes},
                    output_attentions=True,
                    return_dict=True,
                )
        except Exception as error:
            fault = fault or error
            continue
        if found := {
            kind: layers for kind, layers in _named(output, reading) if any(each is not None for each in layers)
        }:
            return found
    raise fault or LookupError("the model returns no attention weights")


def _text_towers(whole: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """The parts of a model of several that read tokens, the outermost first."""
    for part in whole.modules():
        if part is not whole and isinstance(part, PreTrainedModel) and part.main_input_name == "input_ids":
            yield part


def _named(output: Any, reading: Reading) -> Iterator[tuple[str, Layers]]:
    """The weights in what a model returns, by kind."""
    if reading.target is None:
        yield "", _layers(getattr(output, "attentions", None) or getattr(output, "encoder_attentions", None))
        return
    for kind in Kind:
        yield kind.value, _layers(getattr(output, f"{kind.value}_attentions", None))


def _layers(attentions: Sequence[Any] | None) -> Layers:
    return [
        layer[0].double().numpy() if isinstance(layer, torch.Tensor) and layer.ndim == 4 else None
        for layer in attentions or ()
    ]


def _compared(
    given: Sequence[Attention], own: dict[str, Layers], exactly: Callable[[], dict[str, Layers]], finding: Finding
) -> Finding:
    """The finding of these records, held to the model's own weights; `exactly` computes those in float64."""
    differences, shown, there, flattest, narrowest = [0.0], 0, 0, 1.0, 10**9
    for record in given:
        expected = own.get(record.kind.value, own.get(""))
        if expected is None:
            return replace(finding, verdict=Verdict.WRONG, said=f"the model returns no {record.kind.value} weights")
        layers = _aligned(record, expected)
        if layers is None:
            said = f"{record.kind.value} layers {list(record.layers)}, of {_shapes(expected)}"
            return replace(finding, verdict=Verdict.WRONG, said=said)
        if any(layer.shape != shown_.shape for layer, shown_ in zip(layers, record.weights, strict=True)):
            said = f"{record.kind.value} weights {record.weights.shape[1:]}, not {_shapes(expected)}"
            return replace(finding, verdict=Verdict.WRONG, said=said)
        differences += [float(np.abs(a - b).max()) for a, b in zip(layers, record.weights, strict=True)]
        shown += len(layers)
        flattest = min(flattest, *map(_contrast, layers))
        narrowest = min(narrowest, *(int((layer > 0).sum(-1).max()) for layer in layers))
    there = sum(layer is not None for layers in own.values() for layer in layers)
    finding = replace(
        finding,
        difference=max(differences),
        contrast=flattest,
        keys=narrowest,
        layers=f"{shown}/{there}",
    )
    if finding.difference <= EXACT:
        return finding
    try:
        exact = exactly()
    except Exception as error:
        return replace(finding, verdict=Verdict.WRONG, said=f"not comparable in float64: {_line(error)}")
    if _rounds(given, own, exact):
        return replace(finding, said="as near to float64 as the model's own")
    return replace(finding, verdict=Verdict.WRONG, said="other weights")


def _aligned(record: Attention, expected: Layers) -> Layers | None:
    """The model's layers that a record shows: by their number, or one by one if it returns only those that attend."""
    if len(expected) == len(record.layers) and all(layer is not None for layer in expected):
        return expected
    by_number = [expected[layer] if layer < len(expected) else None for layer in record.layers]
    if all(layer is not None for layer in by_number):
        return by_number
    there = [layer for layer in expected if layer is not None]
    return there if len(there) == len(record.layers) else None


def _rounds(given: Sequence[Attention], own: dict[str, Layers], exact: dict[str, Layers]) -> bool:
    """Whether records are about as near to float64 as the model's own float32 weights are."""
    for record in given:
        kind = record.kind.value if record.kind.value in own else ""
        single, double = _aligned(record, own[kind]), _aligned(record, exact[kind])
        theirs = max(float(np.abs(a - b).max()) for a, b in zip(single, double, strict=True))
        ours = max(float(np.abs(a - b).max()) for a, b in zip(record.weights, double, strict=True))
        if ours > max(EXACT, ROUNDING * theirs):
            return False
    return True


def _contrast(weights: NDArray[Any]) -> float:
    """How far rows [heads, queries, keys] are from even weights, in total variation, on the average."""
    seen = weights > 0
    counts = seen.sum(-1, keepdims=True)
    even = np.where(seen, 1 / np.maximum(counts, 1), 0)
    apart = np.abs(weights - even).sum(-1)[counts[..., 0] > 1] / 2
    return float(apart.mean()) if apart.size else 0.0


def _shapes(layers: Layers) -> str:
    return ", ".join("-" if layer is None else str(layer.shape) for layer in layers)


def _line(error: Exception) -> str:
    """The first lines of what an error says, in one."""
    return " ".join(str(error).split())[:400]
