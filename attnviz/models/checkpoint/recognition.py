"""The recognition of checkpoints that the reference transformer runs, and a description of each without a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from attnviz.errors import ModelError
from attnviz.models.adapters import ADAPTER
from attnviz.models.base import Card
from attnviz.models.checkpoint.families import FAMILIES, Family
from attnviz.models.checkpoint.stored import Stored
from attnviz.models.checkpoint.understanding import Watched, check_understood
from attnviz.models.configuration import CONFIG, UnsupportedError, read_config
from attnviz.models.shapes import list_stacks, understand_shape
from attnviz.reference.layers import ACTIVATIONS
from attnviz.reference.transformer import Config


class Recognized(Struct, frozen=True):
    """A checkpoint that the reference transformer runs: its family, its shape, its weights, and what its card says."""

    family: Family
    shape: Config
    stored: Stored
    card: Card


def recognize(name: str, folder: Path, files: Sequence[Path]) -> Recognized:
    """Return what a folder with config.json holds, its weights being in these files.

    Raises:
        UnsupportedError: the reference transformer does not know such a model.
        ModelError: a file is damaged, or does not fit the others.
    """
    config = read_config(folder)
    if (folder / ADAPTER).exists():
        raise UnsupportedError(f"The reference engine reads no adapters, such as {ADAPTER} in {folder}.")
    try:
        family, shape, limit = describe(config)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise ModelError(f"{folder / CONFIG} is not valid: {error}.") from error
    stored = Stored(family, shape, files)
    card = Card(
        name=name,
        purpose="",
        stacks=list_stacks(understand_shape(shape)),
        parameters=sum(tensor.size for tensor in stored.tensors.values()),
        positions=limit if limit is None else min(limit, stored.positions),
        config=config,
        notes=stored.unread.notes,
    )
    return Recognized(family, shape, stored, card)


def describe(written: Mapping[str, Any]) -> tuple[Family, Config, int | None]:
    """Return the family, the shape and the number of positions of a model, if all that config.json says is known.

    Raises:
        UnsupportedError: something of it is not; the message says what.
        ValueError, TypeError, LookupError, ArithmeticError, AttributeError: it makes no sense.
    """
    kind, config = written["model_type"], Watched(written)
    if kind not in FAMILIES:
        raise UnsupportedError(f"The reference engine knows no {kind} models, only {', '.join(FAMILIES)}.")
    if config.get("quantization_config") is not None:
        raise UnsupportedError("The reference engine reads no quantized weights.")
    family = FAMILIES[kind].settle(config)
    shape = family.shape(config)
    limit = family.positions(config, shape)
    if shape.heads % (shape.key_heads or shape.heads):
        raise ValueError(f"{shape.key_heads} heads of keys cannot be shared evenly by {shape.heads} heads")
    check_understood(config, family.idle)
    if shape.activation not in ACTIVATIONS:
        raise UnsupportedError(f"The reference engine knows no activation {shape.activation!r}.")
    return family, shape, limit
