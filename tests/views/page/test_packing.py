"""Numbers are packed small, and come back within half of the step that the page states."""

import base64
import zlib

import numpy as np
import pytest

from attnviz.records import Attention, HeadMatrix
from attnviz.text import make_tokens
from attnviz.views.page.packing import Packed, pack
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


def unpack(packed: Packed, chunk: str, bits: int) -> np.ndarray:
    """What a browser does: the codes in a chunk, as numbers."""
    codes = np.frombuffer(zlib.decompress(base64.b64decode(chunk)), f"<u{bits // 8}").astype(float)
    return (codes - packed.quantisation.zero) * packed.quantisation.step


@pytest.mark.parametrize(("shape", "bits"), [((2, 3, 5, 7), 16), ((2, 3, 211, 223), 8)])
def test_every_number_comes_back_within_half_a_step(shape: tuple[int, ...], bits: int) -> None:
    weights = rows(*shape)
    packed = pack(record_of(weights, kind=Kind.CROSS))
    assert packed.quantisation.bits == bits
    for chunk, layer in zip(packed.layers, weights, strict=True):
        found = unpack(packed, chunk, bits).reshape(shape[1:])
        assert np.abs(found - layer).max() <= packed.quantisation.step * 0.501
    assert packed.quantisation.step == pytest.approx(weights.max() / (2**bits - 1))


def test_numbers_of_either_sign_come_back_and_0_is_0() -> None:
    numbers = rows(2, 3, 5, 7) - 0.1
    numbers[1, 2, 3, 4] = 0
    packed = pack(record_of(numbers, "difference"))
    found = np.stack([unpack(packed, chunk, 16).reshape(3, 5, 7) for chunk in packed.layers])
    assert np.abs(found - numbers).max() <= packed.quantisation.step * 0.501
    assert found[1, 2, 3, 4] == 0


def test_what_looks_at_nothing_later_is_stored_as_a_triangle() -> None:
    weights = np.tril(rows(2, 3, 11, 11))
    weights /= weights.sum(-1, keepdims=True)
    packed = pack(record_of(weights, kind=Kind.DECODER))
    assert packed.triangle
    codes = unpack(packed, packed.layers[1], 16).reshape(3, 66)
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
