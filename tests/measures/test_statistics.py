from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.testing import assert_allclose

from attnviz.errors import RecordError, UsageError
from attnviz.measures.head_statistics import Statistics
from attnviz.measures.rows import Rows, TextPlaces
from attnviz.measures.statistics import STATISTICS, Statistic, find_statistics
from attnviz.records import Axes, Block, HeadTable
from attnviz.text import By, Token
from attnviz.vocabulary import Kind

LAYERS, HEADS, TOKENS = (4, 0), (0, 7, 5), 11  # of each axis a different prime
AS_GIVEN = np.ix_(np.argsort(np.argsort(LAYERS)), np.argsort(np.argsort(HEADS)))  # tables are in ascending order
DENSE = np.random.default_rng(5).dirichlet(np.full(TOKENS, 0.3), (2, 3, TOKENS)).astype(np.float32)


MARKED = {0: Token("[CLS]", 0, special=True), 3: Token(",", 3), 7: Token(".", 7), 8: Token("...", 8)}
ENDED = MARKED | {TOKENS - 1: Token("[SEP]", TOKENS - 1, special=True)}


def axes(kind: Kind = Kind.ENCODER, count: int = TOKENS, **of_all: Any) -> Axes:
    tokens = tuple(replace(ENDED.get(i, Token(f"t{i}", i)), **of_all) for i in range(count))
    return Axes(kind=kind, layers=LAYERS, heads=HEADS, query_tokens=tokens, key_tokens=tokens, model="some model")


def table(weights: np.ndarray, names: Sequence[str], cuts: Sequence[int] = (), kind: Kind = Kind.ENCODER) -> HeadTable:
    """The statistics of dense weights [layers, heads, queries, keys], fed in blocks that end at these rows."""
    reducer = Statistics(axes(kind, weights.shape[-1]), find_statistics(names))
    for index, layer in enumerate(LAYERS):
        for first, end in zip([0, *cuts], [*cuts, weights.shape[2]], strict=True):
            reducer.update(Block.starting(kind, layer, HEADS, first, weights[index, :, first:end]))
    return reducer.result()


def values(weights: np.ndarray, name: str, **how: object) -> np.ndarray:
    return table(weights, [name], **how).columns[name].means[AS_GIVEN]  # type: ignore[arg-type]


def entropy(weights: np.ndarray) -> np.ndarray:
    return scipy.stats.entropy(0.9999 * weights + 0.0001 / weights.shape[-1], axis=-1).mean(-1)


def diagonal(offset: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda weights: np.diagonal(weights, offset, -2, -1).sum(-1) / weights.shape[-2]


def distance(weights: np.ndarray) -> np.ndarray:
    pairs = [(query, key) for query in range(TOKENS) for key in range(1, TOKENS)]
    reach = sum(weights[..., query, key] * abs(query - key) for query, key in pairs)
    return reach / sum(weights[..., query, key] for query, key in pairs)


def positional(weights: np.ndarray) -> np.ndarray:
    leaps = weights.argmax(-1) - np.arange(TOKENS)  # [layers, heads, queries]
    return np.maximum((leaps == -1).mean(-1), (leaps == 1).mean(-1))


ORACLES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "entropy": entropy,
    "normalized_entropy": lambda weights: entropy(weights) / np.log(weights.shape[-1]),
    "confidence": lambda weights: weights[..., :-1].max(-1).mean(-1),
    "distance": distance,
    "previous": diagonal(-1),
    "next": diagonal(1),
    "same": diagonal(0),
    "first": lambda weights: weights[..., 0].mean(-1),
    "special": lambda weights: (weights[..., 0] + weights[..., TOKENS - 1]).mean(-1),
    "separator": lambda weights: weights[..., TOKENS - 1].mean(-1),
    "punctuation": lambda weights: (weights[..., 3] + weights[..., 7]).mean(-1),
    "sink": lambda weights: weights[..., 0].mean(-1) > 0.3,
    "positional": positional,
    "variability": lambda weights: np.full(weights.shape[:2], np.nan),  # of a single text
}
"""Each statistic of dense weights [layers, heads, queries, keys] -> [layers, heads], worked out in another way."""

every_statistic = pytest.mark.parametrize("name", STATISTICS)


@every_statistic
def test_a_statistic_of_a_text_is_the_mean_over_its_queries_that_its_definition_says(name: str) -> None:
    assert_allclose(values(DENSE, name), ORACLES[name](DENSE.astype(float)), atol=1e-9)


@every_statistic
def test_a_column_says_what_its_numbers_are_and_who_defined_them(name: str) -> None:
    statistic = STATISTICS[name]
    assert table(DENSE, [name]).columns[name].definition == f"{statistic.definition} ({statistic.source})"
    assert all((statistic.definition, statistic.source, statistic.formula, statistic.high))


