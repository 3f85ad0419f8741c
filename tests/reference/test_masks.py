from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.reference.masks import (
    Mask,
    causal,
    combine,
    padding,
    prefix,
    sliding_window,
    zero_after_softmax,
)
from attnviz.reference.scores import attention, compute_weights

BATCH, HEADS, QUERIES, KEYS, DEPTH, OUT = 2, 3, 5, 7, 11, 13  # of each axis a different prime

PICTURES = {
    "causal": (
        lambda array: causal,
        "x......",
        "xx.....",
        "xxx....",
        "xxxx...",
        "xxxxx..",
    ),
    "sliding window": (
        lambda array: sliding_window(2),
        "xx.....",
        "xxx....",
        ".xxx...",
        "..xxx..",
        "...xxx.",
    ),
    "prefix": (
        lambda array: prefix(3),
        "xxx....",
        "xxx....",
        "xxx....",
        "xxxx...",
        "xxxxx..",
    ),
    "causal window": (
        lambda array: combine(causal, sliding_window(3)),
        "x......",
        "xx.....",
        "xxx....",
        ".xxx...",
        "..xxx..",
    ),
}
"""Masks as they look: a row for each query, x where it may look at the key."""


def allowed_by(mask: Mask, array: Callable[..., Any]) -> Any:
    return mask(array(np.arange(QUERIES)[:, None]), array(np.arange(KEYS)[None, :]))


def drawn(picture: tuple[str, ...]) -> np.ndarray:
    return np.array([[cell == "x" for cell in row] for row in picture])


def random_vectors() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = (QUERIES, DEPTH), (KEYS, DEPTH), (KEYS, OUT)
    return [rng.normal(size=(BATCH, HEADS, *shape)).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("name", PICTURES)
def test_a_mask_allows_what_its_picture_shows(array: Callable[..., Any], name: str) -> None:
    make, *picture = PICTURES[name]
    assert_array_equal(np.asarray(allowed_by(make(array), array)), drawn(picture))


def test_padding_hides_the_end_of_each_text_of_a_batch_from_every_query(array: Callable[..., Any]) -> None:
    allowed = np.asarray(allowed_by(padding(array([4, 7])), array))
    expected = drawn(("xxxx...", "xxxxxxx"))[:, None, None, :]
    assert_array_equal(np.broadcast_to(allowed, (2, 1, QUERIES, KEYS)), np.repeat(expected, QUERIES, axis=2))


@pytest.mark.parametrize("name", [None, *PICTURES, "padding", "padding and causal"])
def test_attention_is_that_of_torch_under_every_mask(array: Callable[..., Any], name: str | None) -> None:
    queries, keys, values = random_vectors()
    short = drawn(("xxxx...", "xxxxxxx"))[:, None, None, :]
    pad = padding(array([4, 7]))
    made = {
        None: (None, None),
        "padding": (pad, short),
        "padding and causal": (combine(pad, causal), short & drawn(PICTURES["causal"][1:])),
        **{name: (make(array), drawn(picture)) for name, (make, *picture) in PICTURES.items()},
    }
    mask, expected_mask = made[name]
    allowed = None if mask is None else allowed_by(mask, array)

    weights, output = attention(array(queries), array(keys), array(values), allowed)

    expected = torch.nn.functional.scaled_dot_product_attention(
        *(torch.from_numpy(x) for x in (queries, keys, values)),
        attn_mask=None if expected_mask is None else torch.from_numpy(expected_mask),
    )
    assert_allclose(np.asarray(output), expected, atol=1e-5)
    assert weights.shape == (BATCH, HEADS, QUERIES, KEYS)
    assert_allclose(np.asarray(weights).sum(-1), 1, atol=1e-6)
    if expected_mask is not None:
        assert (np.asarray(weights)[~np.broadcast_to(expected_mask, weights.shape)] == 0).all()


@pytest.mark.parametrize("name", PICTURES)
def test_rows_sum_to_1_when_masked_before_softmax_and_to_less_when_zeroed_after_it(
    array: Callable[..., Any], name: str
) -> None:
    scores = array(np.random.default_rng(3).normal(size=(HEADS, QUERIES, KEYS)))
    allowed = allowed_by(PICTURES[name][0](array), array)

    before = np.asarray(compute_weights(scores, allowed))
    after = np.asarray(zero_after_softmax(compute_weights(scores, None), allowed))

    assert_allclose(before.sum(-1), 1, atol=1e-12)
    hides = ~np.asarray(allowed).all(-1)
    assert (after.sum(-1) < 1 - 1e-3)[:, hides].all()
    assert_array_equal(before == 0, after == 0)
    assert_allclose(after / after.sum(-1, keepdims=True), before, atol=1e-12)  # only the sums are wrong


def test_what_is_zeroed_after_softmax_has_still_been_seen(array: Callable[..., Any]) -> None:
    scores = np.random.default_rng(3).normal(size=(QUERIES, KEYS))
    changed = scores + np.where(drawn(PICTURES["causal"][1:]), 0, 2)  # only where the mask forbids
    allowed = allowed_by(causal, array)

    before, after = (
        [np.asarray(weights(array(given))) for given in (scores, changed)]
        for weights in (
            lambda given: compute_weights(given, allowed),
            lambda given: zero_after_softmax(compute_weights(given, None), allowed),
        )
    )

    assert_array_equal(before[0], before[1])
    assert np.abs(after[0] - after[1]).max() > 0.1


def test_what_no_mask_allows_has_no_weights(array: Callable[..., Any]) -> None:
    with np.errstate(invalid="ignore"):
        weights = np.asarray(compute_weights(array([[1.0, 2.0], [3.0, 3.0]]), array([[False, False], [True, True]])))
    assert np.isnan(weights[0]).all()
    assert_allclose(weights[1], 0.5)
