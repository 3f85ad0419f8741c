"""A batch, from its texts to its folder: what is done stays, what was stopped goes on where it was."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from attnviz import __version__
from attnviz.errors import AttnvizError, TextError, WriteOption, write_options
from attnviz.formats.writing import Result
from attnviz.pipeline.artifacts import Artifact, Maker
from attnviz.pipeline.counting import Counter
from attnviz.pipeline.folder import Folder
from attnviz.pipeline.job import Job
from attnviz.pipeline.manifest import BEGINNING, ManifestEntry, canonical
from attnviz.pipeline.outcomes import Note, Weights, outcomes
from attnviz.pipeline.sharing import share_out
from attnviz.pipeline.sources import FAILURES, portions, spare_memory
from attnviz.pipeline.streams import Source


class Watcher(Counter, Protocol):
    """Whoever wants to know how a batch is getting on."""

    def skip(self, count: int) -> None:
        """Be told that so many texts are done already."""

    def finish(self, paths: Sequence[Path]) -> None:
        """Be told that the files of a text are there."""


Export = tuple[ManifestEntry, Sequence[Artifact] | AttnvizError]
"""The entry of a text, and its files or the error that it ended in."""


def exports(job: Job, maker: Maker, portion: Sequence[Source]) -> Iterator[Export | Note]:
    """Make the files of each text that is asked for an entry, in order, after the notes on it; in whichever process.

    All texts of a portion are read whichever are to be made: which texts a model runs together can show in the last
    digits, and the files of a text are to be the same whenever they are made.
    """
    for source, found in outcomes(Weights(job), [portion]):
        if (entry := source.asked) is None:
            continue
        if isinstance(found, Note):
            yield found
        elif isinstance(found, AttnvizError):
            yield _failed(entry, found, job.option)
        else:
            yield from _made(entry, found, maker, job.option)


def _made(entry: ManifestEntry, result: Result, maker: Maker, option: WriteOption) -> Iterator[Export | Note]:
    notes: list[str] = []
    try:
        with spare_memory():
            artifacts = tuple(maker.artifacts(result, notes.append))
    except FAILURES as error:
        yield _failed(entry, error, option)
        return
    yield from map(Note, notes)
    first = result.attention[0]
    done = replace(entry, text=result.text[:BEGINNING], model=first.model, engine=first.engine.value)
    yield done, artifacts


def _failed(entry: ManifestEntry, error: AttnvizError, option: WriteOption) -> Export:
    return replace(entry, error=write_options(error.advice, option)), error


@dataclass(frozen=True, slots=True)
class Batch:
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
            for found in share_out(work, due, self.jobs):
                _take(found, folder, watcher)

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
            text=source.raw[: 4 * BEGINNING].decode(errors="replace")[:BEGINNING],
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
        """
        model = None if source.saved else self.job.fingerprint
        known = [__version__, model, self.options, source.index, source.saved, source.whole]
        digest = hashlib.blake2b(canonical(known).encode(), digest_size=16)
        digest.update(source.raw)
        return digest.hexdigest()


def _take(found: Export | Note, folder: Folder, watcher: Watcher) -> None:
    """Write what has become of a text, and say so; or what is to be said before."""
    if isinstance(found, Note):
        watcher.say(found)
        return
    entry, made = found
    if isinstance(made, AttnvizError):
        watcher.fail(entry.source, made)
        folder.add(entry, ())
        return
    try:
        with spare_memory():
            folder.add(entry, made)
    except TextError as error:
        watcher.fail(entry.source, error)
    else:
        watcher.finish([folder.path / artifact.file_name for artifact in made])
