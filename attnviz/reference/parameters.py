"""The learned arrays of a model, by name."""

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from msgspec import Struct

from attnviz.reference.arrays import Array


class Parameters(Struct, frozen=True):
    """Named arrays, seen from the part of the model that `prefix` names.

    An array is looked up only when it is used, so the mapping may read it from a file at that moment.
    """

    arrays: Mapping[str, Array]
    prefix: str = ""

    def untrain(self, seed: int) -> "Parameters":
        """Return arrays of the same names and shapes, as before training; see `Untrained`."""
        return Parameters(Untrained(self.arrays, seed), self.prefix)

    def within(self, part: str) -> "Parameters":
        """Return the arrays of a part: those whose names go on with `part.`."""
        return Parameters(self.arrays, f"{self.prefix}{part}.")

    def __getitem__(self, name: str) -> Array:
        return self.arrays[self.prefix + name]

    def get(self, name: str) -> Array | None:
        """Return the array of this name, or None where the model has none (a layer without biases)."""
        return self.arrays.get(self.prefix + name)


@dataclass(frozen=True, slots=True)
class Untrained(Mapping[str, Array]):
    """Arrays of the same names and shapes as others, as before training: each drawn when it is looked up.

    Matrices and tables have variance 1 / inputs (their last axis), biases are 0, and the scales of norms 1. An array
    depends on the seed, its name and its shape alone.
    """

    trained: Mapping[str, Array]
    seed: int

    def __getitem__(self, name: str) -> Array:
        shape = self.trained[name].shape
        if name.endswith("bias") or (len(shape) == 1 and name.endswith("weight")):
            return np.full(shape, not name.endswith("bias"), np.float32)
        chance = np.random.default_rng((self.seed, zlib.crc32(name.encode())))
        return chance.standard_normal(shape, np.float32) / np.float32(math.sqrt(shape[-1]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.trained)

    def __len__(self) -> int:
        return len(self.trained)
