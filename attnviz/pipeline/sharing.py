"""Work on portions of a job, done here or shared out among processes."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from attnviz.pipeline.numerics import share_cores
from attnviz.processes import in_processes

Item = TypeVar("Item")
Result = TypeVar("Result")


def share_out(work: Callable[[Item], Iterator[Result]], items: Iterable[Item], jobs: int) -> Iterator[Result]:
    """Return what the work makes of all items: here and in their order, or in several processes as it comes.

    Raises:
        ProcessError: a process has ended before its work was done.
    """
    if jobs > 1:
        return in_processes(work, items, jobs, partial(share_cores, jobs))
    return (found for item in items for found in work(item))
