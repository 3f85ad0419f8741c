import numpy as np
import pytest

from attnviz.vocabulary import Orientation

LAYERS, HEADS, QUERIES, KEYS = 2, 3, 5, 7


def test_queries_down_is_how_weights_are_held() -> None:
    weights = np.random.default_rng(0).random((LAYERS, HEADS, QUERIES, KEYS), np.float32)
    np.testing.assert_array_equal(Orientation.QUERIES_DOWN.turn(weights), weights)


def test_keys_down_turns_each_head_and_moves_no_layer_or_head() -> None:
    weights = np.random.default_rng(0).random((LAYERS, HEADS, QUERIES, KEYS), np.float32)
    turned = Orientation.KEYS_DOWN.turn(weights)
    assert turned.shape == (LAYERS, HEADS, KEYS, QUERIES)
    for layer, head, query, key in np.ndindex(*weights.shape):
        assert turned[layer, head, key, query] == weights[layer, head, query, key]


def test_a_single_head_is_turned_like_many() -> None:
    weights = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    assert Orientation.KEYS_DOWN.turn(weights).tolist() == [[1, 4], [2, 5], [3, 6]]


@pytest.mark.parametrize(
    ("orientation", "rows_and_columns"),
    [(Orientation.QUERIES_DOWN, ("of queries", "of keys")), (Orientation.KEYS_DOWN, ("of keys", "of queries"))],
)
def test_what_belongs_to_an_axis_goes_where_it_goes(
    orientation: Orientation, rows_and_columns: tuple[str, str]
) -> None:
    assert orientation.axes("of queries", "of keys") == rows_and_columns


@pytest.mark.parametrize(
    ("orientation", "sink", "words"),
    [
        (Orientation.QUERIES_DOWN, False, "queries down, keys across; rows sum to 1"),
        (Orientation.KEYS_DOWN, False, "keys down, queries across; columns sum to 1"),
        (Orientation.QUERIES_DOWN, True, "queries down, keys across; rows sum to at most 1"),
        (Orientation.KEYS_DOWN, True, "keys down, queries across; columns sum to at most 1"),
    ],
)
def test_in_words_it_says_what_goes_where_and_what_sums_to_1(orientation: Orientation, sink: bool, words: str) -> None:
    assert orientation.in_words(sink=sink) == words
