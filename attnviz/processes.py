"""Work shared out among processes, which end when this one does, in whatever way.

It is neither `concurrent.futures` nor loky: their processes outlive the one that started them if it is killed while
they are at work, and give back all that is made of an item at once, in the end.
"""

import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from os import _exit
from threading import Thread
from typing import Any, Generic, TypeVar

from attnviz.errors import AttnvizError, ProcessError

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Item], Iterator[Result]]
Prepare = Callable[[], None]


def in_processes(
    work: Work[Item, Result], items: Iterable[Item], count: int, prepare: Prepare | None = None
) -> Generator[Result, None, None]:
    """Return what the work makes of all items, as it comes, shared out among so many processes.

    Each of them begins with `prepare`, before it imports what the work needs. An error of the house, or of the system,
    is raised here as it would be by the work itself.

    Raises:
        ProcessError: a process has ended before its work was done.
    """
    workers: list[_Worker[Item, Result]] = []
    try:
        for item in items:
            while (free := next((worker for worker in workers if not worker.busy), None)) is None:
                if len(workers) < count:
                    workers.append(_Worker(work, prepare))
                else:
                    yield from _received(workers)
            free.take(item)
        while any(worker.busy for worker in workers):
            yield from _received(workers)
    finally:
        for worker in workers:
            worker.end()


class _Worker(Generic[Item, Result]):
    """A process at work on one item at a time."""

    def __init__(self, work: Work[Item, Result], prepare: Prepare | None) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, prepare), daemon=True)
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


def _received(workers: "list[_Worker[Item, Result]]") -> Iterator[Result]:
    """Return what comes next from those that are busy."""
    busy = [worker for worker in workers if worker.busy]
    ready = wait([worker.connection for worker in busy])
    for worker in busy:
        if worker.connection in ready:
            yield from worker.receive()


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


def _serve(connection: "Connection[Any, Any]", prepare: Prepare | None) -> None:
    """Do in a process the work that it is sent first, on each item that follows.

    It sends the results of an item, and None after them; or the error that has stopped it.
    """
    Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare()
    try:
        work = connection.recv()
        while True:
            for result in work(connection.recv()):
                connection.send(result)
            connection.send(None)
    except EOFError:
        return
    except BaseException as error:  # what Rust panics with is no Exception
        told = isinstance(error, AttnvizError | OSError | MemoryError)
        with suppress(OSError):  # there may be nobody left to hear of it
            connection.send(error if told else ProcessError(f"A process has failed: {type(error).__name__}: {error}."))


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    _exit(1)
