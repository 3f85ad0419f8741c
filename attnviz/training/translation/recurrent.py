"""The recurrent network that translates, with the attention of Bahdanau et al. 2015."""

import math

import torch

from attnviz.reference import recurrent
from attnviz.reference.scores import SCORES
from attnviz.training import initial
from attnviz.training.fitting import Weights
from attnviz.training.translation.learning import Design

EMBEDDING, WIDTH = 96, 128
ATTENTION = WIDTH  # inside the score function, as in the paper


def initial_weights(vocabulary: int) -> Weights:
    """Return the weights that training starts from."""
    gates, encoding = 3 * WIDTH, 2 * WIDTH  # a gated recurrent unit has three parts, an encoding two directions
    arrays = initial.embedding("embedding", vocabulary, EMBEDDING) | {"embedding.bias": torch.zeros(vocabulary)}
    for direction in ("encoder.forward", "encoder.backward"):
        arrays |= initial.linear(f"{direction}.input", EMBEDDING, gates)
        arrays |= initial.linear(f"{direction}.state", WIDTH, gates)
    arrays |= initial.linear("start", WIDTH, WIDTH)
    for name, shape in SCORES["additive"].shapes(WIDTH, encoding, 1).items():
        arrays[f"attention.{name}"] = torch.randn(shape) / math.sqrt(shape[-1])
    arrays |= initial.linear("decoder.token", EMBEDDING, gates) | initial.linear("decoder.context", encoding, gates)
    arrays |= initial.linear("decoder.state", WIDTH, gates)
    return initial.learnable(arrays | initial.linear("readout", WIDTH + EMBEDDING + encoding, 2 * EMBEDDING))


DESIGN = Design(
    network=recurrent,
    initial_weights=initial_weights,
    purpose="A recurrent network that translates English to French.",
    config={"width": WIDTH, "embedding": EMBEDDING, "attention": ATTENTION},
    vocabulary=4000,
)
