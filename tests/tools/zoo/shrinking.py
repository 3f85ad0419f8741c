"""Makes the config of any model type small: few layers, heads, channels and words, narrow windows and budgets."""

import re
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import Any

LAYERS, HEADS, WIDTH, HEAD_WIDTH = 3, 4, 64, 16
"""Three layers tell the first, the last and one between apart; the widths are what heads and rotations divide."""

VOCABULARY = 128
"""How many tokens a model knows: more than there are letters."""

POSITIONS, REACH = 256, 16
"""How many tokens a model reads, and how far its windows, chunks and budgets of keys go."""

MOST_KINDS = 5
"""How many kinds of layers are kept at most, two of each."""

RULES: tuple[tuple[str, int | None], ...] = (
    ("type_vocab_size|num_labels|patch|num_channels|kernel|stride|conv_dim|theta|(rope|rotary)_base|seed", None),
    ("codebook_size", 64),
    ("vocab|^num_embeddings$", VOCABULARY),
    ("upsample_groups", WIDTH),
    ("experts?_per_tok|moe_top_?k|top_k_experts|num_selected|router_top_?k|moe_k$", 2),
    ("n_group|topk_group|num_expert_group|shared_experts?$", 1),
    ("experts$", 4),
    ("window_layers|first_k_dense|dense_layers|dense_replace|shared_layers|predict_layers", 1),
    ("topk_blocks", 2),
    ("index_block_size", REACH // 2),
    ("local_radius|window|chunk|local_attention|top_?k|block_size|attention_span", REACH),
    ("(key_value|kv|key)_(heads|groups)", HEADS // 2),
    ("rope_head_dim|rotary_dim$", HEAD_WIDTH // 2),
    ("qk_head_dim", HEAD_WIDTH * 3 // 2),
    ("mamba_(d_head|head_?dim)", HEAD_WIDTH * 2),
    ("mamba_d_ssm", WIDTH * 2),
    ("query_pre_attn_scalar|head_dim|head_width|^d_kv$|dim_head|d_head|rank$|_rank_", HEAD_WIDTH),
    ("heads?$|heads_", HEADS),
    ("layers?$|^depth$|num_blocks$|layers_", LAYERS),
    ("hidden|embed|width|d_model|n_embd|dim$|dim_|intermediate|ffn|d_ff|inner|units|_channels$|projection", WIDTH),
)
"""What whole numbers in a config become at most, by the first pattern that their name has; None leaves them."""

_POSITIONS = re.compile("max_(.*_)?position|n_positions|max_seq|context_length|n_ctx|max_sequence|max_length")
_PLACEHOLDER = re.compile("(token|tok|pad|mask)_(id|ids|index|idx)$|^.*_token_ids?$|_index_id$")
_SECTIONS = [HEAD_WIDTH // 4, HEAD_WIDTH // 8, HEAD_WIDTH // 8]  # of half a head, for three axes of positions
_INDICES = re.compile("layers?$|index|indices|layer_ids|indexes")
_DEPTH = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "depth")
_KINDS = ("layer_types", "layers_block_type")
_HEADS = ("num_attention_heads", "num_heads", "n_heads", "n_head", "num_q_heads")
_KEY_HEADS = ("num_key_value_heads", "num_kv_heads", "n_kv_heads", "num_query_groups")
_DROPPED = {"id2label", "label2id", "architectures", "transformers_version", "dtype", "num_labels", "_name_or_path"}
_DROPPED |= {"out_features", "out_indices", "_out_features", "_out_indices", "stage_names"}  # which follow from others


def shrink(own: Mapping[str, Any], ids: dict[int, int] | None = None) -> dict[str, Any]:
    """Return the values of a small config like this one; `ids` are the places that large token ids have been given."""
    ids = {} if ids is None else ids
    own = {key: value for key, value in own.items() if key not in _DROPPED}
    depth = _depth(own)
    kept = _kept(own, depth)
    small = {key: _shrunk(key, value, depth, kept, ids) for key, value in own.items() if key != "per_layer_config"}
    for name in _DEPTH:
        if name in small and own[name] == depth:
            small[name] = len(kept)
    _agree(small, own)
    if layers := _per_layer(own.get("per_layer_config") or {}, own, small, kept):
        small["per_layer_config"] = layers
    return small


def _depth(own: Mapping[str, Any]) -> int:
    counts = (own[name] for name in _DEPTH if isinstance(own.get(name), int))
    lists = (len(own[name]) for name in _KINDS if own.get(name))
    return next(chain(counts, lists), 0)


def _kept(own: Mapping[str, Any], depth: int) -> list[int]:
    """The layers to keep: two of each kind, so far as lists with an entry for each layer tell them apart."""
    lists = [value for value in own.values() if isinstance(value, list | tuple) and len(value) == depth]
    apart = {int(layer): repr(values) for layer, values in (own.get("per_layer_config") or {}).items()}
    kinds: dict[str, list[int]] = {}
    for layer in range(depth):
        kind = repr([each[layer] for each in lists if not _counts(each)]) + apart.get(layer, "")
        kinds.setdefault(kind, []).append(layer)
    least = LAYERS if len(kinds) == 1 else 2
    return sorted(layer for layers in islice(kinds.values(), MOST_KINDS) for layer in layers[:least])


def _counts(values: Sequence[Any]) -> bool:
    """Whether this is no list of what each layer is, but one of all layers' numbers."""
    return list(values) == list(range(len(values)))


def _per_layer(
    layers: Mapping[Any, Mapping[str, Any]], own: Mapping[str, Any], small: Mapping[str, Any], kept: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """What differs in some layers, in the same proportion."""
    given = {int(layer): values for layer, values in layers.items()}
    return {
        kept.index(layer): {
            key: max(small[key] * value // own[key], min(value, 1))
            if isinstance(value, int) and own.get(key)
            else value
            for key, value in given[layer].items()
        }
        for layer in kept
        if layer in given
    }


def _shrunk(key: str, value: Any, depth: int, kept: Sequence[int], ids: dict[int, int]) -> Any:
    """The small value of one key."""
    if key.startswith("rope_") and isinstance(value, dict):
        return _small_rotations(value)
    if isinstance(value, dict):
        return shrink(value, ids) if all(isinstance(name, str) for name in value) else value
    if _PLACEHOLDER.search(key):
        return _small_ids(key, value, ids)
    if isinstance(value, list | tuple):
        return _small_list(key, value, depth, kept)
    return _small_number(key, value) if type(value) is int else value


def _small_number(key: str, value: int) -> int:
    if _POSITIONS.search(key):
        return POSITIONS if value > 1 else value
    if key == "vocab_size":
        return VOCABULARY
    most = next((most for pattern, most in RULES if re.search(pattern, key)), None)
    return value if most is None else min(value, most)


def _small_list(key: str, value: Sequence[Any], depth: int, kept: Sequence[int]) -> list[Any]:
    if depth and len(value) == depth and _counts(value):
        return list(range(len(kept)))
    if depth and len(value) == depth:
        return [_small_number(key, value[layer]) if type(value[layer]) is int else value[layer] for layer in kept]
    if depth and _INDICES.search(key) and all(type(each) is int for each in value) and max(value, default=0) > 1:
        return list(range(1, len(kept)))[: len(value)]
    return [_small_number(key, each) if type(each) is int else each for each in value]


def _small_rotations(value: Any) -> Any:
    """Rotary settings, which may be those of each kind of layers, with sections that fit narrow heads."""
    if isinstance(value, dict):
        return {key: _SECTIONS if key == "mrope_section" else _small_rotations(each) for key, each in value.items()}
    return value


def _small_ids(key: str, value: Any, ids: dict[int, int]) -> Any:
    """Token ids within the small vocabulary: large ones, and those that stand for pictures and sounds, at its end."""
    if isinstance(value, list | tuple):
        return [_small_ids(key, each, ids) for each in value]
    seen = re.search("image|video|audio|vision|speech", key)
    if type(value) is not int or (value < VOCABULARY // 2 and not seen):
        return value
    return ids.setdefault(value, VOCABULARY - 1 - len(ids))


def _agree(small: dict[str, Any], own: Mapping[str, Any]) -> None:
    """Makes numbers that depend on each other fit again."""
    heads = next((name for name in _HEADS if isinstance(own.get(name), int)), None)
    keys = next((name for name in _KEY_HEADS if isinstance(own.get(name), int)), None)
    if heads and keys and own[heads] == own[keys]:
        small[keys] = small[heads]
    if "head_dim" in own and own["head_dim"] is None and heads and isinstance(small.get("hidden_size"), int):
        small["head_dim"] = small["hidden_size"] // small[heads]
    if "qk_nope_head_dim" in own:  # keys of two parts
        small["qk_head_dim"] = small["qk_nope_head_dim"] + small["qk_rope_head_dim"]
        if own.get("head_dim") == own["qk_rope_head_dim"]:
            small["head_dim"] = small["qk_rope_head_dim"]
    if "sliding_window" in own and not own["sliding_window"] and "vocab_size" in own:
        small["sliding_window"] = REACH
    if own.get("use_sliding_window") is False:
        small["use_sliding_window"] = True
        small.pop("layer_types", None)  # which follow from it
    if "attention_multiplier" in own:
        small["attention_multiplier"] = HEAD_WIDTH**-0.5
    image, patch = own.get("image_size"), own.get("patch_size")
    if isinstance(image, int) and isinstance(patch, int):
        small["image_size"] = 2 * patch
