"""The families of checkpoints that the reference transformer runs, as data: what their files call things.

A family is a table of parameter names and one of config keys, with the values that transformers takes where a key is
absent (the configuration classes of transformers 5, which the tests compare).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from attnviz.models.checkpoint.stretching import read_scaling
from attnviz.models.configuration import Key, UnsupportedError, find_table, key
from attnviz.reference.layers import Norm
from attnviz.reference.transformer import Config, Positions


class Module(Struct, frozen=True):
    """A part of the model by its `name` in a checkpoint's files, where `{}` stands for the number of the layer.

    A `table` is read by rows, and has no bias; any other part has one if `bias` says so, or the key of config.json
    that it is. A linear map may be kept `transposed` ([in, out]), and be one `third` of a fused one. What is `optional`
    not every model of the family has.
    """

    name: str
    table: bool = False
    bias: bool | Key = True
    transposed: bool = False
    third: int | None = None
    optional: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return which arrays it has, once it is settled whether it has a bias."""
        return ("weight", "bias") if self.bias and not self.table else ("weight",)


class Family(Struct, frozen=True, kw_only=True):
    """A family of checkpoints: how their files spell the parts and the shape of a model.

    `prefix` stands before all names in checkpoints of a model with a head. `keys` has, for fields of `Config`, the key
    in config.json; `fixed` what does not depend on config.json, and `derive` what takes more than a key. `limit` is
    the key of how many positions it has (None: any number). `idle` has the values of other keys at which they ask for
    nothing.
    """

    prefix: str
    modules: Mapping[str, Module]
    keys: Mapping[str, Key]
    fixed: Mapping[str, Any]
    derive: Callable[[Mapping[str, Any], Config], Config] = lambda config, shape: shape
    limit: Key | None = None
    idle: Mapping[str, Any] = field(default_factory=dict)

    def shape(self, config: Mapping[str, Any]) -> Config:
        """Return the shape of a model, from what its config.json says.

        Raises:
            ValueError: config.json makes no sense; the message says which key.
            UnsupportedError: it asks for something that the reference transformer does not know.
        """
        keyed = {name: each.of(config) for name, each in self.keys.items()}
        for name in ("width", "layers", "heads"):
            if not 0 < keyed[name] < _LARGEST:
                raise ValueError(f"{self.keys[name].names[0]} is {keyed[name]}")
        return self.derive(config, Config(**keyed | dict(self.fixed)))

    def settle(self, config: Mapping[str, Any]) -> "Family":
        """Return the same with the biases that the maps of a model have, from what its config.json says.

        Raises:
            ValueError: config.json makes no sense.
        """
        modules = {
            name: replace(part, bias=part.bias.of(config)) if isinstance(part.bias, Key) else part
            for name, part in self.modules.items()
        }
        return replace(self, modules=modules)

    def positions(self, config: Mapping[str, Any], shape: Config) -> int | None:
        """Return how many tokens a model reads, None without limit.

        Raises:
            ValueError: config.json makes no sense.
        """
        if self.limit is None:
            return None
        positions: int = self.limit.of(config) - (0 if shape.padding is None else shape.padding + 1)
        if positions < 1:
            raise ValueError(f"{self.limit.names[0]} leaves room for {positions} tokens")
        return positions


_LARGEST = 10**6  # no model is wider, or has more layers or heads

_EMBEDDINGS = {
    "embedding": Module("embeddings.word_embeddings", table=True),
    "positions": Module("embeddings.position_embeddings", table=True),
    "embedding_norm": Module("embeddings.LayerNorm"),
}
_POST_NORM = {"norm_first": False, "norm_embedding": True}
_IDLE = {"is_encoder_decoder": False, "is_decoder": False, "add_cross_attention": False, "pruned_heads": {}}
_IDLE_ENCODER = _IDLE | {"is_causal": False, "position_embedding_type": "absolute", "directionality": "bidi"}
_IDLE_DECODER = _IDLE | {"is_causal": True}

_BERT_MODULES = _EMBEDDINGS | {
    "types": Module("embeddings.token_type_embeddings", table=True),
    "layers.{}.attention.query": Module("encoder.layer.{}.attention.self.query"),
    "layers.{}.attention.key": Module("encoder.layer.{}.attention.self.key"),
    "layers.{}.attention.value": Module("encoder.layer.{}.attention.self.value"),
    "layers.{}.attention.output": Module("encoder.layer.{}.attention.output.dense"),
    "layers.{}.attention_norm": Module("encoder.layer.{}.attention.output.LayerNorm"),
    "layers.{}.feed_forward.up": Module("encoder.layer.{}.intermediate.dense"),
    "layers.{}.feed_forward.down": Module("encoder.layer.{}.output.dense"),
    "layers.{}.feed_forward_norm": Module("encoder.layer.{}.output.LayerNorm"),
}
_BERT_KEYS = {
    "width": key(768, "hidden_size"),
    "layers": key(12, "num_hidden_layers"),
    "heads": key(12, "num_attention_heads"),
    "activation": key("gelu", "hidden_act"),
    "epsilon": key(1e-12, "layer_norm_eps"),
}
_512 = key(512, "max_position_embeddings")


