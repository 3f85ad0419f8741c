"""The folder that a batch is exported into, and what keeps it whole."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from attnviz.errors import InputError, OutputError
from attnviz.pipeline.artifacts import Artifact
from attnviz.pipeline.files import is_part, write_file
from attnviz.pipeline.manifest import Manifest, ManifestEntry, entries

MANIFEST = "manifest.jsonl"


class Folder:
    """A folder of files, and beside them the manifest of what they are.

    However a run ends, the next one can tell what is done: files are put into their places before their entry is
    written, those that they replace are removed after it, and a run removes what the one before had no time for. What
    is not there is made when there is something to put into it.

    Raises:
        OutputError: another run is at work here, or the folder cannot be read or written.
        InputError: there is a manifest, but not of our making.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._manifest = Manifest()
        self._held = ExitStack()
        self._entered = False

    def __enter__(self) -> Self:
        if self.path.is_dir():
            self._enter()
        elif self.path.exists():
            raise OutputError(f"{self.path} is a file, and files are to go into a folder: name another.")
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        with self._held:
            if self._entered and kind is None:
                self._settle()

    def find(self, wanted: ManifestEntry) -> ManifestEntry | None:
        """Return the entry with the same hash, if its text is done and its files are as they were written."""
        entry = self._manifest.find(wanted)
        if entry is None or entry.error is not None:
            return None
        whole = all(_size(self.path / name) == size for name, size in entry.files.items())
        return entry if whole else None

    def keep(self, entry: ManifestEntry) -> None:
        """Take in an entry whose files are there already."""
        self._remove(self._manifest.take(entry))

    def add(self, entry: ManifestEntry, artifacts: Iterable[Artifact]) -> None:
        """Write the files of a text, then its entry.

        Raises:
            OutputError: they cannot be written.
        """
        if not self._entered:
            self._enter()
        for artifact in artifacts:
            write_file(self.path / artifact.file_name, artifact.data)
        self._append(entry.line())
        self.keep(entry)

    def _enter(self) -> None:
        """Make sure that nobody else is here, and that all is as the manifest says."""
        with _refused(self.path, "written"):
            self.path.mkdir(parents=True, exist_ok=True)
        self._held.enter_context(_alone(self.path))
        self._entered = True
        with _refused(self.path, "read"):
            parts = {path.name for path in self.path.iterdir() if is_part(path.name)}
        self._remove(parts)
        self._read()

    def _read(self) -> None:
        path = self.path / MANIFEST
        data = self._manifest_bytes()
        try:
            replaced = {name for entry in entries(data) for name in self._manifest.take(entry)}
        except InputError as error:
            raise InputError(f"{path}: {error} Name another folder, or move that file away.") from error
        self._remove({name for name in replaced if not self._manifest.owns(name)})
        if not data.endswith(b"\n"):  # else what is appended would not stand on a line of its own
            self._settle()

    def _settle(self) -> None:
        """Write the manifest anew, each entry in its place, unless that is how it is."""
        if (lines := self._manifest.lines()) != self._manifest_bytes():
            write_file(self.path / MANIFEST, lines)

    def _manifest_bytes(self) -> bytes:
        path = self.path / MANIFEST
        with _refused(path, "read"):
            return path.read_bytes() if path.exists() else b""

    def _append(self, line: bytes) -> None:
        path = self.path / MANIFEST
        with _refused(path, "written"), path.open("ab", buffering=0) as file:  # what a buffer held would follow later
            end, left = file.tell(), line
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError:
                with suppress(OSError):
                    file.truncate(end)
                raise

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            with _refused(self.path / name, "removed"):
                (self.path / name).unlink(missing_ok=True)


def _size(path: Path) -> int | None:
    """Return how many bytes a file has, if there is one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


@contextmanager
def _refused(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be {what}: {error.strerror}.") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder until this one ends, however it does, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot lock a folder
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputError(f"Another run is exporting into {folder}: wait for it, or name another.") from error
        yield
    finally:
        os.close(descriptor)
