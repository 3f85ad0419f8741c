"""A batch, from its texts to its folder: what is done stays, what was stopped goes on where it was."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from attnviz import __version__
from attnviz.errors import AttnvizError, in_words
from attnviz.pipeline.artifacts import Artifact, Maker
from attnviz.pipeline.folder import Folder
from attnviz.pipeline.job import Job
from attnviz.pipeline.manifest import BEGINNING, Entry
from attnviz.pipeline.outcomes import Note, Outcome, Weights, outcomes
from attnviz.pipeline.processes import in_processes
from attnviz.pipeline.sources import FAILURES, Source, portions


class Watcher(Protocol):
    """Whoever wants to know how a batch is getting on."""

    def say(self, note: str) -> None:
        """Be told something of a text, or of its files."""

    def skip(self, count: int) -> None:
        """Be told that so many texts are done already."""

    def finish(self, paths: Sequence[Path]) -> None:
        """Be told that the files of a text are there."""

    def fail(self, place: str | None, error: AttnvizError) -> None:
        """Be told why there are no files of a text; raise the error if nothing else was to be done."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a text, what computed them, and what is to be said of them."""

    text: str
    model: str
    engine: str
    artifacts: tuple[Artifact, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Making:
    """Make files of texts, as a job and a maker say, in whichever process.

    All texts of a portion are read whichever are due: which texts a model runs together can show in the last digits,
    and the files of a text are to be the same whenever they are made.
    """

    job: Job
    maker: Maker

    def __call__(self, portion: Sequence[Source]) -> Iterator[Outcome[Files]]:
        """Return what becomes of each text that is due, in order, after the notes on it."""
        due = {source.index for source in portion if source.due}
        for outcome in outcomes(Weights(self.job), [portion]):
            if outcome.index in due:
                yield Outcome(outcome.index, outcome.place, self._made(outcome.found))

    def _made(self, found: Any) -> Files | AttnvizError | Note:
        if isinstance(found, AttnvizError | Note):
            return found
        notes: list[str] = []
        try:
            artifacts = tuple(self.maker.artifacts(found, notes.append))
        except FAILURES as error:
            return error
        first = found.attention[0]
        return Files(found.text, first.model, first.engine.value, artifacts, tuple(notes))


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts to be exported into a folder, by how many processes; `anew` says that what is done is done again.

    `options` are those that change what comes out, by name, and `file` is where the texts come from, if from one.
    """

    making: Making
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
            run = _Run(self, folder, watcher)
            for outcome in run.work(sources):
                run.take(outcome)

    def hash(self, source: Source) -> str:
        """Return what changes if the files of a text would: its place in the input, the text, or anything else.

        Raises:
            ModelError: there is no such model.
        """
        model = None if source.saved else self.making.job.fingerprint
        known = [__version__, model, self.options, source.index, source.saved, source.whole]
        digest = hashlib.blake2b(json.dumps(known, sort_keys=True).encode(), digest_size=16)
        digest.update(source.raw)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Run:
    """A batch on its way: `due` has for each text that is being worked on the entry that it is to have, by index."""

    batch: Batch
    folder: Folder
    watcher: Watcher
    due: dict[int, Entry] = field(default_factory=dict)

    def work(self, sources: Iterable[Source]) -> Iterator[Outcome[Files]]:
        """Return what becomes of each text that is not done, as it comes: in order, if no processes are started."""
        making, portions = self.batch.making, self._portions(sources)
        if self.batch.jobs > 1:
            return in_processes(making, portions, self.batch.jobs)
        return (outcome for portion in portions for outcome in making(portion))

    def take(self, outcome: Outcome[Files]) -> None:
        """Write what has become of a text, and say so; or what is to be said before."""
        found = outcome.found
        if isinstance(found, Note):
            self.watcher.say(found)
            return
        entry = self.due.pop(outcome.index)
        if isinstance(found, AttnvizError):
            self.watcher.fail(outcome.place, found)
            said = in_words(found.advice, self.batch.making.job.option)
            self.folder.add(replace(entry, error=said), ())
            return
        for note in found.notes:
            self.watcher.say(note)
        files = {artifact.file_name: len(artifact.data) for artifact in found.artifacts}
        done = replace(entry, text=found.text[:BEGINNING], model=found.model, engine=found.engine, files=files)
        self.folder.add(done, found.artifacts)
        self.watcher.finish([self.folder.path / name for name in files])

    def _portions(self, sources: Iterable[Source]) -> Iterator[Sequence[Source]]:
        """Return the texts, some at a time, but for portions of which all are done."""
        for portion in portions(sources):
            entries = [self._entry(source) for source in portion]
            marked = [replace(source, due=not self._done(e)) for source, e in zip(portion, entries, strict=True)]
            due = {source.index: e for source, e in zip(marked, entries, strict=True) if source.due}
            self.watcher.skip(len(portion) - len(due))
            if due:
                self.due.update(due)
                yield marked

    def _entry(self, source: Source) -> Entry:
        """Return what is known of a text before it is read."""
        job = self.batch.making.job
        return Entry(
            index=source.index,
            text=source.raw[: 4 * BEGINNING].decode(errors="replace")[:BEGINNING],
            source=source.place,
            file=self.batch.file,
            hash=self.batch.hash(source),
            model=job.model,
            engine="auto" if job.loading.engine is None else job.loading.engine.value,
            options=self.batch.options,
        )

    def _done(self, entry: Entry) -> bool:
        """Whether a text is done, wherever it stood then."""
        former = None if self.batch.anew else self.folder.find(entry)
        if former is None:
            return False
        self.folder.keep(replace(former, source=entry.source, file=entry.file))
        return True
