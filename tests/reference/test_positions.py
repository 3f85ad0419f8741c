import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.reference.positions import Bias, alibi, relative, sinusoidal

TOKENS = 5
QUERIES, KEYS, HEADS = 11, 13, 7
SHAPES = [(32, 128), (8, 17), (6, 64), (13, 100)]  # how many buckets, and the distance from which on all share the last


def added_by(bias: Bias, array: Callable[..., Any], queries: int = QUERIES, keys: int = KEYS) -> np.ndarray:
    return np.asarray(bias(array(np.arange(queries)[:, None]), array(np.arange(keys)[None, :])))


@pytest.mark.parametrize("width", [14, 3])
@pytest.mark.parametrize(("dtype", "offset", "tolerance"), [("float32", 0, 1e-6), ("float64", 997, 1e-9)])
def test_sinusoidal_positions_are_sines_and_cosines_by_turns(
    array: Callable[..., Any], dtype: str, offset: int, tolerance: float, width: int
) -> None:
    positions = np.arange(offset, offset + TOKENS, dtype=dtype)
    result = sinusoidal(array(positions), width)
    expected = [
        [(math.cos if j % 2 else math.sin)((offset + m) / 10000 ** ((j - j % 2) / width)) for j in range(width)]
        for m in range(TOKENS)
    ]
    assert_allclose(np.asarray(result), expected, rtol=0, atol=tolerance)
    assert result.dtype == array(positions).dtype


@pytest.mark.parametrize("heads", [1, 2, 3, 7, 8, 11, 12, 16, 17, 112])
def test_alibi_weighs_what_came_before_as_bloom_does(array: Callable[..., Any], heads: int) -> None:
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    bias = added_by(alibi(heads), array)
    theirs = build_alibi_tensor(torch.ones(1, KEYS), heads, torch.float32)  # [heads, 1, keys]
    assert bias.shape == (heads, QUERIES, KEYS)
    assert bias.dtype == np.float32
    for query in range(QUERIES):  # they count from the first key, which adds the same to a whole row
        seen = np.s_[: query + 1]
        expected = theirs[:, 0, seen] - theirs[:, 0, [query]]
        assert_allclose(bias[:, query, seen], expected, atol=1e-5)


def test_alibi_has_the_slopes_of_the_paper_and_looks_both_ways_alike(array: Callable[..., Any]) -> None:
    bias = added_by(alibi(8), array, 3, 3)
    assert_allclose(bias[:, 0, 1], [-1 / 2, -1 / 4, -1 / 8, -1 / 16, -1 / 32, -1 / 64, -1 / 128, -1 / 256])
    assert_array_equal(bias[0], [[0, -0.5, -1], [-0.5, 0, -0.5], [-1, -0.5, 0]])


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "both ways"])
@pytest.mark.parametrize(("buckets", "farthest"), SHAPES)
def test_relative_positions_fall_into_the_buckets_of_t5(
    array: Callable[..., Any], buckets: int, farthest: int, causal: bool
) -> None:
    from transformers.models.t5.modeling_t5 import T5Attention

    table, after = np.arange(buckets)[:, None], np.arange(-499, 500)
    bias = relative(array(table), causal=causal, farthest=farthest)
    found = np.asarray(bias(array(np.zeros((1, 1), np.int64)), array(after[None, :])))
    expected = T5Attention._relative_position_bucket(torch.from_numpy(after), not causal, buckets, farthest)
    assert_array_equal(found[0, 0], expected)


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "both ways"])
@pytest.mark.parametrize(("buckets", "farthest"), SHAPES)
def test_the_relative_bias_is_that_of_t5(array: Callable[..., Any], buckets: int, farthest: int, causal: bool) -> None:
    from transformers import T5Config
    from transformers.models.t5.modeling_t5 import T5Attention

    config = T5Config(
        num_heads=HEADS,
        d_model=HEADS,
        is_decoder=causal,
        relative_attention_num_buckets=buckets,
        relative_attention_max_distance=farthest,
    )
    theirs = T5Attention(config, has_relative_attention_bias=True, layer_idx=0).requires_grad_(False)
    table = theirs.relative_attention_bias.weight
    bias = added_by(relative(array(table), causal=causal, farthest=farthest), array, 101, 103)
    assert_array_equal(bias, theirs.compute_bias(101, 103)[0])


def test_a_block_of_rows_gets_its_own_part_of_a_bias(array: Callable[..., Any]) -> None:
    table = np.random.default_rng(3).normal(size=(32, HEADS)).astype(np.float32)
    for bias in (alibi(HEADS), relative(array(table), causal=False)):
        part = bias(array(np.array([[3], [8]])), array(np.array([[1, 5, 12]])))
        assert_array_equal(np.asarray(part), added_by(bias, array)[:, [3, 8]][:, :, [1, 5, 12]])


def test_the_table_of_relative_positions_can_be_learned() -> None:
    table = torch.zeros(32, HEADS, requires_grad=True)
    relative(table, causal=True)(torch.arange(QUERIES)[:, None], torch.arange(KEYS)[None, :]).sum().backward()
    assert table.grad is not None
    used = [(max(query - key, 0)) for query in range(QUERIES) for key in range(KEYS)]  # each has its own up to 16
    assert_array_equal(table.grad[:, 0], np.bincount(used, minlength=32))
