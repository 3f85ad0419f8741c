"""Arrays in NumPy's formats from anywhere: none is lost, none a pickle, none read that is longer than it may be."""

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.errors import RecordError
from attnviz.formats.stored import MOST_BYTES, Read, StoredArray, check_memory

_SUFFIX = ".npy"

Data = bytes | Path
"""What is read: bytes in memory, or a file."""

_MOST_TEXT = 2**26
"""How long an array of text may be; one of zeros is packed into a thousandth of that."""

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

_LONGEST_END = _END_BYTES + 2**16
"""How long it may be with its comment."""

_COUNT = slice(10, 12)
"""Where in it stands how many files there are."""

_TOO_MANY = 0xFFFF
"""What stands there if that has no room."""


class _BrokenError(ValueError):
    """A fault of an array or an archive, in words of ours."""


class Archive:
    """The arrays of an NPZ archive, each read when it is asked for.

    Its bytes are what it says they are, from the first to the last: as many arrays as it counts, each where it is said
    to be, with the name that it bears itself. What cannot be read in pieces takes no more than `memory` bytes.

    Raises:
        RecordError: it is no archive, or not a whole one.
    """

    def __init__(self, data: Data, memory: int = MOST_BYTES) -> None:
        self._memory, self._unchanged = memory, _watch(data)
        try:
            with _open(data) as file:
                if sum(piece.count(_ENTRY) for piece in iter(partial(file.read, _PIECE), b"")) > _MOST_ARRAYS:
                    raise _BrokenError(f"it lists more than {_MOST_ARRAYS:,} arrays")
                self._zip = ZipFile(io.BytesIO(data) if isinstance(data, bytes) else data)
                self._check(file)
        except Exception as error:  # zipfile raises a dozen kinds for an archive that is broken
            why = error if isinstance(error, _BrokenError) else "its list of arrays is damaged or missing"
            raise RecordError(f"This NPZ archive is not complete: {why}. Write it again with numpy.savez.") from error
        self.names = frozenset(name.removesuffix(_SUFFIX) for name in self._zip.namelist())

    def _check(self, file: IO[bytes]) -> None:
        """Raise an error if there are other files than the archive counts, or bytes beside them."""
        files, comment = self._zip.infolist(), self._zip.comment
        file.seek(max(file.seek(0, io.SEEK_END) - _LONGEST_END, 0))
        data = file.read()
        end = data.rfind(_END)
        counted = int.from_bytes(data[end:][_COUNT], "little")
        if counted not in (len(files), _TOO_MANY):
            raise _BrokenError(f"its count is {counted} arrays, but it lists {len(files)}")
        if len({file.filename for file in files}) < len(files):
            raise _BrokenError("two arrays have the same name")
        if len(data) != end + _END_BYTES + len(comment) or min((file.header_offset for file in files), default=0):
            raise _BrokenError("there are other bytes before or after it")
        for each in files:
            self._zip.open(each).close()  # compares the name with the one that stands before its bytes

    def array(self, name: str) -> StoredArray:
        """Return one of the arrays, whose numbers are read when they are asked for.

        Raises:
            RecordError: it cannot be read, claims more than there is, or has to be in memory and takes too much.
        """
        with _told(what := f'The array "{name}"'), self._opened(name) as opened:
            return opened.store(what, partial(self._opened, name), self._memory)

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

    @contextmanager
    def _opened(self, name: str) -> Iterator["_Opened"]:
        info = self._zip.getinfo(name + _SUFFIX)
        with self._unchanged(), self._zip.open(info) as file:
            opened = _Opened.of(file)
            opened.check(info.file_size - file.tell())
            yield opened


