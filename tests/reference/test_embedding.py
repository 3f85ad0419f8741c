"""What a model's first vectors are made of, and what its shape says of its layers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import Config, Positions, embed, make_heads, set_layer, show_layer, transformer
from attnviz.vocabulary import Kind
from tests.reference.randomized import random_array

IDS = np.array([[4, 0, 1, 1], [2, 3, 4, 1]])  # 1 is padding
TYPES = np.array([[0, 0, 1, 1], [0, 1, 1, 1]])
NARROW, WIDTH = 3, 5
TABLES = {
    "embedding.weight": random_array(7, NARROW),
    "types.weight": random_array(2, NARROW, seed=4),
    "positions.weight": random_array(11, NARROW, seed=5),
    "projection.weight": random_array(WIDTH, NARROW, seed=6),
    "projection.bias": random_array(WIDTH, seed=7),
}


@pytest.mark.parametrize("padding", [None, 1])
@pytest.mark.parametrize("types", [None, TYPES])
def test_a_token_begins_with_the_rows_of_its_tables_mapped_to_the_width(
    array: Callable[..., Any], types: np.ndarray | None, padding: int | None
) -> None:
    places = np.array([[2, 3, 1, 1], [2, 3, 4, 1]]) if padding else np.arange(4)  # from one beyond the padding's id
    parts = {
        "embedding.token": TABLES["embedding.weight"][IDS],
        "embedding.position": np.broadcast_to(TABLES["positions.weight"][places], (2, 4, NARROW)),
    }
    if types is not None:
        parts["embedding.type"] = TABLES["types.weight"][types]
    parameters = Parameters({name: array(table) for name, table in TABLES.items()})
    told: dict[str, Any] = {}
    config = Config(width=WIDTH, layers=1, heads=1, padding=padding)
    given = None if types is None else array(types)
    x = embed(array(IDS), parameters, config, given, note=told.__setitem__)
    expected = sum(parts.values()) @ TABLES["projection.weight"].T + TABLES["projection.bias"]
    assert_allclose(np.asarray(x), expected, atol=1e-5)
    assert set(told) == {*parts, "embedding.passed"}
    for name, part in parts.items():
        assert_allclose(np.broadcast_to(np.asarray(told[name]), part.shape), part)


def small(config: Config) -> Parameters:
    shapes = {"embedding.weight": (7, WIDTH), "types.weight": (2, WIDTH), "positions.weight": (11, WIDTH)}
    for layer in range(config.layers):
        for name in ("query", "key", "value", "output"):
            shapes[f"layers.{layer}.attention.{name}.weight"] = (WIDTH, WIDTH)
        shapes[f"layers.{layer}.feed_forward.up.weight"] = (13, WIDTH)
        shapes[f"layers.{layer}.feed_forward.down.weight"] = (WIDTH, 13)
        for part in ("attention_norm", "feed_forward_norm"):
            shapes |= {f"layers.{layer}.{part}.{of}": (WIDTH,) for of in ("weight", "bias")}
    return Parameters({name: random_array(*shape, seed=i) for i, (name, shape) in enumerate(shapes.items())})


@pytest.mark.parametrize("types", [None, np.array([0, 0, 1, 1])])
def test_a_layer_that_is_shown_alone_has_the_weights_that_it_has_in_the_whole_model(types: np.ndarray | None) -> None:
    config = Config(width=WIDTH, layers=3, heads=1, norm_first=True)
    parameters, whole, alone = small(config), dict[int, Any](), dict[int, Any]()
    transformer(
        IDS[0], parameters, config, types=types, depth=3, watch=lambda block: whole.update({block.layer: block.weights})
    )
    show_layer(
        2,
        IDS[0],
        parameters,
        config,
        heads=(0,),
        rows=[range(4)],
        types=types,
        watch=lambda block: alone.update({block.layer: block.weights}),
    )
    assert list(alone) == [0, 1, 2]
    assert_allclose(alone[2], whole[2], atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "kind", "looks_back"),
    [
        ({}, Kind.ENCODER, False),
        ({"causal": True}, Kind.DECODER, True),
        ({"crosses": True}, Kind.DECODER, False),
        ({"causal": True, "unmasked": True}, Kind.DECODER, False),
    ],
)
def test_the_shape_says_what_the_heads_may_see(fields: dict[str, bool], kind: Kind, looks_back: bool) -> None:
    config = Config(width=WIDTH, layers=2, heads=1, windows=(None, 2), positions=Positions.NONE, **fields)  # type: ignore[arg-type]
    heads = make_heads(random_array(4, WIDTH), Parameters({}), config)
    assert (config.kind, config.looks_back, heads.kind, heads.causal) == (kind, looks_back, kind, looks_back)
    at = np.arange(4)
    for layer, back in ((0, 9), (1, 2)):
        own = set_layer(layer, heads, config)
        assert own.layer == layer
        if config.unmasked:
            assert own.visible is None
        elif own.visible is not None:
            seen = own.visible(at[:, None], at[None])
            expected = [[abs(i - j) < back and (j <= i or not looks_back) for j in at] for i in at]
            assert np.array_equal(seen, expected)
        else:
            assert back == 9 and not looks_back


def test_rotary_positions_turn_as_many_dimensions_as_a_head_has_and_norms_of_heads_are_where_they_are() -> None:
    for width in (None, 6):
        config = Config(
            width=8, layers=1, heads=2, head_width=width, norm_heads=bool(width), positions=Positions.ROTARY
        )
        heads = make_heads(random_array(7, 8), Parameters({}), config)
        assert heads.norm_epsilon == (1e-5 if width else None)
        assert heads.turn is not None
        vectors = random_array(7, width or 4)
        half = vectors.shape[-1] // 2
        angles = np.arange(7)[:, None] * 10000.0 ** (-np.arange(half) / half)
        turned = (vectors[:, :half] + 1j * vectors[:, half:]) * np.exp(1j * angles)
        assert_allclose(heads.turn(vectors), np.concatenate((turned.real, turned.imag), axis=-1), atol=1e-5)
