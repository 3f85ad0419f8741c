"""Tensors read one by one from safetensors files, so that no more of a checkpoint is in memory than is in use.

They are read from the file rather than mapped, since mapped pages count as memory of the process once they are touched.
The format: the length of a JSON header as 8 bytes, the header, then the data (safetensors documentation, "Format").
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.errors import ModelError, refused
from attnviz.records import find_runs
from attnviz.text import visible

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors library


class Tensor(Struct, frozen=True):
    """A tensor in a file: its place, dtype and shape. It is read as float32."""

    path: Path
    offset: int
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Return how many numbers it has."""
        return math.prod(self.shape)

    @property
    def readable(self) -> bool:
        """Return whether its dtype can be read."""
        return self.dtype in _DTYPES

    def read(self) -> NDArray[np.float32]:
        """Return the whole tensor.

        Raises:
            ModelError: its dtype is not a float, or the file cannot be read.
        """
        return self._read(0, self.size).reshape(self.shape)

    def __getitem__(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return some rows, as an array does, and read no others.

        Raises:
            IndexError: there is no such row.
            ModelError: as in `read`.
        """
        count, width = self.shape[0], math.prod(self.shape[1:])
        if rows.size and not 0 <= rows.min() <= rows.max() < count:
            raise IndexError(f"row {rows.max()} of {count}")
        each, inverse = np.unique(rows, return_inverse=True)
        read = [self._read(run.start * width, len(run) * width) for run in find_runs(each.tolist())]
        rows_read = np.concatenate(read or [np.zeros(0, np.float32)]).reshape(-1, *self.shape[1:])
        wanted: NDArray[np.float32] = rows_read[inverse.reshape(rows.shape)]
        return wanted

    def _read(self, first: int, count: int) -> NDArray[np.float32]:
        """Return `count` numbers from the one at index `first` on, flat."""
        if (name := _DTYPES.get(self.dtype)) is None:
            held = f"{self.path} holds {self.dtype} numbers,"
            raise ModelError(held, hint="which only {engine:transformers} may know.")
        dtype = np.dtype(name)
        with refused(self.path, "read", ModelError):
            raw = np.fromfile(self.path, dtype, count, offset=self.offset + first * dtype.itemsize)
        return _widen(raw) if self.dtype == "BF16" else raw.astype(np.float32, copy=False)


def _widen(raw: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return bfloat16 numbers as float32, of which they are the upper half."""
    return (raw.astype(np.uint32) << 16).view(np.float32)


def find_tensors(paths: Sequence[Path]) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, from all its files.

    Raises:
        ModelError: a file cannot be read, is no safetensors file, or is damaged.
    """
    return {name: tensor for path in paths for name, tensor in _find_tensors(path)}


def _find_tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    header, start, end = _read_header(path)
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            first, last = map(index, entry["data_offsets"])
            tensor = Tensor(path, start + first, str(entry["dtype"]), tuple(map(index, entry["shape"])))
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, f"the entry of {visible(name)} is not valid") from error
        if not 0 <= first <= last <= end - start or min(tensor.shape, default=0) < 0:
            raise _damaged(path, "it ends before its last tensor does; download it again")
        itemsize = np.dtype(_DTYPES.get(tensor.dtype, "V0")).itemsize
        if itemsize and last - first != tensor.size * itemsize:
            raise _damaged(path, f"the size of {visible(name)} is not that of its shape")
        yield name, tensor


def _read_header(path: Path) -> tuple[Mapping[str, Any], int, int]:
    """Return the header, the offset of the data, and the size of the file."""
    with refused(path, "read", ModelError), path.open("rb") as file:
        end = path.stat().st_size
        length = int.from_bytes(file.read(8), "little")
        raw = file.read(length) if length <= min(end, _LONGEST_HEADER) else b""
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "it has no readable header; download it again") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not a table of tensors")
    return header, 8 + length, end


def _damaged(path: Path, how: str) -> ModelError:
    return ModelError(f"{path} is damaged, or not a safetensors file: {how}.")
