import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from attnviz.reference.positions import sinusoidal

TOKENS, WIDTH = 5, 14


@pytest.mark.parametrize(("dtype", "offset", "tolerance"), [("float32", 0, 1e-6), ("float64", 997, 1e-9)])
def test_sinusoidal_positions_are_sines_and_cosines_by_turns(
    array: Callable[..., Any], dtype: str, offset: int, tolerance: float
) -> None:
    positions = np.arange(offset, offset + TOKENS, dtype=dtype)
    result = sinusoidal(array(positions), WIDTH)
    expected = [
        [(math.cos if j % 2 else math.sin)((offset + m) / 10000 ** ((j - j % 2) / WIDTH)) for j in range(WIDTH)]
        for m in range(TOKENS)
    ]
    assert_allclose(np.asarray(result), expected, rtol=0, atol=tolerance)
    assert result.dtype == array(positions).dtype
