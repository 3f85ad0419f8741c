"""A check of which weights that a model returns are plain ones: queries by keys, in rows that sum to 1."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from transformers import PreTrainedModel

from attnviz.errors import ModelError
from attnviz.models.base import Withheld
from attnviz.models.pretrained.eager import return_weights
from attnviz.models.pretrained.places import AttentionLayer, Inputs, count_lengths
from attnviz.vocabulary import Kind

TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""The largest distance of a row's sum from 1, in each precision."""


def find_faults(
    returns: Mapping[AttentionLayer, Any], inputs: Inputs, sink: bool, name: str
) -> dict[AttentionLayer, str]:
    """Return the weights that a model returns but that are not plain, each with what is wrong.

    Raises:
        ModelError: some are no numbers.
    """
    faults: dict[AttentionLayer, str] = {}
    for place, weights in returns.items():
        if isinstance(weights, Tensor) and not weights.isfinite().all():
            raise no_numbers(f"weights of layer {place.layer}", name, weights.dtype)
        if fault := _find_fault(weights, *count_lengths(place.kind, inputs), sink):
            faults[place] = fault
    return faults


def find_faults_of_longer(
    network: PreTrainedModel, inputs: Inputs, only: Kind | None, sink: bool, name: str
) -> dict[AttentionLayer, str]:
    """Return what is wrong with the weights of a longer text, if the model reads one, all of kind `only` if told."""
    try:
        return find_faults(return_weights(network, inputs, only), inputs, sink, name)
    except Exception:  # there are no positions for so many, or no numbers come of them
        return {}


def find_changing(
    returns: Mapping[AttentionLayer, Any], changed: set[Module], network: PreTrainedModel, name: str
) -> dict[AttentionLayer, str]:
    """Return what is wrong with the encoder of a model that has become another by reading a short text.

    Raises:
        ModelError: more than its encoder has.
    """
    translates = any(place.kind is Kind.CROSS for place in returns)
    if not translates or not changed <= set(network.get_encoder().modules()):
        raise ModelError(f"{name} attends in another way to long texts than to short ones: choose another model.")
    return {place: "is of another form for longer texts" for place in returns if place.kind is Kind.ENCODER}


def keep_plain(
    returns: Mapping[AttentionLayer, Any], faults: Mapping[AttentionLayer, str], name: str
) -> dict[AttentionLayer, Tensor]:
    """Return those weights with which nothing is wrong.

    Raises:
        ModelError: there are none.
    """
    if not returns:
        raise ModelError(f"{name} computes no attention weights, so there is nothing to show: choose another model.")
    own = {place: weights for place, weights in returns.items() if place not in faults}
    if not own:
        place, fault = next(iter(faults.items()))
        raise ModelError(
            f"{name} computes no attention weights that could be shown: what it returns for {place.kind.value} layer "
            f"{place.layer} {fault}. Choose another model."
        )
    return own


def withhold(faults: Mapping[AttentionLayer, str]) -> tuple[Withheld, ...]:
    """Return what is wrong with the layers of each kind, said once for all of them."""
    found = []
    for kind in dict.fromkeys(place.kind for place in faults):
        layers = tuple(place.layer for place in faults if place.kind is kind)
        found.append(Withheld(kind, layers, faults[AttentionLayer(kind, layers[0])]))
    return tuple(found)


def _find_fault(weights: Any, queries: int, keys: int, sink: bool) -> str | None:
    """Return what is wrong with these weights, if anything is."""
    if not isinstance(weights, Tensor) or weights.ndim != 4 or weights.shape[2:] != (queries, keys):
        shape = list(weights.shape) if isinstance(weights, Tensor) else "of several tensors"
        return f"has the shape {shape} for {queries} queries and {keys} keys"
    if weights.min() < 0:
        return "holds numbers below 0"
    sums = weights.float().sum(-1)
    if not sum_to_one(sums, weights.dtype, sink):
        return f"sums not to 1 in each row but to {sums.min():.3g} to {sums.max():.3g}"
    return None


def no_numbers(what: str, name: str, dtype: torch.dtype) -> ModelError:
    """Return the error for a model that computes numbers that are infinite or NaN."""
    if dtype is torch.float16:
        return ModelError(f"{name} overflows in float16 ({what}):", hint="use {dtype:bfloat16} or {dtype:float32}.")
    return ModelError(f"{name} computes {what} that are not finite numbers: its files may be damaged.")


def sum_to_one(sums: Tensor, dtype: torch.dtype, sink: bool) -> bool:
    """Return whether these sums of rows of weights that were computed in a dtype are 1, or less if there is a sink."""
    tolerance = TOLERANCE[dtype]
    return bool((sums <= 1 + tolerance).all() and (sink or (sums >= 1 - tolerance).all()))
