"""Holds what attnviz gives for a model to what the model itself returns, eagerly: every kind, layer and head."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import attnviz
from attnviz.errors import AttnvizError
from attnviz.models.model import Model
from attnviz.models.passages import Passage
from attnviz.records import Attention
from attnviz.vocabulary import Engine, Kind
from tests.tools.zoo.building import Built, UnbuildableError, build
from tests.tools.zoo.oracle import ONLY, Layers, returned

EXACT = 1e-5
"""How far weights may be from the model's own."""

ROUNDING = 3.0
"""How many times farther from float64 than the model's own float32 weights these may be, at most and on the average."""


class Verdict(Enum):
    """What comes of a model type."""

    EXACT = "exact"
    REFUSED = "refused"
    WRONG = "wrong"
    CRASHED = "crashed"
    UNCHECKED = "unchecked"
    UNBUILDABLE = "unbuildable"


class MismatchError(Exception):
    """Weights have no counterpart among the model's own; the message says which."""


@dataclass(frozen=True)
class Finding:
    """What one engine makes of a model type at one length.

    `difference` is the largest one, `contrast` how far the rows of the flattest layer are from even weights, in total
    variation, `keys` how many keys the widest row of the narrowest layer has; `layers` is how many were shown of those
    that the model returns, `said` what was said where it was refused, or what is wrong, `alone` what a model that is
    refused does in plain transformers.
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
    alone: str = ""


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
    except Exception as error:
        yield _refused(built, replace(finding, alone=_alone(built, lengths[0])), error)
        return
    for length in lengths:
        yield _at_length(built, model, replace(finding, length=length))


def _at_length(built: Built, model: Model, finding: Finding) -> Finding:
    """What comes of a text of so many tokens."""
    text, target = built.text(finding.length), built.text(finding.length - 2)
    try:
        reading = model.read(Passage(text=text, target=target if Kind.CROSS in model.card.stacks else None))
        given = model.weights(reading)
    except Exception as error:
        return _refused(built, replace(finding, alone=_alone(built, finding.length)), error)
    finding = replace(finding, engine=given[0].engine.value)
    ids = reading.target.ids if reading.target else None
    try:
        own = returned(built, text, ids)
    except Exception as error:
        return replace(finding, verdict=Verdict.UNCHECKED, said=_named(error))
    return _compared(given, own, lambda: returned(built, text, ids, torch.float64), finding)


def _refused(built: Built, finding: Finding, error: Exception) -> Finding:
    if isinstance(error, AttnvizError):
        return replace(finding, verdict=Verdict.REFUSED, said=_line(error).replace(str(built.folder), "it"))
    return replace(finding, verdict=Verdict.CRASHED, said=_named(error))


def _alone(built: Built, length: int) -> str:
    """What a refused model itself makes of such a text: how many layers of weights it returns, or its error."""
    ids = [0, *range(9, 9 + length)] if built.translates else None
    try:
        own = returned(built, built.text(length), ids)
    except Exception as error:
        return _named(error)[:90]
    counts = (f"{sum(layer is not None for layer in layers)} {kind}".strip() for kind, layers in own.items())
    return f"returns {', '.join(counts)}"


def _compared(
    given: Sequence[Attention], own: dict[str, Layers], exactly: Callable[[], dict[str, Layers]], finding: Finding
) -> Finding:
    """The finding of these records, held to the model's own weights; `exactly` computes those in float64."""
    try:
        pairs = _paired(given, own)
    except MismatchError as error:
        return replace(finding, verdict=Verdict.WRONG, said=str(error))
    returned_layers = [layer for layers in own.values() for layer in layers if layer is not None]
    finding = replace(
        finding,
        difference=_apart(pairs),
        contrast=min(_contrast(layer) for _, layer in pairs),
        keys=min(int((layer > 0).sum(-1).max()) for _, layer in pairs),
        layers=f"{len(pairs)}/{len(returned_layers)}",
    )
    if finding.difference <= EXACT:
        return finding
    try:
        exact = _paired(given, exactly())
    except Exception as error:
        return replace(finding, verdict=Verdict.WRONG, said=f"not comparable in float64: {_named(error)}")
    theirs = [(single, double) for (_, single), (_, double) in zip(pairs, exact, strict=True)]
    if all(apart(exact) <= ROUNDING * apart(theirs) for apart in (_apart, _mean_apart)):
        return replace(finding, said="by rounding: float64 is as near to these weights as to the model's own")
    return replace(finding, verdict=Verdict.WRONG, said="other weights")


def _paired(given: Sequence[Attention], own: dict[str, Layers]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Each layer that is shown, with the model's own: [heads, queries, keys] both.

    Raises:
        MismatchError: the model returns no such layers, or of other shapes.
    """
    pairs = []
    for record in given:
        expected = own.get(record.kind.value, own.get(ONLY, []))
        layers = _aligned(record, expected)
        if layers is None or any(layer.shape != record.weights.shape[1:] for layer in layers):
            there = ", ".join("-" if layer is None else str(layer.shape) for layer in expected)
            raise MismatchError(
                f"{record.kind.value} layers {record.layers} of {record.weights.shape[1:]}, not {there}"
            )
        pairs += zip(record.weights, layers, strict=True)
    return pairs


def _aligned(record: Attention, expected: Layers) -> list[NDArray[Any]] | None:
    """The model's layers that a record shows: by their number, or one by one if it returns only those that attend."""
    there = [layer for layer in expected if layer is not None]
    by_number = [expected[layer] for layer in record.layers if layer < len(expected) and expected[layer] is not None]
    if len(there) == len(record.layers):
        return there
    return by_number if len(by_number) == len(record.layers) else None


def _apart(pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> float:
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def _mean_apart(pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> float:
    return float(np.mean([np.abs(one - other).mean() for one, other in pairs]))


def _contrast(weights: NDArray[Any]) -> float:
    """How far rows [heads, queries, keys] are from even weights, in total variation, on the average."""
    seen = weights > 0
    counts = seen.sum(-1, keepdims=True)
    even = np.where(seen, 1 / np.maximum(counts, 1), 0)
    apart = np.abs(weights - even).sum(-1)[counts[..., 0] > 1] / 2
    return float(apart.mean()) if apart.size else 0.0


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {_line(error)}"


def _line(error: Exception) -> str:
    """The first lines of what an error says, in one."""
    return " ".join(str(error).split())[:400]
