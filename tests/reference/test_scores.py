import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.reference.layers import linear
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import SCORES, Sizes, attention, compute_weights, cosine, draw_parameters, scaled_dot
from tests.reference.randomized import randomize

BATCH, HEADS, QUERIES, KEYS, DEPTH, OUT, INNER = 2, 3, 5, 7, 11, 13, 17  # of each axis a different prime
SIZES = Sizes(queries=QUERIES, keys=KEYS, query_width=DEPTH, key_width=OUT)

ONE_WIDTH = ["dot", "scaled-dot", "cosine"]
names = pytest.mark.parametrize("name", SCORES)


def random_vectors(*shapes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.normal(size=(BATCH, HEADS, *shape)).astype(np.float32) for shape in shapes]


def test_scores_are_dot_products_over_the_root_of_the_dimension(array: Callable[..., Any]) -> None:
    queries, keys = random_vectors((QUERIES, DEPTH), (KEYS, DEPTH))
    expected = torch.einsum("bhqd,bhkd->bhqk", torch.tensor(queries).double(), torch.tensor(keys).double())
    assert_allclose(np.asarray(SCORES["dot"](array(queries), array(keys))), expected, atol=1e-5)
    assert_allclose(np.asarray(SCORES["scaled-dot"](array(queries), array(keys))), expected / DEPTH**0.5, atol=1e-5)


@pytest.mark.parametrize("width", [3, 1009])
def test_the_scale_keeps_the_spread_of_scores_near_1_at_any_width(width: int) -> None:
    queries, keys = np.random.default_rng(3).normal(size=(2, 101, width))
    assert scaled_dot(queries, keys).std() == pytest.approx(1, rel=0.1)


def test_cosine_is_that_of_torch(array: Callable[..., Any]) -> None:
    queries, keys = random_vectors((QUERIES, DEPTH), (KEYS, DEPTH))
    expected = torch.nn.functional.cosine_similarity(
        torch.from_numpy(queries)[..., :, None, :], torch.from_numpy(keys)[..., None, :, :], dim=-1
    )
    assert_allclose(np.asarray(SCORES["cosine"](array(queries), array(keys))), expected, atol=1e-6)


def test_a_vector_of_zeros_is_like_nothing(array: Callable[..., Any]) -> None:
    scores = cosine(array([[0.0, 0.0], [3.0, 0.0]]), array([[5.0, 0.0], [0.0, 0.0]]))
    assert_array_equal(np.asarray(scores), [[0, 0], [1, 0]])


def test_general_is_the_bilinear_map_of_torch(array: Callable[..., Any]) -> None:
    queries, keys = random_vectors((QUERIES, DEPTH), (KEYS, OUT))
    bilinear = randomize(torch.nn.Bilinear(DEPTH, OUT, 1, bias=False))
    pairs = BATCH, HEADS, QUERIES, KEYS
    expected = bilinear(
        torch.from_numpy(queries)[..., :, None, :].expand(*pairs, DEPTH),
        torch.from_numpy(keys)[..., None, :, :].expand(*pairs, OUT),
    )[..., 0]
    parameters = Parameters({"weight": array(bilinear.weight[0])})
    assert_allclose(np.asarray(SCORES["general"](array(queries), array(keys), parameters)), expected, atol=1e-4)


def test_general_with_the_product_of_two_projections_is_the_dot_product_of_what_they_project() -> None:
    inputs, context, query, key = (np.random.default_rng(n).normal(size=(n, DEPTH)) for n in (QUERIES, KEYS, OUT, OUT))
    queries, keys = (linear(x, Parameters({"weight": w})) for x, w in ((inputs, query), (context, key)))
    general = SCORES["general"](inputs, context, Parameters({"weight": query.T @ key}))
    assert_allclose(general, SCORES["dot"](queries, keys), atol=1e-10)


@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no biases"])
def test_additive_is_a_network_of_torch_on_each_pair(array: Callable[..., Any], bias: bool) -> None:
    queries, keys = random_vectors((QUERIES, DEPTH), (KEYS, OUT))
    module = randomize(
        torch.nn.ModuleDict(
            {
                "query": torch.nn.Linear(DEPTH, INNER, bias=bias),
                "key": torch.nn.Linear(OUT, INNER, bias=bias),
                "v": torch.nn.Linear(INNER, 1, bias=False),
            }
        )
    )
    arrays = {name: array(value) for name, value in module.named_parameters()}
    arrays["v"] = arrays.pop("v.weight")[0]

    scores = SCORES["additive"](array(queries), array(keys), Parameters(arrays))

    assert scores.shape == (BATCH, HEADS, QUERIES, KEYS)
    for query in range(QUERIES):
        for key in range(KEYS):
            read = module["query"](torch.from_numpy(queries)[:, :, query]) + module["key"](
                torch.from_numpy(keys)[:, :, key]
            )
            expected = module["v"](torch.tanh(read))[..., 0]
            assert_allclose(np.asarray(scores)[:, :, query, key], expected, atol=1e-5)


@pytest.mark.parametrize("longest", [KEYS, KEYS + 4])
def test_location_is_a_linear_map_of_torch_of_the_query_alone(array: Callable[..., Any], longest: int) -> None:
    queries, keys = random_vectors((QUERIES, DEPTH), (KEYS, OUT))
    module = randomize(torch.nn.Linear(DEPTH, longest, bias=False))
    parameters = Parameters({"weight": array(module.weight)})
    scores = SCORES["location"](array(queries), array(keys), parameters)
    assert_allclose(np.asarray(scores), module(torch.from_numpy(queries))[..., :KEYS], atol=1e-5)


