"""The parameters of a checkpoint, under the names that the reference transformer knows them by."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import ModelError
from attnviz.models.checkpoint.families import Family, Module
from attnviz.models.checkpoint.tensors import Tensor, find_tensors
from attnviz.models.configuration import CONFIG, UnsupportedError
from attnviz.models.hub.folder import some
from attnviz.models.tensor_names import find_unread, find_wrappings, suggest_name, unwrap
from attnviz.reference.arrays import Array
from attnviz.reference.transformer import Config

_LAYERS = "layers."
_BYTES = 4  # of a number once it is read
_KEPT = 2**29  # bytes of all arrays; to read 90 MB anew took two fifths of the time that a sentence took
_OLD_SPELLINGS = {"weight": "gamma", "bias": "beta"}  # of norms, in checkpoints converted from TensorFlow


class Stored(Mapping[str, Array]):
    """The arrays of a checkpoint by the names of the reference transformer, each read when it is looked up.

    Those of a small checkpoint are kept from then on, for the next text; of a large one there is never more in memory
    than is in use.

    Raises:
        ModelError: the files cannot be read, are damaged, or hold something else than the shape asks for.
        UnsupportedError: they hold something in the network that the family does not know, or other numbers than
            floats.
    """

    def __init__(self, family: Family, shape: Config, files: Sequence[Path]) -> None:
        self._family, self._shape = family, shape
        found = find_tensors(files)
        patterns = find_wrappings(found)
        self.tensors = {unwrap(name, patterns): tensor for name, tensor in found.items()}
        self._small = _BYTES * sum(tensor.size for tensor in self.tensors.values()) <= _KEPT
        self._kept: dict[str, Array] = {}
        bare = family.modules["embedding"].name
        self._prefix = "" if f"{bare}.weight" in self.tensors else family.prefix
        read = set(self._check(files[0].parent))
        self.unread = find_unread(self.tensors.keys() - read, read, self._prefix)
        if self.unread.within:
            raise UnsupportedError(
                f"The reference engine has no use for {some(self.unread.within)} in {files[0].parent}."
            )

    def __getitem__(self, name: str) -> Array:
        """Return the array of this name; for a table, a `Tensor` that reads only the rows it is indexed with."""
        if name in self._kept:
            return self._kept[name]
        array = self._read(name)
        if self._small:
            self._kept[name] = array
        return array

    def _read(self, name: str) -> Array:
        module, kind = self._module(name)
        tensor = self.tensor(name)
        if module.table:
            return tensor
        array = tensor.read() if module.third is None else np.split(_read_fused(tensor), 3, axis=-1)[module.third]
        return array.T if module.transposed and kind == "weight" else array

    def tensor(self, name: str) -> Tensor:
        """Return the tensor in the files that keeps the array of this name.

        Raises:
            KeyError: the checkpoint has none.
        """
        return self.tensors[self._spell(name)]

    def _spell(self, name: str) -> str:
        """Return the name of this array in the files; raise KeyError if they have no such array."""
        module, kind = self._module(name)
        theirs = self._prefix + module.name.format(*_find_layer(name))
        spelled = (f"{theirs}.{kind}", f"{theirs}.{_OLD_SPELLINGS[kind]}")
        for spelling in spelled:
            if spelling in self.tensors:
                return spelling
        raise KeyError(spelled[0])

    def __iter__(self) -> Iterator[str]:
        """Yield the names that every model of the family has, whether or not they are in the files."""
        for template, module in self._family.modules.items():
            if not module.optional:
                yield from self._arrays(template)

    def _arrays(self, template: str) -> Iterator[str]:
        """Yield the names of all arrays of a part of the model, of one in the layers those of each layer."""
        layers = range(self._shape.layers) if template.startswith(_LAYERS) else (0,)
        kinds = self._family.modules[template].kinds
        return (f"{template.format(layer)}.{kind}" for layer in layers for kind in kinds)

    def __len__(self) -> int:
        """Return how many names there are."""
        return sum(1 for _ in self)

    @property
    def positions(self) -> int:
        """Return how many positions are learned."""
        rows = self.tensor("positions.weight").shape[0]
        return rows if self._shape.padding is None else rows - self._shape.padding - 1

    def _module(self, name: str) -> tuple[Module, str]:
        """Return the part that an array belongs to, and whether the array is its "weight" or its "bias"."""
        part, _, kind = name.rpartition(".")
        if part.startswith(_LAYERS):
            part = f"{_LAYERS}{{}}.{part.split('.', 2)[2]}"
        return self._family.modules[part], kind

    def _check(self, folder: Path) -> Iterator[str]:
        """Check each array of the model, and yield its name in the files."""
        for name in chain.from_iterable(map(self._arrays, self._family.modules)):
            try:
                spelled, wanted = self._spell(name), self._find_shape(name)
            except KeyError as error:
                if self._module(name)[0].optional:
                    continue
                missing = error.args[0]
                raise ModelError(
                    f"{folder} lacks the tensor {missing}: a file is missing, or {CONFIG} is another model's."
                    + suggest_name(missing.removeprefix(self._prefix), self.tensors)
                ) from None
            found = self.tensors[spelled]
            if found.shape != wanted:
                raise ModelError(
                    f"The {CONFIG} of {folder} does not fit its weights: {name} has the shape {found.shape}, not "
                    f"{wanted}."
                )
            if not found.readable:
                raise UnsupportedError(
                    f"The reference engine reads no {found.dtype} numbers, such as those in {folder}."
                )
            yield spelled

    @property
    def _embedding(self) -> int:
        """Return the width of embeddings, which is that of the model except in ELECTRA."""
        narrower = "projection" in self._family.modules
        return self.tensor("embedding.weight").shape[-1] if narrower else self._shape.width

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of maps and norms, the inner width being that of the first layer."""
        up = "layers.0.feed_forward.up.weight"
        inner = (*self.tensor(up).shape, 0)[1 if self._module(up)[0].transposed else 0]
        return _list_shapes(self._shape, self._embedding, inner)

    def _find_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape that an array must have in the file to fit the config."""
        module, kind = self._module(name)
        if module.table:
            return *self.tensor(name).shape[:1], self._embedding
        out, *into = self._shapes[name.split(".")[-2]]
        out *= 1 if module.third is None else 3
        if kind == "bias":
            return (out,)
        return (*into, out) if module.transposed else (out, *into)


def _list_shapes(shape: Config, embedding: int, inner: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each map, [out, in], and of each norm, [width]."""
    width, head = shape.width, shape.head_width or shape.width // shape.heads
    queries, keys = shape.heads * head, (shape.key_heads or shape.heads) * head
    return {
        "query": (queries, width),
        "key": (keys, width),
        "value": (keys, width),
        "output": (width, queries),
        "query_norm": (head,),
        "key_norm": (head,),
        "up": (inner, width),
        "gate": (inner, width),
        "down": (width, inner),
        "attention_norm": (width,),
        "feed_forward_norm": (width,),
        "norm": (width,),
        "embedding_norm": (embedding,),
        "projection": (width, embedding),
    }


@lru_cache(maxsize=2)  # the weight and the bias of one layer, each of which is asked for three times in a row
def _read_fused(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.read()


def _find_layer(name: str) -> list[str]:
    return [name.split(".")[1]] if name.startswith(_LAYERS) else []
