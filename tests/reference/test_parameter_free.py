from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from attnviz.reference import masks
from attnviz.reference.heads import Heads, multi_head_attention
from attnviz.reference.parameter_free import plain, softmaxed
from attnviz.reference.parameters import Parameters
from attnviz.reference.positions import sinusoidal

BATCH, HEADS, TOKENS, DEPTH = 2, 3, 5, 11
WIDTH = HEADS * DEPTH

both_forms = pytest.mark.parametrize("attend", [plain, softmaxed])
orders = st.permutations(range(TOKENS)).filter(lambda order: order != list(range(TOKENS)))

RNG = np.random.default_rng(3)
VECTORS = RNG.normal(size=(BATCH, TOKENS, WIDTH))
WEIGHTS = {f"{part}.weight": RNG.normal(size=(WIDTH, WIDTH)) for part in ("query", "key", "value", "output")}


def many_heads(x: Any, array: Callable[..., Any], mask: masks.Mask | None = None) -> np.ndarray:
    parameters = Parameters({name: array(weight) for name, weight in WEIGHTS.items()})
    return np.asarray(multi_head_attention(x, x, parameters, Heads(HEADS, mask=mask)))


def test_each_vector_becomes_the_sum_of_all_by_likeness(array: Callable[..., Any]) -> None:
    weights, output = plain(array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]))
    assert_allclose(np.asarray(weights), [[1, 0, 1], [0, 4, 2], [1, 2, 2]])
    assert_allclose(np.asarray(output), [[2, 1], [2, 10], [3, 6]])  # Y3 = 1 (1, 0) + 2 (0, 2) + 2 (1, 1)


def test_with_softmax_each_vector_becomes_an_average_of_all(array: Callable[..., Any]) -> None:
    # orthogonal vectors of length √(ln 3): each scores ln 3 with itself and 0 with the other two
    side = np.log(3) ** 0.5
    weights, output = softmaxed(array(side * np.eye(3)))
    expected = np.array([[3, 1, 1], [1, 3, 1], [1, 1, 3]]) / 5
    assert_allclose(np.asarray(weights), expected)
    assert_allclose(np.asarray(output), side * expected)


def test_a_loop_over_the_formula_gives_the_same(array: Callable[..., Any]) -> None:
    _, output = plain(array(VECTORS))
    _, averaged = softmaxed(array(VECTORS))
    for text in range(BATCH):
        for token, x in enumerate(VECTORS[text]):
            alike = [float(x @ other) for other in VECTORS[text]]
            summed = sum(weight * other for weight, other in zip(alike, VECTORS[text], strict=True))
            assert_allclose(np.asarray(output)[text, token], summed, atol=1e-10)
            powers = np.exp(alike)
            average = sum(power * other for power, other in zip(powers, VECTORS[text], strict=True)) / powers.sum()
            assert_allclose(np.asarray(averaged)[text, token], average, atol=1e-10)


@both_forms
@given(order=orders)
def test_permuted_vectors_give_permuted_weights_and_output(
    array: Callable[..., Any], attend: Callable[[Any], tuple[Any, Any]], order: list[int]
) -> None:
    weights, output = (np.asarray(made) for made in attend(array(VECTORS)))
    permuted_weights, permuted_output = (np.asarray(made) for made in attend(array(VECTORS[:, order])))
    assert_allclose(permuted_weights, weights[:, order][:, :, order], atol=1e-10)
    assert_allclose(permuted_output, output[:, order], atol=1e-10)


@given(order=orders)
def test_many_heads_without_positions_are_equivariant_too(array: Callable[..., Any], order: list[int]) -> None:
    assert_allclose(many_heads(array(VECTORS[:, order]), array), many_heads(array(VECTORS), array)[:, order], atol=1e-9)


@given(order=orders)
def test_a_causal_mask_or_added_positions_break_the_equivariance(array: Callable[..., Any], order: list[int]) -> None:
    positions = np.asarray(sinusoidal(array(np.arange(TOKENS, dtype=np.float64)), WIDTH))
    masked = partial(many_heads, array=array, mask=masks.causal)
    for attend, added in ((masked, 0), (partial(many_heads, array=array), positions)):
        kept, permuted = attend(array(VECTORS + added)), attend(array(VECTORS[:, order] + added))
        assert np.abs(permuted - kept[:, order]).max() > 1e-3
