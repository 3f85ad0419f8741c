"""What stands between attention and attention: linear maps, norms, and the feed-forward network."""

import math
from collections.abc import Callable

from attnviz.reference.arrays import Array, erf, namespace
from attnviz.reference.parameters import Parameters


def linear(x: Array, parameters: Parameters) -> Array:
    """X Wᵀ + b, with W [out, in] as PyTorch keeps it: [..., in] -> [..., out]."""
    product = x @ parameters["weight"].mT
    bias = parameters.get("bias")
    return product if bias is None else product + bias


def layer_norm(x: Array, parameters: Parameters, epsilon: float) -> Array:
    """Each vector brought to mean 0 and variance 1, then scaled and shifted (Ba et al. 2016)."""
    xp = namespace(x)
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    variance = xp.mean(centred**2, axis=-1, keepdims=True)
    return centred / xp.sqrt(variance + epsilon) * parameters["weight"] + parameters["bias"]


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return namespace(x).clip(x, 0, None)


def gelu(x: Array) -> Array:
    """The input times Φ(input), with Φ the distribution function of the standard normal (Hendrycks and Gimpel 2016)."""
    return x * (1 + erf(x / math.sqrt(2))) / 2


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"relu": relu, "gelu": gelu}
"""The activation functions of feed-forward networks, by the name that a model's config gives them."""


def feed_forward(x: Array, parameters: Parameters, activation: Callable[[Array], Array]) -> Array:
    """Two linear maps with an activation between, at each position alone (Vaswani et al. 2017, 3.3)."""
    hidden = activation(linear(x, parameters.within("up")))  # [..., width] -> [..., inner]
    return linear(hidden, parameters.within("down"))  # [..., inner] -> [..., width]
