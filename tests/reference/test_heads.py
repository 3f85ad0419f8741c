from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.records import Block
from attnviz.reference import multi_head
from attnviz.reference.layers import linear
from attnviz.reference.masks import Mask, causal, combine, padding, prefix, sliding_window
from attnviz.reference.multi_head import (
    Heads,
    attend_in_blocks,
    merge_heads,
    multi_head_attention,
    show_weights,
    split_heads,
    split_output,
)
from attnviz.reference.parameters import Parameters
from attnviz.reference.positions import alibi
from attnviz.vocabulary import Kind
from tests.reference.randomized import random_array, randomize

BATCH, HEADS, QUERIES, KEYS, DEPTH = 2, 3, 11, 7, 5  # of each axis a different prime
WIDTH = HEADS * DEPTH


def torch_module() -> torch.nn.MultiheadAttention:
    return randomize(torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True))


def parameters_of(module: torch.nn.MultiheadAttention, array: Callable[..., Any]) -> Parameters:
    arrays = {"output.weight": module.out_proj.weight, "output.bias": module.out_proj.bias}
    for part, weight, bias in zip(
        ("query", "key", "value"), module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3), strict=True
    ):
        arrays |= {f"{part}.weight": weight, f"{part}.bias": bias}
    return Parameters({name: array(value) for name, value in arrays.items()})


def test_each_head_gets_its_slice_of_the_width(array: Callable[..., Any]) -> None:
    x = random_array(BATCH, QUERIES, WIDTH)
    pieces = split_heads(array(x), HEADS)
    assert pieces.shape == (BATCH, HEADS, QUERIES, DEPTH)
    for head in range(HEADS):
        assert_array_equal(np.asarray(pieces)[:, head], x[..., head * DEPTH : (head + 1) * DEPTH])


@pytest.mark.parametrize("batch", [(), (2,), (2, 7)])
def test_merging_undoes_splitting(array: Callable[..., Any], batch: tuple[int, ...]) -> None:
    x = random_array(*batch, QUERIES, WIDTH)
    assert_array_equal(np.asarray(merge_heads(split_heads(array(x), HEADS))), x)


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
    monkeypatch.setattr(multi_head, "AT_ONCE", rows * BATCH * HEADS * KEYS)
    module = torch_module()
    context = random_array(BATCH, KEYS, WIDTH)
    x = random_array(BATCH, QUERIES, WIDTH) if cross else context
    hidden = None if lengths is None else torch.arange(KEYS) >= torch.tensor(lengths)[:, None]
    blocks: list[Any] = []

    output = multi_head_attention(
        array(x),
        array(context),
        parameters_of(module, array),
        Heads(HEADS, mask=None if lengths is None else padding(array(lengths))),
        watch=lambda block: blocks.append(block.weights),
    )

    tensors = [torch.from_numpy(values).double() for values in (x, context, context)]
    expected, expected_weights = module.double()(*tensors, key_padding_mask=hidden, average_attn_weights=False)
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
    output = multi_head_attention(x, context, parameters, Heads(HEADS, turn=doubled))
    expected = multi_head_attention(x, context, quadrupled, Heads(HEADS))
    assert_allclose(np.asarray(output), np.asarray(expected), atol=1e-5)
    assert seen == [(BATCH, HEADS, QUERIES, DEPTH), (BATCH, HEADS, KEYS, DEPTH)]


def blocks_of(
    array: Callable[..., Any], mask: Mask | None, causal: bool = False, start: int = 0
) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """Blocks as they are watched, what they are when put together, [batch, heads, queries, keys], and the output."""
    queries, keys, values = (array(random_array(BATCH, HEADS, QUERIES, depth)) for depth in (DEPTH, DEPTH, 17))
    asking, told = queries[..., start:, :], list[Block]()
    output = attend_in_blocks(asking, keys, values, Heads(HEADS, mask=mask, causal=causal), told.append, start=start)
    blocks = [(block.rows.start, block.keys.start, block.weights) for block in told]
    whole = np.zeros((BATCH, HEADS, QUERIES, QUERIES), np.float32)
    for row, key, weights in blocks:
        whole[..., row : row + weights.shape[-2], key : key + weights.shape[-1]] = np.asarray(weights)
    return blocks, whole, np.asarray(output)


