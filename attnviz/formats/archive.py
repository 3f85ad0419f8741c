"""Arrays in NumPy's formats from anywhere: none is lost, none a pickle, none read that is longer than it may be."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import IO, Any, Literal
from zipfile import ZipFile

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.errors import RecordError

_SUFFIX = ".npy"
_WEIGHT = np.dtype(np.float32)  # as a record holds them

MOST_BYTES = 2**33
"""How long an array may be; one of zeros is packed into a thousandth of that."""

_MOST_TEXT = 2**26
"""How long an array of text may be, likewise."""

_PIECE = 2**24  # bytes of a stream that are read at a time

_MOST_ARRAYS = 10_000
"""How many arrays an archive may have."""

_ENTRY = b"PK\1\2"
"""How each line begins in the list that a ZIP archive ends with."""

_MOST_HEADER = 2**16
"""How long the header of an array may be; NumPy reads no longer ones."""

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


_END, _END_BYTES = b"PK\5\6", 22
"""How the record begins that ends a ZIP archive, and how long it is but for a comment."""

_COUNT = slice(10, 12)
"""Where in it stands how many files there are."""

_TOO_MANY = 0xFFFF
"""What stands there if that has no room."""


class _BrokenError(ValueError):
    """A fault of an array or an archive, in words of ours."""


class Archive:
    """The arrays of an NPZ archive, each read when it is asked for.

    Its bytes are what it says they are, from the first to the last: as many arrays as it counts, each where it is said
    to be, with the name that it bears itself. With the arrays that are read it takes no more than `memory` bytes.

    Raises:
        RecordError: it is no archive, or not a whole one.
    """

    def __init__(self, data: bytes, memory: int = MOST_BYTES) -> None:
        self._memory, self._taken = memory, len(data)
        try:
            if data.count(_ENTRY) > _MOST_ARRAYS:
                raise _BrokenError(f"it lists more than {_MOST_ARRAYS:,} arrays")
            self._zip = ZipFile(io.BytesIO(data))
            self._check(data)
        except Exception as error:  # zipfile raises a dozen kinds for an archive that is broken
            why = error if isinstance(error, _BrokenError) else "its list of arrays is damaged or missing"
            raise RecordError(f"This NPZ archive is not complete: {why}. Write it again with numpy.savez.") from error
        self.names = frozenset(name.removesuffix(_SUFFIX) for name in self._zip.namelist())

    def _check(self, data: bytes) -> None:
        """Raise an error if there are other files than the archive counts, or bytes beside them."""
        files, comment = self._zip.infolist(), self._zip.comment
        end = data.rfind(_END)
        counted = int.from_bytes(data[end:][_COUNT], "little")
        if counted not in (len(files), _TOO_MANY):
            raise _BrokenError(f"its count is {counted} arrays, but it lists {len(files)}")
        if len({file.filename for file in files}) < len(files):
            raise _BrokenError("two arrays have the same name")
        if len(data) != end + _END_BYTES + len(comment) or min((file.header_offset for file in files), default=0):
            raise _BrokenError("there are other bytes before or after it")
        for file in files:
            self._zip.open(file).close()  # compares the name with the one that stands before its bytes

    def array(self, name: str) -> NDArray[Any]:
        """Return one of the arrays.

        Raises:
            RecordError: it cannot be read, or claims more than there is.
        """
        with _told(f'The array "{name}"'), self._opened(name) as opened:
            self._take(opened)
            return opened.read()

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of one of the arrays, before it is unpacked.

        Raises:
            RecordError: it cannot be read.
        """
        with _told(f'The array "{name}"'), self._opened(name) as opened:
            return opened.shape

    def entries(self, name: str) -> Any:
        """Return the entries of one of the arrays as a list, nested as it has axes.

        Raises:
            RecordError: it cannot be read, or holds what is no character.
        """
        with _told(f'The array "{name}"'), self._opened(name) as opened:
            if opened.size > _MOST_TEXT:
                raise _BrokenError(f"it has {opened.size:,} bytes, which is too many for text")
            array = opened.read()
        try:
            return array.tolist()
        except SystemError as error:  # how Python says that a number is beyond Unicode
            raise RecordError(f'The array "{name}" holds text that is not valid Unicode.') from error

    def _take(self, opened: "_Opened") -> None:
        """Raise RecordError if an array takes more memory than is left."""
        self._taken += opened.memory
        check_memory(self._taken, self._memory)

    @contextmanager
    def _opened(self, name: str) -> Iterator["_Opened"]:
        info = self._zip.getinfo(name + _SUFFIX)
        with self._zip.open(info) as file:
            opened = _Opened.of(file)
            opened.check(info.file_size - file.tell())
            yield opened


