"""Outcomes: what texts come to. Those that are there at once are run together, as many as fit into memory."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from attnviz.errors import Advice, AttnvizError, RecordError, UsageError
from attnviz.formats.writing import Result
from attnviz.measures.statistics import Statistics, statistics_named
from attnviz.models.base import Model
from attnviz.models.reading import Reading
from attnviz.pipeline.budget import Plan, plan
from attnviz.pipeline.job import Job
from attnviz.pipeline.sources import FAILURES, Source
from attnviz.records import Attention, Axes, HeadTable
from attnviz.text import By

Found = TypeVar("Found")

AT_ONCE = 2**24
"""How many weights the results may have that wait for each other."""


class Note(Advice):
    """A sentence on a text, said before its weights are computed, which may take long."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Found]):
    """What the text with this index, which stands at a `place`, came to; or a note on it, which comes before that."""

    index: int
    place: str | None
    found: Found | AttnvizError | Note


@dataclass(frozen=True, slots=True)
class Read:
    """A source that has been read, and between what its weights are kept."""

    source: Source
    model: Model
    reading: Reading
    plan: Plan

    @property
    def alike(self) -> tuple[object, ...]:
        """What those have in common that can be run together; what is saved stands alone."""
        return id(self.model), *self.reading.size, self.plan.by.value

    def notes(self) -> Iterator[Note]:
        """Return what is to be said of the model, of the text and of the plan, if anything is."""
        of = f" on {self.source.place}" if self.source.place else ""
        yield from (Note("Note: " + note) for note in self.model.card.notes)
        yield from (Note(f"Note{of}: {warning}.") for warning in self.reading.warnings)
        if self.plan.note:
            yield Note(f"Note{of}: " + self.plan.note)


class Task(Protocol[Found]):
    """What is made of each text of a job."""

    @property
    def job(self) -> Job:
        """Which model reads the texts, and which of its weights are wanted."""

    def plan(self, axes: Sequence[Axes]) -> Plan:
        """Decide between what the weights on these axes are kept, and how many that are.

        Raises:
            TextError: they would take more memory than they may.
        """

    def compute(self, reads: Sequence[Read]) -> list[Found]:
        """Run readings of one size together, and return what is made of each."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The task of keeping the weights of each text: a `Result`."""

    job: Job

    def plan(self, axes: Sequence[Axes]) -> Plan:
        """See `Task.plan`."""
        self.job.select.check(self.job.by or By.TOKEN)
        return plan(axes, self.job.by, self.job.memory, groupable=self.job.select.rows is None)

    def compute(self, reads: Sequence[Read]) -> list[Result]:
        """See `Task.compute`."""
        first = reads[0]
        records = first.model.weights_of([read.reading for read in reads], self.job.select, first.plan.by)
        return [_result(read, self.job.formed(found)) for read, found in zip(reads, records, strict=True)]


def _result(read: Read, found: Sequence[Attention]) -> Result:
    passage = read.reading.passage
    return Result(
        index=read.source.index,
        text=passage.text,
        attention=found,
        pair=passage.pair,
        target=passage.target,
        written=passage.written,
        ended=passage.ended,
    )


@dataclass(frozen=True, slots=True)
class HeadNumbers:
    """The task of computing statistics, by their names, of each text: a `HeadTable` for each kind of attention."""

    job: Job
    names: Sequence[str]

    def plan(self, axes: Sequence[Axes]) -> Plan:
        """See `Task.plan`; no weights are kept."""
        return Plan(By.TOKEN, 0)

    def compute(self, reads: Sequence[Read]) -> list[list[HeadTable]]:
        """See `Task.compute`."""
        make = partial(Statistics, wanted=statistics_named(self.names))
        return reads[0].model.reduce([read.reading for read in reads], self.job.select, make)


def outcomes(task: Task[Found], chunks: Iterable[Sequence[Source]]) -> Iterator[Outcome[Found]]:
    """Return what each source comes to, in order, after the notes on it; those of one chunk may be run together."""
    for chunk in chunks:
        waiting: list[Read | Outcome[Found]] = []
        for source in chunk:
            waiting.append(read := _read(task, source))
            if isinstance(read, Read):
                yield from (Outcome(source.index, source.place, note) for note in read.notes())
            if source.saved or sum(one.plan.size for one in waiting if isinstance(one, Read)) >= AT_ONCE:
                yield from _computed(task, waiting)
                waiting = []
        yield from _computed(task, waiting)


def _read(task: Task[Found], source: Source) -> Read | Outcome[Found]:
    job = task.job
    job.check(source)
    try:
        with _of_one(source):
            model, reading = job.open(source)
            return Read(source, model, reading, task.plan(model.axes(reading, job.select)))
    except FAILURES as error:
        return Outcome(source.index, source.place, error)


def _computed(task: Task[Found], waiting: Sequence[Read | Outcome[Found]]) -> Iterator[Outcome[Found]]:
    """Run what has been read, together where that can be, and return all in the order in which it came."""
    found = [one for one in waiting if isinstance(one, Outcome)]
    alike: dict[tuple[object, ...], list[Read]] = {}
    for one in waiting:
        if isinstance(one, Read):
            alike.setdefault(one.alike, []).append(one)
    for together in alike.values():
        found += _together(task, together)
    yield from sorted(found, key=lambda outcome: outcome.index)


def _together(task: Task[Found], reads: Sequence[Read]) -> list[Outcome[Found]]:
    """Run readings of one size; if one of them fails, each by itself."""
    sources = [read.source for read in reads]
    try:
        with _of_one(sources[0]):
            made = task.compute(reads)
    except FAILURES as error:
        if len(reads) > 1:
            return [outcome for read in reads for outcome in _together(task, [read])]
        return [Outcome(sources[0].index, sources[0].place, error)]
    return [Outcome(source.index, source.place, found) for source, found in zip(sources, made, strict=True)]


@contextmanager
def _of_one(source: Source) -> Iterator[None]:
    """Let what a saved record does not hold be the error of that record, since the next one may hold it."""
    try:
        yield
    except UsageError as error:
        if source.saved is None:
            raise
        raise RecordError(error.advice) from error
