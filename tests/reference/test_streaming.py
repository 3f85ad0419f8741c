import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.reference import masks
from attnviz.reference.scores import attention
from attnviz.reference.streaming import Running, online_attention, tile_weights

BATCH, HEADS, QUERIES, KEYS, DEPTH, OUT = 2, 3, 17, 19, 11, 13  # of each axis a different prime
TILE = 5, 7
BLIND = 4  # a query that sees nothing through the holes

HOLES = np.random.default_rng(7).random((QUERIES, KEYS)) < 0.3
HOLES[BLIND] = False

MASKS: dict[str, Callable[[Callable[..., Any]], masks.Mask | None]] = {
    "none": lambda array: None,
    "causal": lambda array: masks.causal,
    "sliding window": lambda array: masks.sliding_window(4),
    "prefix": lambda array: masks.prefix(3),
    "padding": lambda array: masks.padding(array([1, 7])),
    "holes": lambda array: masks.arbitrary(array(HOLES)),
}
every_mask = pytest.mark.parametrize("name", MASKS)
primes = st.sampled_from([2, 3, 5, 7, 11, 13, 17, 19])
tiles = st.tuples(st.integers(1, 23), st.integers(1, 23))


def vectors(queries: int = QUERIES, keys: int = KEYS) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = (queries, DEPTH), (keys, DEPTH), (keys, OUT)
    return [rng.normal(size=(BATCH, HEADS, *shape)) for shape in shapes]


def allowed_by(name: str, queries: int = QUERIES, keys: int = KEYS) -> torch.Tensor:
    mask = MASKS[name](torch.tensor)
    at = torch.arange(queries)[:, None], torch.arange(keys)[None, :]
    allowed = torch.tensor(True) if mask is None else mask(*at)
    return allowed.expand(*allowed.shape[:-2], queries, keys)