class _Opened(Struct, frozen=True):
    """An array whose header has been read; its numbers follow in the file, in this order of axes."""

    file: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: Literal["F", "C"]

    @classmethod
    def of(cls, file: IO[bytes]) -> "_Opened":
        """Read the header of an array.

        Raises:
            _BrokenError: there is none, or the array holds something that is never loaded.
        """
        try:
            version = np.lib.format.read_magic(file)
        except ValueError as error:
            raise _BrokenError("it is no array as numpy.save writes it") from error
        if version not in _HEADERS:
            raise _BrokenError(f"version {version[0]} of its format, for arrays with named fields, is not supported")
        try:
            shape, column_major, dtype = _HEADERS[version](file)
        except Exception as error:  # NumPy raises a dozen kinds
            raise _BrokenError("its header is damaged, or too long") from error
        if min(shape, default=0) < 0:
            raise _BrokenError(f"its header gives the impossible shape {shape}")
        if dtype.hasobject:
            raise _BrokenError("it holds pickled objects, which are never loaded")
        return cls(file, shape, dtype, "F" if column_major else "C")

    @property
    def size(self) -> int:
        """The number of bytes that are to follow."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def memory(self) -> int:
        """The bytes that it takes, and that its numbers take as weights, unless they are the same."""
        return self.size if self.dtype == np.float32 else self.size + prod(self.shape) * _WEIGHT.itemsize

    def check(self, left: int) -> None:
        """Raise _BrokenError if not as many bytes are left as the array claims."""
        if self.size != left:
            raise _BrokenError(f"its header announces {self.size:,} bytes, but {left:,} follow")

    def read(self) -> NDArray[Any]:
        """Return the array itself."""
        data, _ = read_limited(self.file, self.size)
        return np.frombuffer(data, self.dtype).reshape(self.shape, order=self.order)


def check_memory(size: int, memory: int) -> None:
    """Raise RecordError if a saved record would take more memory than it may."""
    if size > memory:
        raise RecordError(
            f"This record would take {size:,} bytes of memory, of {memory:,} that it may:",
            hint="save fewer layers and heads, or allow more with {memory}.",
        )


def array_in(data: bytes, memory: int = MOST_BYTES) -> NDArray[Any]:
    """Return the array of an NPY file, unless it takes more than `memory` bytes.

    Raises:
        RecordError: it is none, is too large, or has more or fewer bytes than it claims.
    """
    if not data.startswith(np.lib.format.MAGIC_PREFIX):
        raise RecordError("This is not a NumPy array: write it with numpy.save.")
    file = io.BytesIO(data)
    with _told("This NumPy array"):
        opened = _Opened.of(file)
        left = len(data) - file.tell()
        if left > opened.size:
            raise _BrokenError(f"its header announces {opened.size:,} bytes, but more follow")
        check_memory(opened.memory, memory)
        opened.check(left)
        return np.frombuffer(data, opened.dtype, offset=file.tell()).reshape(opened.shape, order=opened.order)


def array_bytes(stream: IO[bytes], memory: int = MOST_BYTES) -> bytes:
    """Return the bytes of the NPY file that a stream begins with: no more than its header claims, and one.

    Of an array that is too long, or none, it is the beginning: enough for `array_in` to say what is wrong.
    """
    start = stream.read(12)  # the magic, the version, and how long the header is: 2 bytes in version 1, else 4
    first = 10 if start[6:7] == b"\1" else 12
    header = int.from_bytes(start[8:first], "little") + first - len(start)
    start += stream.read(min(max(header, 0), _MOST_HEADER))
    try:
        size = _Opened.of(io.BytesIO(start)).size
    except Exception:  # NumPy raises a dozen kinds; `array_in` says which
        return start
    return read_limited(stream, size, start)[0] if size <= memory else start


def read_limited(stream: IO[bytes], most: int, start: bytes = b"") -> tuple[bytes, bool]:
    """Return the next bytes of a stream, after a `start` that was read before, and whether these are all that it has.

    They are at most so many, and one if there are more; what is not there takes no memory, nor does anything twice.
    """
    held, left = io.BytesIO(), most + 1
    held.write(start)
    while piece := stream.read(min(left, _PIECE)):
        held.write(piece)
        left -= len(piece)
    return held.getvalue(), left > 0


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say in a sentence whatever is wrong with an array."""
    try:
        yield
    except RecordError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds
        why = error if isinstance(error, _BrokenError) else "its bytes are damaged"
        raise RecordError(f"{what} cannot be read: {why}. Write it again with numpy.save.") from error