class _Opened(Struct, frozen=True):
    """An array whose header has been read; its numbers follow in the file, the last axis of them last if `in_rows`."""

    file: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    in_rows: bool

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
            raise _BrokenError(f"version {version[0]} of its format is not supported, only 1 and 2")
        try:
            shape, column_major, dtype = _HEADERS[version](file)
        except Exception as error:  # NumPy raises a dozen kinds
            raise _BrokenError("its header is damaged, or too long") from error
        if min(shape, default=0) < 0 or bool in map(type, shape):
            raise _BrokenError(f"its header gives the impossible shape {shape}")
        if dtype.hasobject:
            raise _BrokenError("it holds pickled objects, which are never loaded")
        return cls(file, shape, dtype, not column_major)

    @property
    def size(self) -> int:
        """The number of bytes that are to follow."""
        return prod(self.shape) * self.dtype.itemsize

    def check(self, left: int) -> None:
        """Raise _BrokenError if not as many bytes are left as the array claims."""
        if self.size != left:
            raise _BrokenError(f"its header announces {self.size:,} bytes, but {left:,} follow")

    def read(self) -> NDArray[Any]:
        """Return the array itself."""
        data, _ = read_limited(self.file, self.size)
        return np.frombuffer(data, self.dtype).reshape(self.shape, order="C" if self.in_rows else "F")

    def store(self, what: str, opening: Callable[[], AbstractContextManager["_Opened"]], memory: int) -> StoredArray:
        """Return the array as one that is read in pieces, opened anew for each pass; errors say `what` it is.

        Raises:
            RecordError: its numbers do not stand in rows, and to put all of them in memory so takes too much.
        """
        if not self.in_rows and 2 * self.size > memory:
            raise RecordError(
                f"{what} does not have its rows one after the other, and cannot be read in pieces: save "
                "numpy.ascontiguousarray of it,",
                hint="or allow more with {memory}.",
            )
        return StoredArray(self.shape, self.dtype, partial(_pass, what, opening))


@contextmanager
def _pass(what: str, opening: Callable[[], AbstractContextManager[_Opened]]) -> Iterator[Read]:
    """Open an array for a pass over its numbers."""
    with _told(what), opening() as opened:
        if not opened.in_rows:
            flat = np.ascontiguousarray(opened.read()).reshape(-1)
            yield lambda start, stop: flat[start:stop]
            return
        file, dtype, begin = opened.file, opened.dtype, opened.file.tell()

        def read(start: int, stop: int) -> NDArray[Any]:
            place, size = begin + start * dtype.itemsize, (stop - start) * dtype.itemsize
            if file.tell() != place:  # what is read without a leap is compared with its checksum in the end
                file.seek(place)
            return np.frombuffer(file.read(size), dtype)

        yield read


def _open(data: Data) -> IO[bytes]:
    return io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")


def _watch(data: Data) -> Callable[[], AbstractContextManager[None]]:
    """Return a context to read a file in, which fails if the file is no longer what it is now.

    It is read more than once, and half of another file's numbers would be no record at all.
    """
    stamp = _stamp(data)

    @contextmanager
    def unchanged() -> Iterator[None]:
        try:
            yield
        finally:
            if _stamp(data) != stamp:
                raise RecordError(f"{data!s} was changed or removed while it was read: run the command again.")

    return unchanged


def _stamp(data: Data) -> tuple[int, ...]:
    """Return what tells a file from what it was before; nothing for bytes, or where there is no file any more."""
    with suppress(OSError):
        if isinstance(data, Path):
            found = data.stat()
            return found.st_ino, found.st_size, found.st_mtime_ns
    return ()


def array_in(data: Data, memory: int = MOST_BYTES) -> StoredArray:
    """Return the array of an NPY file, whose numbers are read when they are asked for.

    Raises:
        RecordError: it is none, has more or fewer bytes than it claims, or is in memory and takes more than `memory`.
    """
    opening = partial(_open_array, data, memory, _watch(data))
    with _told(what := "This NumPy array"), opening() as opened:
        return opened.store(what, opening, memory)


@contextmanager
def _open_array(data: Data, memory: int, unchanged: Callable[[], AbstractContextManager[None]]) -> Iterator[_Opened]:
    with unchanged(), _open(data) as file:
        if not file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
            raise RecordError("This is not a NumPy array: write it with numpy.save.")
        file.seek(0)
        opened = _Opened.of(file)
        begin = file.tell()
        left = file.seek(0, io.SEEK_END) - begin
        if left > opened.size:
            raise _BrokenError(f"its header announces {opened.size:,} bytes, but more follow")
        if isinstance(data, bytes):
            check_memory(opened.size, memory)
        opened.check(left)
        file.seek(begin)
        yield opened


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
