"""The learned arrays before training: random matrices with variance 1 / inputs, as torch draws them."""

import math

import torch

from attnviz.reference.transformer import Config
from attnviz.training.fitting import Weights


def learnable(arrays: Weights) -> Weights:
    """Return the same arrays, whose gradients are wanted."""
    return {name: array.requires_grad_() for name, array in arrays.items()}


def embedding(name: str, rows: int, width: int) -> Weights:
    """Return a table of vectors."""
    return {f"{name}.weight": torch.randn(rows, width) / math.sqrt(width)}


def linear(name: str, inputs: int, outputs: int, scale: float = 1.0) -> Weights:
    """Return a linear map with a bias."""
    weight = torch.randn(outputs, inputs) * scale / math.sqrt(inputs)
    return {f"{name}.weight": weight, f"{name}.bias": torch.zeros(outputs)}


def norm(name: str, width: int) -> Weights:
    """Return a norm that changes nothing yet."""
    return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}


def stack(config: Config, prefix: str = "") -> Weights:
    """Return the layers of a transformer and its last norm; the more layers, the less each adds to the stream."""
    width, inner = config.width, 4 * config.width
    residual = 1 / math.sqrt(len(config.sublayers) * config.layers)
    arrays: Weights = {}
    for layer in range(config.layers):
        part = f"{prefix}layers.{layer}"
        for attention in config.sublayers[:-1]:
            for name in ("query", "key", "value"):
                arrays |= linear(f"{part}.{attention}.{name}", width, width)
            arrays |= linear(f"{part}.{attention}.output", width, width, residual)
        arrays |= linear(f"{part}.feed_forward.up", width, inner)
        arrays |= linear(f"{part}.feed_forward.down", inner, width, residual)
        for sublayer in config.sublayers:
            arrays |= norm(f"{part}.{sublayer}_norm", width)
    return arrays | norm(f"{prefix}norm", width)
