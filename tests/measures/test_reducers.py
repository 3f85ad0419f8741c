from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.errors import RecordError
from attnviz.measures import reducers
from attnviz.measures.reducers import Collect, Group, OfRows, Reducer, group_record, join_pieces, make_keeper
from attnviz.records import Attention, Axes, Block, find_runs
from attnviz.text import By, Groups, Segment
from attnviz.vocabulary import Kind
from tests.build import axes, distributions, record, tokens

LAYERS, HEADS, QUERIES, KEYS = (4, 0), (0, 7, 5), 11, 7  # of each axis a different prime
AXES = axes(layers=LAYERS, heads=HEADS, queries=QUERIES, keys=KEYS, notes=("a note",))
HALVES = Groups(tokens(2), (0,) * 4 + (1,) * 7), Groups(tokens(3), (0, 0, 1, 1, 2, 2, 2))
"""A grouping of the queries and one of the keys."""

DENSE = distributions(*AXES.shape)


def block(layer: int, first: int, weights: Any) -> Block:
    return Block.starting(Kind.CROSS, layer, HEADS, first, weights)


def all_blocks(cuts: Sequence[int], array: Callable[..., Any] = np.asarray) -> list[Block]:
    """The dense weights cut into blocks of rows at these queries."""
    edges = [0, *cuts, QUERIES]
    return [
        block(layer, first, array(DENSE[index, :, first:end]))
        for index, layer in enumerate(LAYERS)
        for first, end in pairwise(edges)
    ]


@st.composite
def shuffled_blocks(draw: st.DrawFn) -> list[Block]:
    cuts = draw(st.sets(st.integers(1, QUERIES - 1)))
    return draw(st.permutations(all_blocks(sorted(cuts))))


@st.composite
def groupings(draw: st.DrawFn, count: int) -> Groups:
    """Any partition, groups numbered as they come up."""
    labels = draw(st.lists(st.integers(0, count - 1), min_size=count, max_size=count))
    number = {label: index for index, label in enumerate(dict.fromkeys(labels))}
    return Groups(tokens(len(number)), tuple(number[label] for label in labels))


def reduced(reducer: Reducer[Attention], blocks: Sequence[Block]) -> Attention:
    for each in blocks:
        reducer.update(each)
    return reducer.result()


def between_groups(attention: Attention, queries: Groups, keys: Groups) -> Attention:
    """A record that is there already, its tokens in groups of any kind."""
    blocks = [
        Block.starting(attention.kind, layer, attention.heads, 0, weights)
        for layer, weights in zip(attention.layers, attention.weights, strict=True)
    ]
    return reduced(Group(attention, queries, keys), blocks)


def grouped_by_definition(weights: np.ndarray, queries: Groups, keys: Groups) -> np.ndarray:
    """To a group the sum over its keys, from a group the mean over its queries."""
    weights = weights.astype(np.float64)
    return np.stack(
        [
            np.stack(
                [
                    weights[:, :, np.array(queries.index) == q][..., np.array(keys.index) == k].sum(-1).mean(-1)
                    for k in range(len(keys.tokens))
                ],
                axis=-1,
            )
            for q in range(len(queries.tokens))
        ],
        axis=-2,
    )


class TestCollect:
    @given(shuffled_blocks())
    def test_blocks_in_any_order_give_the_dense_weights(self, blocks: list[Block]) -> None:
        result = reduced(Collect(AXES), blocks)
        assert_array_equal(result.weights, DENSE)
        assert (result.layers, result.heads, result.notes) == (LAYERS, HEADS, ("a note",))

    @given(st.permutations(range(QUERIES)), st.permutations(range(KEYS)))
    def test_rows_and_keys_may_come_in_any_order(self, rows: list[int], keys: list[int]) -> None:
        blocks = [
            Block(Kind.CROSS, layer, HEADS, np.array(rows), np.array(keys), DENSE[index][:, rows][..., keys])
            for index, layer in enumerate(LAYERS)
        ]
        assert_array_equal(reduced(Collect(AXES), blocks).weights, DENSE)

    @given(st.sets(st.integers(0, QUERIES - 1), min_size=1), shuffled_blocks())
    def test_only_the_wanted_rows_are_kept(self, wanted: set[int], blocks: list[Block]) -> None:
        rows = sorted(wanted)
        axes = AXES.of_tokens(tuple(AXES.query_tokens[row] for row in rows), AXES.key_tokens)
        assert_array_equal(reduced(OfRows(Collect(axes), rows), blocks).weights, DENSE[:, :, rows])

    def test_what_no_block_has_is_zero(self) -> None:
        reducer = Collect(AXES)
        reducer.update(Block(Kind.CROSS, LAYERS[1], (5, 0), range(3, 5), range(2, 6), DENSE[1][[2, 0], 3:5, 2:6]))
        expected = np.zeros_like(DENSE)
        expected[1, [2, 0], 3:5, 2:6] = DENSE[1, [2, 0], 3:5, 2:6]
        assert_array_equal(reducer.weights, expected)

    def test_blocks_may_come_from_any_array_library(self, array: Callable[..., Any]) -> None:
        assert_array_equal(reduced(Collect(AXES), all_blocks([5], array)).weights, DENSE)


