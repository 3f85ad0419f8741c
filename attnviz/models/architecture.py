"""The attention in a checkpoint as config.json describes it, read without its weights and without transformers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from attnviz.models.checkpoint.families import FAMILIES
from attnviz.models.configuration import Key, find_table, key
from attnviz.models.shapes import StackShape, pair_stacks
from attnviz.vocabulary import Kind

_KEYS = {
    "width": key(None, "hidden_size", "d_model", "n_embd", "dim", "emb_dim"),
    "layers": key(None, "num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "heads": key(None, "num_attention_heads", "n_head", "n_heads", "num_heads"),
    "key_heads": key(None, "num_key_value_heads", "num_kv_heads", nullable=True),
    "head_width": key(None, "head_dim", "d_kv", nullable=True),
    "distinct_layers": key(None, "num_hidden_groups"),  # ALBERT, whose layers share their maps
}
_POSITIONS = key(None, "max_position_embeddings", "n_positions", "max_seq_len", nullable=True)
_RATIO = key(None, "head_ratio", nullable=True)  # ConvBERT, whose other heads are convolutions
_LATENT = "kv_lora_rank"
_MOST = 10_000  # layers or heads; a config that says more is damaged

_TEXT = "text_config"
_TYPES = "layer_types", "layers_block_type"
_ATTENDS = re.compile("(?<!linear_)attention$|^hybrid|_sparse$")  # among types of layers, not all of which attend
_DECODES = re.compile("CausalLM|LMHead|ForConditionalGeneration")
_ENCODES = re.compile("MaskedLM|XLNet|EmbeddingGemma|PrivacyFilter|Siglip|Tips")  # without a mask, heads or not
_HALF = re.compile(r"Encoder(Model)?\b")  # a class that is only the encoder of an encoder-decoder

_DECODERS = {"biogpt", "bloom", "codegen", "ctrl", "falcon", "gpt_neo", "gpt_neox", "gpt_neox_japanese", "gptj", "mpt"}
_DECODERS |= {"clip_text_model", "imagegpt", "openai-gpt", "opt", "persimmon", "xglm"}
"""Types of models that look back only, of which config.json gives no sign if they were saved without a head."""


class Architecture(Struct, frozen=True):
    """The stacks of layers that attend to a text, by kind, and how many tokens they read, None if files do not say."""

    stacks: Mapping[Kind, StackShape]
    positions: int | None


def understand(config: Mapping[str, Any]) -> Architecture:
    """Return what config.json says of the attention to a text in a checkpoint, or in the part of it that reads one.

    Raises:
        ValueError: a value makes no sense; the message names its key.
        UnsupportedError: two keys for the same say different things.
    """
    text = _find_text_config(config)
    family = FAMILIES.get(text["model_type"])
    of_family = family and family.limit and family.positions(text, family.shape(text))
    stacks = _find_stacks(text, Kind.ENCODER if text is config else Kind.DECODER)
    return Architecture(stacks, of_family or _POSITIONS.of(text) or None)


def _find_text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what config.json says of the part that reads text, or of the whole where that is all that it reads."""
    text = find_table(config, _TEXT)
    whole = {name: config[name] for name in ("model_type", "architectures") if name in config}
    return whole | {name: value for name, value in text.items() if value or name not in whole} if text else config


def _find_stacks(config: Mapping[str, Any], usual: Kind) -> dict[Kind, StackShape]:
    """Return the stacks that attend in a model of text; a single one is of the `usual` kind unless a key says more."""
    both = not config.get("is_decoder") and config.keys() >= {"encoder_layers", "decoder_layers"}
    if not config.get("is_encoder_decoder", both):
        kind = _guess_kind(config, usual)
        return {kind: _read_stack(config, kind)}
    whole = {"model_type": config["model_type"]}
    encoder, decoder = (
        _read_stack(_find_text_config(whole | dict(find_table(config, kind.value) or config)), kind)
        for kind in (Kind.ENCODER, Kind.DECODER)
    )
    return {Kind.ENCODER: encoder} if _HALF.search(str(config.get("architectures"))) else pair_stacks(encoder, decoder)


def _guess_kind(config: Mapping[str, Any], usual: Kind) -> Kind:
    """Return Kind.DECODER if tokens see only what stands before them, else Kind.ENCODER, by the surest sign found."""
    family, named = FAMILIES.get(config["model_type"]), str(config.get("architectures"))
    encodes = _ENCODES.search(named) or _HALF.search(named) or "type_vocab_size" in config
    decodes = _DECODES.search(named) or "num_key_value_heads" in config or config["model_type"] in _DECODERS
    both_ways = config.get("use_bidirectional_attention") is True  # Gemma, which in a model of pictures means these
    signs = (
        config.get("is_causal"),
        config.get("causal"),  # XLM
        False if both_ways and usual is Kind.ENCODER else None,
        config.get("is_decoder") or None,
        bool(family.fixed.get("causal")) if family else None,
        False if encodes else None,
        True if decodes else None,
    )
    causal = next((sign for sign in signs if isinstance(sign, bool)), usual is Kind.DECODER)
    return Kind.DECODER if causal else Kind.ENCODER


