"""NumPy, started in the way that suits small matrices."""

import os

_THREADS = "OPENBLAS_NUM_THREADS"


def start_numpy() -> None:
    """Import NumPy with one thread for its matrix products, unless the environment says how many.

    The matrices of a sentence are too small to be shared out: where other cores are busy, each product would wait for
    them. The variable is taken back, so that libraries loaded later decide for themselves.
    """
    if _THREADS in os.environ or "OMP_NUM_THREADS" in os.environ:
        return
    os.environ[_THREADS] = "1"
    try:
        import numpy  # noqa: F401 -- OpenBLAS reads the variable while it loads
    finally:
        del os.environ[_THREADS]
