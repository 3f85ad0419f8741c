import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.reference import masks
from attnviz.reference.scores import attention
from attnviz.reference.streaming import Running, online_attention

BATCH, HEADS, QUERIES, KEYS, DEPTH, OUT = 2, 3, 17, 19, 11, 13  # of each axis a different prime
TILE = 5, 7
BLIND = 4  # a query that sees nothing through the holes

HOLES = np.random.default_rng(7).random((QUERIES, KEYS)) < 0.3
HOLES[BLIND] = False

MASKS: dict[str, masks.Mask] = {
    "none": lambda queries, keys: (queries >= 0) & (keys >= 0),
    "causal": masks.causal,
    "sliding window": masks.sliding_window(4),
    "prefix": masks.prefix(3),
    "padding": lambda queries, keys: masks.padding(torch.tensor([1, 7]))(queries, keys) & (queries >= 0),
    "holes": lambda queries, keys: torch.from_numpy(HOLES)[queries, keys],
}
every_mask = pytest.mark.parametrize("name", MASKS)
primes = st.sampled_from([2, 3, 5, 7, 11, 13, 17, 19])
tiles = st.tuples(st.integers(1, 23), st.integers(1, 23))


def vectors(queries: int = QUERIES, keys: int = KEYS) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = (queries, DEPTH), (keys, DEPTH), (keys, OUT)
    return [rng.normal(size=(BATCH, HEADS, *shape)) for shape in shapes]


def allowed_by(name: str) -> torch.Tensor:
    return MASKS[name](torch.arange(QUERIES)[:, None], torch.arange(KEYS)[None, :])


def plain(
    queries: np.ndarray, keys: np.ndarray, values: np.ndarray, allowed: torch.Tensor | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and output of plain attention, zeros where a query sees nothing."""
    weights, output = attention(*(torch.from_numpy(x) for x in (queries, keys, values)), allowed)
    return np.asarray(weights.nan_to_num(0)), np.asarray(output.nan_to_num(0))


def scores_of(queries: np.ndarray, keys: np.ndarray, allowed: torch.Tensor) -> torch.Tensor:
    scores = torch.einsum("...qd,...kd->...qk", torch.from_numpy(queries), torch.from_numpy(keys)) / DEPTH**0.5
    return scores.masked_fill(~allowed, -torch.inf)


def steps_of(array: Callable[..., Any], name: str, width: int) -> Iterator[tuple[int, Running]]:
    """What all queries know after each tile of so many keys under a mask, and how many keys that are."""
    queries, keys, values = vectors()
    scores = np.asarray(scores_of(queries, keys, allowed_by(name)))
    running = Running.before(array(queries), array(values))
    for first in range(0, KEYS, width):
        tile = slice(first, first + width)
        running = running.after(array(scores[..., tile]), array(values[..., tile, :]))
        yield min(first + width, KEYS), running


@given(queries=primes, keys=primes, tile=tiles)
def test_streamed_attention_is_plain_attention_whatever_the_tiles(
    array: Callable[..., Any], queries: int, keys: int, tile: tuple[int, int]
) -> None:
    given = vectors(queries, keys)
    streamed = online_attention(*(array(x) for x in given), tile=tile)
    assert_allclose(np.asarray(streamed), plain(*given)[1], rtol=0, atol=1e-10)


@every_mask
@pytest.mark.parametrize("width", [1, 7, 128])
def test_any_weight_can_be_had_again_from_the_log_sum_exp(array: Callable[..., Any], name: str, width: int) -> None:
    queries, keys, values = vectors()
    allowed = allowed_by(name)
    scores = np.asarray(scores_of(queries, keys, allowed))
    *_, (_, running) = steps_of(array, name, width)
    weights, output = plain(queries, keys, values, allowed)
    assert_allclose(np.asarray(running.output), output, rtol=0, atol=1e-10)
    log_sum_exp = np.asarray(running.log_sum_exp)
    assert_allclose(log_sum_exp, torch.logsumexp(torch.from_numpy(scores), -1), rtol=0, atol=1e-10)
    seeing = np.isfinite(log_sum_exp)
    again = np.exp(scores[seeing] - log_sum_exp[seeing][:, None])
    assert_allclose(again, weights[seeing], rtol=0, atol=1e-10)


@every_mask
def test_each_step_knows_the_keys_so_far_and_no_others(array: Callable[..., Any], name: str) -> None:
    queries, keys, values = vectors()
    allowed = allowed_by(name)
    scores = scores_of(queries, keys, allowed)
    steps = list(steps_of(array, name, TILE[1]))
    assert [count for count, _ in steps] == [7, 14, KEYS]
    for count, running in steps:
        seen = slice(0, count)
        maximum = scores[..., seen].amax(-1)
        assert_allclose(np.asarray(running.maximum), maximum, atol=1e-10)
        exponentials = (scores[..., seen] - maximum[..., None]).exp().nan_to_num(0)
        assert_allclose(np.asarray(running.total), exponentials.sum(-1), atol=1e-10)
        _, output = plain(queries, keys[..., seen, :], values[..., seen, :], allowed[..., seen])
        assert_allclose(np.asarray(running.output), output, atol=1e-10)


def test_a_query_that_may_look_at_nothing_gets_zeros_and_no_nan(array: Callable[..., Any]) -> None:
    *_, (_, running) = steps_of(array, "holes", TILE[1])
    assert_array_equal(np.asarray(running.output)[..., BLIND, :], np.zeros((BATCH, HEADS, OUT)))
    assert_array_equal(np.asarray(running.log_sum_exp)[..., BLIND], np.full((BATCH, HEADS), -np.inf))
    assert not np.isnan(np.asarray(running.output)).any()


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_scores_do_not_overflow(array: Callable[..., Any], size: float) -> None:
    keys, values = np.array([[0.5], [1.0], [0.999], [-1.0], [0.9999]]), np.eye(5)
    queries, scores = np.array([[size]]), keys.T * size
    expected = torch.softmax(torch.from_numpy(scores), -1)
    assert_allclose(np.asarray(online_attention(array(queries), array(keys), array(values), tile=(1, 2))), expected)
    running = Running.before(array(queries), array(values)).after(array(scores), array(values))
    assert_allclose(np.asarray(running.log_sum_exp), torch.logsumexp(torch.from_numpy(scores), -1))


def test_no_array_is_ever_larger_than_a_tile_or_than_the_output() -> None:
    tokens, tile = 1009, (67, 71)
    queries, keys, values = np.random.default_rng(3).normal(size=(3, tokens, DEPTH))

    online_attention(queries[:2], keys[:2], values[:2], tile=tile)  # what is imported on the way is no array
    tracemalloc.start()
    try:
        streamed = online_attention(queries, keys, values, tile=tile)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    number = queries.itemsize
    assert streamed.nbytes <= held
    assert peak < number * (3 * tokens * (DEPTH + 1) + 6 * tile[0] * tile[1])  # a tenth of N×N, at these sizes
    assert peak < number * tokens**2 / 10


def test_output_is_of_the_library_and_precision_of_the_input(array: Callable[..., Any]) -> None:
    queries, keys, values = (array(x.astype(np.float32)) for x in vectors())
    running = Running.before(queries, values).after(queries @ keys.mT, values)
    for made in (online_attention(queries, keys, values, tile=TILE), running.output, running.log_sum_exp):
        assert type(made) is type(queries)
        assert made.dtype == queries.dtype