@names
def test_every_score_function_takes_leading_axes_and_keeps_to_its_library(array: Callable[..., Any], name: str) -> None:
    queries, keys = random_vectors((QUERIES, DEPTH), (KEYS, DEPTH if name in ONE_WIDTH else OUT))
    drawn = draw_parameters(name, DEPTH, keys.shape[-1], KEYS, seed=3)
    parameters = Parameters({part: array(values) for part, values in drawn.arrays.items()})
    scores = SCORES[name](array(queries), array(keys), parameters)
    assert type(scores) is type(array(queries))
    assert scores.dtype == array(queries).dtype
    assert scores.shape == (BATCH, HEADS, QUERIES, KEYS)
    alone = SCORES[name](array(queries[1, 2]), array(keys[1, 2]), parameters)
    assert_allclose(np.asarray(scores)[1, 2], np.asarray(alone), atol=1e-5)


@names
def test_parameters_are_drawn_in_their_shapes_and_from_their_seed(name: str) -> None:
    drawn, again, other = (draw_parameters(name, 101, 307, 211, seed).arrays for seed in (3, 3, 5))
    shapes = SCORES[name].shapes(101, 307, 211)
    assert {part: values.shape for part, values in drawn.items()} == dict(shapes)
    for part, values in drawn.items():
        assert_array_equal(values, again[part])
        assert (values != other[part]).all()
        assert values.std() == pytest.approx(values.shape[-1] ** -0.5, rel=0.2)


COSTS = {
    "dot": (0, 5 * 7 * (11 + 11), 35),
    "scaled-dot": (0, 5 * 7 * (11 + 11 + 1), 35),
    "cosine": (0, (5 + 7) * (11 + 11 + 1 + 11) + 5 * 7 * (11 + 11), 12 * 11 + 35),
    "general": (11 * 13, 5 * 13 * (11 + 11) + 5 * 7 * (13 + 13), 5 * 13 + 35),
    "additive": (
        11 * 11 + 11 * 13 + 11,
        5 * 11 * (11 + 11) + 7 * 11 * (13 + 13) + 5 * 7 * 11 * (1 + 1 + 2),
        (5 + 7) * 11 + 5 * 7 * 11 + 35,
    ),
    "location": (7 * 11, 5 * 7 * (11 + 11), 35),
}
"""Parameters, operations and memory, counted by hand: multiplications and additions, then what else there is."""


@names
def test_costs_are_those_counted_by_hand(name: str) -> None:
    sizes = Sizes(queries=QUERIES, keys=KEYS, query_width=DEPTH, key_width=DEPTH if name in ONE_WIDTH else OUT)
    function = SCORES[name]
    assert (function.parameters(sizes), function.operations(sizes), function.memory(sizes)) == COSTS[name]


@names
def test_as_many_parameters_are_drawn_as_are_counted(name: str) -> None:
    drawn = draw_parameters(name, DEPTH, OUT, KEYS, seed=3).arrays.values()
    assert SCORES[name].parameters(SIZES) == sum(values.size for values in drawn)


@names
def test_formulas_and_sources_are_one_line_each(name: str) -> None:
    function = SCORES[name]
    assert function.formula.isprintable() and function.formula
    assert function.source.isprintable() and any(char.isdigit() for char in function.source)


def test_a_bias_is_added_to_the_scaled_scores(array: Callable[..., Any]) -> None:
    queries, keys, values = random_vectors((QUERIES, DEPTH), (KEYS, DEPTH), (KEYS, OUT))
    (bias,) = random_vectors((QUERIES, KEYS))
    weights, output = attention(array(queries), array(keys), array(values), bias=array(bias))
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(torch.from_numpy(x) for x in (queries, keys, values)), attn_mask=torch.from_numpy(bias)
    )
    assert_allclose(np.asarray(output), expected, atol=1e-5)
    assert_allclose(np.asarray(weights).sum(-1), 1, atol=1e-6)


def test_a_mask_hides_whatever_the_bias_adds(array: Callable[..., Any]) -> None:
    queries, keys, values = random_vectors((QUERIES, DEPTH), (KEYS, DEPTH), (KEYS, OUT))
    allowed = np.tri(QUERIES, KEYS, 1, dtype=bool)
    high = np.where(allowed, 0, 1e4).astype(np.float32)
    weights, _ = attention(array(queries), array(keys), array(values), array(allowed), array(high))
    plain, _ = attention(array(queries), array(keys), array(values), array(allowed))
    assert_array_equal(np.asarray(weights), np.asarray(plain))


def test_weights_are_the_softmax_of_torch(array: Callable[..., Any]) -> None:
    (scores,) = random_vectors((QUERIES, KEYS))
    assert_allclose(
        np.asarray(compute_weights(array(scores), None)), torch.softmax(torch.from_numpy(scores), -1), atol=1e-6
    )
    assert math.isfinite(float(compute_weights(array([[1e4, 0.0]]), None)[0, 0]))


def test_a_sink_is_one_score_more_that_belongs_to_no_key(array: Callable[..., Any]) -> None:
    scores, sink = random_vectors((QUERIES, KEYS), (QUERIES,))
    allowed = np.tri(QUERIES, KEYS, 1, dtype=bool)
    weights = np.asarray(compute_weights(array(scores), array(allowed), array(sink)))
    with_sink = torch.from_numpy(np.concatenate((np.where(allowed, scores, -np.inf), sink[..., None]), -1))
    assert_allclose(weights, torch.softmax(with_sink, -1)[..., :-1], atol=1e-6)
