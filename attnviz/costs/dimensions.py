"""The dimensions of a model's attention, read from its config or card without loading its weights."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from attnviz.costs.counts import Dimensions, size_additive, size_multi_head
from attnviz.errors import ModelError
from attnviz.models import builtin, hub
from attnviz.models.architecture import understand
from attnviz.models.checkpoint.tensors import find_tensors
from attnviz.models.configuration import CONFIG, read_config
from attnviz.models.loading import DEFAULT, Loading
from attnviz.models.registry import ALIASES, find_shipped, locate
from attnviz.models.shapes import StackShape, understand_card
from attnviz.text import visible
from attnviz.vocabulary import Kind

_SHAPE = "{d_model:4096} {heads:32} {layers:32}"

_OF_ATTENTION = re.compile("att(n|ention)", re.IGNORECASE)
_NO_MAP = re.compile("linear_attn|relative", re.IGNORECASE)


class Held(Struct, frozen=True):
    """The counts of attention parameters in a model's files: in matrices, and in their biases."""

    matrices: int
    biases: int


class Size(Struct, frozen=True, kw_only=True):
    """The dimensions of a model's attention, and the number of tokens it reads; None where its files do not say.

    The size of a shape that belongs to no model has no `name`.
    """

    name: str | None
    stacks: Mapping[Kind, Dimensions]
    positions: int | None
    held: Held | None


def find_size(name: str, loading: Loading = DEFAULT) -> Size:
    """Return the size of a built-in model's attention, or of a checkpoint's, by its name.

    Raises:
        ModelError: there is no such model, or its config.json does not say how large its attention is.
        UsageError: a revision was asked for of what has only one.
    """
    name = ALIASES.get(name, name)
    folder = find_shipped(name, loading)
    if folder is None:
        return _find_checkpoint_size(name, locate(name, loading))
    card = builtin.read_card(folder)
    stacks = {kind: _read_dimensions(shape) for kind, shape in understand_card(card.config).items()}
    return Size(name=name, stacks=stacks, positions=card.positions, held=_count_parameters([folder / builtin.WEIGHTS]))


def _find_checkpoint_size(name: str, folder: Path) -> Size:
    config = read_config(folder)
    try:
        found = understand(config)
        stacks = {kind: _read_dimensions(shape) for kind, shape in found.stacks.items()}
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ModelError(f"{visible(str(folder / CONFIG))} is not valid: {error}.") from error
    size = Size(name=name, stacks=stacks, positions=found.positions, held=None)
    if any(config.get(key) for key in ("text_config", "quantization_config")):
        return size  # files hold images' attention, or codes
    try:
        files = hub.weight_files(folder)
    except ModelError:  # nothing of them is needed
        return size
    return replace(size, held=_count_parameters(files))


def _read_dimensions(shape: StackShape) -> Dimensions:
    """Return the dimensions of layers of such a shape.

    Raises:
        ValueError: heads of this number cannot be.
        ModelError: it is not said, or not counted here.
    """
    _check_counted(shape)
    assert shape.width is not None and shape.layers is not None
    if shape.score_width is not None and shape.context_width is not None:
        return size_additive(shape.width, shape.context_width, shape.score_width)
    return size_multi_head(
        shape.width,
        len(shape.layers),
        shape.heads[0],
        key_heads=shape.key_heads[0],
        head_width=shape.head_width,
        context_width=shape.context_width,
        distinct_layers=shape.distinct_layers,
    )


def _check_counted(shape: StackShape) -> None:
    """Raise ModelError if not all numbers of a shape are said, or it is of another form than is counted here."""
    model_type = visible(shape.model_type)
    if shape.latent:
        raise ModelError(
            f"{model_type} models make keys and values from one latent vector ({shape.latent}), which is not counted "
            "here:",
            hint=f"give the numbers of a shape like it, as in {_SHAPE}.",
        )
    if unsaid := shape.unsaid:
        raise ModelError(
            f"The {CONFIG} of this {model_type} model does not say the {unsaid} of its attention "
            f"({', '.join(shape.sought[unsaid])}):",
            hint="give {d_model}, {heads} and {layers} yourself.",
        )
    for what, counts in (("heads", shape.heads), ("heads of keys and values", shape.key_heads)):
        if len({*counts}) > 1:
            raise ModelError(
                f"The layers of this {model_type} model have different numbers of {what} "
                f"({', '.join(map(str, sorted({*counts})))}), which is not counted here:",
                hint=f"give the numbers of one of them, as in {_SHAPE}.",
            )


def _count_parameters(files: Sequence[Path]) -> Held:
    """Return what the headers of weight files say; biases stand beside a matrix, as those of norms do not."""
    found = find_tensors(files).items()
    there = {name: tensor for name, tensor in found if _OF_ATTENTION.search(name) and not _NO_MAP.search(name)}
    maps = {name.removesuffix("weight"): tensor.size for name, tensor in there.items() if len(tensor.shape) == 2}
    biases = (there[f"{name}bias"].size for name in maps if f"{name}bias" in there)
    return Held(sum(maps.values()), sum(biases))
