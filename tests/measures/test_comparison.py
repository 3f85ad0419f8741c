"""Comparison of records, held to scipy and to what can be told by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import jensenshannon

from attnviz.errors import TextError
from attnviz.measures.assignment import assign
from attnviz.measures.comparison import Alignment, compare, diverge
from attnviz.records import Attention
from attnviz.text import make_tokens
from attnviz.vocabulary import DIFFERENCE

WORDS = "it", "was", "too", "tired", "then"


def record(seed: int, words: tuple[str, ...] = WORDS, layers: int = 2, heads: int = 3) -> Attention:
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(words)), (layers, heads, len(words)))
    return Attention.from_array(weights, words, model=f"model {layers}")


def test_the_divergence_is_the_square_of_scipys_distance_after_smoothing() -> None:
    p, q = np.random.default_rng(0).dirichlet(np.ones(7), (2, 3, 5))
    smooth = [0.999 * each + 0.001 / 7 for each in (p, q)]
    np.testing.assert_allclose(diverge(p, q), jensenshannon(*smooth, axis=-1) ** 2, atol=1e-12)


def test_rows_that_share_nothing_diverge_by_nearly_ln_2_and_equal_ones_not_at_all() -> None:
    p, q = np.eye(50)[:2]
    assert diverge(p, p) == 0
    assert math.log(2) - 0.01 < diverge(p, q) < math.log(2)


def test_records_of_the_same_tokens_are_compared_row_by_row() -> None:
    first, second = record(1), record(2)
    found = compare(first, second)
    np.testing.assert_allclose(found.difference.weights, second.weights - first.weights, atol=1e-6)
    rows = diverge(first.weights.astype(float), second.weights.astype(float))
    np.testing.assert_allclose(found.table["divergence"], rows.mean(-1), atol=1e-6)
    best, *_ = found.table.places()
    assert found.table["divergence"][best] == found.table["divergence"].max()


def test_only_what_both_have_is_compared_and_rows_are_rescaled_to_it() -> None:
    first, second = record(1), record(2, ("it", "was", "too", "wide", "and", "then"))
    found = compare(first, second)
    assert [token.text for token in found.difference.key_tokens] == ["it", "was", "too", "then"]
    ours, theirs = (
        each.weights[:, :, kept][..., kept].astype(float)
        for each, kept in ((first, [0, 1, 2, 4]), (second, [0, 1, 2, 5]))
    )
    ours, theirs = (each / each.sum(-1, keepdims=True) for each in (ours, theirs))
    np.testing.assert_allclose(found.difference.weights, theirs - ours, atol=1e-6)
    np.testing.assert_allclose(found.difference.weights.sum(-1), 0, atol=1e-6)
    assert found.difference.measure == DIFFERENCE
    assert found.difference.notes == (
        "the second minus the first",
        "left out of the first: tired",
        "left out of the second: wide and",
        "rows rescaled to the tokens that both have",
    )


def test_heads_of_other_shapes_are_paired_with_those_that_least_differ() -> None:
    small = record(3, layers=1, heads=3)
    weights = np.stack([record(4).weights[0], small.weights[0][[2, 0, 1]]])
    large = Attention.from_array(weights, WORDS, model="large")
    found = compare(small, large)
    np.testing.assert_allclose(found.table["divergence"], 0, atol=1e-9)
    names = {head: label.name for head, label in found.table.labels.items()}
    assert names == {
        (0, 0): "1.1",
        (0, 1): "1.2",
        (0, 2): "1.0",
    }
    back = compare(large, small)
    assert np.isfinite(back.table["divergence"]).sum() == 3  # the other heads have no partner
    assert not back.difference.weights[0].any()


def test_rows_without_weight_on_what_both_have_do_not_count() -> None:
    first = Attention.from_array([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0, 1.0]], ["a", "b", "c"])
    second = Attention.from_array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], ["a", "b", "d"])
    found = compare(first, second)
    assert found.table["divergence"].item() == pytest.approx(diverge(np.array([0.5, 0.5]), np.array([0.0, 1.0])) / 2)


def test_texts_that_share_nothing_cannot_be_compared() -> None:
    with pytest.raises(TextError, match="too few words in common"):
        compare(record(1), record(1, ("a", "b", "c")))


def test_equal_tokens_are_aligned_in_order() -> None:
    aligned = Alignment.of(
        make_tokens(["the", "cat", "saw", "the", "dog"]), make_tokens(["a", "cat", "saw", "a", "big", "dog"])
    )
    assert aligned == Alignment((1, 2, 4), (1, 2, 5))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10_000))
def test_an_assignment_costs_as_little_as_that_of_scipy(rows: int, columns: int, seed: int) -> None:
    costs = np.random.default_rng(seed).integers(0, 9, (rows, columns)).astype(float)
    ours, theirs = assign(costs), linear_sum_assignment(costs)
    assert costs[ours].sum() == costs[theirs].sum()
    assert len(set(ours[0])) == len(set(ours[1])) == len(ours[0]) == min(rows, columns)