class TestGroup:
    def test_groups_give_what_is_computed_by_hand(self) -> None:
        weights = [[0.5, 0.25, 0.25], [0.125, 0.375, 0.5], [0.25, 0.5, 0.25]]
        by_hand = record(Kind.ENCODER, layers=(3,), heads=(2,), names=3, notes=("a note",), weights=weights)
        ends_together = Groups(tokens(2), (0, 1, 0))
        result = between_groups(by_hand, ends_together, ends_together)
        # from {0, 2}: mean of rows 0 and 2 is [0.375, 0.375, 0.25]; from {1}: row 1
        assert_array_equal(result.weights, [[[[0.625, 0.375], [0.625, 0.375]]]])
        assert result.query_tokens == result.key_tokens == tokens(2)
        assert (result.kind, result.layers, result.heads) == (Kind.ENCODER, (3,), (2,))
        assert (result.model, result.notes) == ("some/model", ("a note",))

    def test_each_axis_has_groups_of_its_own(self) -> None:
        result = between_groups(Attention.on(AXES, DENSE), *HALVES)
        assert result.shape == (2, 3, 2, 3)
        assert_allclose(result.weights, grouped_by_definition(DENSE, *HALVES), atol=1e-6)

    def test_pieces_are_grouped_into_words(self) -> None:
        pieces = tokens(["un", "do", "it"], words=[0, 0, 1])
        weights = [[0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.125, 0.125, 0.75]]
        result = group_record(record(names=pieces, weights=weights), By.WORD)
        assert [token.text for token in result.key_tokens] == ["undo", "it"]
        assert_array_equal(result.weights, [[[[0.625, 0.375], [0.25, 0.75]]]])

    @given(groupings(QUERIES), groupings(KEYS))
    def test_rows_still_sum_to_1_and_each_weight_is_as_defined(self, queries: Groups, keys: Groups) -> None:
        result = reduced(Group(AXES, queries, keys), all_blocks([]))
        assert_allclose(result.weights.sum(-1), 1, atol=1e-6)
        assert_allclose(result.weights, grouped_by_definition(DENSE, queries, keys), atol=1e-6)

    @given(st.permutations(range(QUERIES)), st.permutations(range(KEYS)), groupings(QUERIES), groupings(KEYS))
    def test_rows_and_keys_may_come_in_any_order(
        self, rows: list[int], keys: list[int], queries: Groups, to: Groups
    ) -> None:
        reducer = Group(AXES, queries, to)
        for index, layer in enumerate(LAYERS):
            weights = DENSE[index][:, rows][..., keys]
            reducer.update(Block(Kind.CROSS, layer, HEADS, np.array(rows), np.array(keys), weights))
        assert_allclose(reducer.result().weights, grouped_by_definition(DENSE, queries, to), atol=1e-6)

    @given(groupings(QUERIES), groupings(KEYS))
    def test_a_record_groups_as_its_blocks_do(self, queries: Groups, keys: Groups) -> None:
        by_blocks = reduced(Group(AXES, queries, keys), all_blocks([3, 5]))
        assert_allclose(between_groups(Attention.on(AXES, DENSE), queries, keys).weights, by_blocks.weights, atol=1e-6)

    @given(shuffled_blocks(), groupings(QUERIES), groupings(KEYS))
    def test_blocks_in_any_order_give_the_same(self, blocks: list[Block], queries: Groups, keys: Groups) -> None:
        result = reduced(Group(AXES, queries, keys), blocks)
        assert_allclose(result.weights, grouped_by_definition(DENSE, queries, keys), atol=1e-6)
        assert (result.query_tokens, result.key_tokens) == (queries.tokens, keys.tokens)

    def test_blocks_may_come_from_any_array_library(self, array: Callable[..., Any]) -> None:
        result = reduced(Group(AXES, *HALVES), all_blocks([5], array))
        assert_allclose(result.weights, grouped_by_definition(DENSE, *HALVES), atol=1e-6)


