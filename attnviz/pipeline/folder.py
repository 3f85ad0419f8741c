"""The folder that a batch is exported into, and what keeps it whole."""

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from msgspec.structs import replace

from attnviz.errors import InputError, OutputError, refused
from attnviz.pipeline.artifacts import is_artifact
from attnviz.pipeline.files import FilePart, Stamp, is_as_stamped, is_part, put_file
from attnviz.pipeline.manifest import MANIFEST, Manifest, ManifestEntry, entries

_LOCK = ".attnviz.lock"


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
        self._sizes: dict[str, int] = {}  # of the files that are here
        self._written = 0  # how many bytes the manifest has
        self._parts: dict[int, list[FilePart]] = {}  # the files of each text that is being written

    def __enter__(self) -> Self:
        if self.path.is_dir():
            self._enter()
        elif self.path.exists():
            raise OutputError(f"{self.path} is a file, but the results need a folder: give the name of another one.")
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        with self._held:
            for index in [*self._parts]:
                self._drop(index)
            if self._entered and kind is None:
                self._settle()

    def find(self, wanted: ManifestEntry) -> ManifestEntry | None:
        """Return the entry with the same hash, if its text is done and its files are as they were written."""
        entry = self._manifest.find(wanted)
        if entry is None or entry.error is not None:
            return None
        whole = all(self._sizes.get(name) == stamp.size for name, stamp in entry.files.items())
        return entry if whole else None

    def keep(self, entry: ManifestEntry) -> None:
        """Take in an entry whose files are there already."""
        self._remove(self._given_up(entry))

    def write(self, index: int, name: str, piece: bytes) -> None:
        """Write the next piece of a file of a text; its files come one after the other, and wait beside their places.

        Raises:
            OutputError: it cannot be written.
        """
        if not self._entered:
            self._enter()
        parts = self._parts.setdefault(index, [])
        if not parts or parts[-1].path.name != name:
            for former in parts[-1:]:
                former.close()
            parts.append(FilePart(self.path / name))
        parts[-1].write(piece)

    def add(self, entry: ManifestEntry) -> Sequence[Path]:
        """Put the files of a text into their places, unless it failed; then write its entry, and return their paths.

        Raises:
            OutputError: they cannot be written.
        """
        if not self._entered:
            self._enter()
        if entry.error is not None:
            self._drop(entry.index)
        files: dict[str, Stamp] = {}
        for part in self._parts.get(entry.index, ()):
            files[part.path.name] = stamp = part.put()
            self._sizes[part.path.name] = stamp.size
        self._parts.pop(entry.index, None)
        entry = replace(entry, files=files)
        self._append(entry.line)
        self.keep(entry)
        return [self.path / name for name in files]

    def _drop(self, index: int) -> None:
        """Remove what was written of the files of a text."""
        for part in self._parts.pop(index, ()):
            part.remove()

    def _enter(self) -> None:
        """Make sure that nobody else is here, and that all is as the manifest says."""
        with refused(self.path, "written", OutputError):
            self.path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            self._lock(held)
            with refused(self.path, "read", OutputError), os.scandir(self.path) as files:
                self._sizes = {file.name: file.stat().st_size for file in files if file.is_file()}
            self._remove(filter(is_part, [*self._sizes]))
            self._read()
            self._held = held.pop_all()
        self._entered = True

    def _lock(self, held: ExitStack) -> None:
        """Keep other runs out until this one ends, however it does, where the file system has locks."""
        from filelock import FileLock, Timeout  # which few commands need

        path = self.path / _LOCK
        lock = FileLock(path, blocking=False, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise OutputError(f"Another run is exporting into {self.path}: wait for it, or name another.") from error
        except OSError:  # as on some network file systems, and where nothing may be written
            return
        held.callback(lock.release)

        @held.callback
        def remove() -> None:
            """Remove the file while it is locked, lest another run lock one that is gone."""
            with suppress(OSError):  # on Windows, where no open file is removed, the release does it
                path.unlink()

    def _read(self) -> None:
        path = self.path / MANIFEST
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise InputError(f"{path} is not of attnviz's making. Name another folder, or move that file away.")
        data = self._manifest_bytes()
        self._written = len(data)
        try:
            replaced = {name for entry in entries(data) for name in self._given_up(entry)}
        except InputError as error:
            raise InputError(f"{path}: {error} Name another folder, or move that file away.") from error
        self._remove({name for name in replaced if not self._manifest.owns(name)})
        if replaced or not data.endswith(b"\n"):  # what is appended is to stand on a line of its own
            self._settle()

    def _given_up(self, entry: ManifestEntry) -> list[str]:
        """Take in an entry; return the files that nobody owns any more, if they are what we wrote, to the last byte.

        For a manifest may come from anywhere, and name what is somebody else's.
        """
        left = self._manifest.take(entry).items()
        ours = [(name, stamp) for name, stamp in left if is_artifact(name, entry.index)]
        return [name for name, stamp in ours if name in self._sizes and is_as_stamped(self.path / name, stamp)]

    def _settle(self) -> None:
        """Write the manifest anew, each entry in its place, unless that is how it is."""
        there = self._manifest_bytes()
        self._check(len(there))
        if (lines := self._manifest.lines()) != there:
            put_file(self.path / MANIFEST, [lines])
            self._written = len(lines)

    def _check(self, size: int) -> None:
        if size != self._written:
            raise OutputError(f"{self.path} was changed or removed by somebody else meanwhile: run the command again.")

    def _manifest_bytes(self) -> bytes:
        path = self.path / MANIFEST
        with refused(path, "read", OutputError):
            return path.read_bytes() if path.exists() else b""

    def _append(self, line: bytes) -> None:
        path = self.path / MANIFEST
        # without a buffer: what that held would follow later
        with refused(path, "written", OutputError), path.open("ab", buffering=0) as file:
            end, left = file.tell(), line
            self._check(end)
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError:
                with suppress(OSError):
                    file.truncate(end)
                raise
        self._written += len(line)

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            with refused(self.path / name, "removed", OutputError):
                (self.path / name).unlink(missing_ok=True)
            self._sizes.pop(name, None)