def _skip_padding(config: Mapping[str, Any], shape: Config) -> Config:
    """Count positions from one beyond the id of the padding token, as fairseq did."""
    return replace(shape, padding=key(1, "pad_token_id").of(config))


_BERT = Family(
    prefix="bert.",
    modules=_BERT_MODULES,
    keys=_BERT_KEYS,
    fixed=_POST_NORM,
    limit=_512,
    idle=_IDLE_ENCODER,
)
_ROBERTA = replace(_BERT, prefix="roberta.", derive=_skip_padding)
_ELECTRA = replace(
    _BERT,
    prefix="electra.",
    modules=_BERT_MODULES | {"projection": Module("embeddings_project", optional=True)},
    keys=_BERT_KEYS | {"width": key(256, "hidden_size"), "heads": key(4, "num_attention_heads")},
)
_DISTILBERT = Family(
    prefix="distilbert.",
    modules=_EMBEDDINGS
    | {
        "layers.{}.attention.query": Module("transformer.layer.{}.attention.q_lin"),
        "layers.{}.attention.key": Module("transformer.layer.{}.attention.k_lin"),
        "layers.{}.attention.value": Module("transformer.layer.{}.attention.v_lin"),
        "layers.{}.attention.output": Module("transformer.layer.{}.attention.out_lin"),
        "layers.{}.attention_norm": Module("transformer.layer.{}.sa_layer_norm"),
        "layers.{}.feed_forward.up": Module("transformer.layer.{}.ffn.lin1"),
        "layers.{}.feed_forward.down": Module("transformer.layer.{}.ffn.lin2"),
        "layers.{}.feed_forward_norm": Module("transformer.layer.{}.output_layer_norm"),
    },
    keys={
        "width": key(768, "dim", "hidden_size"),
        "layers": key(6, "n_layers", "num_hidden_layers"),
        "heads": key(12, "n_heads", "num_attention_heads"),
        "activation": key("gelu", "activation"),
    },
    fixed=_POST_NORM | {"epsilon": 1e-12},
    limit=_512,
    idle=_IDLE_ENCODER,
)
_GPT2 = Family(
    prefix="transformer.",
    modules={
        "embedding": Module("wte", table=True),
        "positions": Module("wpe", table=True),
        "layers.{}.attention_norm": Module("h.{}.ln_1"),
        "layers.{}.attention.query": Module("h.{}.attn.c_attn", transposed=True, third=0),
        "layers.{}.attention.key": Module("h.{}.attn.c_attn", transposed=True, third=1),
        "layers.{}.attention.value": Module("h.{}.attn.c_attn", transposed=True, third=2),
        "layers.{}.attention.output": Module("h.{}.attn.c_proj", transposed=True),
        "layers.{}.feed_forward_norm": Module("h.{}.ln_2"),
        "layers.{}.feed_forward.up": Module("h.{}.mlp.c_fc", transposed=True),
        "layers.{}.feed_forward.down": Module("h.{}.mlp.c_proj", transposed=True),
        "norm": Module("ln_f"),
    },
    keys={
        "width": key(768, "n_embd", "hidden_size"),
        "layers": key(12, "n_layer", "num_hidden_layers"),
        "heads": key(12, "n_head", "num_attention_heads"),
        "activation": key("gelu_new", "activation_function"),
        "epsilon": key(1e-5, "layer_norm_epsilon"),
    },
    fixed={"causal": True},
    limit=key(1024, "n_positions", "max_position_embeddings"),
    idle=_IDLE_DECODER | {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False},
)


def _name_llama_modules(
    query: bool | Key = False, output: bool | Key = False, inner: bool | Key = False, *, norm_heads: bool = False
) -> dict[str, Module]:
    """Return the parts of Llama and its like, which differ in what has biases, and in whether heads have norms."""
    attention = "layers.{}.self_attn."
    normed = {
        "layers.{}.attention.query_norm": Module(f"{attention}q_norm", bias=False),
        "layers.{}.attention.key_norm": Module(f"{attention}k_norm", bias=False),
    }
    return {
        "embedding": Module("embed_tokens", table=True),
        "layers.{}.attention_norm": Module("layers.{}.input_layernorm", bias=False),
        "layers.{}.attention.query": Module(f"{attention}q_proj", bias=query),
        "layers.{}.attention.key": Module(f"{attention}k_proj", bias=query),
        "layers.{}.attention.value": Module(f"{attention}v_proj", bias=query),
        "layers.{}.attention.output": Module(f"{attention}o_proj", bias=output),
        "layers.{}.feed_forward_norm": Module("layers.{}.post_attention_layernorm", bias=False),
        "layers.{}.feed_forward.gate": Module("layers.{}.mlp.gate_proj", bias=inner),
        "layers.{}.feed_forward.up": Module("layers.{}.mlp.up_proj", bias=inner),
        "layers.{}.feed_forward.down": Module("layers.{}.mlp.down_proj", bias=inner),
        "norm": Module("norm", bias=False),
    } | (normed if norm_heads else {})


