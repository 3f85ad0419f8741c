from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


@pytest.fixture(scope="session", params=["numpy", "torch"])
def array(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes an array of the library under test, from anything that NumPy reads."""
    if request.param == "numpy":
        return np.asarray
    import torch

    return lambda values: torch.tensor(np.asarray(values))
