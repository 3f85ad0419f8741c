"""The cores of this machine that may be used."""

import os

THREADS = "OMP_NUM_THREADS"
"""The variable that says how many threads a library may have; OpenMP takes a number for each level of nesting."""


def count_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_threads() -> int:
    """Return how many threads the environment allows, or if it does not say, one for each core."""
    outermost = os.environ.get(THREADS, "").partition(",")[0].strip()
    asked = int(outermost) if outermost.isdecimal() else 0
    return asked or count_cores()
