from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from attnviz.measures.totals import Totals
from attnviz.records import Column, HeadTable
from attnviz.vocabulary import By, Kind

VALUES = st.lists(st.floats(-50, 50), min_size=2, max_size=23)


def table(value: float, layers: tuple[int, ...] = (0, 3), heads: tuple[int, ...] = (1, 2, 4), **said: str) -> HeadTable:
    values = np.full((len(layers), len(heads)), value)
    return HeadTable(
        model=said.get("model", "some model"),
        kind=Kind(said.get("kind", "encoder")),
        layers=layers,
        heads=heads,
        texts=1,
        columns={"entropy": Column.of_one_text(values, "a definition")},
    )


def totals_of(values: Iterable[float]) -> Totals:
    found = Totals()
    for value in values:
        found.add(table(value))
    return found


def column_of(totals: Totals) -> Column:
    (found,) = totals.tables()
    return found.columns["entropy"]


@given(VALUES)
def test_means_and_standard_errors_are_those_of_statistics(values: list[float]) -> None:
    found = column_of(totals_of(values))
    assert found.means == pytest.approx(np.mean(values), abs=1e-9)
    assert found.errors == pytest.approx(np.std(values, ddof=1) / np.sqrt(len(values)), abs=1e-9)


@given(VALUES, st.randoms(), st.integers(0, 23))
def test_any_order_and_any_shares_give_the_same_numbers_to_the_last_bit(values: list[float], chance, cut: int) -> None:
    shuffled = values.copy()
    chance.shuffle(shuffled)
    share, other = totals_of(shuffled[:cut]), totals_of(shuffled[cut:])
    other.merge(share)
    found, expected = column_of(other), column_of(totals_of(values))
    for name in ("means", "counts", "errors"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))


def test_of_no_value_there_is_no_mean_and_of_one_no_error() -> None:
    assert np.isnan(column_of(totals_of([np.nan])).means).all()
    of_one = column_of(totals_of([0.25]))
    assert (of_one.means == 0.25).all() and np.isnan(of_one.errors).all()


def test_each_head_has_the_numbers_of_its_own_values() -> None:
    totals, values = Totals(), np.random.default_rng(3).normal(size=(5, 2, 3))
    for each in values:
        column = Column.of_one_text(each, "a definition")
        totals.add(replace(table(0.0), columns={"entropy": column}))
    found = column_of(totals)
    assert found.means == pytest.approx(values.mean(0), abs=1e-9)
    assert found.errors == pytest.approx(values.std(0, ddof=1) / 5**0.5, abs=1e-9)
    assert found.definition == "a definition"


def test_a_total_counts_the_texts_that_have_a_value() -> None:
    totals = Totals()
    for value in (1.0, np.nan, 3.0):
        totals.add(table(value))
    (found,) = totals.tables()
    column = found.columns["entropy"]
    assert (found.texts, found.layers, found.heads) == (3, (0, 3), (1, 2, 4))
    assert (column.counts == 2).all()
    assert (column.means == 2).all()
    assert column.errors == pytest.approx(1)


def test_layers_with_different_heads_are_kept_apart() -> None:
    totals = Totals()
    for value in (1.0, 3.0):
        totals.add(table(value, layers=(0, 1), heads=(1, 2)))
        totals.add(table(value, layers=(2,), heads=(1, 2, 4)))
    few, many = totals.tables()
    assert (few.texts, few.layers, few.heads) == (2, (0, 1), (1, 2))
    assert (many.texts, many.layers, many.heads) == (2, (2,), (1, 2, 4))
    assert few.columns["entropy"].counts.tolist() == [[2, 2]] * 2
    assert many.columns["entropy"].means.tolist() == [[2, 2, 2]]


def test_models_and_kinds_are_kept_apart_and_come_in_the_order_of_their_names() -> None:
    totals, other = Totals(), Totals()
    totals.add(table(1.0, model="b"))
    other.add(table(2.0, model="a"))
    other.add(table(5.0, model="b", kind="cross"))
    totals.merge(other)
    assert [(each.model, each.kind) for each in totals.tables()] == [
        ("a", Kind.ENCODER),
        ("b", Kind.ENCODER),
        ("b", Kind.CROSS),
    ]


def test_groups_layers_and_heads_are_kept_apart_and_come_in_their_order() -> None:
    totals = Totals()
    given = [
        {"layers": (2,), "heads": (0,)},
        {"layers": (0, 1), "heads": (3,)},
        {"layers": (0, 1), "heads": (1,)},
    ]
    for axes in given:
        totals.add(replace(table(1.0, **axes), by=By.WORD))
        totals.add(table(1.0, **axes))
    found = list(totals.tables())
    assert [(each.layers, each.heads) for each in found] == [((0, 1), (1,)), ((0, 1), (3,)), ((2,), (0,))] * 2
    assert [each.by for each in found] == [By.TOKEN] * 3 + [By.WORD] * 3


def test_the_heads_of_a_total_have_the_labels_that_its_means_give_them() -> None:
    totals = Totals()
    for value in (0.4, 0.8):
        column = Column.of_one_text(np.full((2, 3), value), "a definition")
        totals.add(replace(table(0.0), columns={"induction": column}))
    (found,) = totals.tables()
    assert {label.name for label in found.labels.values()} == {"induction"}
    assert sorted(found.labels) == [(layer, head) for layer in (0, 3) for head in (1, 2, 4)]
