"""The parameters of a checkpoint, under the names that the reference transformer knows them by."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from attnviz.errors import ModelError
from attnviz.models.configuration import CONFIG
from attnviz.models.families import Family
from attnviz.models.tensors import Tensor, tensors
from attnviz.reference.arrays import Array
from attnviz.reference.transformer import Config

_LAYERS = "layers."


class Stored(Mapping[str, Array]):
    """The arrays of a checkpoint by the names of the reference transformer, each read when it is looked up.

    Raises:
        ModelError: the files cannot be read, are damaged, or lack what the shape asks for.
    """

    def __init__(self, family: Family, shape: Config, files: Sequence[Path]) -> None:
        self._family = family
        self._layers = shape.layers
        self.tensors = tensors(files)
        bare = family.modules["embedding"].name
        self._prefix = "" if f"{bare}.weight" in self.tensors else family.prefix
        self._check(shape, files[0].parent)

    def __getitem__(self, name: str) -> Array:
        """The array of this name; of a table only the rows that are then asked for."""
        part, _, kind = name.rpartition(".")
        module = self._family.modules[_template(part)]
        tensor = self.tensor(name)
        if module.table:
            return tensor
        array = tensor.read()
        if module.third is not None:
            array = np.split(array, 3, axis=-1)[module.third]
        return array.T if module.transposed and kind == "weight" else array

    def tensor(self, name: str) -> Tensor:
        """Where the array of this name is kept.

        Raises:
            KeyError: the checkpoint has none.
        """
        part, _, kind = name.rpartition(".")
        theirs = self._prefix + self._family.modules[_template(part)].name.format(*_numbers(part))
        spelled = (f"{theirs}.{kind}", f"{theirs}.{_OLD_SPELLINGS[kind]}")
        for spelling in spelled:
            if spelling in self.tensors:
                return self.tensors[spelling]
        raise KeyError(spelled[0])

    def __iter__(self) -> Iterator[str]:
        """All names that every model of the family has, whether or not they are in the files."""
        for template, module in self._family.modules.items():
            if module.optional:
                continue
            kinds = ("weight",) if module.table or not self._family.biased else ("weight", "bias")
            layers = range(self._layers) if template.startswith(_LAYERS) else (0,)
            yield from (f"{template.format(layer)}.{kind}" for layer in layers for kind in kinds)

    def __len__(self) -> int:
        """How many names there are."""
        return sum(1 for _ in self)

    def _check(self, shape: Config, folder: Path) -> None:
        for name in self:
            try:
                found = self.tensor(name).shape
            except KeyError as error:
                raise ModelError(
                    f"{folder} lacks the tensor {error.args[0]}: a file is missing, or {CONFIG} is another model's."
                ) from None
            wanted = _expected(name, shape, self._family)
            if wanted is not None and found != wanted:
                raise ModelError(
                    f"The {CONFIG} of {folder} does not fit its weights: {name} has the shape {found}, not {wanted}."
                )


_OLD_SPELLINGS = {"weight": "gamma", "bias": "beta"}  # of norms, in checkpoints converted from TensorFlow


def _template(part: str) -> str:
    """The name of a part with its layer's number taken out."""
    if not part.startswith(_LAYERS):
        return part
    _, _, rest = part.removeprefix(_LAYERS).partition(".")
    return f"{_LAYERS}{{}}.{rest}"


def _numbers(part: str) -> list[str]:
    return [part.split(".")[1]] if part.startswith(_LAYERS) else []


def _expected(name: str, shape: Config, family: Family) -> tuple[int, ...] | None:
    """The shape of the maps to queries and keys, [heads · d, width] as a rule, from which all other shapes follow."""
    part, _, kind = name.rpartition(".")
    heads = {"query": shape.heads, "key": shape.key_heads or shape.heads}.get(part.rpartition(".")[2])
    if heads is None or kind != "weight":
        return None
    module = family.modules[_template(part)]
    out = heads * (shape.head_width or shape.width // shape.heads) * (1 if module.third is None else 3)
    return (shape.width, out) if module.transposed else (out, shape.width)
