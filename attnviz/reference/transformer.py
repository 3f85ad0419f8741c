"""The transformer: embeddings, then layers of attention and feed-forward (Vaswani et al. 2017, figure 1)."""

from collections.abc import Callable, Sequence
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from attnviz.records import Each, watch_nothing
from attnviz.reference.arrays import Array, namespace
from attnviz.reference.layers import ACTIVATIONS, NORMS, Norm, feed_forward, linear
from attnviz.reference.masks import Mask, combine, sliding_window
from attnviz.reference.multi_head import Heads, multi_head_attention, show_weights
from attnviz.reference.parameters import Parameters
from attnviz.reference.positions import Bias, alibi, relative, sinusoidal
from attnviz.reference.rotary import UNSCALED, Scaling, Turn, frequencies, rotation
from attnviz.reference.trace import NoteArray, note_nothing, note_within
from attnviz.vocabulary import Kind

_Sublayer = Callable[[Array, Parameters, NoteArray], Array]


class Positions(Enum):
    """The ways in which a model learns the order of its tokens."""

    NONE = "none"
    LEARNED = "learned"
    SINUSOIDAL = "sinusoidal"
    ROTARY = "rotary"
    ALIBI = "alibi"
    RELATIVE = "relative"


class Config(Struct, frozen=True, kw_only=True):
    """The shape of a stack of layers: an encoder, or if it is `causal` a decoder.

    If it `crosses`, its layers also look at what an encoder has made of another text. If it is `unmasked`, every token
    is seen, though it would not be by a decoder or through a window.
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
    crosses: bool = False
    unmasked: bool = False
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

    @property
    def kind(self) -> Kind:
        """Return the kind of self-attention."""
        return Kind.DECODER if self.causal or self.crosses else Kind.ENCODER

    @property
    def looks_back(self) -> bool:
        """Return whether a token sees itself and what comes before it, and nothing else."""
        return self.causal and not self.unmasked

    @property
    def sublayers(self) -> tuple[str, ...]:
        """Return the parts of a layer, in the order in which they run."""
        return ("attention", "cross_attention", "feed_forward") if self.crosses else ("attention", "feed_forward")


def transformer(
    ids: Array,
    parameters: Parameters,
    config: Config,
    *,
    types: Array | None = None,
    mask: Mask | None = None,
    context: Array | None = None,
    context_mask: Mask | None = None,
    watch: Each = watch_nothing,
    note: NoteArray = note_nothing,
    depth: int | None = None,
) -> Array:
    """Turn token ids into contextual vectors: [..., tokens] -> [..., tokens, width].

    `types` [..., tokens] tells the texts of a pair apart, `context` [..., keys, width] is what an encoder made of the
    text that this one's layers also look at. Pre-norm models norm what comes out of the last layer. Only the first
    `depth` layers run if it is given, and what comes out of them is what the next would read.
    """
    x = embed(ids, parameters, config, types, note)
    heads = make_heads(x, parameters, config, mask)
    for layer in range(config.layers if depth is None else depth):
        x = transformer_layer(
            x,
            parameters.within(f"layers.{layer}"),
            config,
            set_layer(layer, heads, config),
            context=context,
            context_mask=context_mask,
            watch=watch,
            note=note_within(note, f"layers.{layer}"),
        )
    return _norm(x, parameters, "norm", config) if config.norm_first and depth is None else x


def show_layer(
    layer: int,
    ids: Array,
    parameters: Parameters,
    config: Config,
    *,
    heads: Sequence[int],
    rows: Sequence[range],
    types: Array | None = None,
    watch: Each,
) -> None:
    """Show the self-attention of one layer: the weights of some heads in some stretches of rows.

    The layers below it run whole, and are shown whole; nothing else of this one does, and none above it.
    """
    x = transformer(ids, parameters, config, types=types, watch=watch, depth=layer)
    own = parameters.within(f"layers.{layer}")
    read = _norm(x, own, "attention_norm", config) if config.norm_first else x
    show_weights(
        read,
        own.within("attention"),
        set_layer(layer, make_heads(x, parameters, config), config),
        wanted=heads,
        rows=rows,
        watch=watch,
    )


def embed(
    ids: Array, parameters: Parameters, config: Config, types: Array | None = None, note: NoteArray = note_nothing
) -> Array:
    """Return the embedding of each token, with those of its position and type if any: [...] -> [..., width]."""
    x = parameters["embedding.weight"][ids]  # [..., tokens, width]
    note("embedding.token", x)
    if types is not None:
        kinds = parameters["types.weight"][types]
        note("embedding.type", kinds)
        x = x + kinds
    if (places := _embed_positions(ids, parameters, config, x)) is not None:
        note("embedding.position", places)
        x = x + places
    if config.norm_embedding:
        x = _norm(x, parameters, "embedding_norm", config)
    x = linear(x, parameters.within("projection")) if x.shape[-1] != config.width else x
    note("embedding.passed", x)
    return x


def transformer_layer(
    x: Array,
    parameters: Parameters,
    config: Config,
    heads: Heads,
    *,
    context: Array | None = None,
    context_mask: Mask | None = None,
    watch: Each = watch_nothing,
    note: NoteArray = note_nothing,
) -> Array:
    """Apply self-attention by these heads, cross-attention where there is a context, then the feed-forward network.

    Each is added to what it read: [..., tokens, width] -> the same.
    """
    crossing = Heads(config.heads, config.key_heads, mask=context_mask, kind=Kind.CROSS, layer=heads.layer)

    def attend(x: Array, parameters: Parameters, note: NoteArray) -> Array:
        return multi_head_attention(x, x, parameters, heads, watch=watch, note=note)

    def look(x: Array, parameters: Parameters, note: NoteArray) -> Array:
        return multi_head_attention(x, context, parameters, crossing, watch=watch, note=note)

    def transform(x: Array, parameters: Parameters, note: NoteArray) -> Array:
        return feed_forward(x, parameters, ACTIVATIONS[config.activation], gated=config.gated, note=note)

    sublayers = {"attention": attend, "cross_attention": look, "feed_forward": transform}
    for part in config.sublayers:
        x = _add_sublayer(x, sublayers[part], parameters, part, config, note_within(note, part))
    return x


def _add_sublayer(
    x: Array, sublayer: _Sublayer, parameters: Parameters, part: str, config: Config, note: NoteArray
) -> Array:
    """Return what a sublayer adds to what it reads, with a norm before it or after the sum: [..., tokens, width]."""
    note("residual", x)
    read = _norm(x, parameters, f"{part}_norm", config) if config.norm_first else x
    note("input", read)
    written = sublayer(read, parameters.within(part), note)
    note("output", written)
    x = x + written
    x = x if config.norm_first else _norm(x, parameters, f"{part}_norm", config)
    note("passed", x)
    return x


def _embed_positions(ids: Array, parameters: Parameters, config: Config, x: Array) -> Array | None:
    """Return what is added to the embeddings `x` for the positions of their tokens, where these have an embedding."""
    if config.positions is Positions.LEARNED:
        return parameters["positions.weight"][_number_positions(ids, config)]
    if config.positions is Positions.SINUSOIDAL:
        return sinusoidal(namespace(x).arange(ids.shape[-1], dtype=x.dtype, device=x.device), config.width)
    return None


def _number_positions(ids: Array, config: Config) -> Array:
    """Return the row of each token in the table of positions: [tokens], or as `ids` where padding is skipped."""
    xp = namespace(ids)
    if config.padding is None:
        return xp.arange(ids.shape[-1], device=ids.device)
    counted = xp.astype(ids != config.padding, xp.int64)
    return xp.cumulative_sum(counted, axis=-1) * counted + config.padding


def _norm(x: Array, parameters: Parameters, part: str, config: Config) -> Array:
    return NORMS[config.norm](x, parameters.within(part), config.epsilon)


def make_heads(x: Array, parameters: Parameters, config: Config, mask: Mask | None = None) -> Heads:
    """Return what the heads of self-attention are in every layer, but for its number and its window."""
    return Heads(
        config.heads,
        config.key_heads,
        norm_epsilon=config.epsilon if config.norm_heads else None,
        mask=mask,
        causal=config.looks_back,
        turn=_make_turn(x, config),
        bias=_make_bias(parameters, config),
        kind=config.kind,
    )


def set_layer(layer: int, heads: Heads, config: Config) -> Heads:
    """Return the heads of a layer, which look no further than its window, if it has one."""
    width = config.windows[layer] if config.windows and not config.unmasked else None
    return replace(heads, layer=layer, mask=heads.mask if width is None else combine(heads.mask, sliding_window(width)))


def _make_turn(x: Array, config: Config) -> Turn | None:
    """Return what rotary positions do to the queries and keys of every layer: the same, so it is worked out once."""
    if config.positions is not Positions.ROTARY:
        return None
    positions = namespace(x).arange(x.shape[-2], dtype=x.dtype, device=x.device)
    plain = frequencies(config.head_width or config.width // config.heads, config.base, like=positions)
    return rotation(positions, config.scaling(plain, x.shape[-2]), config.scaling.magnitude)


def _make_bias(parameters: Parameters, config: Config) -> Bias | None:
    """Return what relative positions add to the scores of every layer."""
    if config.positions is Positions.ALIBI:
        return alibi(config.heads)
    if config.positions is Positions.RELATIVE:
        return relative(parameters["relative.weight"], causal=config.looks_back)
    return None