def test_of_even_rows_the_normalized_entropy_is_1_whatever_their_length() -> None:
    for count in (2, 7, 13):
        even = np.full((2, 3, count, count), 1 / count, np.float32)
        assert_allclose(values(even, "normalized_entropy"), 1, atol=1e-6)
        assert_allclose(values(even, "entropy"), np.log(count), atol=1e-6)


def test_of_a_decoder_that_looks_at_all_it_can_see_alike_the_normalized_entropy_is_1() -> None:
    for count in (7, 13):
        even = np.tril(np.ones((2, 3, count, count))) / np.arange(1, count + 1)[:, None]
        assert_allclose(values(even.astype(np.float32), "normalized_entropy", kind=Kind.DECODER), 1, atol=1e-6)


def test_a_decoder_is_measured_by_what_each_query_can_see() -> None:
    weights = np.tril(DENSE) / np.tril(DENSE).sum(-1, keepdims=True)
    smooth = 0.9999 * weights.astype(float) + 0.0001 / TOKENS
    rows = scipy.stats.entropy(smooth, axis=-1)[..., 1:] / np.log(np.arange(2, TOKENS + 1))  # but for the first
    expected = np.minimum(rows, 1).mean(-1)
    assert_allclose(values(weights, "normalized_entropy", kind=Kind.DECODER), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("tokens", "undefined"),
    [
        ({"window": 0}, {"normalized_entropy", "distance", "first", "sink", "variability"}),
        ({"position": 3}, {"distance", "first", "sink", "variability"}),
    ],
    ids=["in windows", "without its first key"],
)
def test_what_takes_the_first_key_or_the_whole_text_is_undefined_without(tokens: dict, undefined: set[str]) -> None:
    assert {name for name, each in STATISTICS.items() if not each.is_defined(axes(**tokens))} == undefined


def test_special_tokens_round_a_window_are_nobodys_neighbours() -> None:
    tokens = [
        Token("[CLS]", 0, special=True, window=1),
        Token("a", 1, (0, 1), window=1),
        Token("b", 2, (2, 3), window=1),
    ]
    here = Axes(kind=Kind.ENCODER, layers=(0,), heads=(0,), query_tokens=(*tokens,), key_tokens=(*tokens,), model="m")
    reducer = Statistics(here, find_statistics(["same", "previous", "next"]))
    reducer.update(
        Block.starting(Kind.ENCODER, 0, (0,), 0, np.array([[[0.7, 0.2, 0.1], [0.6, 0.1, 0.3], [0.5, 0.4, 0.1]]]))
    )
    found = {name: column.means.item() for name, column in reducer.result().columns.items()}
    assert found == pytest.approx({"same": 0.2 / 3, "previous": 0.4 / 3, "next": 0.3 / 3})


def test_a_tensor_and_an_array_of_the_same_weights_give_the_same_numbers() -> None:
    torch = pytest.importorskip("torch")
    found = [table(weights, []) for weights in (DENSE, torch.from_numpy(DENSE))]
    for name in STATISTICS:
        assert np.array_equal(found[0][name], found[1][name], equal_nan=True)


