"""The transformer that translates."""

import torch

from attnviz.models.builtin.translator import TransformerNetwork
from attnviz.reference.transformer import Config, Positions
from attnviz.training import initial
from attnviz.training.course import shape_of
from attnviz.training.fitting import Weights
from attnviz.training.translation.learning import Design

_WIDTH = 96
ENCODER = Config(width=_WIDTH, layers=2, heads=4, positions=Positions.ROTARY, activation="relu")
DECODER = Config(
    width=_WIDTH, layers=2, heads=4, positions=Positions.ROTARY, activation="relu", causal=True, crosses=True
)


def initial_weights(vocabulary: int) -> Weights:
    """Return the weights that training starts from."""
    arrays = initial.embedding("embedding", vocabulary, _WIDTH) | {"embedding.bias": torch.zeros(vocabulary)}
    return initial.learnable(arrays | initial.stack(ENCODER, "encoder.") | initial.stack(DECODER, "decoder."))


DESIGN = Design(
    network=TransformerNetwork(ENCODER, DECODER),
    initial_weights=initial_weights,
    purpose="A small transformer that translates English to French.",
    config={"encoder": shape_of(ENCODER), "decoder": shape_of(DECODER)},
    vocabulary=3000,
)
