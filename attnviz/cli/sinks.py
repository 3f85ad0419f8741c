"""Where exported files go: a folder, one named file, or standard output."""

from pathlib import Path
from typing import Protocol

from attnviz.cli.artifacts import Artifact
from attnviz.cli.output import give_up_output, write_file, write_standard_output
from attnviz.errors import InputError, UsageError

_TEXT_FORMATS = "json", "csv", "svg"


class Sink(Protocol):
    """Takes files one after the other."""

    def add(self, artifact: Artifact) -> None:
        """Takes one."""

    def finish(self) -> None:
        """There are no more."""


class Folder:
    """Each file under its own name, whose path is printed once it is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, artifact: Artifact) -> None:
        """Writes a file."""
        path = self._folder / artifact.file_name
        write_file(path, artifact.data)
        try:
            write_standard_output(f"{path}\n".encode("utf-8", "surrogateescape"))
        except BrokenPipeError:  # whoever read the names has gone; the files are still wanted
            give_up_output()

    def finish(self) -> None:
        """Nothing is left to do."""


class OneFile:
    """One file under a given name, written when it is certain that it is the only one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._only: Artifact | None = None

    def add(self, artifact: Artifact) -> None:
        """Keeps the file.

        Raises:
            UsageError: it is the second.
        """
        if self._only:
            raise UsageError(
                f"{self._path} names one file, but there are several: {self._only.file_name}, {artifact.file_name} … "
                "Choose one text, one format and one picture (--layout grid), or let -o name a folder."
            )
        self._only = artifact

    def finish(self) -> None:
        """Writes the file.

        Raises:
            InputError: there is nothing to write.
        """
        if self._only is None:
            raise InputError(f"{self._path} was not written: no text could be read.")
        self._write(self._only)

    def _write(self, only: Artifact) -> None:
        write_file(self._path, only.data)


class StandardOutput(OneFile):
    """One file on standard output."""

    def __init__(self) -> None:
        super().__init__(Path("Standard output"))

    def _write(self, only: Artifact) -> None:
        write_standard_output(only.data, binary=only.format not in _TEXT_FORMATS)