@pytest.mark.parametrize("rows", [1, 2, 7, 11, 13])
@pytest.mark.parametrize("causally", [False, True], ids=["all", "causal"])
@pytest.mark.parametrize(
    "mask",
    [None, sliding_window(3), prefix(5), combine(causal, sliding_window(2))],
    ids=["none", "window", "prefix", "causal window"],
)
def test_rows_at_a_time_give_what_all_at_once_give(
    array: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, mask: Mask | None, causally: bool, rows: int
) -> None:
    (_,), expected_weights, expected = blocks_of(array, mask, causally)
    assert np.isfinite(expected_weights).all() and np.isfinite(expected).all()
    monkeypatch.setattr(multi_head, "AT_ONCE", rows * BATCH * HEADS * QUERIES)
    blocks, weights, output = blocks_of(array, mask, causally)
    assert [first for first, _, _ in blocks] == list(range(0, QUERIES, rows))
    assert_allclose(weights, expected_weights, atol=1e-6)
    assert_allclose(output, expected, atol=1e-5)


def table(allowed: Any) -> Mask:
    """A mask looked up by position in [..., queries, keys]."""
    return lambda queries, keys: allowed[..., queries, keys]


def seen_in_a_window(batch: int) -> np.ndarray:
    """Where queries see themselves and two tokens back in the first text, one in others: [batch, 1, queries, keys]."""
    back = np.arange(QUERIES)[:, None] - np.arange(QUERIES)
    return np.stack([(back >= 0) & (back < (3 if text == 0 else 2)) for text in range(batch)])[:, None]


@pytest.mark.parametrize(
    ("mask", "causally", "keys"),
    [
        (lambda array: None, False, [(0, 11)] * 4),
        (lambda array: None, True, [(0, 3), (0, 6), (0, 9), (0, 11)]),
        (lambda array: prefix(5), False, [(0, 11)] * 4),
        (lambda array: sliding_window(3), False, [(0, 11), (1, 11), (4, 11), (7, 11)]),
        (lambda array: sliding_window(3), True, [(0, 3), (1, 6), (4, 9), (7, 11)]),
        (lambda array: table(array(seen_in_a_window(1)[0, 0])), True, [(0, 3), (1, 6), (4, 9), (7, 11)]),
        (lambda array: table(array(seen_in_a_window(BATCH))), True, [(0, 3), (1, 6), (4, 9), (7, 11)]),
    ],
    ids=["none", "causal", "prefix", "window", "causal window", "table", "a window for each text"],
)
def test_rows_are_shown_no_keys_before_or_after_those_that_one_of_them_sees(
    array: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    mask: Callable[..., Mask | None],
    causally: bool,
    keys: list[tuple[int, int]],
) -> None:
    _, expected, _ = blocks_of(array, mask(array), causally)
    monkeypatch.setattr(multi_head, "AT_ONCE", 3 * BATCH * HEADS * QUERIES)
    blocks, weights, _ = blocks_of(array, mask(array), causally)
    shown = [(row, key, key + block.shape[-1]) for row, key, block in blocks]
    assert shown == [(row, *those) for row, those in zip((0, 3, 6, 9), keys, strict=True)]
    assert_allclose(weights, expected, atol=1e-6)


def test_in_a_window_rows_from_a_later_one_on_have_the_weights_and_the_output_of_torch(
    array: Callable[..., Any],
) -> None:
    back = torch.arange(QUERIES)[:, None] - torch.arange(QUERIES)
    inputs = (torch.from_numpy(random_array(BATCH, HEADS, QUERIES, depth)) for depth in (DEPTH, DEPTH, 17))
    queries, keys, values = inputs
    scores = (queries @ keys.mT / DEPTH**0.5).masked_fill((back < 0) | (back >= 3), -torch.inf)
    ((row, key, shown),), weights, output = blocks_of(array, sliding_window(3), causal=True, start=7)
    assert (row, key, tuple(shown.shape[-2:])) == (7, 5, (4, 6))
    assert_allclose(weights[..., 7:, :], torch.softmax(scores, -1)[..., 7:, :], atol=1e-6)
    assert_allclose(output, (torch.softmax(scores, -1) @ values)[..., 7:, :], atol=1e-5)


def test_rows_that_see_nothing_are_no_numbers(array: Callable[..., Any]) -> None:
    with np.errstate(invalid="ignore"):
        ((_, key, shown),), _, _ = blocks_of(array, lambda queries, keys: keys < queries - QUERIES)
    assert key == 0
    assert np.isnan(np.asarray(shown)).all()


