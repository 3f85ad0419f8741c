"""The parts of a layer other than attention: linear maps, norms, and the feed-forward network."""

import math
from collections.abc import Callable
from enum import Enum
from functools import partial

from attnviz.reference.arrays import Array, erf, namespace
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import NoteArray, note_nothing

Activation = Callable[[Array], Array]


class Norm(Enum):
    """The norms that keep vectors of one size."""

    LAYER = "layer"
    RMS = "rms"


def linear(x: Array, parameters: Parameters) -> Array:
    """Return X Wᵀ + b, with W [out, in] as PyTorch keeps it: [..., in] -> [..., out]."""
    product = x @ parameters["weight"].mT
    bias = parameters.get("bias")
    return product if bias is None else product + bias


def layer_norm(x: Array, parameters: Parameters, epsilon: float) -> Array:
    """Return each vector brought to mean 0 and variance 1, then scaled and shifted (Ba et al. 2016)."""
    xp = namespace(x)
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    variance = xp.mean(centred**2, axis=-1, keepdims=True)
    return centred / xp.sqrt(variance + epsilon) * parameters["weight"] + parameters["bias"]


def rms_norm(x: Array, parameters: Parameters, epsilon: float) -> Array:
    """Return each vector brought to a root mean square of 1, then scaled (Zhang and Sennrich 2019)."""
    xp = namespace(x)
    return x / xp.sqrt(xp.mean(x**2, axis=-1, keepdims=True) + epsilon) * parameters["weight"]


NORMS = {Norm.LAYER: layer_norm, Norm.RMS: rms_norm}


def relu(x: Array) -> Array:
    """Return max(x, 0)."""
    return namespace(x).clip(x, 0, None)


def gelu(x: Array) -> Array:
    """Return x Φ(x), with Φ the distribution function of the standard normal (Hendrycks and Gimpel 2016)."""
    return x * (1 + erf(x / math.sqrt(2))) / 2


def gelu_tanh(x: Array) -> Array:
    """Return an approximation of `gelu` that needs no error function (Hendrycks and Gimpel 2016, section 2)."""
    return x * (1 + namespace(x).tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def gelu_sigmoid(x: Array, steepness: float = 1.702) -> Array:
    """Return the coarser x σ(1.702 x) (Hendrycks and Gimpel 2016, section 2), σ being (1 + tanh(x/2)) / 2."""
    return x * (1 + namespace(x).tanh(steepness / 2 * x)) / 2


ACTIVATIONS: dict[str, Activation] = {
    "relu": relu,
    "gelu": gelu,
    "gelu_python": gelu,
    "gelu_new": gelu_tanh,
    "gelu_fast": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "quick_gelu": gelu_sigmoid,
    "silu": partial(gelu_sigmoid, steepness=1.0),
    "swish": partial(gelu_sigmoid, steepness=1.0),
}
"""The activation functions of feed-forward networks, by the name that a model's config gives them."""


def feed_forward(
    x: Array, parameters: Parameters, activation: Activation, *, gated: bool = False, note: NoteArray = note_nothing
) -> Array:
    """Apply two linear maps with an activation between, at each position alone (Vaswani et al. 2017, 3.3).

    If `gated`, the activation is that of a third map, and multiplies the first (Shazeer 2020: SwiGLU with SiLU).
    """
    hidden = linear(x, parameters.within("up"))  # [..., width] -> [..., inner]
    gate = activation(linear(x, parameters.within("gate")) if gated else hidden)
    inner = gate * hidden if gated else gate
    note("inner", inner)
    return linear(inner, parameters.within("down"))  # [..., inner] -> [..., width]
