"""Work shared out among processes, which end when this one does, in whatever way."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any, Generic, TypeVar

from attnviz.errors import AttnvizError, ProcessError
from attnviz.pipeline.numerics import start_numpy

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Item], Iterator[Result]]

_THREADS = "OMP_NUM_THREADS"


def in_processes(work: Work[Item, Result], items: Iterable[Item], count: int) -> Iterator[Result]:
    """Return what the work makes of all items, as it comes, shared out among so many processes.

    An error of the house, or of the system, is raised here as it would be by the work itself.

    Raises:
        ProcessError: a process has ended before its work was done.
    """
    workers: list[_Worker[Item, Result]] = []
    try:
        for item in items:
            while (free := _free(workers, work, count)) is None:
                yield from _received(workers)
            free.take(item)
        while any(worker.busy for worker in workers):
            yield from _received(workers)
    finally:
        for worker in workers:
            worker.end()


class _Worker(Generic[Item, Result]):
    """A process at work on one item at a time."""

    def __init__(self, work: Work[Item, Result], threads: int) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
        with _uninterrupted():
            self._process.start()
        theirs.close()
        self.busy = False
        self._send(work)

    def take(self, item: Item) -> None:
        """Set it to work."""
        self._send(item)
        self.busy = True

    def receive(self) -> Iterator[Result]:
        """Return what has come from it: a result, or nothing if it is done with its item."""
        try:
            sent = self.connection.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        if isinstance(sent, Exception):
            raise sent
        if sent is None:
            self.busy = False
        else:
            yield sent

    def end(self) -> None:
        """End it; what it has not sent is lost."""
        self.connection.close()
        self._process.kill()
        self._process.join()

    def _send(self, value: Any) -> None:
        try:
            self.connection.send(value)
        except OSError:
            raise self._ended() from None

    def _ended(self) -> ProcessError:
        self._process.join()
        code = self._process.exitcode or 0
        how = f"was killed (signal {-code}), perhaps for lack of memory" if code < 0 else f"ended with exit code {code}"
        return ProcessError(
            "One of the processes",
            hint=f"of {{jobs}} {how}. Run the command again, perhaps with fewer: what is done is kept.",
        )


def _free(
    workers: "list[_Worker[Item, Result]]", work: Work[Item, Result], count: int
) -> "_Worker[Item, Result] | None":
    """Return a worker that has nothing to do, a new one if there may be more; None if all are busy."""
    for worker in workers:
        if not worker.busy:
            return worker
    if len(workers) == count:
        return None
    workers.append(_Worker(work, max(_cores() // count, 1)))
    return workers[-1]


def _received(workers: "list[_Worker[Item, Result]]") -> Iterator[Result]:
    """Return what comes next from those that are busy."""
    busy = [worker for worker in workers if worker.busy]
    ready = wait([worker.connection for worker in busy])
    for worker in busy:
        if worker.connection in ready:
            yield from worker.receive()


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let a process that is started here never hear of Ctrl-C, which the terminal sends to all: we end it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which lets signals through again when it is started with the first process
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _serve(connection: "Connection[Any, Any]", threads: int) -> None:
    """Do in a process the work that it is sent first, on each item that follows.

    It sends the results of an item, and None after them; or the error that has stopped it.
    """
    Thread(target=_end_with_parent, daemon=True).start()
    start_numpy()
    os.environ.setdefault(_THREADS, str(threads))  # for torch, once it is imported
    try:
        work = connection.recv()
        while True:
            for result in work(connection.recv()):
                connection.send(result)
            connection.send(None)
    except EOFError:
        return
    except (AttnvizError, OSError) as error:
        with suppress(OSError):  # there may be nobody left to hear of it
            connection.send(error)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
