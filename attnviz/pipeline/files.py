"""Files that are whole or not there."""

import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnviz.errors import OutputError


def write_file(path: Path, data: bytes) -> None:
    """Write a file by itself, in a folder that is made if need be, and remove what a run that was killed left of it.

    Raises:
        OutputError: it cannot be written there.
    """
    with refused(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(_part(path, "*")):
            left.unlink(missing_ok=True)
    put_file(path, data)


def put_file(path: Path, data: bytes) -> None:
    """Write a file wholly or not at all: first beside its place, where nothing may be yet, then into it.

    Raises:
        OutputError: it cannot be written there, or there is no such folder.
    """
    part = path.with_name(_part(path, str(os.getpid())))
    with refused(path, "written"):
        try:
            with part.open("xb") as file:
                file.write(data)
            part.replace(path)
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
