import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from attnviz.reference.rotary import Dynamic, Linear, Llama3, LongRope, Scaling, Yarn, frequencies, rotation

TOKENS, WIDTH = 5, 14
PLAIN = np.array([10000 ** (-2 * pair / WIDTH) for pair in range(WIDTH // 2)])


def turned(vectors: np.ndarray, positions: np.ndarray, base: float) -> np.ndarray:
    """Rotation as multiplication by e^(i m θ), each pair of dimensions one complex number."""
    half = vectors.shape[-1] // 2
    frequencies = np.array([base ** (-2 * pair / vectors.shape[-1]) for pair in range(half)])
    pairs = vectors[..., :half] + 1j * vectors[..., half:]
    pairs = pairs * np.exp(1j * np.multiply.outer(positions, frequencies))
    return np.concatenate((pairs.real, pairs.imag), axis=-1)


@pytest.mark.parametrize("base", [10000.0, 500.0])
def test_rotary_positions_are_a_complex_rotation(array: Callable[..., Any], base: float) -> None:
    vectors = np.random.default_rng(3).normal(size=(2, 3, TOKENS, WIDTH)).astype(np.float32)
    positions = array(np.arange(TOKENS, dtype=np.float32))
    result = rotation(positions, frequencies(WIDTH, base, like=positions))(array(vectors))
    assert_allclose(np.asarray(result), turned(vectors.astype(np.float64), np.arange(TOKENS), base), atol=1e-5)
    assert result.dtype == array(vectors).dtype


@given(seed=st.integers(0, 2**32 - 1), query=st.integers(0, 499), key=st.integers(0, 499), shift=st.integers(0, 499))
def test_rotary_scores_depend_on_the_distance_only(
    array: Callable[..., Any], seed: int, query: int, key: int, shift: int
) -> None:
    q, k = np.random.default_rng(seed).normal(size=(2, 1, WIDTH))

    def score(query: int, key: int) -> float:
        turned = (rotation(array([float(at)]), array(PLAIN))(array(vector)) for at, vector in ((query, q), (key, k)))
        return float((next(turned) @ next(turned).mT)[0, 0])

    assert score(query + shift, key + shift) == pytest.approx(score(query, key), abs=1e-9)


@given(seed=st.integers(0, 2**32 - 1), first=st.integers(0, 10_007))
def test_rotation_keeps_the_length_of_vectors(array: Callable[..., Any], seed: int, first: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(3, TOKENS, WIDTH))
    result = np.asarray(rotation(array(np.arange(first, first + TOKENS, dtype=float)), array(PLAIN))(array(vectors)))
    assert_allclose(np.linalg.norm(result, axis=-1), np.linalg.norm(vectors, axis=-1))


def test_the_first_position_is_not_turned(array: Callable[..., Any]) -> None:
    vectors = np.random.default_rng(3).normal(size=(1, WIDTH))
    assert_allclose(np.asarray(rotation(array([0.0]), array(PLAIN))(array(vectors))), vectors)


def test_a_magnitude_multiplies_what_is_turned(array: Callable[..., Any]) -> None:
    vectors, positions = np.random.default_rng(3).normal(size=(TOKENS, WIDTH)), array(np.arange(TOKENS, dtype=float))
    plain, larger = (np.asarray(rotation(positions, array(PLAIN), by)(array(vectors))) for by in (1.0, 1.25))
    assert_allclose(larger, 1.25 * plain)


def scaled(array: Callable[..., Any], scaling: Scaling, tokens: int) -> np.ndarray:
    return np.asarray(scaling(array(PLAIN), tokens))


def test_linear_scaling_brings_positions_closer_together(array: Callable[..., Any]) -> None:
    assert_allclose(scaled(array, Linear(4.0), TOKENS), PLAIN / 4)
    assert_allclose(scaled(array, Linear(), TOKENS), PLAIN)


@pytest.mark.parametrize(("tokens", "stretch"), [(7, 1.0), (100, 1.0), (200, 4.0 * 2 - 3)])
def test_dynamic_scaling_enlarges_the_base_of_texts_longer_than_the_training(
    array: Callable[..., Any], tokens: int, stretch: float
) -> None:
    base = 10000 * stretch ** (WIDTH / (WIDTH - 2))
    expected = [base ** (-2 * pair / WIDTH) for pair in range(WIDTH // 2)]
    assert_allclose(scaled(array, Dynamic(4.0, trained=100), tokens), expected)


def test_llama_3_keeps_high_frequencies_divides_low_ones_and_mixes_between(array: Callable[..., Any]) -> None:
    turns = PLAIN * 512 / (2 * math.pi)
    assert (turns > 4).sum() == 3
    assert (turns < 1).sum() == 3  # so that one lies between
    kept = (turns[3] - 1) / (4 - 1)
    middle = PLAIN[3] * (kept + (1 - kept) / 8)
    result = scaled(array, Llama3(8.0, 1.0, 4.0, trained=512), TOKENS)
    assert_allclose(result, [*PLAIN[:3], middle, *PLAIN[4:] / 8])


def test_yarn_keeps_the_first_pairs_and_divides_the_last_with_a_ramp_between(array: Callable[..., Any]) -> None:
    result = scaled(array, Yarn(4.0, first=1, last=5), TOKENS)
    expected = [f / 4 * share + f * (1 - share) for f, share in zip(PLAIN, [0, 0, 0.25, 0.5, 0.75, 1, 1], strict=True)]
    assert_allclose(result, expected)


@pytest.mark.parametrize(("tokens", "factor"), [(100, 2.0), (101, 3.0)])
def test_longrope_divides_by_other_factors_in_long_texts(array: Callable[..., Any], tokens: int, factor: float) -> None:
    pairs = WIDTH // 2
    short, long = ([of + pair for pair in range(pairs)] for of in (2.0, 3.0))
    result = scaled(array, LongRope(tuple(short), tuple(long), trained=100), tokens)
    assert_allclose(result, PLAIN / (factor + np.arange(pairs)))
