"""Files that are whole or not there."""

import os
import re
import zlib
from pathlib import Path

from attnviz.errors import OutputError


def write_file(path: Path, data: bytes) -> None:
    """Write a file wholly or not at all: first beside its place, then into it.

    Raises:
        OutputError: it cannot be written there.
    """
    part = path.with_name(f".attnviz-{os.getpid()}-{zlib.crc32(os.fsencode(path.name)):08x}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error


def is_part(name: str) -> bool:
    """Return whether a file of this name is one that `write_file` had no time to put into its place."""
    return re.fullmatch(r"\.attnviz-\d+-[0-9a-f]{8}\.part", name) is not None
