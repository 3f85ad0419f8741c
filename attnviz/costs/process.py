"""One method measured at growing sizes, in a process of its own that has done nothing else.

`tracemalloc` knows of NumPy's arrays but not of torch's, so it is the process whose memory is looked at: its peak
resident memory, set back before each run where the system can do that (Linux: proc_pid_clear_refs(5)).
"""

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from time import process_time

from attnviz.costs.methods import METHODS, Work
from attnviz.errors import AttnvizError, ProcessError
from attnviz.processes import in_processes
from attnviz.text import visible

Size = tuple[int, int]
"""The number of tokens, and the width of their vectors."""

Taken = tuple[float, int | None]
"""The least CPU time of a run in seconds, and the peak of memory in bytes, if it can be known."""

_LEAST, _MOST, _ENOUGH = 3, 15, 0.3  # runs, runs, and seconds after which no more runs are timed
_IDLE = 5  # how often doing nothing is measured
_THREADS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"
_TOO_LITTLE = "there is too little memory,", "so give a smaller {longest}"
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_PEAK_IS_NOW = "5"  # what sets the peak back to what is resident now
_KILOBYTE = 1024


def measure_sizes(method: str, sizes: Sequence[Size]) -> Iterator[Taken]:
    """Yield what a method takes at each size, as soon as it is known; first what doing nothing takes.

    Raises:
        AttnvizError: there is too little memory, or a library does not run here.
    """
    with closing(in_processes(partial(_measure, method), [sizes], 1, _use_one_thread)) as found:
        for tokens, width in ((0, 0), *sizes):
            yield receive(found, f"{method} at N = {tokens:,} and d = {width:,}")


def receive(found: Iterator[Taken], what: str) -> Taken:
    """Return the next measurement.

    Raises:
        AttnvizError: there is none, for want of memory, or because a library does not run here.
    """
    try:
        return next(found)
    except ProcessError:  # ended by the system, as it does where it is short of memory
        why = AttnvizError(*_TOO_LITTLE)
    except AttnvizError as error:
        why = error
    raise AttnvizError(f"{what} cannot be measured: " + why.advice + ".")


def _use_one_thread() -> None:
    os.environ.update(dict.fromkeys(_THREADS, "1"))  # before NumPy and torch read it


def _measure(method: str, sizes: Sequence[Size]) -> Iterator[Taken]:
    """Yield what doing nothing takes, and then the method at each size; in a process of its own."""
    try:
        _do_nothing()  # what is needed the first time is not what it takes
        yield 0.0, _measure_noise()
        for size in sizes:
            yield measure_work(METHODS[method](*size))
    except MemoryError:
        raise AttnvizError(*_TOO_LITTLE) from None
    except (ImportError, OSError, RuntimeError) as error:  # torch, which may lack a kernel, or memory
        raise AttnvizError(visible(str(error).partition("\n")[0]) or type(error).__name__) from error


def _measure_noise() -> int | None:
    """Return the most memory that doing nothing seems to take."""
    found = [measure_peak(_do_nothing) for _ in range(_IDLE)]
    return max((peak for peak in found if peak is not None), default=None)


def _do_nothing() -> None:
    return None


def measure_work(work: Work) -> Taken:
    """Return what a work takes; the first run is not counted, since libraries load parts of themselves in it.

    A clock on the wall would count what the machine does for others in between. Others also empty its caches, which
    makes a run longer and never shorter: the shortest one is what the work takes.
    """
    work()
    return min(_time_runs(work)), measure_peak(work)


def _time_runs(work: Callable[[], object]) -> Iterator[float]:
    """Yield how many seconds of CPU time each run takes, until there are enough."""
    total, runs = 0.0, 0
    while runs < _LEAST or (runs < _MOST and total < _ENOUGH):
        start = process_time()
        work()
        runs, total = runs + 1, total + (last := process_time() - start)
        yield last


def measure_peak(work: Callable[[], object]) -> int | None:
    """Return how many bytes more are resident at most while this is done; None where the system does not say.

    What the work returns counts too. Where the peak cannot be set back, only a run that takes more than all before it
    shows.
    """
    gc.collect()
    _give_back()
    with suppress(OSError):
        _CLEAR.write_text(_PEAK_IS_NOW, encoding="ascii")
    before = _read_peak()
    kept = work()
    after = _read_peak()
    del kept
    return None if before is None or after is None else after - before


def _give_back() -> None:
    """Return freed memory to the system, lest a run reuse it unseen; a service of glibc."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


def _read_peak() -> int | None:
    """Return the most bytes that have been resident, since the peak was set back or else since the start."""
    with suppress(OSError):
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KILOBYTE
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KILOBYTE
