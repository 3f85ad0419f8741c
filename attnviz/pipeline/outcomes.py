"""Outcomes: what texts come to. Those that are there at once are run together, as many as fit into memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from attnviz.errors import Advice, AttnvizError, ModelError, RecordError, TextError, UsageError
from attnviz.formats.writing import Result
from attnviz.measures.head_statistics import Statistics
from attnviz.measures.statistics import find_statistics
from attnviz.measures.terms import KeepTerms, ScoredRecord
from attnviz.models.model import Model
from attnviz.models.passages import Reading
from attnviz.pipeline.budget import find_room, plan
from attnviz.pipeline.job import Job
from attnviz.pipeline.sources import FAILURES, chunks, spare_memory
from attnviz.pipeline.streams import Source
from attnviz.records import Axes, HeadTable, require_weights
from attnviz.text import By, Grouping

Found = TypeVar("Found")

_MOST_WAITING = 2**24
"""How many weights the results may have that wait for each other."""


class Note(Advice):
    """A sentence on a text, said before its weights are computed, which may take long."""


ReadText = tuple[Source, Reading]
"""A text, and what a model has read of it."""

Outcome = tuple[Source, Found | AttnvizError | Note]
"""A text, and what it has come to; or a note on it, which comes before that."""

Made = TypeVar("Made")


def make_of(outcome: Outcome[Found], make: Callable[[Found], Made]) -> Outcome[Made]:
    """Return the outcome of a text with what is made of what it has come to; an error and a note stay as they are."""
    source, found = outcome
    return source, found if isinstance(found, AttnvizError | Note) else make(found)


class Task(Protocol[Found]):
    """A way to make something of each text of a job."""

    @property
    def job(self) -> Job:
        """Return the job, which says which model reads the texts and which of its weights are wanted."""

    def plan(self, text: ReadText, axes: Sequence[Axes], note: Callable[[str], None]) -> tuple[Grouping, int]:
        """Return how the tokens of a text are grouped, and how many weights that leaves; tell `note` why.

        Raises:
            TextError: they would take more memory than they may.
        """

    def compute(self, model: Model, texts: Sequence[ReadText], by: Grouping) -> list[Found]:
        """Run texts of one size together, and return what is made of each."""


class KeepWeights(Struct, frozen=True):
    """The task of keeping the weights of each text, and if `terms` what their scores are made of: a `Result`.

    How much that is shows only while a model runs, so with `terms` no text waits for another.
    """

    job: Job
    terms: bool = False

    def plan(self, text: ReadText, axes: Sequence[Axes], note: Callable[[str], None]) -> tuple[Grouping, int]:
        """See `Task.plan`."""
        self.job.select.check(self.job.by or By.TOKEN)
        by, size = plan(text[0], axes, self.job, note)
        return by, max(size, _MOST_WAITING) if self.terms else size

    def compute(self, model: Model, texts: Sequence[ReadText], by: Grouping) -> list[Result]:
        """See `Task.compute`."""
        wanted = [axes for _, reading in texts for axes in model.axes(reading, self.job.select)] if self.terms else []
        make = partial(KeepTerms, by=by, room=find_room(wanted, self.job) if wanted else 0)
        kept = model.reduce([reading for _, reading in texts], self.job.select, make)
        return [self._make_result(*text, found) for text, found in zip(texts, kept, strict=True)]

    def _make_result(self, source: Source, reading: Reading, found: Sequence[ScoredRecord]) -> Result:
        passage = reading.passage
        return Result(
            index=source.index,
            text=passage.text,
            attention=self.job.formed([one.record for one in found]),
            pair=passage.pair,
            target=passage.target,
            written=passage.written,
            ended=passage.ended,
            terms=[one.terms for one in found if one.terms],
        )


class NumbersTask(Struct, frozen=True):
    """The common part of tasks that compute numbers of the weights of each text, and keep none of these."""

    job: Job

    def plan(self, text: ReadText, axes: Sequence[Axes], note: Callable[[str], None]) -> tuple[Grouping, int]:
        """See `Task.plan`; no weights are kept."""
        for one in axes:
            require_weights(one)
        return By.TOKEN, 0


class HeadNumbers(NumbersTask, frozen=True):
    """The task of computing statistics, by their names, of each text: a `HeadTable` for each kind of attention."""

    names: Sequence[str]

    def compute(self, model: Model, texts: Sequence[ReadText], by: Grouping) -> list[list[HeadTable]]:
        """See `Task.compute`."""
        make = partial(Statistics, wanted=find_statistics(self.names))
        return model.reduce([reading for _, reading in texts], self.job.select, make)


def outcomes(task: Task[Found], portion: Iterable[Source]) -> Iterator[Outcome[Found]]:
    """Yield what each source comes to, in order, after the notes on it; they may be run together."""
    waiting = _Waiting(task)
    for source in portion:
        yield from ((source, Note(note)) for note in waiting.read(source))
        if source.saved or waiting.size >= _MOST_WAITING:
            yield from waiting.run()
    yield from waiting.run()


def stream_outcomes(task: Task[Found], sources: Iterable[Source]) -> Iterator[Outcome[Found]]:
    """Yield what each source comes to, in order; none waits for one that has yet to come."""
    for portion in chunks(sources):
        yield from outcomes(task, portion)


class _Waiting(Generic[Found]):
    """Texts of a task that are read, and wait to be run with others of their size; their weights have this size."""

    def __init__(self, task: Task[Found]) -> None:
        self._task = task
        self._clear()

    def _clear(self) -> None:
        self.size = 0
        self._ended: list[Outcome[Found]] = []
        self._alike: dict[tuple[Model, tuple[int, ...], Grouping], list[ReadText]] = {}

    def read(self, source: Source) -> Sequence[str]:
        """Read a text, and return the notes on it; one that fails has ended with that."""
        job, notes = self._task.job, list[str]()
        try:
            job.check(source)
        except UsageError as error:
            self._ended.append((source, error))
            return ()
        try:
            with of_one(source):
                model, reading = job.open(source)
                by, size = self._task.plan((source, reading), model.axes(reading, job.select), notes.append)
        except FAILURES as error:
            self._ended.append((source, error))
            return ()
        self.size += size
        self._alike.setdefault((model, reading.size, by), []).append((source, reading))
        of = f" on {source.place}" if source.place else ""
        return [
            *("Note: " + note for note in model.card.notes),
            *(f"Note{of}: {warning}." for warning in reading.warnings),
            *(f"Note{of}: " + note for note in notes),
        ]

    def run(self) -> list[Outcome[Found]]:
        """Run what has been read, together where that can be, let it go, and return all in the order of the sources."""
        for (model, _, by), texts in self._alike.items():
            self._ended += self._together(model, texts, by)
        ended = sorted(self._ended, key=lambda outcome: outcome[0].index)
        self._clear()
        return ended

    def _together(self, model: Model, texts: Sequence[ReadText], by: Grouping) -> list[Outcome[Found]]:
        """Run texts of one size; if one of them fails, each by itself."""
        sources = [source for source, _ in texts]
        try:
            with of_one(sources[0]):
                made = self._task.compute(model, texts, by)
        except FAILURES as error:
            if len(texts) > 1:
                return [outcome for text in texts for outcome in self._together(model, [text], by)]
            return [(sources[0], error)]
        return list(zip(sources, made, strict=True))


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
