"""Fingerprints of models, which tell whether their files are still the same."""

import hashlib
from pathlib import Path

_LARGE = 2**28  # bytes of a file that would take too long to read twice


def compute_fingerprint(folder: Path) -> str:
    """Return a digest that changes when a file of the model in this folder does: of all names and contents.

    Of a large file it is the size and the time of its last change that count.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        digest.update(f"{path.name}\n{_digest_file(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _digest_file(path: Path) -> str:
    status = path.stat()
    if status.st_size >= _LARGE:
        return f"{status.st_size} {status.st_mtime_ns}"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