@pytest.mark.parametrize("texts", [1, 2, 5])
def test_texts_of_a_batch_share_the_weights_that_are_computed_at_a_time(
    array: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, texts: int
) -> None:
    monkeypatch.setattr(multi_head, "AT_ONCE", 5 * HEADS * QUERIES)
    x, blocks = array(random_array(texts, HEADS, QUERIES, DEPTH)), list[Block]()
    with np.errstate(invalid="ignore"):  # some builds of BLAS raise the flag for small products of finite numbers
        attend_in_blocks(x, x, x, Heads(HEADS), blocks.append)
    assert [block.weights.shape[-2] for block in blocks] == {1: [5, 5, 1], 2: [2, 2, 2, 2, 2, 1], 5: [1] * 11}[texts]


@pytest.mark.parametrize("at_once", [1, 2 * HEADS * QUERIES, 2**23])
@pytest.mark.parametrize("wanted", [(2, 0), (0, 1, 2)])
def test_wanted_heads_show_some_rows_of_what_all_heads_compute_under_a_window_and_a_bias(
    array: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, at_once: int, wanted: tuple[int, ...]
) -> None:
    module = torch_module()
    x, parameters = random_array(QUERIES, WIDTH), parameters_of(module, array)
    heads = Heads(HEADS, mask=sliding_window(3), causal=True, bias=alibi(HEADS), kind=Kind.DECODER, layer=2)
    at = np.arange(QUERIES)
    back = at[:, None] - at
    projected = [
        x @ np.asarray(parameters[f"{part}.weight"]).T + np.asarray(parameters[f"{part}.bias"])
        for part in ("query", "key")
    ]
    q, k = (each.reshape(QUERIES, HEADS, DEPTH).transpose(1, 0, 2) for each in projected)
    slopes = 2.0 ** np.array([-4, -8, -2])  # of three heads
    scores = q @ k.transpose(0, 2, 1) / DEPTH**0.5 - slopes[:, None, None] * back
    scores = np.where((back >= 0) & (back < 3), scores, -np.inf)
    expected = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    monkeypatch.setattr(multi_head, "AT_ONCE", at_once)
    blocks = list[Block]()
    show_weights(array(x), parameters, heads, wanted=wanted, rows=[range(1, 4), range(6, 11)], watch=blocks.append)
    assert {(block.kind, block.layer, block.heads) for block in blocks} == {(Kind.DECODER, 2, wanted)}
    assert [row for block in blocks for row in block.rows] == [1, 2, 3, 6, 7, 8, 9, 10]
    for block in blocks:
        rows, keys = list(block.rows), list(block.keys)
        assert_allclose(block.weights, expected[list(wanted)][:, rows][..., keys], atol=1e-5)
        assert not np.delete(expected[:, rows], keys, axis=-1).any()
    every = list[Block]()
    multi_head_attention(array(x), array(x), parameters, heads, watch=every.append)
    assert {block.heads for block in every} == {tuple(range(HEADS))}
    assert_allclose(every[-1].weights, expected[:, list(every[-1].rows)][..., list(every[-1].keys)], atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 2 * HEADS * KEYS, 2**23])
def test_the_output_of_some_rows_without_a_batch_is_that_of_torch(
    array: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(multi_head, "AT_ONCE", at_once)
    q, k, v = (random_array(HEADS, tokens, DEPTH) for tokens in (5, KEYS, KEYS))
    output = attend_in_blocks(array(q), array(k), array(v), Heads(HEADS), lambda block: None, start=2)
    expected = torch.nn.functional.scaled_dot_product_attention(*map(torch.from_numpy, (q, k, v)))
    assert_allclose(np.asarray(output), expected, atol=1e-5)


def test_what_heads_write_sums_to_the_output_projection_where_heads_and_stream_are_of_other_widths(
    array: Callable[..., Any],
) -> None:
    mixed, weight = random_array(HEADS, QUERIES, DEPTH), random_array(KEYS, WIDTH)
    each = np.asarray(split_output(array(mixed), Parameters({"output.weight": array(weight)})))
    assert each.shape == (HEADS, QUERIES, KEYS)
    assert_allclose(each.sum(0), mixed.transpose(1, 0, 2).reshape(QUERIES, WIDTH) @ weight.T, atol=1e-5)
