"""A batch, from its texts to its folder: what is done stays, what was stopped goes on where it was."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from attnviz import __version__
from attnviz.errors import AttnvizError, InputError, WriteOption, refused, write_options
from attnviz.formats.writing import Result
from attnviz.pipeline.artifacts import Maker
from attnviz.pipeline.counting import Counter
from attnviz.pipeline.files import new_digest
from attnviz.pipeline.folder import Folder
from attnviz.pipeline.job import Job
from attnviz.pipeline.manifest import BEGINNING, ManifestEntry, canonical
from attnviz.pipeline.outcomes import KeepWeights, Note, outcomes
from attnviz.pipeline.sharing import share_out
from attnviz.pipeline.sources import FAILURES, portions, spare_memory
from attnviz.pipeline.streams import Source


class Watcher(Counter, Protocol):
    """Whoever wants to know how a batch is getting on."""

    def skip(self, count: int) -> None:
        """Be told that so many texts are done already."""

    def finish(self, paths: Sequence[Path]) -> None:
        """Be told that the files of a text are there."""


FilePiece = tuple[int, str, bytes]
"""The index of a text, the name of one of its files, and the next piece of it; files come one after the other."""

ExportStep = ManifestEntry | FilePiece | Note | tuple[ManifestEntry, AttnvizError]
"""A step on the way of a text into the folder: in the end its entry, and the error if it ended in one."""


def exports(job: Job, maker: Maker, portion: Sequence[Source]) -> Iterator[ExportStep]:
    """Make the files of each text that is asked for an entry, in order, piece by piece; in whichever process.

    All texts of a portion are read whichever are to be made: which texts a model runs together can show in the last
    digits, and the files of a text are to be the same whenever they are made.
    """
    for source, found in outcomes(KeepWeights(job, maker.wants_terms), portion):
        if (entry := source.asked) is None:
            continue
        if isinstance(found, Note):
            yield found
        elif isinstance(found, AttnvizError):
            yield _failed(entry, found, job.option)
        else:
            yield from _made(entry, found, maker, job.option)
        del found  # the next one needs the room


def _made(entry: ManifestEntry, result: Result, maker: Maker, option: WriteOption) -> Iterator[ExportStep]:
    notes: list[str] = []
    try:
        with spare_memory():
            for artifact in maker.artifacts(result, notes.append):
                yield from ((entry.index, artifact.file_name, piece) for piece in artifact.pieces)
    except FAILURES as error:
        yield _failed(entry, error, option)
        return
    yield from map(Note, notes)
    first = result.attention[0]
    yield replace(entry, text=result.text[:BEGINNING], model=first.model, engine=first.engine.value)


def _failed(entry: ManifestEntry, error: AttnvizError, option: WriteOption) -> tuple[ManifestEntry, AttnvizError]:
    return replace(entry, error=write_options(error.advice, option)), error


class Batch(Struct, frozen=True):
    """Texts to be exported into a folder, by how many processes; `anew` says that what is done is done again.

    `options` are those that change what comes out, by name, and `file` is where the texts come from, if from one.
    """

    job: Job
    maker: Maker
    options: Mapping[str, Any]
    file: str | None = None
    jobs: int = 1
    anew: bool = False

    def export(self, sources: Iterable[Source], path: Path, watcher: Watcher) -> None:
        """Make the files that are not there yet.

        Raises:
            AttnvizError: the only text failed, or the run cannot go on.
        """
        with Folder(path) as folder:
            work, due = partial(exports, self.job, self.maker), self._due(sources, folder, watcher)
            with closing(share_out(work, due, self.jobs)) as steps:
                for step in steps:
                    _take(step, folder, watcher)

    def _due(self, sources: Iterable[Source], folder: Folder, watcher: Watcher) -> Iterator[Sequence[Source]]:
        """Return the texts, some at a time, but for portions of which all are done; each is asked for its entry."""
        for portion in portions(sources):
            asked = [replace(source, asked=self._entry_due(source, folder)) for source in portion]
            due = sum(source.asked is not None for source in asked)
            watcher.skip(len(asked) - due)
            if due:
                yield asked

    def _entry_due(self, source: Source, folder: Folder) -> ManifestEntry | None:
        """Return the entry that a text is to have; None if it is done, wherever it stood then, which is kept."""
        entry = self._entry(source)
        if self.anew or (former := folder.find(entry)) is None:
            return entry
        if (former.source, former.file) != (entry.source, entry.file):
            folder.keep(replace(former, source=entry.source, file=entry.file))
        return None

    def _entry(self, source: Source) -> ManifestEntry:
        """Return what is known of a text before it is read."""
        return ManifestEntry(
            index=source.index,
            text="" if source.path else source.raw[: 4 * BEGINNING].decode(errors="replace")[:BEGINNING],
            source=source.place,
            file=self.file,
            hash=self._hash(source),
            model=self.job.model,
            engine="auto" if self.job.loading.engine is None else self.job.loading.engine.value,
            options=self.options,
        )

    def _hash(self, source: Source) -> str:
        """Return what changes if the files of a text would: its place in the input, the text, or anything else.

        Raises:
            ModelError: there is no such model.
            InputError: the file that holds it can no longer be read.
        """
        model = None if source.saved else self.job.fingerprint
        known = [__version__, model, self.options, source.index, source.saved, source.whole]
        digest = new_digest(canonical(known).encode())
        with refused(source.place, "read", InputError):
            for piece in source.pieces():
                digest.update(piece)
        return digest.hexdigest()


def _take(step: ExportStep, folder: Folder, watcher: Watcher) -> None:
    """Write what has become of a text, and say so; or what is to be said before."""
    if isinstance(step, Note):
        watcher.say(step)
    elif isinstance(step, ManifestEntry):
        watcher.finish(folder.add(step))
    elif isinstance(step[0], ManifestEntry):
        entry, error = step
        watcher.fail(entry.source, error)
        folder.add(entry)
    else:
        folder.write(*step)