_ATTENTION_BIAS, _MLP_BIAS = key(False, "attention_bias"), key(False, "mlp_bias")
_LLAMA_KEYS = {
    "width": key(4096, "hidden_size"),
    "layers": key(32, "num_hidden_layers"),
    "heads": key(32, "num_attention_heads"),
    "key_heads": key(None, "num_key_value_heads", nullable=True),
    "head_width": key(None, "head_dim", nullable=True),
    "activation": key("silu", "hidden_act"),
    "epsilon": key(1e-6, "rms_norm_eps"),
}
_LLAMA_FIXED = {"causal": True, "positions": Positions.ROTARY, "norm": Norm.RMS, "gated": True}


def _add_rotary(config: Mapping[str, Any], shape: Config, longest: int = 32768) -> Config:
    """Return a shape with its rotary positions; `longest` is the default of max_position_embeddings."""
    given = find_table(config, "rope_scaling", "rope_parameters")
    base = _BASE.of(given if "rope_theta" in given else config)
    width = shape.head_width or shape.width // shape.heads
    return replace(shape, base=base, scaling=read_scaling(given, config, longest, width, base))


def _add_rotary_and_window(config: Mapping[str, Any], shape: Config) -> Config:
    """Return the shape of Mistral, each layer of which sees no further than the window, if there is one."""
    return replace(_add_rotary(config, shape, 131072), windows=(_WINDOW.of(config),) * shape.layers)


def _add_rotary_and_some_windows(config: Mapping[str, Any], shape: Config) -> Config:
    """Return the shape of Qwen: the layers of one type, or those from a certain one on, have a window if any has."""
    first = key(28, "max_window_layers").of(config)
    kinds = config.get("layer_types") or [_SLIDING if i >= first else _FULL for i in range(shape.layers)]
    if not isinstance(kinds, list) or len(kinds) != shape.layers:
        raise ValueError(f"layer_types is {kinds!r}, for {shape.layers} layers")
    if other := [kind for kind in kinds if kind not in (_SLIDING, _FULL)]:
        raise UnsupportedError(f"The reference engine knows no layers of the type {other[0]!r}.")
    given = _WINDOW.of(config)
    window = given if key(False, "use_sliding_window").of(config) else None
    return replace(_add_rotary(config, shape), windows=tuple(window if kind == _SLIDING else None for kind in kinds))


_BASE = key(10000.0, "rope_theta")
_WINDOW = key(4096, "sliding_window", nullable=True)
_SLIDING, _FULL = "sliding_attention", "full_attention"

_LLAMA = Family(
    prefix="model.",
    modules=_name_llama_modules(_ATTENTION_BIAS, _ATTENTION_BIAS, _MLP_BIAS),
    keys=_LLAMA_KEYS,
    fixed=_LLAMA_FIXED,
    derive=partial(_add_rotary, longest=2048),
    idle=_IDLE_DECODER,
)
_QWEN_KEYS = _LLAMA_KEYS | {"key_heads": key(32, "num_key_value_heads", nullable=True)}
_QWEN2 = replace(
    _LLAMA,
    modules=_name_llama_modules(query=True),
    keys=_QWEN_KEYS,
    derive=_add_rotary_and_some_windows,
    idle=_IDLE_DECODER | {"use_mrope": False},
)

FAMILIES: dict[str, Family] = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "electra": _ELECTRA,
    "distilbert": _DISTILBERT,
    "gpt2": _GPT2,
    "llama": _LLAMA,
    "mistral": replace(
        _LLAMA,
        modules=_name_llama_modules(),
        keys=_LLAMA_KEYS | {"key_heads": key(8, "num_key_value_heads", nullable=True)},
        derive=_add_rotary_and_window,
    ),
    "qwen2": _QWEN2,
    "qwen3": replace(
        _QWEN2,
        modules=_name_llama_modules(_ATTENTION_BIAS, _ATTENTION_BIAS, norm_heads=True),
        keys=_QWEN_KEYS | {"head_width": key(128, "head_dim")},
        fixed=_LLAMA_FIXED | {"norm_heads": True},
    ),
}
"""The families, by the `model_type` of config.json."""
