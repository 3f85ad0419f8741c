"""NumPy, started in the way that suits small matrices."""

import os

_THREADS = "OPENBLAS_NUM_THREADS"
_ALL_THREADS = "OMP_NUM_THREADS"


def start_numpy() -> None:
    """Import NumPy with one thread for its matrix products, unless the environment says how many.

    The matrices of a sentence are too small to be shared out: where other cores are busy, each product would wait for
    them. The variable is taken back, so that libraries loaded later decide for themselves.
    """
    if _THREADS in os.environ or _ALL_THREADS in os.environ:
        return
    os.environ[_THREADS] = "1"
    try:
        import numpy  # noqa: F401 -- OpenBLAS reads the variable while it loads
    finally:
        del os.environ[_THREADS]


def share_cores(count: int) -> None:
    """Start NumPy in one of so many processes, and let torch, once it is imported, use its share of the cores."""
    start_numpy()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault(_ALL_THREADS, str(max(cores // count, 1)))
