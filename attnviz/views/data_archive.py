"""Arrays of an NPZ archive from anywhere: none is a pickle, and none takes memory that its contents do not fill."""

import io
from math import prod
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import RecordError

_SUFFIX = ".npy"

MOST_BYTES = 2**33
"""How long an array may be; one of zeros is packed into a thousandth of that."""

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Archive:
    """The arrays of an NPZ archive, each read when it is asked for.

    Raises:
        RecordError: it is no archive.
    """

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = ZipFile(io.BytesIO(data))
        except Exception as error:  # zipfile raises a dozen kinds for an archive that is broken
            raise RecordError(f"This is no whole NPZ archive: {error}. Write it with numpy.savez.") from error
        self.names = frozenset(name.removesuffix(_SUFFIX) for name in self._zip.namelist())

    def array(self, name: str) -> NDArray[Any]:
        """One of the arrays.

        Raises:
            RecordError: it cannot be read, or claims more than there is.
        """
        try:
            return self._read(name)
        except Exception as error:  # and NumPy others for an array
            raise RecordError(f'The array "{name}" cannot be read: {error}.') from error

    def entries(self, name: str) -> Any:
        """The entries of one of the arrays as a list, nested as it has axes.

        Raises:
            RecordError: it cannot be read, or holds what is no character.
        """
        try:
            return self.array(name).tolist()
        except SystemError as error:  # how Python says that a number is beyond Unicode
            raise RecordError(f'The array "{name}" holds text that is not valid Unicode.') from error

    def _read(self, name: str) -> NDArray[Any]:
        info = self._zip.getinfo(name + _SUFFIX)
        with self._zip.open(info) as file:
            version = np.lib.format.read_magic(file)
            shape, column_major, dtype = _HEADERS[version](file)
            if dtype.hasobject:
                raise ValueError("it holds pickled objects, which are never loaded")
            size, left = prod(shape) * dtype.itemsize, info.file_size - file.tell()
            if size != left:
                raise ValueError(f"it claims {size:,} bytes, and has {left:,}")
            if size > MOST_BYTES:
                raise ValueError(f"it has {size:,} bytes, too many to be read; save fewer layers and heads")
            data = file.read(size)
        return np.frombuffer(data, dtype).reshape(shape, order="F" if column_major else "C")
