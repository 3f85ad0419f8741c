"""Files that are whole or not there."""

import hashlib
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from attnviz.errors import OutputError

_PIECE = 2**20  # bytes that are read at a time


class Stamp(NamedTuple):
    """A mark to know a file of ours by: how many bytes it has, and a digest of them, None where nobody knows."""

    size: int
    digest: str | None


def is_as_stamped(path: Path, stamp: Stamp) -> bool:
    """Return whether a file is the very one that was written."""
    if stamp.digest is None or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return _stamp(iter(partial(file.read, _PIECE), b"")) == stamp


def _stamp(pieces: Iterable[bytes]) -> Stamp:
    size, digest = 0, hashlib.blake2b(digest_size=16)
    for piece in pieces:
        size += len(piece)
        digest.update(piece)
    return Stamp(size, digest.hexdigest())


def _written(file: IO[bytes], pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Write the pieces, and yield each."""
    for piece in pieces:
        file.write(piece)
        yield piece


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file by itself, in a folder that is made if need be, and remove what a run that was killed left of it.

    Raises:
        OutputError: it cannot be written there.
    """
    with refused(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(_part(path, "*")):
            left.unlink(missing_ok=True)
    put_file(path, pieces)


def put_file(path: Path, pieces: Iterable[bytes]) -> Stamp:
    """Write a file wholly or not at all: first beside its place, where nothing may be yet, then into it.

    Return what it can be known by.

    Raises:
        OutputError: it cannot be written there, or there is no such folder.
    """
    part = path.with_name(_part(path, str(os.getpid())))
    with refused(path, "written"):
        try:
            with part.open("xb") as file:  # follows no link
                stamp = _stamp(_written(file, pieces))
            part.replace(path)
            return stamp
        except FileExistsError:  # somebody else's
            raise
        except BaseException:  # an interrupt too, which may come as soon as there is a file
            part.unlink(missing_ok=True)
            raise


@contextmanager
def refused(path: Path, what: str) -> Iterator[None]:
    """Say in a sentence why something cannot be done to a file."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be {what}: {error.strerror}.") from error


def _part(path: Path, process: str) -> str:
    return f".attnviz-{process}-{zlib.crc32(os.fsencode(path.name)):08x}.part"


def is_part(name: str) -> bool:
    """Return whether a file of this name is one that `write_file` had no time to put into its place."""
    return re.fullmatch(r"\.attnviz-\d+-[0-9a-f]{8}\.part", name) is not None
