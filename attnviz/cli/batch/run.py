"""A batch, from its texts to its folder."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from attnviz.cli.batch.folder import Folder
from attnviz.cli.batch.making import Failed, Made, Making, Portion, Said
from attnviz.cli.batch.manifest import BEGINNING, Entry
from attnviz.cli.batch.processes import in_processes
from attnviz.cli.batch.progress import Tally
from attnviz.cli.batch.settings import Settings
from attnviz.cli.output import Notes, give_up_output, write_standard_output
from attnviz.cli.request import Input
from attnviz.cli.texts import STANDARD_INPUT, Source, chunks, report

_AT_A_TIME = 8
"""How many texts a process is given at a time: some that may be equally long, but few enough to share them out."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts to be exported into a folder, by how many processes; `anew` says that what is done is done again."""

    given: Input
    settings: Settings
    making: Making
    jobs: int
    anew: bool

    def export(self, path: Path) -> bool:
        """Makes the files that are not there yet; whether all texts are done.

        Raises:
            AttnvizError: the only text failed, or the run cannot go on.
        """
        with Folder(path) as folder, Tally(self.given, path) as tally:
            run = _Run(self, folder, tally)
            for made in run.work():
                run.take(made)
        return not tally.failed


@dataclass(frozen=True, slots=True)
class _Run:
    """A batch on its way: `due` has each text that is being worked on, and the entry that it is to have, by index."""

    batch: Batch
    folder: Folder
    tally: Tally
    due: dict[int, tuple[Source, Entry]] = field(default_factory=dict)
    note: Notes = field(default_factory=Notes)

    def work(self) -> Iterator[Made | Failed | Said]:
        """What becomes of each text that is not done, as it comes: in order, if no processes are started."""
        making, portions = self.batch.making, self._portions()
        if self.batch.jobs > 1:
            return in_processes(making, portions, self.batch.jobs)
        return (made for portion in portions for made in making(portion))

    def take(self, made: Made | Failed | Said) -> None:
        """Writes what has become of a text, and says so; or what is to be said before."""
        if isinstance(made, Said):
            self.note(made.note)
            return
        source, entry = self.due.pop(made.index)
        if isinstance(made, Failed):
            report(source, made.error)
            self.folder.add(replace(entry, error=str(made.error)), ())
        else:
            for each in made.notes:
                self.note(each)
            files = {artifact.file_name: len(artifact.data) for artifact in made.artifacts}
            done = replace(entry, text=made.text[:BEGINNING], model=made.model, engine=made.engine, files=files)
            self.folder.add(done, made.artifacts)
            self._print(files)
        self.tally.advance(failed=isinstance(made, Failed))

    def _portions(self) -> Iterator[Portion]:
        """The texts, some at a time, but for those that are done."""
        for sources in _parts(chunks(self.batch.given.sources())):
            pairs = [(source, self._entry(source)) for source in sources]
            due = {source.index: (source, entry) for source, entry in pairs if not self._done(entry)}
            self.tally.skip(len(sources) - len(due))
            if due:
                self.due.update(due)
                yield Portion(sources, frozenset(due))

    def _entry(self, source: Source) -> Entry:
        """What is known of a text before it is read."""
        file, settings = self.batch.given.file, self.batch.settings
        return Entry(
            index=source.index,
            text=source.raw[: 4 * BEGINNING].decode(errors="replace")[:BEGINNING],
            source=source.place,
            file=None if file is None or str(file) == STANDARD_INPUT else str(file),
            hash=settings.hash(source),
            model=settings.choice.model,
            engine=settings.choice.engine,
            options=settings.options,
        )

    def _done(self, entry: Entry) -> bool:
        """Whether a text is done, wherever it stood then."""
        former = None if self.batch.anew else self.folder.find(entry)
        if former is None:
            return False
        self.folder.keep(replace(former, source=entry.source, file=entry.file))
        return True

    def _print(self, names: Iterable[str]) -> None:
        """Prints where files are, unless that would run into the bar."""
        if self.tally.watched and sys.stdout.isatty():
            return
        paths = "".join(f"{self.folder.path / name}\n" for name in names)
        try:
            write_standard_output(paths.encode("utf-8", "surrogateescape"))
        except BrokenPipeError:  # whoever read the names has gone; the files are still wanted
            give_up_output()


def _parts(chunks: Iterable[Sequence[Source]]) -> Iterator[Sequence[Source]]:
    for chunk in chunks:
        for first in range(0, len(chunk), _AT_A_TIME):
            yield chunk[first : first + _AT_A_TIME]
