"""Comparison of records, held to scipy and to what can be told by hand."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import jensenshannon

from attnviz.errors import RecordError, TextError, UsageError
from attnviz.measures import comparison
from attnviz.measures.assignment import assign
from attnviz.measures.comparison import compare, diverge, diverge_pairs
from attnviz.measures.token_alignment import Alignment
from attnviz.measures.totals import Totals
from attnviz.records import Attention
from attnviz.text import By, Segment, make_tokens
from attnviz.vocabulary import DIFFERENCE
from tests import build

WORDS = "it", "was", "too", "tired", "then"


def record(seed: int, words: tuple[str, ...] = WORDS, layers: int = 2, heads: int = 3) -> Attention:
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(words)), (layers, heads, len(words)))
    return Attention.from_array(weights, words, model=f"model {layers}")


def test_the_divergence_is_the_square_of_scipys_distance_after_smoothing() -> None:
    p, q = np.random.default_rng(0).dirichlet(np.ones(7), (2, 3, 5))
    smooth = [0.999 * each + 0.001 / 7 for each in (p, q)]
    np.testing.assert_allclose(diverge(p, q), jensenshannon(*smooth, axis=-1) ** 2, atol=1e-12)


def test_rows_that_share_nothing_diverge_by_nearly_ln_2_and_equal_ones_not_at_all() -> None:
    p, q = np.eye(50)[:2]
    assert diverge(p, p) == 0
    assert math.log(2) - 0.01 < diverge(p, q) < math.log(2)


def test_records_of_the_same_tokens_are_compared_row_by_row() -> None:
    first, second = record(1), record(2)
    found = compare(first, second)
    np.testing.assert_allclose(found.difference.weights, second.weights - first.weights, atol=1e-6)
    rows = diverge(first.weights.astype(float), second.weights.astype(float))
    np.testing.assert_allclose(found.table["divergence"], rows.mean(-1), atol=1e-6)
    best, *_ = found.table.places()
    assert found.table["divergence"][best] == found.table["divergence"].max()


def test_only_what_both_have_is_compared_and_rows_are_rescaled_to_it() -> None:
    first, second = record(1), record(2, ("it", "was", "too", "wide", "and", "then"))
    found = compare(first, second)
    assert [token.text for token in found.difference.key_tokens] == ["it", "was", "too", "then"]
    ours, theirs = (
        each.weights[:, :, kept][..., kept].astype(float)
        for each, kept in ((first, [0, 1, 2, 4]), (second, [0, 1, 2, 5]))
    )
    ours, theirs = (each / each.sum(-1, keepdims=True) for each in (ours, theirs))
    np.testing.assert_allclose(found.difference.weights, theirs - ours, atol=1e-6)
    np.testing.assert_allclose(found.difference.weights.sum(-1), 0, atol=1e-6)
    assert found.difference.measure == DIFFERENCE
    assert found.difference.notes == (
        "the second minus the first",
        "left out of the first: tired",
        "left out of the second: wide and",
        "rows rescaled to the tokens that both have",
    )


def test_heads_of_other_shapes_are_paired_with_those_that_least_differ() -> None:
    small = record(3, layers=1, heads=3)
    weights = np.stack([record(4).weights[0], small.weights[0][[2, 0, 1]]])
    large = Attention.from_array(weights, WORDS, model="large")
    found = compare(small, large)
    np.testing.assert_allclose(found.table["divergence"], 0, atol=1e-9)
    assert found.table.partners == {(0, 0): (1, 1), (0, 1): (1, 2), (0, 2): (1, 0)}
    assert not found.table.labels
    back = compare(large, small)
    assert back.table.partners == {(1, 1): (0, 0), (1, 2): (0, 1), (1, 0): (0, 2)}
    assert "0 in 3 heads that have no partner" in back.difference.notes
    assert np.isfinite(back.table["divergence"]).sum() == 3  # the other heads have no partner
    assert not back.difference.weights[0].any()


def test_divergences_of_all_pairs_of_heads_are_those_of_each_pair() -> None:
    p, q = (
        np.random.default_rng(0).dirichlet(np.ones(11), (3, 7)),
        np.random.default_rng(1).dirichlet(np.ones(11), (5, 7)),
    )
    expected = [[diverge(ours, theirs) for theirs in q] for ours in p]
    np.testing.assert_allclose(diverge_pairs(p, q), expected, atol=1e-6)


def test_a_pairing_costs_as_little_as_scipys_and_gives_each_head_the_divergence_from_its_partner() -> None:
    first, second = record(1, layers=2, heads=3), record(2, layers=1, heads=5)
    found = compare(first, second)
    ours, theirs = (one.weights.reshape(-1, 5, 5).astype(float) for one in (first, second))
    costs = np.array([[diverge(p, q).mean() for q in theirs] for p in ours])
    assert np.nansum(found.table["divergence"]) == pytest.approx(costs[linear_sum_assignment(costs)].sum(), abs=1e-5)
    for (layer, head), (_, other) in found.table.partners.items():
        assert found.table["divergence"][layer, head] == pytest.approx(costs[layer * 3 + head, other], abs=1e-6)
        difference = second.head(0, other) - first.head(layer, head)
        np.testing.assert_allclose(found.difference.head(layer, head), difference, atol=1e-6)
        np.testing.assert_array_equal(
            found.difference_of(layer, head).weights[0, 0], found.difference.head(layer, head)
        )


def test_rows_that_only_one_of_the_pair_has_do_not_count_in_its_cost() -> None:
    first = Attention.from_array([[0.5, 0.5, 0], [0, 0, 1.0], [0, 0, 1.0]], ["a", "b", "c"])
    second = Attention.from_array([[[0, 1.0, 0], [0, 1.0, 0], [0, 0, 1.0]]] * 2, ["a", "b", "d"])
    expected = diverge(np.array([0.5, 0.5]), np.array([0.0, 1.0]))  # of the first row; the other has nothing left
    assert compare(first, second).table["divergence"].item() == pytest.approx(expected, abs=1e-6)


def test_long_records_are_compared_in_parts_to_the_same_end(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [compare(record(1), other) for other in (record(2), record(2, heads=2))]
    monkeypatch.setattr(comparison, "_AT_ONCE", 7)
    for one, other in zip(whole, (record(2), record(2, heads=2)), strict=True):
        again = compare(record(1), other)
        np.testing.assert_allclose(again.table["divergence"], one.table["divergence"], rtol=1e-6)
        np.testing.assert_array_equal(again.difference.weights, one.difference.weights)


def test_the_table_needs_no_more_memory_than_the_records_and_the_difference_one_record_more() -> None:
    first, second = (record(seed, tuple(f"w{i}" for i in range(251)), layers=5, heads=7) for seed in (1, 2))
    size = first.weights.nbytes
    tracemalloc.start()
    try:
        found = compare(first, second)
        _ = found.table
        assert tracemalloc.get_traced_memory()[1] < size
        _ = found.difference
        assert tracemalloc.get_traced_memory()[1] < 1.5 * size
    finally:
        tracemalloc.stop()


def test_tokens_of_one_text_are_aligned_by_the_characters_that_they_stand_for() -> None:
    text = Segment("keys and keys")
    pieces = [text.token(span, place) for place, span in enumerate([(0, 2), (2, 4), (5, 8), (9, 13)])]
    words = [text.token(span, place) for place, span in enumerate([(0, 4), (5, 8), (9, 13)])]
    assert Alignment.of(pieces, words) == Alignment((2, 3), (1, 2))
    named = [replace(token, text=token.text.upper()) for token in words]
    assert Alignment.of(words, named) == Alignment((0, 1, 2), (0, 1, 2))
    assert Alignment.of(words, make_tokens(["KEYS", "AND", "KEYS"])) == Alignment((), ())


def test_records_between_other_groups_are_refused_with_what_to_do() -> None:
    first = record(1)
    words = replace(first, by=By.WORD)
    with pytest.raises(
        RecordError, match='between tokens, the second between words: group both alike, with `by="word"`'
    ):
        compare(first, words)
    with pytest.raises(RecordError, match="save them again, grouped alike"):
        compare(replace(first, by=By.SENTENCE), words)


def test_nothing_differs_in_the_same_record_and_something_in_another() -> None:
    assert compare(record(1), record(1)).is_empty
    assert not compare(record(1), record(2)).is_empty


def test_totals_are_means_with_standard_errors_in_any_order_and_pair_heads_over_all_texts() -> None:
    found = [compare(record(seed), record(seed + 9, heads=2)) for seed in range(5)]
    totals, back = Totals(), Totals()
    for one in found:
        totals.add(one.summand)
    for one in reversed(found):
        part = Totals()
        part.add(one.summand)
        back.merge(part)
    (table,), (again,) = totals.tables(), back.tables()
    values = np.array([one.divergences.means for one in found])  # [texts, heads, others]
    rows, columns = linear_sum_assignment(values.mean(0))
    column = table.columns["divergence"]
    assert table.texts == 5
    assert table.partners == {divmod(row, 3): divmod(other, 2) for row, other in zip(rows, columns, strict=True)}
    for row, other in zip(rows, columns, strict=True):
        own = values[:, row, other]
        assert column.means.flat[row] == pytest.approx(own.mean(), abs=1e-9)
        assert column.errors.flat[row] == pytest.approx(own.std(ddof=1) / math.sqrt(5), abs=1e-9)
        assert column.counts.flat[row] == 5
    np.testing.assert_array_equal(again.columns["divergence"].means, column.means)
    np.testing.assert_array_equal(again.columns["divergence"].errors, column.errors)
    assert np.isnan(column.means).sum() == np.sum(column.counts == 0) == 2


def test_rows_without_weight_on_what_both_have_do_not_count() -> None:
    first = Attention.from_array([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0, 1.0]], ["a", "b", "c"])
    second = Attention.from_array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], ["a", "b", "d"])
    found = compare(first, second)
    assert found.table["divergence"].item() == pytest.approx(diverge(np.array([0.5, 0.5]), np.array([0.0, 1.0])) / 2)


def test_records_of_the_same_heads_have_neither_labels_nor_notes_on_what_was_paired_or_rescaled() -> None:
    found = compare(record(1), record(2))
    assert found.difference.notes == ("the second minus the first",)
    assert (found.difference.model, found.difference.sink) == ("model 2", False)
    assert (found.table.labels, found.table.texts, found.table.by) == ({}, 1, By.TOKEN)
    grouped = compare(*(replace(record(seed), by=By.WORD) for seed in (1, 2)))
    assert (grouped.table.by, grouped.difference.by) == (By.WORD, By.WORD)


@pytest.mark.parametrize("sinks", [(True, False), (False, True)])
def test_beside_a_sink_rows_are_rescaled_and_a_difference_has_none(sinks: tuple[bool, bool]) -> None:
    found = compare(*(replace(record(seed), sink=sink) for seed, sink in zip((1, 2), sinks, strict=True)))
    assert found.difference.notes == ("the second minus the first", "rows rescaled to the tokens that both have")
    assert not found.difference.sink


def test_records_of_the_same_layers_and_other_heads_are_paired_and_say_so() -> None:
    small, large = record(1, layers=1, heads=2), record(2, layers=1, heads=3)
    found = compare(small, replace(large, model="large"))
    assert found.difference.model == "model 1 → large"
    assert found.difference.notes == ("the second minus the first", "heads paired so that they differ least")
    assert len(found.table.partners) == 2


@pytest.mark.parametrize("count", [8, 9])
def test_of_the_tokens_left_out_eight_are_named(count: int) -> None:
    more = tuple(f"w{i}" for i in range(count))
    notes = compare(record(1), record(2, (*WORDS, *more))).difference.notes
    said = " ".join(more) if count == 8 else " ".join(more[:8]) + " … (9 tokens)"
    assert notes[1:] == (f"left out of the second: {said}", "rows rescaled to the tokens that both have")


def one_head_looks_away(layers: int, heads: int, away: int) -> Attention:
    """A record in which all rows of one head look at a last token, which no other record has."""
    weights = np.random.default_rng(7).dirichlet(np.ones(6), (layers, heads, 6))
    weights[0, away] = np.eye(6)[5]
    return Attention.from_array(weights, (*WORDS, "away"), model="away")


def test_of_a_head_that_looks_only_at_what_the_other_lacks_there_is_no_divergence_and_no_difference() -> None:
    found = compare(one_head_looks_away(2, 3, 1), record(2))
    assert np.argwhere(np.isnan(found.table["divergence"])).tolist() == [[0, 1]]
    assert np.argwhere(~found.difference.weights.any((-1, -2))).tolist() == [[0, 1]]


@pytest.mark.parametrize("away", range(4))
def test_a_head_without_divergence_is_the_last_to_be_paired(away: int) -> None:
    found = compare(record(1, layers=1, heads=3), one_head_looks_away(1, 4, away))
    assert {*found.table.partners.values()} == {(0, i) for i in range(4) if i != away}


@pytest.mark.parametrize(
    "shared",
    [("[CLS]", "[SEP]"), ("[CLS]",), ("it",)],
    ids=["special tokens alone", "one special token", "one word"],
)
def test_texts_that_share_no_two_tokens_or_no_word_cannot_be_compared(shared: tuple[str, ...]) -> None:
    first, second = (build.record(names=(*shared, *own), layers=1, heads=1) for own in (("a", "b"), ("c", "d", "e")))
    with pytest.raises(TextError, match="too few words in common"):
        compare(first, second)


def test_texts_that_share_a_word_beside_a_special_token_can_be_compared() -> None:
    first, second = (build.record(names=("[CLS]", "it", own), layers=1, heads=1) for own in ("a", "b"))
    assert compare(first, second).difference.shape == (1, 1, 2, 2)


def test_texts_that_share_keys_but_no_queries_cannot_be_compared() -> None:
    first, second = (build.record(queries=own, keys=3, layers=1, heads=1) for own in (("a", "b"), ("c", "d", "e")))
    with pytest.raises(TextError, match="too few words in common"):
        compare(first, second)


def test_a_word_that_stands_everywhere_in_a_long_text_is_aligned_like_any_other() -> None:
    names = ["the", "cat"] * 101  # from 200 on, difflib would leave out what is frequent
    aligned = Alignment.of(make_tokens(names), make_tokens(["so", *names]))
    assert aligned == Alignment(tuple(range(202)), tuple(range(1, 203)))


@pytest.mark.parametrize("place", [0, 1])
def test_a_list_of_records_is_no_record(place: int) -> None:
    given: list = [record(1), record(2)]
    given[place] = [given[place]]
    with pytest.raises(UsageError, match="attend returns a list"):
        compare(*given)


def test_equal_tokens_are_aligned_in_order() -> None:
    aligned = Alignment.of(
        make_tokens(["the", "cat", "saw", "the", "dog"]), make_tokens(["a", "cat", "saw", "a", "big", "dog"])
    )
    assert aligned == Alignment((1, 2, 4), (1, 2, 5))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10_000))
def test_an_assignment_costs_as_little_as_that_of_scipy(rows: int, columns: int, seed: int) -> None:
    costs = np.random.default_rng(seed).integers(0, 9, (rows, columns)).astype(float)
    ours, theirs = assign(costs), linear_sum_assignment(costs)
    assert costs[ours].sum() == costs[theirs].sum()
    assert len(set(ours[0])) == len(set(ours[1])) == len(ours[0]) == min(rows, columns)


@pytest.mark.parametrize("shape", [(23, 23), (23, 29), (29, 23)])
def test_an_assignment_in_which_earlier_pairs_must_change_often_costs_as_little_as_that_of_scipy(
    shape: tuple[int, int],
) -> None:
    for seed in range(3):
        costs = np.random.default_rng(seed).integers(0, 97, shape).astype(float)
        assert costs[assign(costs)].sum() == costs[linear_sum_assignment(costs)].sum()
