from collections.abc import Sequence

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from attnviz.errors import UsageError
from attnviz.measures.reducers import Block
from attnviz.measures.statistics import STATISTICS, Statistics, statistics_named
from attnviz.records import Axes, HeadTable
from attnviz.text import Token
from attnviz.vocabulary import Kind

LAYERS, HEADS, TOKENS = (4, 0), (0, 7, 5), 11  # of each axis a different prime
DENSE = np.random.default_rng(5).dirichlet(np.full(TOKENS, 0.3), (2, 3, TOKENS)).astype(np.float32)


def axes(kind: Kind = Kind.ENCODER, count: int = TOKENS) -> Axes:
    tokens = tuple(Token(f"t{i}", i) for i in range(count))
    return Axes(kind=kind, layers=LAYERS, heads=HEADS, query_tokens=tokens, key_tokens=tokens, model="some model")


def table(weights: np.ndarray, names: Sequence[str], cuts: Sequence[int] = (), kind: Kind = Kind.ENCODER) -> HeadTable:
    """The statistics of dense weights [layers, heads, queries, keys], fed in blocks that end at these rows."""
    reducer = Statistics(axes(kind, weights.shape[-1]), statistics_named(names))
    for index, layer in enumerate(LAYERS):
        for first, end in zip([0, *cuts], [*cuts, weights.shape[2]], strict=True):
            reducer.update(Block.starting(kind, layer, HEADS, first, weights[index, :, first:end]))
    return reducer.result()


def values(weights: np.ndarray, name: str, **how: object) -> np.ndarray:
    return table(weights, [name], **how).columns[name].means  # type: ignore[arg-type]


def test_entropy_is_that_of_smoothed_rows_in_nats_averaged_over_queries() -> None:
    smooth = 0.9999 * DENSE.astype(float) + 0.0001 / TOKENS
    assert_allclose(values(DENSE, "entropy"), scipy.stats.entropy(smooth, axis=-1).mean(-1), atol=1e-12)


def test_of_even_rows_the_normalized_entropy_is_1_whatever_their_length() -> None:
    for count in (2, 7, 13):
        even = np.full((2, 3, count, count), 1 / count, np.float32)
        assert_allclose(values(even, "normalized_entropy"), 1, atol=1e-6)
        assert_allclose(values(even, "entropy"), np.log(count), atol=1e-6)


def test_of_a_single_token_the_normalized_entropy_is_undefined() -> None:
    assert np.isnan(values(np.ones((2, 3, 1, 1), np.float32), "normalized_entropy")).all()


@pytest.mark.parametrize(("name", "distance"), [("previous", -1), ("next", 1), ("same", 0)])
def test_a_share_is_the_sum_of_a_diagonal_over_all_queries(name: str, distance: int) -> None:
    diagonal = np.diagonal(DENSE.astype(float), distance, -2, -1).sum(-1)  # [layers, heads]
    assert_allclose(values(DENSE, name), diagonal / TOKENS, atol=1e-9)


def test_between_two_sequences_order_is_undefined_and_entropy_is_not() -> None:
    found = table(DENSE, ["previous", "entropy"], kind=Kind.CROSS)
    assert np.isnan(found.columns["previous"].means).all()
    assert (found.columns["previous"].counts == 0).all()
    assert np.isfinite(found.columns["entropy"].means).all()


@given(st.sets(st.integers(1, TOKENS - 1)))
def test_blocks_of_any_size_give_the_same(cuts: set[int]) -> None:
    whole, cut = table(DENSE, []), table(DENSE, [], sorted(cuts))
    assert whole.columns.keys() == cut.columns.keys() == STATISTICS.keys()
    for name, column in whole.columns.items():
        assert_allclose(cut.columns[name].means, column.means, atol=1e-12)


def test_keys_that_a_block_leaves_out_count_as_keys_without_weight() -> None:
    causal = np.tril(DENSE) / np.tril(DENSE).sum(-1, keepdims=True)
    reducer = Statistics(axes(), statistics_named(["entropy"]))
    for index, layer in enumerate(LAYERS):
        for row in range(TOKENS):
            reducer.update(Block.starting(Kind.ENCODER, layer, HEADS, row, causal[index, :, row : row + 1, : row + 1]))
    assert_allclose(reducer.result().columns["entropy"].means, values(causal, "entropy"), atol=1e-12)


def test_statistics_come_in_the_order_asked_for_and_each_once() -> None:
    assert [each.name for each in statistics_named(["next", "entropy", "next"])] == ["next", "entropy"]


def test_an_unknown_statistic_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no statistic 'sharpness': choose entropy, "):
        statistics_named(["sharpness"])
