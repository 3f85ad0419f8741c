import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side already; more threads would wait for each other
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


@pytest.fixture(scope="session", params=["numpy", "torch"])
def array(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes an array of the library under test, from anything that NumPy reads."""
    if request.param == "numpy":
        return np.asarray
    import torch

    return lambda values: torch.tensor(np.asarray(values))
