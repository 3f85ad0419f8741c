"""The families of checkpoints that the reference transformer runs, as data: what their files call things.

A family is a table of parameter names and one of config keys, with the values that transformers takes where a key is
absent (the configuration classes of transformers 5, which the tests compare).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from attnviz.models.stretching import scaling
from attnviz.reference.layers import Norm
from attnviz.reference.transformer import Config, Positions


@dataclass(frozen=True, slots=True)
class Module:
    """What a file calls a part of the model; `{}` stands for the number of the layer.

    A `table` is read by rows. A linear map may be kept `transposed` ([in, out]), and be one `third` of a fused one.
    What is `optional` not every model of the family has.
    """

    name: str
    table: bool = False
    transposed: bool = False
    third: int | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How checkpoints of a family are written down.

    `prefix` stands before all names in checkpoints of a model with a head. `keys` has, for fields of `Config`, the key
    in config.json and its default; `fixed` what does not depend on config.json, and `derive` what takes more than a
    key. `biased` says that no map goes without a bias, `typed` that its tokenizers tell the texts of a pair apart by
    token types. `limit` is the key and default of how many tokens it reads
    (None: any number). `supports` has the values that other keys must have if they are there.
    """

    prefix: str
    modules: Mapping[str, Module]
    keys: Mapping[str, tuple[str, Any]]
    fixed: Mapping[str, Any]
    derive: Callable[[Mapping[str, Any], Config], Config] = lambda config, shape: shape
    biased: bool = True
    typed: bool = False
    limit: tuple[str, int] | None = None
    supports: Mapping[str, Any] = field(default_factory=dict)

    def shape(self, config: Mapping[str, Any]) -> Config:
        """The shape of a model, from what its config.json says."""
        keyed = {name: config.get(key, default) for name, (key, default) in self.keys.items()}
        return self.derive(config, Config(**keyed | dict(self.fixed)))

    def positions(self, config: Mapping[str, Any], shape: Config) -> int | None:
        """How many tokens a model reads, None without limit."""
        return None if self.limit is None else config.get(*self.limit) - shape.first_position


_EMBEDDINGS = {
    "embedding": Module("embeddings.word_embeddings", table=True),
    "positions": Module("embeddings.position_embeddings", table=True),
    "embedding_norm": Module("embeddings.LayerNorm"),
}
_POST_NORM = {"norm_first": False, "norm_embedding": True}
_NO_DECODER = {"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute"}

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
    "width": ("hidden_size", 768),
    "layers": ("num_hidden_layers", 12),
    "heads": ("num_attention_heads", 12),
    "activation": ("hidden_act", "gelu"),
    "epsilon": ("layer_norm_eps", 1e-12),
}
_512 = ("max_position_embeddings", 512)


def _after_padding(config: Mapping[str, Any], shape: Config) -> Config:
    """Positions are counted from one beyond the id of the padding token, as fairseq did."""
    return replace(shape, first_position=config.get("pad_token_id", 1) + 1)


