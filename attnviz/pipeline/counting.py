"""Numbers for each head over many texts, by one process or several; the texts are gone when they are counted."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from attnviz.errors import AttnvizError
from attnviz.measures.totals import Totals
from attnviz.pipeline.numerics import share_cores
from attnviz.pipeline.outcomes import HeadNumbers, Note, Outcome, outcomes
from attnviz.pipeline.sources import portions
from attnviz.pipeline.streams import Source
from attnviz.processes import in_processes


def totals_of(task: HeadNumbers, portion: Sequence[Source]) -> Iterator[Outcome[Totals]]:
    """Return the error of each text of a portion that fails, and the totals of the others; in whichever process."""
    totals = Totals()
    for outcome in outcomes(task, [portion]):
        if isinstance(outcome.found, AttnvizError | Note):
            yield Outcome(outcome.index, outcome.place, outcome.found)
        else:
            for table in outcome.found:
                totals.add(table)
    yield Outcome(portion[0].index, None, totals)


def total(
    task: HeadNumbers,
    sources: Iterable[Source],
    jobs: int,
    say: Callable[[str], None],
    fail: Callable[[str | None, AttnvizError], None],
) -> Totals:
    """Return the totals of all texts; `say` is told of notes on them, `fail` of each that fails, by its place.

    Raises:
        ProcessError: a process has ended before its work was done.
    """
    found = Totals()
    # portions are the same whoever works on them: which texts are run together can show in the last digits
    work, parts = partial(totals_of, task), portions(sources, whole=True)
    here = (end for part in parts for end in work(part))
    for outcome in in_processes(work, parts, jobs, partial(share_cores, jobs)) if jobs > 1 else here:
        if isinstance(outcome.found, AttnvizError):
            fail(outcome.place, outcome.found)
        elif isinstance(outcome.found, Note):
            say(outcome.found)
        else:
            found.merge(outcome.found)
    return found