def plain(
    queries: np.ndarray, keys: np.ndarray, values: np.ndarray, allowed: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and output of plain attention, zeros where a query sees nothing."""
    weights, output = attention(*(torch.from_numpy(x) for x in (queries, keys, values)), allowed)
    return np.asarray(weights.nan_to_num(0)), np.asarray(output.nan_to_num(0))


def scores_of(queries: np.ndarray, keys: np.ndarray, allowed: torch.Tensor) -> torch.Tensor:
    scores = torch.einsum("...qd,...kd->...qk", torch.from_numpy(queries), torch.from_numpy(keys)) / DEPTH**0.5
    return scores.masked_fill(~allowed, -torch.inf)


@given(queries=primes, keys=primes, tile=tiles, name=st.sampled_from(["none", "causal", "sliding window", "prefix"]))
def test_streamed_attention_is_plain_attention_whatever_the_tiles(
    array: Callable[..., Any], queries: int, keys: int, tile: tuple[int, int], name: str
) -> None:
    given = vectors(queries, keys)
    streamed = online_attention(*(array(x) for x in given), tile=tile, mask=MASKS[name](array))
    allowed = allowed_by(name, queries, keys)
    _, expected = plain(*given, allowed)
    assert_allclose(np.asarray(streamed.output), expected, rtol=0, atol=1e-10)
    sums = torch.logsumexp(scores_of(given[0], given[1], allowed), -1)
    assert_allclose(np.asarray(streamed.log_sum_exp), sums, rtol=0, atol=1e-10)


@every_mask
@pytest.mark.parametrize("tile", [TILE, (1, 1), (128, 128)], ids=str)
def test_any_tile_of_weights_can_be_had_again_from_the_log_sum_exp(
    array: Callable[..., Any], name: str, tile: tuple[int, int]
) -> None:
    queries, keys, values = vectors()
    mask, allowed = MASKS[name](array), allowed_by(name)
    streamed = online_attention(array(queries), array(keys), array(values), tile=tile, mask=mask)
    weights, output = plain(queries, keys, values, allowed)
    assert_allclose(np.asarray(streamed.output), output, rtol=0, atol=1e-10)
    assert_allclose(
        np.asarray(streamed.log_sum_exp), torch.logsumexp(scores_of(queries, keys, allowed), -1), atol=1e-10
    )
    for rows in (slice(None), slice(3, 8), slice(16, 40)):
        for columns in (slice(None), slice(0, 2), slice(13, 19)):
            again = tile_weights(array(queries), array(keys), streamed.log_sum_exp, rows, columns, mask)
            assert_allclose(np.asarray(again), weights[..., rows, columns], rtol=0, atol=1e-10)


@every_mask
def test_each_step_knows_the_keys_so_far_and_no_others(array: Callable[..., Any], name: str) -> None:
    queries, keys, values = vectors()
    steps: list[tuple[int, int, Running]] = []

    online_attention(
        *(array(x) for x in (queries, keys, values)),
        tile=TILE,
        mask=MASKS[name](array),
        watch=lambda *step: steps.append(step),
    )

    assert [step[:2] for step in steps] == [(row, key) for row in (0, 5, 10, 15) for key in (0, 7, 14)]
    allowed = allowed_by(name)
    scores = scores_of(queries, keys, allowed)
    for row, key, running in steps:
        rows, seen = slice(row, row + 5), slice(0, key + 7)
        maximum = scores[..., rows, seen].amax(-1)
        assert_allclose(np.asarray(running.maximum), maximum, atol=1e-10)
        exponentials = (scores[..., rows, seen] - maximum[..., None]).exp().nan_to_num(0)
        assert_allclose(np.asarray(running.total), exponentials.sum(-1), atol=1e-10)
        _, output = plain(queries[..., rows, :], keys[..., seen, :], values[..., seen, :], allowed[..., rows, seen])
        assert_allclose(np.asarray(running.output), output, atol=1e-10)


def test_a_query_that_may_look_at_nothing_gets_zeros_and_no_nan(array: Callable[..., Any]) -> None:
    queries, keys, values = (array(x) for x in vectors())
    mask = MASKS["holes"](array)
    streamed = online_attention(queries, keys, values, tile=TILE, mask=mask)
    weights = tile_weights(queries, keys, streamed.log_sum_exp, slice(BLIND, BLIND + 1), slice(None), mask)
    assert_array_equal(np.asarray(streamed.output)[..., BLIND, :], np.zeros((BATCH, HEADS, OUT)))
    assert_array_equal(np.asarray(streamed.log_sum_exp)[..., BLIND], np.full((BATCH, HEADS), -np.inf))
    assert_array_equal(np.asarray(weights), np.zeros((BATCH, HEADS, 1, KEYS)))
    assert not np.isnan(np.asarray(streamed.output)).any()


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_scores_do_not_overflow(array: Callable[..., Any], size: float) -> None:
    keys, values = np.array([[0.5], [1.0], [0.999], [-1.0], [0.9999]]), np.eye(5)
    streamed = online_attention(array([[size]]), array(keys), array(values), tile=(1, 2))
    expected = torch.softmax(torch.from_numpy(keys.T * size), -1)
    assert_allclose(np.asarray(streamed.output), expected, atol=1e-10)
    assert_allclose(np.asarray(streamed.log_sum_exp), torch.logsumexp(torch.from_numpy(keys.T * size), -1))


def test_no_array_is_ever_larger_than_a_tile_or_than_the_output() -> None:
    tokens, tile = 1009, (67, 71)
    queries, keys, values = np.random.default_rng(3).normal(size=(3, tokens, DEPTH))
    asked: list[int] = []

    def watched(rows: Any, columns: Any) -> Any:
        asked.append(rows.size * columns.size)
        return masks.causal(rows, columns)

    online_attention(queries[:2], keys[:2], values[:2], tile=tile)  # what is imported on the way is no array
    tracemalloc.start()
    try:
        streamed = online_attention(queries, keys, values, tile=tile, mask=watched)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    number = queries.itemsize
    assert streamed.output.nbytes <= held
    assert max(asked) == tile[0] * tile[1]
    assert peak < number * (3 * tokens * (DEPTH + 1) + 6 * tile[0] * tile[1])  # a tenth of N×N, at these sizes
    assert peak < number * tokens**2 / 10


def test_output_is_of_the_library_and_precision_of_the_input(array: Callable[..., Any]) -> None:
    queries, keys, values = (array(x.astype(np.float32)) for x in vectors())
    streamed = online_attention(queries, keys, values, tile=TILE, mask=masks.causal)
    weights = tile_weights(queries, keys, streamed.log_sum_exp, slice(0, 3), slice(0, 2))
    for made in (streamed.output, streamed.log_sum_exp, weights):
        assert type(made) is type(queries)
        assert made.dtype == queries.dtype
