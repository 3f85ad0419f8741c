"""The learned arrays of a model, by name."""

from collections.abc import Mapping
from dataclasses import dataclass

from attnviz.reference.arrays import Array


@dataclass(frozen=True, slots=True)
class Parameters:
    """Named arrays, seen from the part of the model that `prefix` names.

    An array is looked up only when it is used, so the mapping may read it from a file at that moment.
    """

    arrays: Mapping[str, Array]
    prefix: str = ""

    def within(self, part: str) -> "Parameters":
        """Return the arrays of a part: those whose names go on with `part.`."""
        return Parameters(self.arrays, f"{self.prefix}{part}.")

    def __getitem__(self, name: str) -> Array:
        return self.arrays[self.prefix + name]

    def get(self, name: str) -> Array | None:
        """Return the array of this name, or None where the model has none (a layer without biases)."""
        return self.arrays.get(self.prefix + name)
