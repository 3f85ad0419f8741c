"""The loop over texts: a text that fails is reported, and the others go on."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from attnviz.cli.output import Notes, complain
from attnviz.errors import AttnvizError
from attnviz.pipeline.outcomes import Note, Outcome
from attnviz.pipeline.sources import FAILURES, spare_memory

Found = TypeVar("Found")


def report(place: str | None, error: AttnvizError) -> int:
    """Report the error of one of several texts, and return the exit code.

    Raises:
        AttnvizError: it is the only one.
    """
    if place is None:
        raise error
    complain(("Error: " if error.advice.startswith(place) else f"Error in {place}: ") + error.advice)
    return error.exit_code


def for_each(outcomes: Iterable[Outcome[Found]], work: Callable[[Found], None]) -> int:
    """Do the work for the result of each text, in order; report texts that fail, and return the exit code.

    Raises:
        AttnvizError: the only text failed.
    """
    code, say = 0, Notes()
    for source, found in outcomes:
        if isinstance(found, Note):
            say(found)
            continue
        try:
            if not isinstance(found, AttnvizError):
                with spare_memory():
                    work(found)
                del found  # the next one needs the room
                continue
        except FAILURES as error:
            found = error
        code = max(code, report(source.place, found))
    return code
