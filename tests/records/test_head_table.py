from typing import Any

import numpy as np
import pytest

from attnviz.errors import RecordError, UsageError
from attnviz.records import Column, HeadTable
from attnviz.vocabulary import Kind

LAYERS, HEADS = (4, 1), (0, 7, 5)


def column(numbers: Any, said: str = "a definition", corner: np.ndarray | None = None) -> Column:
    return Column.of_one_text(np.array(numbers, float), said, corner)


def table(heads: tuple[int, ...] = HEADS, ranked_by: tuple[str, ...] = (), **columns: Column) -> HeadTable:
    return HeadTable(
        model="some/model", kind=Kind.ENCODER, layers=LAYERS, heads=heads, texts=1, columns=columns, ranked_by=ranked_by
    )


NUMBERS = [[0.25, np.nan, 0.5], [0.75, 0.25, 0.125]]


def test_a_column_of_one_text_counts_it_where_it_has_a_number_and_has_no_error() -> None:
    made = column(NUMBERS)
    assert made.counts.tolist() == [[1, 0, 1], [1, 1, 1]]
    assert np.isnan(made.errors).all()


@pytest.mark.parametrize("corner", [None, np.random.default_rng(3).random((2, 3, 5, 5)).astype(np.float32)])
def test_layers_and_heads_of_a_column_in_another_order_keep_what_is_theirs(corner: np.ndarray | None) -> None:
    made = column(NUMBERS, corner=corner)[np.ix_([1, 0], [2, 0])]
    assert made.means.tolist() == [[0.125, 0.75], [0.5, 0.25]]
    assert (made.counts.shape, made.errors.shape, made.definition) == ((2, 2), (2, 2), "a definition")
    assert made.corner is None if corner is None else np.array_equal(made.corner, corner[[1, 0]][:, [2, 0]])


def test_the_numbers_of_a_table_cannot_be_changed() -> None:
    given = np.array(NUMBERS)
    made = table(entropy=Column.of_one_text(given, ""))
    given[0, 0] = 9
    assert made["entropy"][0, 0] == 0.25
    with pytest.raises(ValueError, match="read-only"):
        made["entropy"][0, 0] = 9


@pytest.mark.parametrize("part", ["means", "counts", "errors"])
def test_a_column_of_another_shape_is_refused(part: str) -> None:
    arrays: dict[str, Any] = {name: np.zeros((2, 3)) for name in ("means", "counts", "errors")}
    with pytest.raises(RecordError, match=r"column entropy has the shape .* the axes name \(2, 3\)"):
        table(entropy=Column(**arrays | {part: arrays[part].T}, definition=""))


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no numbers 'sink', only: entropy, next"):
        table(entropy=column(NUMBERS), next=column(NUMBERS))["sink"]


def test_joined_tables_have_the_numbers_of_all_and_none_where_they_are_of_other_heads() -> None:
    mine = table(entropy=column(NUMBERS, "mine"))
    same = table(next=column(NUMBERS, "next"))
    others = table((0, 7), entropy=column([[1, 2], [3, 4]]), sink=column([[1, 2], [3, 4]], "sink"))
    joined = mine.join([same, others])
    assert joined.definitions == {"entropy": "mine", "next": "next", "sink": "sink"}
    np.testing.assert_array_equal(joined["entropy"], NUMBERS)
    np.testing.assert_array_equal(joined["next"], NUMBERS)
    assert joined["sink"].shape == (2, 3) and np.isnan(joined["sink"]).all()
    assert joined.columns["sink"].counts.tolist() == [[0, 0, 0]] * 2
    newer = table(entropy=column(np.ones((2, 3))))
    assert (mine.join([newer])["entropy"] == 1).all()


def test_heads_go_by_the_first_number_then_the_next_and_undefined_ones_are_last() -> None:
    ranked = table(ranked_by=("accuracy", "weight"), accuracy=column(NUMBERS), weight=column([[1, 2, 3], [4, 5, 6]]))
    assert ranked.listed() == [(1, 0), (4, 5), (1, 7), (4, 0), (1, 5), (4, 7)]
    assert list(ranked.places())[:2] == [(1, 0), (0, 2)]
    assert table(accuracy=column(NUMBERS)).listed() == [(layer, head) for layer in LAYERS for head in HEADS]


def test_the_highest_come_first_and_of_equal_ones_the_first() -> None:
    made = table(entropy=column(NUMBERS))
    every = [(1, 0, 0.75), (4, 5, 0.5), (4, 0, 0.25), (1, 7, 0.25), (1, 5, 0.125)]
    assert made.highest("entropy") == made.highest("entropy", None) == every
    assert made.highest("entropy", 2) == every[:2]
    wide = table(tuple(range(53)), entropy=column(np.ones((2, 53))))
    assert [head for _, head, _ in wide.highest("entropy", None)] == [*range(53), *range(53)]
    assert len(wide.highest("entropy")) == 5