@pytest.mark.parametrize("count", [3, 40])
def test_layers_looked_at_together_and_one_by_one_give_the_same(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    weights = np.random.default_rng(4).dirichlet(np.full(count, 0.3), (2, 3, count)).astype(np.float32)
    together = table(weights, [])
    monkeypatch.setattr("attnviz.measures.head_statistics.WEIGHTS_AT_ONCE", 8)
    for name, column in table(weights, []).columns.items():
        assert_allclose(column.means, together[name], atol=1e-12, rtol=1e-6)


def test_of_equal_weights_the_first_says_whether_a_head_is_positional() -> None:
    weights = np.zeros((2, 3, 5, 5), np.float32)
    weights[..., 0] = weights[..., 2] = (
        0.5  # of the queries 1 and 3, whose neighbours these are, only 1 looks there first
    )
    assert_allclose(values(weights, "positional"), 1 / 5)


@pytest.mark.parametrize("at_once", [8, 2**20])
def test_a_model_may_use_the_memory_of_a_block_for_the_next_and_give_heads_one_by_one(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("attnviz.measures.head_statistics.WEIGHTS_AT_ONCE", at_once)
    reducer, buffer = Statistics(axes(), find_statistics([])), np.empty((1, TOKENS, TOKENS), np.float32)
    for layer, weights in zip(LAYERS, DENSE, strict=True):
        for head, own in zip(HEADS, weights, strict=True):
            buffer[0] = own
            reducer.update(Block.starting(Kind.ENCODER, layer, (head,), 0, buffer))
    found = reducer.result()
    for name in STATISTICS:
        assert_allclose(found[name][AS_GIVEN], values(DENSE, name), atol=1e-9)


def test_only_the_weights_of_what_takes_several_texts_are_kept() -> None:
    found = table(DENSE, ["same", "variability"])
    assert found.columns["same"].corner is None
    assert_allclose(found.columns["variability"].corner, DENSE[::-1][:, [0, 2, 1], :10, :10])  # in ascending order
    reducer = Statistics(axes(window=0), find_statistics(["variability"]))
    assert reducer.result().columns["variability"].corner is None


def test_one_token_of_a_window_makes_a_text_one_that_was_read_in_windows() -> None:
    tokens = axes().key_tokens
    for place in (0, TOKENS - 1):
        some = tuple(replace(token, window=0) if token.position == place else token for token in tokens)
        assert not STATISTICS["first"].is_defined(axes().of_tokens(some, some))


def test_of_a_part_of_a_text_there_are_no_numbers() -> None:
    whole = axes()
    parts = [
        whole.of_tokens(whole.query_tokens[3:4], whole.key_tokens),
        whole.of_tokens(whole.query_tokens[1:-1], whole.key_tokens[1:-1]),
        whole.of_tokens(whole.query_tokens[:4], whole.key_tokens),
    ]
    for part in parts[:2]:
        with pytest.raises(RecordError, match="a part of a text"):
            Statistics(part, find_statistics([]))


def test_where_tokens_have_no_names_what_takes_them_is_undefined() -> None:
    tokens = tuple(Token(str(i), i) for i in range(TOKENS))
    unnamed = axes().of_tokens(tokens, tokens)
    undefined = {name for name, each in STATISTICS.items() if not each.is_defined(unnamed)}
    assert undefined == {"special", "separator", "punctuation"}


def test_a_table_goes_by_layer_then_head_and_says_what_it_is_of() -> None:
    found = table(DENSE, ["same"])
    assert (found.layers, found.heads, found.texts) == (tuple(sorted(LAYERS)), tuple(sorted(HEADS)), 1)
    assert Statistics(axes(), find_statistics(["same"])).result().by is By.TOKEN
    assert Statistics(replace(axes(), by=By.WORD), find_statistics(["same"])).result().by is By.WORD
    assert found["same"][0, 1] == pytest.approx(ORACLES["same"](DENSE.astype(float))[1, 2], abs=1e-9)


def test_of_a_single_token_the_normalized_entropy_is_undefined() -> None:
    assert np.isnan(values(np.ones((2, 3, 1, 1), np.float32), "normalized_entropy")).all()


def test_of_a_head_that_looks_at_the_first_key_only_the_distance_is_undefined_and_the_sink_full() -> None:
    first = np.zeros_like(DENSE)
    first[..., 0] = 1
    found = table(first, ["distance", "sink", "first"])
    assert np.isnan(found.columns["distance"].means).all()
    assert (found.columns["sink"].means == 1).all() and (found.columns["first"].means == 1).all()


def test_a_sink_is_a_first_key_with_more_than_three_tenths_of_the_weight_on_average() -> None:
    for share, sinks in ((0.29, 0), (0.31, 1)):
        weights = np.zeros_like(DENSE)
        weights[..., 0], weights[..., 1] = share, 1 - share
        assert (values(weights, "sink") == sinks).all()


def test_a_text_without_a_token_that_ends_it_counts_its_last_key_for_confidence() -> None:
    last = np.zeros((2, 3, 7, 7), np.float32)
    last[..., -1] = 1
    assert (values(last, "confidence") == 1).all()


@every_statistic
def test_between_two_sequences_only_what_takes_order_is_undefined(name: str) -> None:
    column = table(DENSE, [name], kind=Kind.CROSS).columns[name]
    defined = name not in ("distance", "previous", "next", "same", "positional", "variability")
    assert np.isfinite(column.means).all() if defined else np.isnan(column.means).all()
    assert (column.counts == int(defined)).all()


@every_statistic
@given(cuts=st.sets(st.integers(1, TOKENS - 1)))
def test_blocks_of_any_size_give_the_same(name: str, cuts: set[int]) -> None:
    assert_allclose(values(DENSE, name, cuts=sorted(cuts)), values(DENSE, name), atol=1e-12)


@every_statistic
def test_keys_that_a_block_leaves_out_count_as_keys_without_weight(name: str) -> None:
    seen = np.tril(np.triu(DENSE, -3))  # each query sees four keys at most
    window = seen / seen.sum(-1, keepdims=True)
    reducer = Statistics(axes(), find_statistics([name]))
    for index, layer in enumerate(LAYERS):
        for row in range(TOKENS):
            first = max(row - 3, 0)
            own = window[index, :, row : row + 1, first : row + 1]
            reducer.update(Block.starting(Kind.ENCODER, layer, HEADS, row, own, first_key=first))
    assert_allclose(reducer.result().columns[name].means[AS_GIVEN], values(window, name), atol=1e-7)


@every_statistic
def test_the_rows_and_keys_of_a_block_may_come_in_any_order(name: str) -> None:
    rows, keys = np.random.default_rng(3).permuted(np.tile(np.arange(TOKENS), (2, 1)), axis=1)
    reducer = Statistics(axes(), find_statistics([name]))
    for layer, weights in zip(LAYERS, DENSE, strict=True):
        for some in (rows[:4], rows[4:]):
            reducer.update(Block(Kind.ENCODER, layer, HEADS, some, keys, weights[:, some][..., keys]))
    assert_allclose(reducer.result().columns[name].means[AS_GIVEN], values(DENSE, name), atol=1e-7)


def test_a_head_that_looks_at_the_next_token_is_positional_to_the_end() -> None:
    onward = np.broadcast_to(np.eye(TOKENS, k=1) + np.eye(TOKENS)[-1:] * np.eye(TOKENS)[:, -1:], DENSE.shape)
    assert_allclose(values(onward.astype(np.float32), "positional"), (TOKENS - 1) / TOKENS)


def test_distances_are_told_of_all_but_special_tokens_round_a_window() -> None:
    inner = [Token(text, i, (i, i + 1), window=1) for i, text in enumerate("abc")]
    ends = [Token(text, 3 + i, special=True, window=1) for i, text in enumerate(("[CLS]", "[SEP]"))]
    tokens = (ends[0], *inner, ends[1])
    here = Axes(kind=Kind.ENCODER, layers=(0,), heads=(0,), query_tokens=tokens, key_tokens=tokens, model="m")
    places = TextPlaces(here)
    apart = np.array([[-1, 0], [0, 1], [np.nan, np.nan]])
    assert_allclose(places.distances(np.array([2, 1, 4]), range(1, 3)), apart)
    rows = Rows(np.zeros((1, 3, 2), np.float32), places, np.array([2, 1, 4]), range(1, 3))
    assert_allclose(rows.distances, apart)
    assert np.isnan(places.distances(range(1, 2), np.array([0, 4]))).all()


def test_a_text_of_fewer_queries_than_keys_has_the_neighbours_that_are_there() -> None:
    whole = axes()
    for queries, keys in ((3, 5), (5, 3)):
        part = whole.of_tokens(whole.query_tokens[:queries], whole.key_tokens[:keys])
        reducer = Statistics(part, find_statistics(["previous", "next", "same"]))
        weights = DENSE[..., :queries, :keys]
        for layer, own in zip(LAYERS, weights, strict=True):
            reducer.update(Block.starting(Kind.ENCODER, layer, HEADS, 0, own))
        found = reducer.result()
        for name, offset in (("previous", -1), ("next", 1), ("same", 0)):
            assert_allclose(found.columns[name].means[AS_GIVEN], diagonal(offset)(weights), atol=1e-9)


@pytest.mark.parametrize("together", [1, 3 * TOKENS])
def test_the_entropy_does_not_depend_on_how_many_rows_are_looked_at_together(
    monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr("attnviz.measures.rows._IN_CACHE", together)
    assert_allclose(values(DENSE, "entropy"), ORACLES["entropy"](DENSE.astype(float)), atol=1e-9)


def test_statistics_come_in_the_order_asked_for_and_all_where_none_is() -> None:
    assert list(find_statistics(["next", "entropy", "next"])) == ["next", "entropy"]
    assert find_statistics([]) == STATISTICS


def test_a_statistic_of_ones_own_is_one_of_them_once_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Statistic("mean of the largest weight", "mine", lambda rows: rows.weights.max(-1))
    monkeypatch.setitem(STATISTICS, "largest", mine)
    found = table(DENSE, [])
    assert list(found.columns) == [*ORACLES, "largest"]
    assert_allclose(found.columns["largest"].means[AS_GIVEN], DENSE.max(-1).mean(-1), atol=1e-6)


@pytest.mark.parametrize("names", [3, {"entropy"}, [3], [["entropy"]]])
def test_statistics_are_named_by_a_sequence_of_words(names: Any) -> None:
    with pytest.raises(UsageError, match="entropy"):
        find_statistics(names)


def test_an_unknown_statistic_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no statistic 'sharpness': choose entropy, "):
        find_statistics(["sharpness"])
