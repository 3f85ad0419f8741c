"""Files that are whole or not there."""

import os
import re
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from attnviz.errors import OutputError, refused

if TYPE_CHECKING:
    import hashlib

_PIECE = 2**20  # bytes that are read at a time


def find_format(path: str | Path) -> str:
    """Return the format that the name of a file ends in: `png` of `head.PNG`, nothing of a name without a suffix."""
    return Path(path).suffix.removeprefix(".").lower()


def new_digest(data: bytes = b"") -> "hashlib.blake2b":
    """Return the digest that tells files, and texts, from others."""
    import hashlib  # with OpenSSL, which each start would wait for

    return hashlib.blake2b(data, digest_size=16)


class Stamp(NamedTuple):
    """A mark to know a file of ours by: how many bytes it has, and a digest of them, None where nobody knows."""

    size: int
    digest: str | None


def is_as_stamped(path: Path, stamp: Stamp) -> bool:
    """Return whether a file is the very one that was written."""
    if stamp.digest is None or path.is_symlink() or not path.is_file():
        return False
    size, digest = 0, new_digest()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            size += len(piece)
            digest.update(piece)
    return Stamp(size, digest.hexdigest()) == stamp


class FilePart:
    """A file that is written piece by piece: first beside its place, where nothing may be yet, then put into it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._beside = path.with_name(_part(path, str(os.getpid())))
        self._file: IO[bytes] | None = None
        self._foreign = False
        self._size, self._digest = 0, new_digest()

    def write(self, piece: bytes) -> None:
        """Write what comes next.

        Raises:
            OutputError: it cannot be written there, or there is no such folder.
        """
        with refused(self.path, "written", OutputError):
            self._open().write(piece)
        self._size += len(piece)
        self._digest.update(piece)

    def _open(self) -> IO[bytes]:
        if self._file is None:
            try:
                self._file = self._beside.open("xb")  # follows no link
            except FileExistsError:
                self._foreign = True
                raise
        return self._file

    def close(self) -> None:
        """End it, where it is.

        Raises:
            OutputError: it cannot be written there.
        """
        with refused(self.path, "written", OutputError):
            self._open().close()

    def put(self) -> Stamp:
        """Put it into its place, and return what it can be known by.

        Raises:
            OutputError: it cannot be written there.
        """
        self.close()
        with refused(self.path, "written", OutputError):
            self._beside.replace(self.path)
        return Stamp(self._size, self._digest.hexdigest())

    def remove(self) -> None:
        """Remove it, unless what is there is somebody else's; an interrupt may have come as soon as it was there."""
        if not self._foreign:
            with suppress(OSError):
                if self._file is not None:
                    self._file.close()
                self._beside.unlink(missing_ok=True)


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file by itself, in a folder that is made if need be, and remove what a run that was killed left of it.

    Raises:
        OutputError: it cannot be written there.
    """
    with refused(path, "written", OutputError):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(_part(path, "*")):
            left.unlink(missing_ok=True)
    put_file(path, pieces)


def put_file(path: Path, pieces: Iterable[bytes]) -> Stamp:
    """Write a file wholly or not at all, and return what it can be known by.

    Raises:
        OutputError: it cannot be written there, or there is no such folder.
    """
    part = FilePart(path)
    try:
        for piece in pieces:
            part.write(piece)
        return part.put()
    except BaseException:
        part.remove()
        raise


def _part(path: Path, process: str) -> str:
    return f".attnviz-{process}-{zlib.crc32(os.fsencode(path.name)):08x}.part"


def is_part(name: str) -> bool:
    """Return whether a file of this name is one that `write_file` had no time to put into its place."""
    return re.fullmatch(r"\.attnviz-\d+-[0-9a-f]{8}\.part", name) is not None
