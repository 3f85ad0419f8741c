"""Numbers over many texts, by one process or several; the texts are gone when they are counted."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, Protocol, Self, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import AttnvizError, warn
from attnviz.measures.labels import find_labels
from attnviz.pipeline.outcomes import Found, HeadNumbers, Note, Outcome, Task, outcomes
from attnviz.pipeline.sharing import share_in_order
from attnviz.pipeline.sources import portions
from attnviz.pipeline.streams import Source
from attnviz.records import HeadTable

AT_A_TIME = 32
"""How many texts are counted before their totals are handed over: more of them are equally long, and run together."""


class Counter(Protocol):
    """Whoever wants to know how texts are getting on."""

    def say(self, note: str) -> None:
        """Be told something of a text."""

    def fail(self, place: str | None, error: AttnvizError) -> None:
        """Be told why a text came to nothing; raise the error if nothing else was to be done."""

    def count(self, texts: int) -> None:
        """Be told that so many more texts are done."""


class Warner(Struct, frozen=True):
    """A counter for Python: notes are warnings, and an error is raised unless there is a function to be told of it."""

    failed: Callable[[str, AttnvizError], None] | None = None

    def say(self, note: str) -> None:
        """Warn of it where numbers were asked for."""
        warn(note)

    def fail(self, place: str | None, error: AttnvizError) -> None:
        """Tell of an error and its place, or raise it."""
        if self.failed is None:
            raise error if place is None else type(error)(f"{place[0].upper()}{place[1:]}: {error}") from error
        self.failed(place or "the text", error)

    def count(self, texts: int) -> None:
        """Do nothing."""


class Countable(Protocol):
    """A total over texts, to which texts and other totals can be added."""

    def add(self, found: Any) -> None:
        """Take in one of the things that a text came to."""

    def merge(self, other: Self) -> None:
        """Take in all texts of another."""


Counts = TypeVar("Counts", bound=Countable)
Started = TypeVar("Started", bound=Countable, covariant=True)


class CountingTask(Task[list[Any]], Protocol[Started]):
    """A way to make things of each text of a job that are added up."""

    def start(self) -> Started:
        """Return the total over no text."""


Placed = tuple[str | None, Found | AttnvizError | Note]
"""The place of a text, and what it has come to; see `Outcome`, of which processes send no more than that."""


class Portion(Struct, Generic[Counts], frozen=True):
    """The totals of some texts that were counted together: of so many of them."""

    texts: int
    totals: Counts


def add_up(totals: Counts, found: Iterable[Outcome[list[Any]]]) -> Iterator[Placed[Portion[Counts]]]:
    """Yield the notes on the texts of a portion, the error of each that fails, and the totals of the others."""
    texts = 0
    for source, made in found:
        if isinstance(made, AttnvizError | Note):
            yield source.place, made
        else:
            texts += 1
            for each in made:
                totals.add(each)
    yield None, Portion(texts, totals)


def totals_of(task: CountingTask[Counts], portion: Sequence[Source]) -> Iterator[Placed[Portion[Counts]]]:
    """Return the error of each text of a portion that fails, and the totals of the others; in whichever process."""
    found = outcomes(task, [portion])
    return add_up(task.start(), found)


def total(task: CountingTask[Counts], sources: Iterable[Source], jobs: int, counter: Counter) -> Counts:
    """Return the totals of all texts.

    Raises:
        ProcessError: a process has ended before its work was done.
    """
    return total_portions(partial(totals_of, task), task.start(), sources, jobs, counter)


def total_portions(
    work: Callable[[Sequence[Source]], Iterator[Placed[Portion[Counts]]]],
    totals: Counts,
    sources: Iterable[Source],
    jobs: int,
    counter: Counter,
) -> Counts:
    """Return the totals with those that the work makes of each portion of the texts.

    Raises:
        ProcessError: a process has ended before its work was done.
    """
    # portions are the same whoever works on them: which texts are run together can show in the last digits
    for part in _take(share_in_order(work, portions(sources, AT_A_TIME, whole=True), jobs), counter):
        totals.merge(part.totals)
        counter.count(part.texts)
    return totals


def tables_of(task: HeadNumbers, portion: Sequence[Source]) -> Iterator[Placed[list[HeadTable]]]:
    """Return the tables of each text of a portion, or its error and the notes on it; in whichever process."""
    for source, found in outcomes(task, [portion]):
        yield source.place, _name_text(found, source)


def _name_text(found: list[HeadTable] | AttnvizError | Note, source: Source) -> list[HeadTable] | AttnvizError | Note:
    """Return the tables of a text with what it is."""
    if isinstance(found, AttnvizError | Note):
        return found
    text = "" if source.saved else source.text()
    return [replace(table, text_index=source.index, text=text, labels=find_labels(table)) for table in found]


def tables_in_order(
    task: HeadNumbers, sources: Iterable[Source], jobs: int, counter: Counter
) -> Iterator[list[HeadTable]]:
    """Yield the tables of each text, in the order of the texts; those of a portion wait for the portions before it.

    Raises:
        ProcessError: a process has ended before its work was done.
    """
    work, parts = partial(tables_of, task), portions(sources, AT_A_TIME, whole=True)
    for tables in _take(share_in_order(work, parts, jobs), counter):
        counter.count(1)
        yield tables


def _take(placed: Iterable[Placed[Found]], counter: Counter) -> Iterator[Found]:
    """Yield what texts have come to, and tell of errors and notes."""
    for place, found in placed:
        if isinstance(found, AttnvizError):
            counter.fail(place, found)
        elif isinstance(found, Note):
            counter.say(found)
        else:
            yield found
