"""The loop over texts: a text that fails is reported, and the others go on."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from attnviz.cli.output import Notes, complain
from attnviz.errors import AttnvizError
from attnviz.pipeline.outcomes import Note, Outcome
from attnviz.pipeline.sources import FAILURES

Found = TypeVar("Found")


def report(place: str | None, error: AttnvizError) -> None:
    """Report the error of one of several texts.

    Raises:
        AttnvizError: it is the only one.
    """
    if place is None:
        raise error
    complain(f"Error in {place}: " + error.advice)


def for_each(outcomes: Iterable[Outcome[Found]], work: Callable[[Found], None]) -> bool:
    """Do the work for the result of each text, in order; report texts that fail, and return whether none did.

    Raises:
        AttnvizError: the only text failed.
    """
    failed, say = False, Notes()
    for outcome in outcomes:
        found = outcome.found
        if isinstance(found, Note):
            say(found)
            continue
        try:
            if isinstance(found, AttnvizError):
                raise found
            work(found)
        except FAILURES as error:
            report(outcome.place, error)
            failed = True
    return not failed