def test_groups_of_which_no_block_has_a_key_have_no_weight(array: Callable[..., Any]) -> None:
    reducer = Group(AXES, *HALVES)
    reducer.update(Block(Kind.CROSS, LAYERS[1], HEADS, range(4), range(2, 4), array(DENSE[1][:, :4, 2:4])))
    expected = np.zeros((2, 3, 2, 3))
    expected[1, :, 0, 1] = DENSE[1][:, :4, 2:4].sum(-1).mean(-1)
    assert_allclose(reducer.weights, expected, atol=1e-6)


def test_weights_are_summed_where_they_are_and_only_the_sums_between_groups_leave(
    monkeypatch: pytest.MonkeyPatch, array: Callable[..., Any]
) -> None:
    left: list[tuple[int, ...]] = []
    bring = reducers.to_numpy
    monkeypatch.setattr(reducers, "to_numpy", lambda sums: left.append(tuple(sums.shape)) or bring(sums))
    reduced(Group(AXES, *HALVES), all_blocks([5], array))
    heads, query_groups_of_each_block, key_groups = 3, [2, 1, 2, 1], 3
    assert left == [(heads, queries, key_groups) for queries in query_groups_of_each_block]


@pytest.mark.parametrize("new", [Collect, lambda axes: Group(axes, *HALVES)], ids=["collect", "group"])
@pytest.mark.parametrize("precision", ["float64", "float16", "bfloat16"])
def test_a_reducer_takes_torch_weights_of_any_precision(
    new: Callable[[Axes], Reducer[Attention]], precision: str
) -> None:
    import torch

    dtype = getattr(torch, precision)
    blocks = all_blocks([], lambda weights: torch.from_numpy(weights.copy()).to(dtype))
    named = replace(AXES, precision=precision)
    exact = reduced(new(named), all_blocks([])).weights
    assert_allclose(reduced(new(named), blocks).weights, exact, atol=max(torch.finfo(dtype).eps, 1e-6))


def test_what_was_collected_is_kept_without_a_copy() -> None:
    reducer = Collect(AXES)
    assert np.shares_memory(reduced(reducer, all_blocks([5])).weights, reducer.weights)


def test_weights_are_kept_as_they_are_or_grouped_but_not_grouped_otherwise_once_more() -> None:
    of_tokens, of_words = axes(), axes(by=By.WORD)
    assert isinstance(make_keeper(of_tokens, By.TOKEN), Collect)
    assert isinstance(make_keeper(of_words, By.WORD), Collect)
    assert isinstance(make_keeper(of_tokens, By.WORD), Group)
    with pytest.raises(RecordError, match=r"between groups already \(word\)"):
        make_keeper(of_words, By.SENTENCE)


def test_a_grouped_record_says_by_what() -> None:
    assert group_record(record(), By.WORD).by is By.WORD


def test_tokens_that_share_a_character_are_joined_with_a_note_and_others_are_left_as_they_are() -> None:
    segment = Segment("a é")
    a, e1, e2 = (segment.token(span, position) for position, span in enumerate([(0, 1), (2, 3), (2, 3)]))
    weights = [[0.5, 0.25, 0.25], [0.125, 0.375, 0.5], [0.25, 0.5, 0.25]]
    whole = record(Kind.ENCODER, names=(a, e1, e2), weights=weights, notes=("a note",))
    joined = join_pieces(whole)
    assert [token.text for token in joined.query_tokens] == [token.text for token in joined.key_tokens] == ["a", "é"]
    assert joined.notes == ("a note", "tokens that share a character shown as one")
    assert_allclose(joined.weights[0, 0], [[0.5, 0.5], [0.1875, 0.8125]])
    plain = record()
    assert join_pieces(plain) is plain
    for queries, keys in (((a, e1, e2), (a, e1)), ((a, e1), (a, e1, e2))):
        side = record(Kind.CROSS, queries=queries, keys=keys)
        assert join_pieces(side).shape[2:] == (2, 2)


@given(st.sets(st.integers(0, 30)))
def test_stretches_are_the_longest_runs_of_neighbours(indices: set[int]) -> None:
    found = find_runs(sorted(indices))
    assert [index for run in found for index in run] == sorted(indices)
    assert all(before.stop < after.start for before, after in pairwise(found))
