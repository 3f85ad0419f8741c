"""NumPy, started in the way that suits small matrices."""

import os

from attnviz.cores import THREADS, count_cores

_OF_PRODUCTS = "OPENBLAS_NUM_THREADS"


def start_numpy() -> None:
    """Import NumPy with one thread for its matrix products, unless the environment says how many.

    The matrices of a sentence are too small to be shared out: where other cores are busy, each product would wait for
    them. The variable is taken back, so that libraries loaded later decide for themselves.
    """
    if _OF_PRODUCTS in os.environ or THREADS in os.environ:
        return
    os.environ[_OF_PRODUCTS] = "1"
    try:
        import numpy  # noqa: F401 -- OpenBLAS reads the variable while it loads
    finally:
        del os.environ[_OF_PRODUCTS]


def share_cores(count: int) -> None:
    """Start NumPy in one of so many processes, and let torch, once it is imported, use its share of the cores."""
    start_numpy()
    os.environ.setdefault(THREADS, str(max(count_cores() // count, 1)))
