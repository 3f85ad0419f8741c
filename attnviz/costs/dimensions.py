"""How large a model's attention is, from its config or card, without loading its weights."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnviz.costs.counts import Dimensions, additive, multi_head
from attnviz.errors import ModelError, UsageError
from attnviz.models import builtin, hub
from attnviz.models.checkpoint.families import FAMILIES
from attnviz.models.checkpoint.keys import Key, integer, table
from attnviz.models.checkpoint.tensors import tensors
from attnviz.models.configuration import CONFIG, configuration, heads_by_layer
from attnviz.models.loading import DEFAULT, Loading
from attnviz.models.registry import ALIASES, MINILM, minilm
from attnviz.text import visible
from attnviz.vocabulary import Kind

_LAYERS = "num_hidden_layers", "n_layer", "n_layers", "num_layers"
_HEADS = "num_attention_heads", "n_head", "n_heads", "num_heads"
_KEYS = {
    "width": integer(None, "hidden_size", "d_model", "n_embd", "dim", "emb_dim"),
    "layers": integer(None, *_LAYERS),
    "heads": integer(None, *_HEADS),
    "key_heads": integer(None, "num_key_value_heads", "num_kv_heads", nullable=True),
    "head_width": integer(None, "head_dim", "d_kv", nullable=True),
    "distinct_layers": integer(None, "num_hidden_groups"),  # ALBERT, whose layers share their maps
}
_POSITIONS = integer(None, "max_position_embeddings", "n_positions", "max_seq_len", nullable=True)

_CAUSAL = re.compile("CausalLM|LMHead")
_ATTENDS = re.compile("(?<!linear_)attention$")  # among layer_types, which may name other kinds of layers
_LATENT = "kv_lora_rank"
_SHAPE = "{d_model:4096} {heads:32} {layers:32}"

_OF_ATTENTION = re.compile("att(n|ention)", re.IGNORECASE)
_NO_MAP = re.compile("linear_attn|relative", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Held:
    """How many numbers of attention are in a model's files: in matrices, and in their biases."""

    matrices: int
    biases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a model's attention is, and how many tokens it reads; None where its files do not say.

    A shape that belongs to no model has no name.
    """

    name: str | None
    stacks: Mapping[Kind, Dimensions]
    positions: int | None
    held: Held | None


def size_of(name: str, loading: Loading = DEFAULT) -> Size:
    """The size of a built-in model's attention, or of a checkpoint's, by its name.

    Raises:
        ModelError: there is no such model, or its config.json does not say how large its attention is.
        UsageError: a revision was asked for of what has only one.
    """
    name = ALIASES.get(name, name)
    folder = builtin.folders().get(name)
    if loading.revision is not None and (folder or name == MINILM):
        raise UsageError(f"{visible(name)} is installed here in one version:", hint="leave {revision} out.")
    if folder is None:
        return _of_checkpoint(name, minilm() if name == MINILM else hub.locate(name, loading))
    card = builtin.read_card(folder)
    return Size(
        name=name, stacks=_carded(card.config), positions=card.positions, held=_held([folder / builtin.WEIGHTS])
    )


def _carded(config: Mapping[str, Any]) -> dict[Kind, Dimensions]:
    """What attends in a built-in model: a stack of layers, two of them, or one head of a recurrent network."""
    if "encoder" in config:
        return _translating(_own(config["encoder"]), _own(config["decoder"]))
    if "layers" not in config:
        return {Kind.CROSS: additive(config["width"], 2 * config["width"], config["attention"])}
    return {Kind.DECODER if config.get("causal") else Kind.ENCODER: multi_head(**_own(config))}


def _own(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a card says of a stack of layers."""
    return {name: config[name] for name in ("width", "layers", "heads", "key_heads", "head_width") if name in config}


def _translating(encoder: Mapping[str, Any], decoder: Mapping[str, Any]) -> dict[Kind, Dimensions]:
    """An encoder, and a decoder each of whose layers looks at what the encoder has made too."""
    return {
        Kind.ENCODER: multi_head(**encoder),
        Kind.DECODER: multi_head(**decoder),
        Kind.CROSS: multi_head(**decoder, context_width=encoder["width"]),
    }


def _of_checkpoint(name: str, folder: Path) -> Size:
    config = configuration(folder)
    try:
        stacks, positions = _configured(config), _positions(config)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ModelError(f"{visible(str(folder / CONFIG))} makes no sense: {error}.") from error
    if any(config.get(key) for key in ("text_config", "quantization_config")):
        return Size(name=name, stacks=stacks, positions=positions, held=None)  # files hold images' attention, or codes
    try:
        files = hub.weight_files(folder)
    except ModelError:  # nothing of them is needed
        files = []
    return Size(name=name, stacks=stacks, positions=positions, held=_held(files) if files else None)


