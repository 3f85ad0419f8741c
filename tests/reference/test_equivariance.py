from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from attnviz.reference import masks
from attnviz.reference.multi_head import Heads, multi_head_attention
from attnviz.reference.parameters import Parameters
from attnviz.reference.positions import sinusoidal

BATCH, HEADS, TOKENS, DEPTH = 2, 3, 5, 11
WIDTH = HEADS * DEPTH

orders = st.permutations(range(TOKENS)).filter(lambda order: order != list(range(TOKENS)))

RNG = np.random.default_rng(3)
VECTORS = RNG.normal(size=(BATCH, TOKENS, WIDTH))
WEIGHTS = {f"{part}.weight": RNG.normal(size=(WIDTH, WIDTH)) for part in ("query", "key", "value", "output")}


def many_heads(x: Any, array: Callable[..., Any], mask: masks.Mask | None = None) -> np.ndarray:
    parameters = Parameters({name: array(weight) for name, weight in WEIGHTS.items()})
    return np.asarray(multi_head_attention(x, x, parameters, Heads(HEADS, mask=mask)))


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
