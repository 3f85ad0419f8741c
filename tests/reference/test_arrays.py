import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from attnviz.reference.arrays import erf, namespace, softmax
from attnviz.reference.layers import gelu, relu
from tests.interpreter import modules_after

FLOATS = ("float32", "float64")


def exact_erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


class TestSoftmax:
    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("scale", [1, 1e4])
    def test_it_is_torch_softmax_over_the_last_axis(self, array: Callable[..., Any], dtype: str, scale: float) -> None:
        scores = (np.random.default_rng(3).normal(size=(2, 3, 5)) * scale).astype(dtype)
        weights = softmax(array(scores))
        assert_allclose(np.asarray(weights), torch.softmax(torch.from_numpy(scores), -1), atol=1e-6)
        assert weights.dtype == array(scores).dtype

    def test_a_score_of_minus_infinity_gets_no_weight(self, array: Callable[..., Any]) -> None:
        assert_allclose(np.asarray(softmax(array([[0.0, -math.inf, math.log(3)]]))), [[0.25, 0, 0.75]])


class TestErf:
    @pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-7), ("float64", 2e-8)])
    def test_it_is_as_close_to_the_math_module_as_it_says(
        self, array: Callable[..., Any], dtype: str, tolerance: float
    ) -> None:
        x = np.linspace(-7, 7, 100_003).astype(dtype)
        result = erf(array(x))
        assert result.dtype == array(x).dtype
        assert_allclose(np.asarray(result).astype(np.float64), exact_erf(x.astype(np.float64)), rtol=0, atol=tolerance)

    @given(st.floats(allow_nan=False))
    def test_any_number_will_do(self, array: Callable[..., Any], x: float) -> None:
        assert float(erf(array(x))) == pytest.approx(math.erf(x), rel=0, abs=1e-7)

    @pytest.mark.parametrize("shape", [(), (0,), (2, 3, 5)])
    def test_the_shape_is_kept(self, array: Callable[..., Any], shape: tuple[int, ...]) -> None:
        x = np.random.default_rng(3).normal(size=shape)
        assert_allclose(np.asarray(erf(array(x))), exact_erf(x), rtol=0, atol=1e-7)

    def test_not_a_number_stays_so(self, array: Callable[..., Any]) -> None:
        result = np.asarray(erf(array([math.nan, 0.5])))
        assert math.isnan(result[0])
        assert result[1] == pytest.approx(math.erf(0.5))


@pytest.mark.parametrize(("ours", "theirs"), [(relu, torch.relu), (gelu, torch.nn.functional.gelu)])
class TestActivations:
    def test_values_are_those_of_torch(
        self, array: Callable[..., Any], ours: Callable[..., Any], theirs: Callable[..., Any]
    ) -> None:
        x = np.linspace(-8, 8, 1009).astype(np.float32)
        assert_allclose(np.asarray(ours(array(x))), theirs(torch.from_numpy(x).double()), atol=1e-6)

    def test_gradients_are_those_of_torch(self, ours: Callable[..., Any], theirs: Callable[..., Any]) -> None:
        x = torch.linspace(-8, 8, 1008, dtype=torch.float64, requires_grad=True)  # an even count: 0 is not among them
        (expected,) = torch.autograd.grad(theirs(x).sum(), x)
        (gradient,) = torch.autograd.grad(ours(x).sum(), x)
        assert_allclose(gradient, expected, atol=1e-5)


def test_the_library_of_an_array_is_its_own(array: Callable[..., Any]) -> None:
    x = array([1.5])
    assert type(namespace(x).exp(x)) is type(x)


def test_numpy_arrays_need_no_other_library() -> None:
    loaded = modules_after(
        "import numpy, attnviz.reference.transformer\nfrom attnviz.reference.layers import gelu\ngelu(numpy.ones(3))"
    )
    assert loaded.isdisjoint({"scipy", "torch", "array_api_compat"})