def _configured(config: Mapping[str, Any]) -> dict[Kind, Dimensions]:
    """What attends in a checkpoint.

    Raises:
        ValueError: a value in config.json makes no sense.
        ModelError: config.json does not say how large its attention is.
    """
    text = table(config, "text_config")
    if text:
        return {Kind.DECODER: multi_head(**_stack({"model_type": config["model_type"], **text}))}
    if config.get("is_encoder_decoder"):
        sides = ((table(config, kind.value) or config, kind) for kind in (Kind.ENCODER, Kind.DECODER))
        return _translating(*(_stack({"model_type": config["model_type"], **side}, kind) for side, kind in sides))
    return {Kind.DECODER if _is_causal(config) else Kind.ENCODER: multi_head(**_stack(config))}


def _is_causal(config: Mapping[str, Any]) -> bool:
    family = FAMILIES.get(config["model_type"])
    named = _CAUSAL.search(str(config.get("architectures")))
    return bool(family.fixed.get("causal") if family else named or config.get("is_decoder"))


def _stack(config: Mapping[str, Any], side: Kind | None = None) -> dict[str, Any]:
    """The arguments of `multi_head` that config.json gives, for one side of an encoder-decoder."""
    if config.get(_LATENT):
        raise ModelError(
            f"{visible(config['model_type'])} models make keys and values from one latent vector ({_LATENT}), which is "
            "not counted here:",
            hint=f"give the numbers of a shape like it, as in {_SHAPE}.",
        )
    keys = _keys(config, side)
    found = {name: key.of(config) for name, key in keys.items()}
    for name in ("width", "layers", "heads"):
        if not found[name]:
            raise ModelError(
                f"The {CONFIG} of this {visible(config['model_type'])} model does not say the {name} of its attention "
                f"({', '.join(keys[name].names)}):",
                hint="give {d_model}, {heads} and {layers} yourself.",
            )
    if len(counts := sorted({found["heads"], *heads_by_layer(config).values()})) > 1:
        raise ModelError(
            f"The layers of this {visible(config['model_type'])} model have different numbers of heads "
            f"({', '.join(map(str, counts))}), which is not counted here:",
            hint=f"give the numbers of one of them, as in {_SHAPE}.",
        )
    if config.get("multi_query") is True and not config.get("new_decoder_architecture"):  # GPT-BigCode, Falcon
        found["key_heads"] = 1
    if (kinds := config.get("layer_types")) and isinstance(kinds, list):
        found["layers"] = sum(bool(_ATTENDS.search(str(kind))) for kind in kinds)
    return found


def _keys(config: Mapping[str, Any], side: Kind | None) -> Mapping[str, Key]:
    """Where config.json has each argument, with what stands for it where it is absent in families that are known."""
    family = FAMILIES.get(config["model_type"])
    if family:
        return {name: family.keys.get(name, integer(None)) for name in _KEYS}
    if side is None:
        return _KEYS
    return _KEYS | {
        "layers": integer(None, *_of_side(config, side, "layers", _LAYERS)),
        "heads": integer(None, *_of_side(config, side, "attention_heads", _HEADS)),
    }


def _of_side(config: Mapping[str, Any], side: Kind, what: str, usual: tuple[str, ...]) -> tuple[str, ...]:
    """The names of what one side has: those of its own if config.json has one of these, else the usual ones."""
    own = f"{side.value}_{what}", f"num_{side.value}_{what}"
    return own if any(name in config for name in own) else usual


def _positions(config: Mapping[str, Any]) -> int | None:
    family = FAMILIES.get(config["model_type"])
    if family and family.limit:
        return family.positions(config, family.shape(config))
    positions: int | None = _POSITIONS.of(table(config, "text_config") or config)
    return positions or None


def _held(files: Sequence[Path]) -> Held:
    """What the headers of weight files say; biases are those that stand beside a matrix, and so not those of norms.

    Raises:
        ModelError: a file is damaged.
    """
    found = tensors(files).items()
    there = {name: tensor for name, tensor in found if _OF_ATTENTION.search(name) and not _NO_MAP.search(name)}
    maps = {name.removesuffix("weight"): tensor.size for name, tensor in there.items() if len(tensor.shape) == 2}
    biases = (there[f"{name}bias"].size for name in maps if f"{name}bias" in there)
    return Held(sum(maps.values()), sum(biases))
