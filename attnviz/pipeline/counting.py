"""Numbers over many texts, by one process or several; the texts are gone when they are counted."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import AttnvizError, warn
from attnviz.measures.labels import find_labels
from attnviz.measures.totals import Summand, Totals
from attnviz.pipeline.outcomes import HeadNumbers, Note, Outcome, Task, make_of, outcomes
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


Made = TypeVar("Made")
Added = TypeVar("Added", HeadTable, Summand)

Work = Callable[[Sequence[Source]], Iterator[Outcome[Made]]]
"""What is done with the texts of a portion, in whichever process."""


class Remark(Struct, frozen=True):
    """A remark on the text at a place: a note, or the error that it ended in."""

    place: str | None
    told: AttnvizError | Note


class Portion(Struct, frozen=True):
    """The totals of some texts that were counted together: of so many of them."""

    texts: int
    totals: Totals


def total(task: Task[list[Added]], sources: Iterable[Source], jobs: int, counter: Counter) -> Totals:
    """Return the totals of all texts."""
    return total_portions(partial(outcomes, task), sources, jobs, counter)


def total_portions(work: Work[list[Added]], sources: Iterable[Source], jobs: int, counter: Counter) -> Totals:
    """Return the totals of what the work makes of each portion of the texts."""
    totals = Totals()
    # portions are the same whoever works on them: which texts are run together can show in the last digits
    parts = portions(sources, AT_A_TIME, whole=True)
    added = share_in_order(partial(_add_up, work), parts, jobs, lambda found: isinstance(found, Remark))
    for part in _take(added, counter):
        totals.merge(part.totals)  # in any order, which does not show: only remarks wait for each other
        counter.count(part.texts)
    return totals


def tables_in_order(
    task: HeadNumbers, sources: Iterable[Source], jobs: int, counter: Counter
) -> Iterator[list[HeadTable]]:
    """Yield the tables of each text, in the order of the texts; those of a portion wait for the portions before it."""
    parts = portions(sources, AT_A_TIME, whole=True)
    for tables in _take(share_in_order(partial(_send, partial(_run_each, task)), parts, jobs), counter):
        counter.count(1)
        yield tables


def _run_each(task: HeadNumbers, portion: Sequence[Source]) -> Iterator[Outcome[list[HeadTable]]]:
    """Yield what each text of a portion comes to, its tables with what it is."""
    for outcome in outcomes(task, portion):
        yield make_of(outcome, partial(_name_text, outcome[0]))


def _name_text(source: Source, tables: Sequence[HeadTable]) -> list[HeadTable]:
    text = "" if source.saved else source.text()
    return [replace(table, text_index=source.index, text=text, labels=find_labels(table)) for table in tables]


def _add_up(work: Work[list[Added]], portion: Sequence[Source]) -> Iterator[Remark | Portion]:
    """Yield the remarks on the texts of a portion, and the totals of those that did not fail; in whichever process."""
    texts, totals = 0, Totals()
    for found in _send(work, portion):
        if isinstance(found, Remark):
            yield found
        else:
            texts += 1
            for each in found:
                totals.add(each)
    yield Portion(texts, totals)


def _send(work: Work[Made], portion: Sequence[Source]) -> Iterator[Remark | Made]:
    """Yield what the texts of a portion come to as a process sends it: without the texts, which are long."""
    for source, found in work(portion):
        yield Remark(source.place, found) if isinstance(found, AttnvizError | Note) else found


def _take(sent: Iterable[Remark | Made], counter: Counter) -> Iterator[Made]:
    """Yield what texts have come to, and tell the counter of errors and notes."""
    for found in sent:
        if not isinstance(found, Remark):
            yield found
        elif isinstance(found.told, AttnvizError):
            counter.fail(found.place, found.told)
        else:
            counter.say(found.told)
