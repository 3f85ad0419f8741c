"""What texts come to: those that are there at once are run together, as many as the memory meant for that holds."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from attnviz.errors import AttnvizError, RecordError, UsageError
from attnviz.formats.writing import Result
from attnviz.models.base import Model
from attnviz.models.reading import Reading
from attnviz.pipeline.job import Job
from attnviz.pipeline.sources import FAILURES, Source
from attnviz.records import Attention
from attnviz.text import Grouping

Found = TypeVar("Found", covariant=True)

AT_ONCE = 2**24
"""How many weights the results may have that wait for each other."""


class Note(str):
    """A sentence on a text, said before its weights are computed, which may take long."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Found]):
    """What the text with this index, which stands at a `place`, came to; or a note on it, which comes before that."""

    index: int
    place: str | None
    found: Found | AttnvizError | Note


@dataclass(frozen=True, slots=True)
class _Read:
    """A source that has been read, and what is to be kept of its weights: so many, between what `by` says."""

    source: Source
    model: Model
    reading: Reading
    by: Grouping
    size: int
    note: str | None

    @property
    def alike(self) -> tuple[object, ...]:
        """What those have in common that can be run together; what is saved stands alone."""
        return id(self.model), *self.reading.size, self.by.value

    def outcome(self, found: Sequence[Attention] | AttnvizError) -> Outcome[Result]:
        """Return what came of it."""
        if isinstance(found, AttnvizError):
            return _outcome(self.source, found)
        read = self.reading.passage
        result = Result(self.source.index, read.text, found, read.pair, read.target, read.written, read.ended)
        return _outcome(self.source, result)


def results(job: Job, chunks: Iterable[Sequence[Source]]) -> Iterator[Outcome[Result]]:
    """Return what each source comes to, in order, after the notes on it; those of one chunk may be run together."""
    for chunk in chunks:
        waiting: list[_Read | Outcome[Result]] = []
        for source in chunk:
            waiting.append(read := _read(job, source))
            if isinstance(read, _Read) and read.note:
                of = f" on {source.place}" if source.place else ""
                yield _outcome(source, Note(f"Note{of}: {read.note}"))
            if source.saved or sum(one.size for one in waiting if isinstance(one, _Read)) >= AT_ONCE:
                yield from _computed(job, waiting)
                waiting = []
        yield from _computed(job, waiting)


def _read(job: Job, source: Source) -> _Read | Outcome[Result]:
    job.check(source)
    try:
        with _of_one(source):
            model, reading = job.open(source)
            plan = job.plan(model.axes(reading, job.select))
    except FAILURES as error:
        return _outcome(source, error)
    return _Read(source, model, reading, plan.by, plan.size, plan.note)


def _computed(job: Job, waiting: Sequence[_Read | Outcome[Result]]) -> Iterator[Outcome[Result]]:
    """Run what has been read, together where that can be, and return all in the order in which it came."""
    found = [one for one in waiting if isinstance(one, Outcome)]
    alike: dict[tuple[object, ...], list[_Read]] = {}
    for one in waiting:
        if isinstance(one, _Read):
            alike.setdefault(one.alike, []).append(one)
    for together in alike.values():
        found += _together(job, together)
    yield from sorted(found, key=lambda outcome: outcome.index)


def _together(job: Job, reads: Sequence[_Read]) -> list[Outcome[Result]]:
    """Run readings of one size; if one of them fails, each by itself."""
    first = reads[0]
    try:
        with _of_one(first.source):
            records = first.model.weights_of([one.reading for one in reads], job.select, first.by)
            return [one.outcome(job.formed(found)) for one, found in zip(reads, records, strict=True)]
    except FAILURES as error:
        if len(reads) == 1:
            return [first.outcome(error)]
        return [outcome for one in reads for outcome in _together(job, [one])]


@contextmanager
def _of_one(source: Source) -> Iterator[None]:
    """Let what a saved record does not hold be the error of that record, since the next one may hold it."""
    try:
        yield
    except UsageError as error:
        if source.saved is None:
            raise
        raise RecordError(str(error)) from error


def _outcome(source: Source, found: Result | AttnvizError | Note) -> Outcome[Result]:
    return Outcome(source.index, source.place, found)
