"""Where a single exported file goes: under a given name, or to standard output."""

from pathlib import Path

from attnviz.cli.output import write_standard_output
from attnviz.errors import InputError, UsageError
from attnviz.pipeline.artifacts import Artifact
from attnviz.pipeline.files import write_file

_TEXT_FORMATS = "json", "csv", "svg"


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
                "Choose one text, one format and one picture (--layout grid, of one kind and of layers that have the "
                "same heads), or let -o name a folder."
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
