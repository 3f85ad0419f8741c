"""Work on portions of a job, done here or shared out among processes."""

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import TypeVar

from attnviz.pipeline.numerics import share_cores
from attnviz.processes import in_processes

Item = TypeVar("Item")
Result = TypeVar("Result")


def share_out(
    work: Callable[[Item], Iterator[Result]], items: Iterable[Item], jobs: int
) -> Generator[Result, None, None]:
    """Return what the work makes of all items: here and in their order, or in several processes as it comes.

    Raises:
        ProcessError: a process has ended before its work was done.
    """
    if jobs > 1:
        return in_processes(work, items, jobs, partial(share_cores, jobs))
    return (found for item in items for found in work(item))


def share_in_order(
    work: Callable[[Item], Iterator[Result]],
    items: Iterable[Item],
    jobs: int,
    waits: Callable[[Result], bool] = lambda result: True,
) -> Iterator[Result]:
    """Yield what the work makes of all items in their order; what comes too soon from a process waits.

    What need not wait is yielded as it comes.

    Raises:
        ProcessError: a process has ended before its work was done.
    """
    if jobs == 1:
        yield from share_out(work, items, jobs)
        return
    waiting: dict[int, list[Result | None]] = {}
    due = 0
    for number, found in share_out(partial(_number, work), enumerate(items), jobs):
        if found is not None and not waits(found):
            yield found
            continue
        waiting.setdefault(number, []).append(found)
        while ready := waiting.get(due):
            if (next_one := ready.pop(0)) is not None:
                yield next_one
            else:
                del waiting[due]
                due += 1


def _number(
    work: Callable[[Item], Iterator[Result]], numbered: tuple[int, Item]
) -> Iterator[tuple[int, Result | None]]:
    """Yield what the work makes of an item with the number of the item, and None in the end."""
    number, item = numbered
    for found in work(item):
        yield number, found
    yield number, None
