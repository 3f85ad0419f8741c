from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional

from attnviz.reference.layers import ACTIVATIONS, feed_forward, rms_norm
from attnviz.reference.multi_head import Heads, multi_head_attention
from attnviz.reference.parameters import Parameters
from tests.reference.randomized import random_array

BATCH, TOKENS, WIDTH, INNER = 2, 5, 7, 11

THEIRS = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "gelu_python": functional.gelu,
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_fast": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "silu": functional.silu,
    "swish": functional.silu,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_torch_however_large_the_input(array: Callable[..., Any], name: str) -> None:
    x = np.concatenate((np.linspace(-9, 9, 997), [-1e4, 1e4])).astype(np.float32)
    assert_allclose(np.asarray(ACTIVATIONS[name](array(x))), THEIRS[name](torch.from_numpy(x)), atol=1e-5)


def test_rms_norm_is_that_of_torch(array: Callable[..., Any]) -> None:
    x, weight = random_array(BATCH, TOKENS, WIDTH), random_array(WIDTH, seed=5)
    expected = functional.rms_norm(torch.from_numpy(x), (WIDTH,), torch.from_numpy(weight), eps=1e-2)
    assert_allclose(np.asarray(rms_norm(array(x), Parameters({"weight": array(weight)}), 1e-2)), expected, atol=1e-6)


def test_a_gate_multiplies_what_goes_up(array: Callable[..., Any]) -> None:
    x = random_array(TOKENS, WIDTH)
    up, gate, down = random_array(INNER, WIDTH), random_array(INNER, WIDTH, seed=5), random_array(WIDTH, INNER)
    parameters = {"up.weight": up, "gate.weight": gate, "down.weight": down}
    result = feed_forward(
        array(x), Parameters({n: array(p) for n, p in parameters.items()}), ACTIVATIONS["relu"], gated=True
    )
    assert_allclose(np.asarray(result), (np.maximum(x @ gate.T, 0) * (x @ up.T)) @ down.T, rtol=1e-4, atol=1e-5)


HEADS, KEY_HEADS, DEPTH = 6, 2, 4


def grouped_parameters() -> dict[str, np.ndarray]:
    shapes = {"query": HEADS * DEPTH, "key": KEY_HEADS * DEPTH, "value": KEY_HEADS * DEPTH}
    arrays = {f"{part}.weight": random_array(out, WIDTH, seed=out) for part, out in shapes.items()}
    return arrays | {"output.weight": random_array(WIDTH, HEADS * DEPTH)}


@pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
def test_grouped_heads_share_keys_and_values_as_in_torch(array: Callable[..., Any], causal: bool) -> None:
    arrays, x = grouped_parameters(), random_array(BATCH, TOKENS, WIDTH)
    parameters = Parameters({name: array(value) for name, value in arrays.items()})
    result = multi_head_attention(array(x), array(x), parameters, Heads(HEADS, KEY_HEADS, causal=causal))

    def heads_of(part: str) -> torch.Tensor:
        projected = torch.from_numpy(x @ arrays[f"{part}.weight"].T)
        return projected.view(BATCH, TOKENS, -1, DEPTH).transpose(1, 2)

    attended = functional.scaled_dot_product_attention(
        *map(heads_of, ("query", "key", "value")), is_causal=causal, enable_gqa=True
    )
    expected = attended.transpose(1, 2).flatten(2) @ torch.from_numpy(arrays["output.weight"].T)
    assert_allclose(np.asarray(result), expected, atol=1e-4)


def test_normed_heads_are_normed_before_they_are_turned(array: Callable[..., Any]) -> None:
    arrays = grouped_parameters() | {f"{part}_norm.weight": random_array(DEPTH) for part in ("query", "key")}
    parameters = Parameters({name: array(value) for name, value in arrays.items()})
    seen: list[np.ndarray] = []

    def turn(vectors: Any) -> Any:
        seen.append(np.asarray(vectors))
        return vectors

    x = random_array(TOKENS, WIDTH)
    multi_head_attention(array(x), array(x), parameters, Heads(HEADS, KEY_HEADS, norm_epsilon=1e-6, turn=turn))
    for vectors in seen:
        root = np.sqrt(((vectors / arrays["query_norm.weight"]) ** 2).mean(-1))
        assert_allclose(root, np.ones_like(root), atol=1e-3)
