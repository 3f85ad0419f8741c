"""Whether the reference transformer runs a checkpoint, and what is known of it without running it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnviz.errors import ModelError
from attnviz.models.base import Card, Stack
from attnviz.models.checkpoint.families import FAMILIES, Family
from attnviz.models.checkpoint.stored import Stored
from attnviz.models.configuration import CONFIG, UnsupportedError, configuration
from attnviz.reference.layers import ACTIVATIONS
from attnviz.reference.transformer import Config
from attnviz.vocabulary import Kind

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class Recognized:
    """A checkpoint that the reference transformer runs: its family, its shape, its weights, and what its card says."""

    family: Family
    shape: Config
    stored: Stored
    card: Card


def recognized(name: str, folder: Path, files: Sequence[Path]) -> Recognized:
    """What a folder with config.json and tokenizer.json holds, its weights being in these files.

    Raises:
        UnsupportedError: the reference transformer does not know such a model.
        ModelError: a file is damaged, or does not fit the others.
    """
    config = configuration(folder)
    family = _family(config, folder)
    try:
        shape = family.shape(config)
        limit = family.positions(config, shape)
        if shape.heads % (shape.key_heads or shape.heads):
            raise ValueError(f"{shape.key_heads} heads of keys cannot serve {shape.heads} heads")
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise ModelError(f"{folder / CONFIG} makes no sense: {error}.") from error
    if shape.activation not in ACTIVATIONS:
        raise UnsupportedError(f"The reference engine knows no activation {shape.activation!r}.")
    stored = Stored(family, shape, files)
    card = Card(
        name=name,
        purpose="",
        stacks={Kind.DECODER if shape.causal else Kind.ENCODER: Stack(tuple(range(shape.layers)), shape.heads)},
        parameters=sum(tensor.size for tensor in stored.tensors.values()),
        positions=limit if limit is None else min(limit, stored.positions),
        config=config,
    )
    return Recognized(family, shape, stored, card)


def _family(config: Mapping[str, Any], folder: Path) -> Family:
    """The family that config.json names, if all that it says of itself is known.

    Raises:
        UnsupportedError: it is not.
    """
    kind = config["model_type"]
    family = FAMILIES.get(kind)
    if family is None:
        raise UnsupportedError(f"The reference engine knows no {kind} models, only {', '.join(FAMILIES)}.")
    for key, value in family.supports.items():
        if config.get(key) not in (None, value):
            raise UnsupportedError(f"The reference engine knows no {kind} models whose {key} is {config[key]!r}.")
    if config.get("quantization_config") is not None:
        raise UnsupportedError(f"The reference engine reads no quantized weights, such as those in {folder}.")
    if not (folder / TOKENIZER).exists():
        raise UnsupportedError(f"The reference engine needs a {TOKENIZER}, and {folder} has none.")
    return family
