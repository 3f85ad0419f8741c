import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from attnviz.reference.positions import rotation, sinusoidal

TOKENS, WIDTH = 5, 14


def turned(vectors: np.ndarray, positions: np.ndarray, base: float) -> np.ndarray:
    """Rotation as multiplication by e^(i m θ), each pair of dimensions one complex number."""
    half = vectors.shape[-1] // 2
    frequencies = np.array([base ** (-2 * pair / vectors.shape[-1]) for pair in range(half)])
    pairs = vectors[..., :half] + 1j * vectors[..., half:]
    pairs = pairs * np.exp(1j * np.multiply.outer(positions, frequencies))
    return np.concatenate((pairs.real, pairs.imag), axis=-1)


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


@pytest.mark.parametrize("base", [10000.0, 500.0])
def test_rotary_positions_are_a_complex_rotation(array: Callable[..., Any], base: float) -> None:
    vectors = np.random.default_rng(3).normal(size=(2, 3, TOKENS, WIDTH)).astype(np.float32)
    result = rotation(array(np.arange(TOKENS, dtype=np.float32)), WIDTH, base)(array(vectors))
    assert_allclose(np.asarray(result), turned(vectors.astype(np.float64), np.arange(TOKENS), base), atol=1e-5)
    assert result.dtype == array(vectors).dtype


def test_the_base_of_rotary_positions_is_10000_unless_told_otherwise(array: Callable[..., Any]) -> None:
    vectors = np.random.default_rng(3).normal(size=(TOKENS, WIDTH))
    assert_allclose(
        np.asarray(rotation(array(np.arange(TOKENS, dtype=float)), WIDTH)(array(vectors))),
        turned(vectors, np.arange(TOKENS), 1e4),
    )


@given(seed=st.integers(0, 2**32 - 1), query=st.integers(0, 499), key=st.integers(0, 499), shift=st.integers(0, 499))
def test_rotary_scores_depend_on_the_distance_only(
    array: Callable[..., Any], seed: int, query: int, key: int, shift: int
) -> None:
    q, k = np.random.default_rng(seed).normal(size=(2, 1, WIDTH))

    def score(query: int, key: int) -> float:
        turned = (rotation(array([float(at)]), WIDTH)(array(vector)) for at, vector in ((query, q), (key, k)))
        return float((next(turned) @ next(turned).mT)[0, 0])

    assert score(query + shift, key + shift) == pytest.approx(score(query, key), abs=1e-9)


@given(seed=st.integers(0, 2**32 - 1), first=st.integers(0, 10_007))
def test_rotation_keeps_the_length_of_vectors(array: Callable[..., Any], seed: int, first: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(3, TOKENS, WIDTH))
    result = np.asarray(rotation(array(np.arange(first, first + TOKENS, dtype=float)), WIDTH)(array(vectors)))
    assert_allclose(np.linalg.norm(result, axis=-1), np.linalg.norm(vectors, axis=-1))


def test_the_first_position_is_not_turned(array: Callable[..., Any]) -> None:
    vectors = np.random.default_rng(3).normal(size=(1, WIDTH))
    assert_allclose(np.asarray(rotation(array([0.0]), WIDTH)(array(vectors))), vectors)
