"""Outcomes: what texts come to. Those that are there at once are run together, as many as fit into memory."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from attnviz.errors import Advice, AttnvizError, ModelError, RecordError, TextError, UsageError
from attnviz.formats.writing import Result
from attnviz.measures.statistics import Statistics, find_statistics
from attnviz.measures.totals import Totals
from attnviz.pipeline.budget import plan
from attnviz.pipeline.job import Job, ReadText
from attnviz.pipeline.sources import FAILURES, spare_memory
from attnviz.pipeline.streams import Source
from attnviz.records import Axes, HeadMatrix, HeadTable, require_weights
from attnviz.text import By

Found = TypeVar("Found")

AT_ONCE = 2**24
"""How many weights the results may have that wait for each other."""


class Note(Advice):
    """A sentence on a text, said before its weights are computed, which may take long."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Found]):
    """The outcome of the text with this index, which stands at a `place`; or a note on it, which comes before that."""

    index: int
    place: str | None
    found: Found | AttnvizError | Note


class Task(Protocol[Found]):
    """A way to make something of each text of a job."""

    @property
    def job(self) -> Job:
        """Return the job, which says which model reads the texts and which of its weights are wanted."""

    def plan(self, text: ReadText, axes: Sequence[Axes]) -> ReadText:
        """Decide between what the weights of a text, on these axes, are kept.

        Raises:
            TextError: they would take more memory than they may.
        """

    def compute(self, texts: Sequence[ReadText]) -> list[Found]:
        """Run texts of one size together, and return what is made of each."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The task of keeping the weights of each text: a `Result`."""

    job: Job

    def plan(self, text: ReadText, axes: Sequence[Axes]) -> ReadText:
        """See `Task.plan`."""
        self.job.select.check(self.job.by or By.TOKEN)
        return plan(text, axes, self.job)

    def compute(self, texts: Sequence[ReadText]) -> list[Result]:
        """See `Task.compute`."""
        first = texts[0]
        records = first.model.weights_of([text.reading for text in texts], self.job.select, first.by)
        return [_result(text, self.job.formed(found)) for text, found in zip(texts, records, strict=True)]


def _result(text: ReadText, found: Sequence[HeadMatrix]) -> Result:
    passage = text.reading.passage
    return Result(
        index=text.source.index,
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

    def start(self) -> Totals:
        """See `CountingTask.start`."""
        return Totals()

    def plan(self, text: ReadText, axes: Sequence[Axes]) -> ReadText:
        """See `Task.plan`; no weights are kept."""
        for one in axes:
            require_weights(one)
        return text

    def compute(self, texts: Sequence[ReadText]) -> list[list[HeadTable]]:
        """See `Task.compute`."""
        make = partial(Statistics, wanted=find_statistics(self.names))
        return texts[0].model.reduce([text.reading for text in texts], self.job.select, make)


def outcomes(task: Task[Found], chunks: Iterable[Sequence[Source]]) -> Iterator[Outcome[Found]]:
    """Return what each source comes to, in order, after the notes on it; those of one chunk may be run together."""
    for chunk in chunks:
        waiting: list[ReadText | Outcome[Found]] = []
        for source in chunk:
            waiting.append(text := _read(task, source))
            if isinstance(text, ReadText):
                yield from (Outcome(source.index, source.place, Note(note)) for note in text.notes)
            if source.saved or sum(one.size for one in waiting if isinstance(one, ReadText)) >= AT_ONCE:
                yield from _computed(task, waiting)
                waiting = []
        yield from _computed(task, waiting)


def _read(task: Task[Found], source: Source) -> ReadText | Outcome[Found]:
    job = task.job
    try:
        job.check(source)
    except UsageError as error:
        return Outcome(source.index, source.place, error)
    try:
        with of_one(source):
            text = job.open(source)
            return task.plan(text, text.model.axes(text.reading, job.select))
    except FAILURES as error:
        return Outcome(source.index, source.place, error)


def _computed(task: Task[Found], waiting: Sequence[ReadText | Outcome[Found]]) -> Iterator[Outcome[Found]]:
    """Run what has been read, together where that can be, and return all in the order in which it came."""
    found = [one for one in waiting if isinstance(one, Outcome)]
    alike: dict[tuple[object, ...], list[ReadText]] = {}
    for one in waiting:
        if isinstance(one, ReadText):
            alike.setdefault(one.alike, []).append(one)
    for together in alike.values():
        found += _together(task, together)
    yield from sorted(found, key=lambda outcome: outcome.index)


def _together(task: Task[Found], texts: Sequence[ReadText]) -> list[Outcome[Found]]:
    """Run texts of one size; if one of them fails, each by itself."""
    sources = [text.source for text in texts]
    try:
        with of_one(sources[0]):
            made = task.compute(texts)
    except FAILURES as error:
        if len(texts) > 1:
            return [outcome for text in texts for outcome in _together(task, [text])]
        return [Outcome(sources[0].index, sources[0].place, error)]
    return [Outcome(source.index, source.place, found) for source, found in zip(sources, made, strict=True)]


@contextmanager
def of_one(source: Source) -> Iterator[None]:
    """Let what a model makes of one text, or a saved record does not hold, be the error of that text or record.

    Raises:
        TextError: the model fails, or there is too little memory; the next text may fare better.
        RecordError: the record does not hold what was asked for.
    """
    try:
        with spare_memory():
            yield
    except ModelError as error:
        raise TextError(error.advice) from error
    except UsageError as error:
        if source.saved is None:
            raise
        raise RecordError(error.advice) from error
