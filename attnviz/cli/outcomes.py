"""What is done with what texts come to; one that fails is reported, and the others go on."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from attnviz.cli.output import Notes, complain
from attnviz.errors import AttnvizError
from attnviz.pipeline.outcomes import Note, Outcome
from attnviz.pipeline.sources import FAILURES

Found = TypeVar("Found")


def report(place: str | None, error: AttnvizError) -> None:
    """Say what is wrong with one of several texts.

    Raises:
        AttnvizError: it is the only one.
    """
    if place is None:
        raise error
    complain(f"Error in {place}: " + error.advice)


def for_each(outcomes: Iterable[Outcome[Found]], work: Callable[[Found], None]) -> bool:
    """Do the work for what each text comes to, in order, report those that fail, and return whether none did.

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