def _read_stack(config: Mapping[str, Any], kind: Kind) -> StackShape:
    """Return the shape of one stack; what config.json leaves out is what its family has, if that is known."""
    family = FAMILIES.get(config["model_type"])
    if family:
        keys = {name: family.keys.get(name, key(None)) for name in _KEYS}
    else:
        config = {name: value for name, value in config.items() if value is not None}
        own = {
            "layers": _find_side_keys(config, kind, "layers"),
            "heads": _find_side_keys(config, kind, "attention_heads"),
        }
        keys = _KEYS | {name: key(None, *names) for name, names in own.items() if names}
    layers = _find_layers(config, keys["layers"])
    heads = _count_heads(config, keys["heads"], layers or ())
    heads = heads if all(heads) else ()
    shared = _count_heads(config, keys["key_heads"], layers or ())
    if config.get("multi_query") is True and not config.get("new_decoder_architecture"):  # GPT-BigCode, Falcon
        shared = (1,) * len(heads)
    found = {name: keys[name].of(config) or None for name in ("width", "head_width", "distinct_layers")}
    if heads and (ratio := _RATIO.of(config)):
        heads = tuple(max(each // ratio, 1) for each in heads)
        found["head_width"] = (found["width"] or 0) // max(heads) // 2
    return StackShape(
        **found,
        layers=layers,
        heads=heads,
        key_heads=tuple(of_keys or own for of_keys, own in zip(shared, heads, strict=False)),
        latent=_LATENT if config.get(_LATENT) else None,
        model_type=str(config["model_type"]),
        sought={name: each.names for name, each in keys.items()},
    )


def _find_side_keys(config: Mapping[str, Any], side: Kind, what: str) -> tuple[str, ...]:
    """Return the names of what an encoder, or a decoder, has, if config.json has one of these."""
    names = f"{side.value}_{what}", f"num_{side.value}_{what}", what
    return names if any(name in config for name in names) else ()


def _find_layers(config: Mapping[str, Any], sought: Key) -> tuple[int, ...] | None:
    """Return the numbers of the layers that attend; None if config.json does not say how many there are."""
    types = next((types for name in _TYPES if isinstance(types := config.get(name), list) and types), None)
    count = len(types) if types else sought.of(config)
    if not count:
        return None
    if count > _MOST:
        raise ValueError(f"{sought.names[0]} is {count}")
    attending = [bool(_ATTENDS.search(str(each))) for each in types] if types else _find_attending(config, count)
    elsewhere = config.get("cross_attention_layers") or ()  # which look at pictures (Mllama)
    return tuple(layer for layer in range(count) if attending[layer] and layer not in elsewhere)


def _find_attending(config: Mapping[str, Any], count: int) -> Sequence[bool]:
    """Return for each of so many layers whether it attends, where config.json gives a rule for it; else all do."""
    match config:
        case {"hybrid_override_pattern": str(letters)}:  # Nemotron-H
            return [letters[layer : layer + 1] == "*" for layer in range(count)]
        case {"block_types": [*types]}:  # RecurrentGemma, whose types come in turn
            return [types[layer % len(types)] == "attention" for layer in range(count)]
        case {"attn_layer_indices": [*layers]}:  # Bamba
            return [layer in layers for layer in range(count)]
        case {"attn_layer_period": int(period), "attn_layer_offset": int(offset)}:  # Jamba
            return [layer % period == offset for layer in range(count)]
        case {"full_attention_interval": int(period)}:  # Qwen3-Next
            return [(layer + 1) % period == 0 for layer in range(count)]
    return [True] * count


def _count_heads(config: Mapping[str, Any], sought: Key, layers: Sequence[int]) -> tuple[int, ...]:
    """Return how many heads each of these layers has; 0 where config.json does not say."""
    own = _find_own_counts(config, sought.names)
    usual = sought.of(config) or 0 if any(layer not in own for layer in layers) else 0
    if usual > _MOST:
        raise ValueError(f"{sought.names[0]} is {usual}")
    return tuple(own.get(layer, usual) for layer in layers)


def _find_own_counts(config: Mapping[str, Any], names: Sequence[str]) -> dict[int, int]:
    """Return how many heads each layer has that has a number of its own, by its number; none in most models."""
    special = config.get("per_layer_config")
    listed = special.items() if isinstance(special, dict) else ()
    tables = {int(layer): own for layer, own in listed if str(layer).isdecimal() and isinstance(own, dict)}
    found: dict[int, Any] = {}
    for name in names:
        for each in (config.get(name), config.get(f"{name}_per_layer")):
            found |= dict(enumerate(each)) if isinstance(each, list) else {}
        found |= {layer: own[name] for layer, own in tables.items() if name in own}
    return {layer: heads for layer, heads in found.items() if isinstance(heads, int) and 0 < heads <= _MOST}
