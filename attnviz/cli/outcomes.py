"""What texts come to: those that are there at once are run together, as many as the memory meant for that holds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnviz.cli.output import complain
from attnviz.cli.request import Request
from attnviz.cli.texts import FAILURES, Source, report
from attnviz.errors import AttnvizError
from attnviz.views.data.formats import Result

if TYPE_CHECKING:
    from attnviz.attention import Attention
    from attnviz.cli.budget import Plan
    from attnviz.models.reading import Reading

AT_ONCE = 2**24
"""How many weights the results may have that wait for each other."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a source came to: a result, or the error because of which there is none."""

    source: Source
    found: Result | AttnvizError

    def result(self) -> Result:
        """The result.

        Raises:
            AttnvizError: there is none.
        """
        if isinstance(self.found, AttnvizError):
            raise self.found
        return self.found


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be said of a source before its weights are computed, which may take long."""

    source: Source
    text: str


@dataclass(frozen=True, slots=True)
class _Read:
    """A source whose text has been read, and what is to be kept of its weights."""

    source: Source
    reading: "Reading"
    plan: "Plan"

    @property
    def alike(self) -> tuple[object, ...]:
        """What those have in common that can be run together."""
        return *self.reading.size, self.plan.by.value

    def outcome(self, found: Sequence["Attention"]) -> Outcome:
        """What came of it: its records."""
        read, index = self.reading.passage, self.source.index
        result = Result(index, read.text, found, read.pair, read.target, written=read.written, ended=read.ended)
        return Outcome(self.source, result)

    def notices(self) -> Iterator[Notice]:
        """What is to be said of the text and of the plan, if anything is."""
        of = f" on {self.source.place}" if self.source.place else ""
        warnings = (f"{warning}." for warning in self.reading.warnings)
        for note in (*warnings, *([self.plan.note] if self.plan.note else [])):
            yield Notice(self.source, f"Note{of}: {note}")


def for_each_result(request: Request, chunks: Iterable[Sequence[Source]], work: Callable[[Result], None]) -> bool:
    """Does the work for what each text comes to, in order; whether all were done. One that fails is reported.

    Raises:
        AttnvizError: the only text failed.
    """
    failed = False
    for outcome in outcomes(request, chunks):
        if isinstance(outcome, Notice):
            complain(outcome.text)
            continue
        try:
            work(outcome.result())
        except FAILURES as error:
            report(outcome.source, error)
            failed = True
    return not failed


def outcomes(request: Request, chunks: Iterable[Sequence[Source]]) -> Iterator[Outcome | Notice]:
    """What each source comes to, in order, after what is to be said of it; those of one chunk may be run together."""
    for chunk in chunks:
        waiting: list[_Read | Outcome] = []
        for source in chunk:
            waiting.append(read := _read(request, source))
            if isinstance(read, _Read):
                yield from read.notices()
            if source.saved or sum(one.plan.size for one in waiting if isinstance(one, _Read)) >= AT_ONCE:
                yield from _computed(request, waiting)
                waiting = []
        yield from _computed(request, waiting)


def _read(request: Request, source: Source) -> _Read | Outcome:
    try:
        if source.saved:
            return Outcome(source, request.saved(source, source.saved))
        reading = request.read(source.text())
        plan = request.plan(reading)
    except FAILURES as error:
        return Outcome(source, error)
    return _Read(source, reading, plan)


def _computed(request: Request, waiting: Sequence[_Read | Outcome]) -> Iterator[Outcome]:
    """What has been read, run together where that can be, in the order in which it came."""
    found = [one for one in waiting if isinstance(one, Outcome)]
    alike: dict[tuple[object, ...], list[_Read]] = {}
    for one in waiting:
        if isinstance(one, _Read):
            alike.setdefault(one.alike, []).append(one)
    for together in alike.values():
        found += _together(request, together)
    yield from sorted(found, key=lambda outcome: outcome.source.index)


def _together(request: Request, reads: Sequence[_Read]) -> list[Outcome]:
    """What readings of one size come to; if one of them fails, each is run by itself."""
    try:
        records = request.weights([one.reading for one in reads], reads[0].plan.by)
        return [one.outcome(found) for one, found in zip(reads, records, strict=True)]
    except FAILURES as error:
        if len(reads) == 1:
            return [Outcome(reads[0].source, error)]
        return [outcome for one in reads for outcome in _together(request, [one])]
