"""Saved numbers that are read some rows at a time, in each pass from the first on: they need not fit into memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import product
from math import prod
from typing import Any, NamedTuple, Self

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.errors import RecordError
from attnviz.formats.writing import Result
from attnviz.records import Axes, Block, HeadMatrix, expand_shape, make_record, prove

MOST_BYTES = 2**33
"""How much memory saved numbers may take unless told otherwise; zeros are packed into a thousandth of that."""

_AT_ONCE = 2**22
"""How many numbers are read at a time: what is computed from them takes several times their memory."""

Read = Callable[[int, int], NDArray[Any]]
"""A function that reads the numbers from one place on up to another, counted along all axes."""


class Piece(NamedTuple):
    """Some neighbouring rows of neighbouring heads of a layer, by their places: [heads, rows, keys]."""

    layer: int
    heads: range
    first: int
    numbers: NDArray[Any]


class StoredArray(Struct, frozen=True, eq=False):
    """Numbers that are read in pieces; `open` starts a pass over them."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    open: Callable[[], AbstractContextManager[Read]]

    @classmethod
    def of(cls, array: NDArray[Any]) -> Self:
        """Return an array that is in memory as one that is read in pieces."""
        flat = array.reshape(-1)
        return cls(array.shape, array.dtype, lambda: nullcontext(lambda start, stop: flat[start:stop]))

    @property
    def outline(self) -> NDArray[Any]:
        """Return an array of this shape and dtype that takes no memory, and has none of the numbers."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)

    def expand(self) -> Self:
        """Return the same numbers as [layers, heads, queries, keys], as `expand_shape` does."""
        return replace(self, shape=expand_shape(self.shape))

    def pieces(self, layers: Sequence[int] = (), heads: Sequence[int] = ()) -> Iterator[Piece]:
        """Yield the rows of these layers, or of all, by their places; the array has to be expanded.

        A layer that is short comes whole, with all its heads; of others each head that is named, some rows at a time.

        Raises:
            RecordError: they cannot be read.
        """
        count, own, queries, keys = self.shape
        short = own * queries * keys <= _AT_ONCE
        step = queries if short else max(_AT_ONCE // (own * keys), 1)
        apart = [range(own)] if short else [range(head, head + 1) for head in heads or range(own)]
        with self.open() as read:
            for layer, some, first in product(layers or range(count), apart, range(0, queries, step)):
                shape = len(some), min(step, queries - first), keys
                start = ((layer * own + some.start) * queries + first) * keys
                yield Piece(layer, some, first, read(start, start + prod(shape)).reshape(shape))


class StoredMatrix(Axes, frozen=True, kw_only=True, eq=False):
    """The numbers of a record where they are saved, read-only.

    Raises:
        RecordError: they are not what those of its measure have to be.
    """

    numbers: StoredArray  # [layers, heads, queries, keys]

    def __post_init__(self) -> None:
        for piece in self.numbers.pieces():
            prove(self, piece.numbers[None], (piece.layer, piece.heads.start, piece.first))

    @classmethod
    def on(cls, axes: Axes, numbers: StoredArray) -> Self:
        """Return the record of these numbers on their axes."""
        return cls(numbers=numbers, **axes._fields())

    def blocks(self, layers: Sequence[int], heads: Sequence[int]) -> Iterator[Block]:
        """Yield blocks [heads, rows, keys] of some layers, in their order, and heads, by their original indices.

        Raises:
            RecordError: they can no longer be read.
        """
        places, chosen = [self.layers.index(layer) for layer in layers], sorted(map(self.heads.index, heads))
        for piece in self.numbers.pieces(places, chosen):
            with np.errstate(over="ignore"):  # what has no room in single precision is refused where it is kept
                numbers = piece.numbers.astype(np.float32, copy=False)
            own = self.heads[piece.heads.start : piece.heads.stop]
            yield Block.starting(self.kind, self.layers[piece.layer], own, piece.first, numbers).of_heads(heads)

    def load(self) -> HeadMatrix:
        """Return the record with all its numbers in memory."""
        weights = np.empty(self.shape, np.float32)
        for piece in self.numbers.pieces():
            _, rows, _ = piece.numbers.shape
            place = slice(piece.heads.start, piece.heads.stop), slice(piece.first, piece.first + rows)
            weights[piece.layer][place] = piece.numbers
        weights.flags.writeable = False  # the record has it from now on
        return make_record(self, weights)


class Saved(Struct, frozen=True):
    """A saved text: its result without records, and the records as they are stored."""

    result: Result
    records: Sequence[StoredMatrix]

    def load(self, memory: int = MOST_BYTES) -> Result:
        """Return the result with all its weights in memory.

        Raises:
            RecordError: they take more than that.
        """
        check_memory(sum(prod(record.shape) for record in self.records) * np.float32().itemsize, memory)
        return replace(self.result, attention=[record.load() for record in self.records])


def check_memory(size: int, memory: int) -> None:
    """Raise RecordError if a saved record would take more memory than it may."""
    if size > memory:
        raise RecordError(
            f"This record would take {size:,} bytes of memory, of {memory:,} that it may:",
            hint=HOW_TO_FIT,
        )


HOW_TO_FIT = (
    "save fewer layers and heads, give it as a file of arrays (.npz, .npy), of which only some rows are in memory at a "
    "time, or allow more with {memory}."
)
"""What can be done about a record that does not fit into the memory."""