_BERT = Family(
    prefix="bert.",
    modules=_BERT_MODULES,
    keys=_BERT_KEYS,
    fixed=_POST_NORM,
    typed=True,
    limit=_512,
    supports=_NO_DECODER,
)
_ROBERTA = replace(_BERT, prefix="roberta.", derive=_after_padding, typed=False)
_ELECTRA = replace(
    _BERT,
    prefix="electra.",
    modules=_BERT_MODULES | {"projection": Module("embeddings_project", optional=True)},
    keys=_BERT_KEYS | {"width": ("hidden_size", 256), "heads": ("num_attention_heads", 4)},
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
        "width": ("dim", 768),
        "layers": ("n_layers", 6),
        "heads": ("n_heads", 12),
        "activation": ("activation", "gelu"),
    },
    fixed=_POST_NORM | {"epsilon": 1e-12},
    limit=_512,
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
        "width": ("n_embd", 768),
        "layers": ("n_layer", 12),
        "heads": ("n_head", 12),
        "activation": ("activation_function", "gelu_new"),
        "epsilon": ("layer_norm_epsilon", 1e-5),
    },
    fixed={"causal": True},
    limit=("n_positions", 1024),
    supports={"add_cross_attention": False, "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False},
)
_LLAMA_MODULES = {
    "embedding": Module("embed_tokens", table=True),
    "layers.{}.attention_norm": Module("layers.{}.input_layernorm"),
    "layers.{}.attention.query": Module("layers.{}.self_attn.q_proj"),
    "layers.{}.attention.key": Module("layers.{}.self_attn.k_proj"),
    "layers.{}.attention.value": Module("layers.{}.self_attn.v_proj"),
    "layers.{}.attention.output": Module("layers.{}.self_attn.o_proj"),
    "layers.{}.feed_forward_norm": Module("layers.{}.post_attention_layernorm"),
    "layers.{}.feed_forward.gate": Module("layers.{}.mlp.gate_proj"),
    "layers.{}.feed_forward.up": Module("layers.{}.mlp.up_proj"),
    "layers.{}.feed_forward.down": Module("layers.{}.mlp.down_proj"),
    "norm": Module("norm"),
}
_LLAMA_KEYS = {
    "width": ("hidden_size", 4096),
    "layers": ("num_hidden_layers", 32),
    "heads": ("num_attention_heads", 32),
    "key_heads": ("num_key_value_heads", None),
    "head_width": ("head_dim", None),
    "activation": ("hidden_act", "silu"),
    "epsilon": ("rms_norm_eps", 1e-6),
}
_LLAMA_FIXED = {"causal": True, "positions": Positions.ROTARY, "norm": Norm.RMS, "gated": True}


def _rotary(config: Mapping[str, Any], shape: Config, longest: int = 32768) -> Config:
    """The base and the scaling of rotary positions; `longest` is the default of max_position_embeddings."""
    given = config.get("rope_scaling") or config.get("rope_parameters") or {}
    base = given.get("rope_theta", config.get("rope_theta", 10000.0))
    width = shape.head_width or shape.width // shape.heads
    return replace(shape, base=base, scaling=scaling(given, config, longest, width, base))


def _rotary_with_window(config: Mapping[str, Any], shape: Config) -> Config:
    """Mistral: every layer sees no further than the window, if there is one."""
    window = config.get("sliding_window", 4096)
    return replace(_rotary(config, shape, 131072), windows=(window,) * shape.layers)


def _rotary_with_some_windows(config: Mapping[str, Any], shape: Config) -> Config:
    """Qwen: the layers of one type, or else those from a certain one on, have a window if any has."""
    kinds = config.get("layer_types")
    first = config.get("max_window_layers", 28)
    slides = [kind == "sliding_attention" for kind in kinds] if kinds else [i >= first for i in range(shape.layers)]
    window = config.get("sliding_window", 4096) if config.get("use_sliding_window", False) else None
    return replace(_rotary(config, shape), windows=tuple(window if slide else None for slide in slides))


_LLAMA = Family(
    prefix="model.",
    modules=_LLAMA_MODULES,
    keys=_LLAMA_KEYS,
    fixed=_LLAMA_FIXED,
    derive=partial(_rotary, longest=2048),
    biased=False,
)
_QWEN2 = replace(
    _LLAMA, keys=_LLAMA_KEYS | {"key_heads": ("num_key_value_heads", 32)}, derive=_rotary_with_some_windows
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
        _LLAMA, keys=_LLAMA_KEYS | {"key_heads": ("num_key_value_heads", 8)}, derive=_rotary_with_window
    ),
    "qwen2": _QWEN2,
    "qwen3": replace(
        _QWEN2,
        modules=_LLAMA_MODULES
        | {
            "layers.{}.attention.query_norm": Module("layers.{}.self_attn.q_norm"),
            "layers.{}.attention.key_norm": Module("layers.{}.self_attn.k_norm"),
        },
        keys=_LLAMA_KEYS | {"key_heads": ("num_key_value_heads", 32), "head_width": ("head_dim", 128)},
        fixed=_LLAMA_FIXED | {"norm_heads": True},
    ),
}
"""The families, by the `model_type` of config.json."""
