"""The transformer encoder: embeddings, then layers of attention and feed-forward (Vaswani et al. 2017, figure 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial

from attnviz.reference.arrays import Array, namespace
from attnviz.reference.heads import Watch, multi_head_attention
from attnviz.reference.layers import ACTIVATIONS, feed_forward, layer_norm
from attnviz.reference.masks import Mask
from attnviz.reference.parameters import Parameters
from attnviz.reference.positions import Turn, rotation, sinusoidal

WatchLayers = Callable[[int, int, Array], None]
"""Is shown each layer's weights: the layer, the index of the first query row, and [..., heads, rows, keys]."""


class Positions(Enum):
    """How a model learns the order of its tokens."""

    NONE = "none"
    LEARNED = "learned"
    SINUSOIDAL = "sinusoidal"
    ROTARY = "rotary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The shape of a transformer. `norm_first` norms what a layer reads (pre-norm), else what it writes (post-norm)."""

    width: int
    layers: int
    heads: int
    positions: Positions = Positions.LEARNED
    activation: str = "gelu"
    norm_first: bool = True
    epsilon: float = 1e-5


def encoder(
    ids: Array,
    parameters: Parameters,
    config: Config,
    *,
    mask: Mask | None = None,
    watch: WatchLayers = lambda layer, first, weights: None,
    depth: int | None = None,
) -> Array:
    """Token ids to contextual vectors: [..., tokens] -> [..., tokens, width].

    Only the first `depth` layers run if it is given. Pre-norm models norm what comes out of the last.
    """
    x = embed(ids, parameters, config)
    turn = _turn(x, config)
    for layer in range(config.layers if depth is None else depth):
        part, seen = parameters.within(f"layers.{layer}"), partial(watch, layer)
        x = encoder_layer(x, part, config, mask=mask, turn=turn, watch=seen)
    return layer_norm(x, parameters.within("norm"), config.epsilon) if config.norm_first else x


def embed(ids: Array, parameters: Parameters, config: Config) -> Array:
    """The embedding of each token, plus that of its position where positions are added: [...] -> [..., width]."""
    xp = namespace(ids)
    x = parameters["embedding.weight"][ids]  # [..., tokens, width]
    if config.positions is Positions.LEARNED:
        return x + parameters["positions.weight"][: ids.shape[-1]]
    if config.positions is Positions.SINUSOIDAL:
        return x + sinusoidal(xp.arange(ids.shape[-1], dtype=x.dtype, device=x.device), config.width)
    return x


def encoder_layer(
    x: Array,
    parameters: Parameters,
    config: Config,
    *,
    mask: Mask | None = None,
    turn: Turn | None = None,
    watch: Watch = lambda first, weights: None,
) -> Array:
    """Self-attention, then the feed-forward network, each added to what it read: [..., tokens, width] -> the same."""

    def attend(x: Array) -> Array:
        return multi_head_attention(
            x, x, parameters.within("attention"), config.heads, mask=mask, turn=turn, watch=watch
        )

    def transform(x: Array) -> Array:
        return feed_forward(x, parameters.within("feed_forward"), ACTIVATIONS[config.activation])

    for part, sublayer in (("attention", attend), ("feed_forward", transform)):
        norm = partial(layer_norm, parameters=parameters.within(f"{part}_norm"), epsilon=config.epsilon)
        x = x + sublayer(norm(x)) if config.norm_first else norm(x + sublayer(x))
    return x


def _turn(x: Array, config: Config) -> Turn | None:
    """What rotary positions do to the queries and keys of every layer: the same, so it is worked out once."""
    if config.positions is not Positions.ROTARY:
        return None
    positions = namespace(x).arange(x.shape[-2], dtype=x.dtype, device=x.device)
    return rotation(positions, config.width // config.heads)
