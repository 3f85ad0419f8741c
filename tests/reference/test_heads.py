from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.reference import heads
from attnviz.reference.heads import attend_in_blocks, merge, multi_head_attention, split
from attnviz.reference.layers import linear
from attnviz.reference.masks import Mask, both, causal, padding, prefix, sliding_window
from attnviz.reference.parameters import Parameters

BATCH, HEADS, QUERIES, KEYS, DEPTH = 2, 3, 11, 7, 5  # of each axis a different prime
WIDTH = HEADS * DEPTH


def random_array(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def torch_module() -> torch.nn.MultiheadAttention:
    generator = torch.Generator().manual_seed(3)
    module = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    return module.requires_grad_(False)


def parameters_of(module: torch.nn.MultiheadAttention, array: Callable[..., Any]) -> Parameters:
    arrays = {"output.weight": module.out_proj.weight, "output.bias": module.out_proj.bias}
    for part, weight, bias in zip(
        ("query", "key", "value"), module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3), strict=True
    ):
        arrays |= {f"{part}.weight": weight, f"{part}.bias": bias}
    return Parameters({name: array(value) for name, value in arrays.items()})


def test_each_head_gets_its_slice_of_the_width(array: Callable[..., Any]) -> None:
    x = random_array(BATCH, QUERIES, WIDTH)
    pieces = split(array(x), HEADS)
    assert pieces.shape == (BATCH, HEADS, QUERIES, DEPTH)
    for head in range(HEADS):
        assert_array_equal(np.asarray(pieces)[:, head], x[..., head * DEPTH : (head + 1) * DEPTH])


@pytest.mark.parametrize("batch", [(), (2,), (2, 7)])
def test_merging_undoes_splitting(array: Callable[..., Any], batch: tuple[int, ...]) -> None:
    x = random_array(*batch, QUERIES, WIDTH)
    assert_array_equal(np.asarray(merge(split(array(x), HEADS))), x)


def test_a_linear_map_needs_no_bias(array: Callable[..., Any]) -> None:
    x, weight = random_array(BATCH, QUERIES, WIDTH), random_array(KEYS, WIDTH)
    expected = torch.nn.functional.linear(torch.from_numpy(x), torch.from_numpy(weight))
    assert_allclose(np.asarray(linear(array(x), Parameters({"weight": array(weight)}))), expected, atol=1e-5)


@pytest.mark.parametrize("rows", [QUERIES, 3])
@pytest.mark.parametrize("lengths", [None, [4, 7]], ids=["whole", "padded"])
@pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])
def test_weights_and_output_are_those_of_torch(
    array: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    cross: bool,
    lengths: list[int] | None,
    rows: int,
) -> None:
    monkeypatch.setattr(heads, "AT_ONCE", rows * HEADS * KEYS)
    module = torch_module()
    context = random_array(BATCH, KEYS, WIDTH)
    x = random_array(BATCH, QUERIES, WIDTH) if cross else context
    hidden = None if lengths is None else torch.arange(KEYS) >= torch.tensor(lengths)[:, None]
    blocks: list[Any] = []

    output = multi_head_attention(
        array(x),
        array(context),
        parameters_of(module, array),
        HEADS,
        mask=None if lengths is None else padding(array(lengths)),
        watch=lambda first, weights: blocks.append(weights),
    )

    tensors = [torch.from_numpy(values) for values in (x, context, context)]
    expected, expected_weights = module(*tensors, key_padding_mask=hidden, average_attn_weights=False)
    assert_allclose(np.asarray(output), expected, atol=1e-5)
    assert_allclose(np.concatenate([np.asarray(block) for block in blocks], axis=-2), expected_weights, atol=1e-5)


def test_queries_and_keys_are_turned_but_not_values(array: Callable[..., Any]) -> None:
    seen: list[tuple[int, ...]] = []

    def doubled(vectors: Any) -> Any:
        seen.append(tuple(vectors.shape))
        return vectors * 2

    parameters = parameters_of(torch_module(), array)
    quadrupled = Parameters(
        {**parameters.arrays, **{f"query.{name}": 4 * parameters[f"query.{name}"] for name in ("weight", "bias")}}
    )
    x, context = array(random_array(BATCH, QUERIES, WIDTH)), array(random_array(BATCH, KEYS, WIDTH))
    output = multi_head_attention(x, context, parameters, HEADS, turn=doubled)
    assert_allclose(np.asarray(output), np.asarray(multi_head_attention(x, context, quadrupled, HEADS)), atol=1e-5)
    assert seen == [(BATCH, HEADS, QUERIES, DEPTH), (BATCH, HEADS, KEYS, DEPTH)]


@pytest.mark.parametrize("rows", [1, 2, 7, 11, 13])
@pytest.mark.parametrize(
    "mask",
    [None, causal, sliding_window(3), prefix(5), both(causal, sliding_window(2))],
    ids=["none", "causal", "window", "prefix", "causal window"],
)
def test_rows_at_a_time_give_what_all_at_once_give(
    array: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, mask: Mask | None, rows: int
) -> None:
    queries, keys, values = (array(random_array(BATCH, HEADS, QUERIES, depth)) for depth in (DEPTH, DEPTH, 17))
    whole: list[Any] = []
    expected = attend_in_blocks(queries, keys, values, mask, lambda first, weights: whole.append(weights))
    blocks: list[tuple[int, Any]] = []
    monkeypatch.setattr(heads, "AT_ONCE", rows * HEADS * QUERIES)

    output = attend_in_blocks(queries, keys, values, mask, lambda first, weights: blocks.append((first, weights)))

    assert len(whole) == 1
    assert [first for first, _ in blocks] == list(range(0, QUERIES, rows))
    for first, weights in blocks:
        assert weights.shape == (BATCH, HEADS, min(rows, QUERIES - first), QUERIES)
    assert_allclose(np.concatenate([np.asarray(weights) for _, weights in blocks], axis=-2), whole[0], atol=1e-6)
    assert_allclose(np.asarray(output), np.asarray(expected), atol=1e-5)


@pytest.mark.parametrize("mask", [None, sliding_window(3)], ids=["causal", "causal window"])
def test_causal_rows_are_not_shown_the_keys_after_them(
    array: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, mask: Mask | None
) -> None:
    queries, keys, values = (array(random_array(BATCH, HEADS, QUERIES, depth)) for depth in (DEPTH, DEPTH, 17))
    whole: list[Any] = []
    combined = both(causal, mask) if mask else causal
    expected = attend_in_blocks(queries, keys, values, combined, lambda first, weights: whole.append(weights))
    blocks: list[tuple[int, Any]] = []
    monkeypatch.setattr(heads, "AT_ONCE", 3 * HEADS * QUERIES)

    output = attend_in_blocks(queries, keys, values, mask, lambda *block: blocks.append(block), causal=True)

    assert [(first, weights.shape[-2:]) for first, weights in blocks] == [
        (0, (3, 3)),
        (3, (3, 6)),
        (6, (3, 9)),
        (9, (2, 11)),
    ]
    for first, weights in blocks:
        last = first + weights.shape[-2]
        assert_allclose(np.asarray(weights), np.asarray(whole[0])[:, :, first:last, :last], atol=1e-6)
        assert not np.asarray(whole[0])[:, :, first:last, last:].any()
    assert_allclose(np.asarray(output), np.asarray(expected), atol=1e-5)
