"""How much memory something takes, whatever library allocates it.

`tracemalloc` knows of NumPy's arrays but not of torch's, so it is the process that is looked at: its peak resident
memory, set back before each run where the system can do that (Linux: proc_pid_clear_refs(5)).
"""

import ctypes
import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_PEAK_IS_NOW = "5"  # what sets the peak back to what is resident now
_KILOBYTE = 1024


def peak_of(work: Callable[[], object]) -> int | None:
    """How many bytes more than before are resident at most while this is done; None where the system does not say.

    What it returns counts too. Where the peak cannot be set back, only a run that takes more than all before it shows.
    """
    gc.collect()
    _give_back()
    with suppress(OSError):
        _CLEAR.write_text(_PEAK_IS_NOW, encoding="ascii")
    before = _peak()
    kept = work()
    after = _peak()
    del kept
    return None if before is None or after is None else after - before


def _give_back() -> None:
    """Returns freed memory to the system, lest a run reuse it unseen; a service of glibc."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


def _peak() -> int | None:
    """The most bytes that have been resident, since the peak was set back or else since the start."""
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
