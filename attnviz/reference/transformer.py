"""The transformer: embeddings, then layers of attention and feed-forward (Vaswani et al. 2017, figure 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial

from attnviz.reference.arrays import Array, namespace
from attnviz.reference.heads import Watch, multi_head_attention
from attnviz.reference.layers import ACTIVATIONS, NORMS, Norm, feed_forward, linear
from attnviz.reference.masks import Mask, both, sliding_window
from attnviz.reference.parameters import Parameters
from attnviz.reference.positions import sinusoidal
from attnviz.reference.rotary import UNSCALED, Scaling, Turn, frequencies, rotation

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
    """The shape of a transformer: an encoder, or if it is `causal` a decoder.

    `key_heads` are the heads of keys and values where groups of heads share them, `head_width` is set where it is not
    width / heads. Learned positions are counted from one beyond the id of `padding`, if that is given, and tokens of
    that id have none; rotary ones have a `base` and a `scaling`.
    `windows` has for each layer how many tokens back a query sees, None without end. `norm_first` norms what a layer
    reads (pre-norm), else what it writes (post-norm); `norm_embedding` norms what the first layer reads, and
    `norm_heads` the queries and keys of each head.
    """

    width: int
    layers: int
    heads: int
    key_heads: int | None = None
    head_width: int | None = None
    causal: bool = False
    windows: tuple[int | None, ...] = ()
    positions: Positions = Positions.LEARNED
    padding: int | None = None
    base: float = 10000.0
    scaling: Scaling = UNSCALED
    activation: str = "gelu"
    gated: bool = False
    norm: Norm = Norm.LAYER
    norm_first: bool = True
    norm_embedding: bool = False
    norm_heads: bool = False
    epsilon: float = 1e-5


def transformer(
    ids: Array,
    parameters: Parameters,
    config: Config,
    *,
    types: Array | None = None,
    mask: Mask | None = None,
    watch: WatchLayers = lambda layer, first, weights: None,
    depth: int | None = None,
) -> Array:
    """Token ids to contextual vectors: [..., tokens] -> [..., tokens, width].

    `types` [..., tokens] tells the texts of a pair apart. Only the first `depth` layers run if it is given. Pre-norm
    models norm what comes out of the last.
    """
    x = embed(ids, parameters, config, types)
    turn = _turn(x, config)
    for layer in range(config.layers if depth is None else depth):
        part, seen = parameters.within(f"layers.{layer}"), partial(watch, layer)
        x = transformer_layer(x, part, config, mask=_masked(mask, config, layer), turn=turn, watch=seen)
    return _norm(x, parameters, "norm", config) if config.norm_first else x


def embed(ids: Array, parameters: Parameters, config: Config, types: Array | None = None) -> Array:
    """The embedding of each token, those of its position and type added where there are such: [...] -> [..., width]."""
    x = parameters["embedding.weight"][ids]  # [..., tokens, width]
    if types is not None:
        x = x + parameters["types.weight"][types]
    if config.positions is Positions.LEARNED:
        x = x + parameters["positions.weight"][_positions(ids, config)]
    elif config.positions is Positions.SINUSOIDAL:
        x = x + sinusoidal(namespace(x).arange(ids.shape[-1], dtype=x.dtype, device=x.device), config.width)
    if config.norm_embedding:
        x = _norm(x, parameters, "embedding_norm", config)
    return linear(x, parameters.within("projection")) if x.shape[-1] != config.width else x


def transformer_layer(
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
            x,
            x,
            parameters.within("attention"),
            config.heads,
            key_heads=config.key_heads,
            norm_epsilon=config.epsilon if config.norm_heads else None,
            mask=mask,
            causal=config.causal,
            turn=turn,
            watch=watch,
        )

    def transform(x: Array) -> Array:
        activation = ACTIVATIONS[config.activation]
        return feed_forward(x, parameters.within("feed_forward"), activation, gated=config.gated)

    for part, sublayer in (("attention", attend), ("feed_forward", transform)):
        norm = partial(_norm, parameters=parameters, part=f"{part}_norm", config=config)
        x = x + sublayer(norm(x)) if config.norm_first else norm(x + sublayer(x))
    return x


def _positions(ids: Array, config: Config) -> Array:
    """The row of the table of learned positions for each token, [tokens] or, where padding is passed over, as `ids`."""
    xp = namespace(ids)
    if config.padding is None:
        return xp.arange(ids.shape[-1], device=ids.device)
    counted = xp.astype(ids != config.padding, xp.int64)
    return xp.cumulative_sum(counted, axis=-1) * counted + config.padding


def _norm(x: Array, parameters: Parameters, part: str, config: Config) -> Array:
    return NORMS[config.norm](x, parameters.within(part), config.epsilon)


def _turn(x: Array, config: Config) -> Turn | None:
    """What rotary positions do to the queries and keys of every layer: the same, so it is worked out once."""
    if config.positions is not Positions.ROTARY:
        return None
    positions = namespace(x).arange(x.shape[-2], dtype=x.dtype, device=x.device)
    plain = frequencies(config.head_width or config.width // config.heads, config.base, like=positions)
    return rotation(positions, config.scaling(plain, x.shape[-2]), config.scaling.magnitude)


def _masked(mask: Mask | None, config: Config, layer: int) -> Mask | None:
    """What a layer may look at: no further than its window, if it has one."""
    window = config.windows[layer] if config.windows else None
    if window is None:
        return mask
    return both(mask, sliding_window(window)) if mask else sliding_window(window)
