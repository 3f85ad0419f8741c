"""Numbers are packed small, and come back within half of the step that the page states."""

import base64
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from attnviz.measures.terms import ScoredRecord
from attnviz.records import Attention, HeadMatrix
from attnviz.text import make_tokens
from attnviz.views.page.packing import Quantisation, pack, pack_terms
from attnviz.vocabulary import Kind


def record_of(weights: np.ndarray, measure: str = "weight", kind: Kind = Kind.ENCODER) -> HeadMatrix:
    queries, keys = (
        make_tokens([f"{axis}{i}" for i in range(count)]) for axis, count in zip("qk", weights.shape[2:], strict=True)
    )
    layers, heads = (tuple(range(count)) for count in weights.shape[:2])
    axes = {"kind": kind, "layers": layers, "heads": heads, "query_tokens": queries, "key_tokens": keys}
    cls = Attention if measure == "weight" else HeadMatrix
    return cls(**axes, model="some/model", weights=weights, measure=measure)


def rows(*shape: int) -> np.ndarray:
    weights = np.random.default_rng(3).random(shape, dtype=np.float32) ** 6
    return weights / weights.sum(-1, keepdims=True)


def unpack(quantisation: Quantisation, chunk: str, bits: int) -> np.ndarray:
    """What a browser does: the codes in a chunk, as numbers."""
    codes = np.frombuffer(zlib.decompress(base64.b64decode(chunk)), f"<u{bits // 8}").astype(float)
    return (codes - quantisation.zero) * quantisation.step


@pytest.mark.parametrize(("shape", "bits"), [((2, 3, 5, 7), 16), ((2, 3, 211, 223), 8)])
def test_every_number_comes_back_within_half_a_step(shape: tuple[int, ...], bits: int) -> None:
    weights = rows(*shape)
    packed = pack(record_of(weights, kind=Kind.CROSS))
    assert packed.quantisation.bits == bits
    for chunk, layer in zip(packed.layers, weights, strict=True):
        found = unpack(packed.quantisation, chunk, bits).reshape(shape[1:])
        assert np.abs(found - layer).max() <= packed.quantisation.step * 0.501
    assert packed.quantisation.step == pytest.approx(weights.max() / (2**bits - 1))


def test_numbers_of_either_sign_come_back_and_0_is_0() -> None:
    numbers = rows(2, 3, 5, 7) - 0.1
    numbers[1, 2, 3, 4] = 0
    packed = pack(record_of(numbers, "difference"))
    found = np.stack([unpack(packed.quantisation, chunk, 16).reshape(3, 5, 7) for chunk in packed.layers])
    assert np.abs(found - numbers).max() <= packed.quantisation.step * 0.501
    assert found[1, 2, 3, 4] == 0


def test_what_looks_at_nothing_later_is_stored_as_a_triangle() -> None:
    weights = np.tril(rows(2, 3, 11, 11))
    weights /= weights.sum(-1, keepdims=True)
    packed = pack(record_of(weights, kind=Kind.DECODER))
    assert packed.triangle
    codes = unpack(packed.quantisation, packed.layers[1], 16).reshape(3, 66)
    for head, kept in zip(weights[1], codes, strict=True):
        assert kept == pytest.approx(
            [head[q, k] for q in range(11) for k in range(q + 1)], abs=packed.quantisation.step
        )
    weights[0, 0, 0, 1] = 1e-6
    assert not pack(record_of(weights)).triangle


def test_a_small_picture_shows_the_number_furthest_from_0_of_each_place() -> None:
    numbers = np.zeros((1, 1, 67, 131), np.float32)
    numbers[0, 0, 66, 130], numbers[0, 0, 0, 5], numbers[0, 0, 0, 4] = -4, 3, -1
    packed = pack(record_of(numbers, "difference"))
    assert packed.size == (32, 32)
    codes = np.frombuffer(zlib.decompress(base64.b64decode(packed.thumbnails)), np.uint8).reshape(32, 32)
    shown = (codes - 127.0) * packed.quantisation.peak / 127
    assert shown[31, 31] == pytest.approx(-4, abs=0.05)
    assert shown[0, 1] == pytest.approx(3, abs=0.05)
    assert np.count_nonzero(shown) == 2


@pytest.mark.parametrize("few", [2**20, 1])
def test_softmax_of_packed_terms_is_the_weights_within_what_the_steps_allow(
    told: Callable[..., list[ScoredRecord]], monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr("attnviz.views.page.packing._FEW_TERMS", few)
    (kept,) = told("builtin/decoder", "the unhappiest zebras ran away")
    assert kept.terms is not None
    packed = pack_terms(kept.record, kept.terms)
    _, heads, tokens, _ = kept.record.shape
    for layer, weights in zip(packed.layers, kept.record.weights, strict=True):
        queries, keys = (
            unpack(quantisation, chunk, quantisation.bits).reshape(heads, tokens, layer.depth)
            for quantisation, chunk in zip((layer.queries, layer.keys), layer.chunks, strict=False)
        )
        assert layer.queries.bits == layer.keys.bits == (16 if few > 1 else 8)
        scores = np.einsum("hqd,hkd->hqk", queries, keys) * layer.scale
        log_sums = np.frombuffer(zlib.decompress(base64.b64decode(layer.chunks[2])), "<f4").reshape(heads, tokens)
        seen = np.tri(tokens, dtype=bool)
        exponentials = np.exp(scores) * seen
        sizes = (np.abs(each).sum(-1) for each in (queries, keys))
        of_queries, of_keys = (
            size * step for size, step in zip(sizes, (layer.keys.step, layer.queries.step), strict=True)
        )
        score_off = (of_queries[:, :, None] + of_keys[:, None]) / 2 * layer.scale * 1.1
        found = np.exp(scores - log_sums[..., None]) * seen
        assert (np.abs(found - weights) <= weights * np.expm1(score_off) + 1e-5).all()
        if few > 1:
            np.testing.assert_allclose(exponentials / exponentials.sum(-1, keepdims=True), weights, atol=2e-3)
