"""Selections of kinds, layers, heads and rows, and what is said of those that cannot be had."""

from typing import Any

import pytest

from attnviz.errors import TextError, UsageError
from attnviz.records import Selection
from attnviz.text import Bins, By
from attnviz.vocabulary import AVERAGE, Kind
from tests.build import tokens


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("kinds", (Kind.CROSS, "cross")),
        ("kinds", Kind.CROSS),
        ("layers", ()),
        ("layers", 3),
        ("layers", (1, "3")),
        ("layers", "13"),
        ("heads", {0: 1}),
        ("rows", "her"),
        ("rows", ("her", 3)),
        ("rows", [None]),
    ],
)
def test_a_field_is_a_sequence_of_at_least_one_entry_of_its_type(field: str, given: Any) -> None:
    with pytest.raises(UsageError, match=rf"A selection names {field} as in {field}=\("):
        Selection(**{field: given})


def test_lists_and_ranges_are_sequences_too() -> None:
    chosen = Selection(kinds=[Kind.CROSS], layers=range(3), heads=[0], rows=["her"])  # type: ignore[arg-type]
    assert (list(chosen.layers or ()), chosen.kinds) == ([0, 1, 2], [Kind.CROSS])


@pytest.mark.parametrize(("rows", "by", "fits"), [
    (None, By.TOKEN, True), (("her",), By.TOKEN, True), (None, By.WORD, True), (("her",), By.WORD, False),
    (("her",), Bins(3), False),
])  # fmt: skip
def test_rows_and_groups_cannot_be_had_together(rows: tuple[str, ...] | None, by: By | Bins, fits: bool) -> None:
    selection = Selection(rows=rows)
    if fits:
        selection.check(by)
    else:
        with pytest.raises(UsageError, match="but not both"):
            selection.check(by)


def test_kinds_are_those_wanted_in_their_order_or_all_and_others_are_refused() -> None:
    there = (Kind.ENCODER, Kind.DECODER, Kind.CROSS)
    assert Selection().kinds_of(there, "m") == there
    assert Selection(kinds=(Kind.CROSS, Kind.ENCODER)).kinds_of(there, "m") == (Kind.CROSS, Kind.ENCODER)
    with pytest.raises(UsageError, match="some model has no cross attention, only: encoder, decoder"):
        Selection(kinds=(Kind.ENCODER, Kind.CROSS)).kinds_of(there[:2], "some model")


UNEVEN = [((3, 1), (0, 1)), ((4, 2), (0, 1, 2))]


def refused(selection: Selection, there: list) -> str:
    with pytest.raises(UsageError) as raised:
        selection.groups_of(there, "some model")
    return str(raised.value)


def test_a_head_is_missed_only_where_a_layer_that_is_named_lacks_it() -> None:
    assert Selection(layers=(2,), heads=(2,)).groups_of(UNEVEN, "m") == [((2,), (2,))]
    assert Selection(layers=(3,), heads=(1,)).groups_of(UNEVEN, "m") == [((3,), (1,))]
    said = "There is no head 2 in layer 3 of some model, which has heads 0 to 1: layers 2,4 have it."
    assert refused(Selection(layers=(3,), heads=(0, 2)), UNEVEN) == said


def test_of_a_single_group_the_order_is_kept_and_of_several_indices_are_listed_in_ascending_order() -> None:
    assert Selection().groups_of([((4, 1), (0, 7, 5))], "m") == [((4, 1), (0, 7, 5))]
    assert refused(Selection(layers=(9,)), UNEVEN) == "There is no layer 9: some model has layers 1 to 4."


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ((0, 1), "layers 0 to 1"),
        ((4, 5, 6), "layers 4 to 6"),
        ((4, 6), "layers 4,6"),
        ((4,), "only layer 4"),
        ((AVERAGE,), "only the average of its layers"),
    ],
)
def test_a_layer_that_is_not_there_is_refused_with_those_that_are(layers: tuple[int, ...], said: str) -> None:
    assert refused(Selection(layers=(9,)), [(layers, (0,))]) == f"There is no layer 9: some model has {said}."


def test_rows_are_those_named_or_all() -> None:
    names = tokens(["Mary", "lost", "her", "keys"])
    assert Selection().rows_of(names) == (0, 1, 2, 3)
    assert Selection(rows=("keys", "0-1")).rows_of(names) == (0, 1, 3)
    assert Selection(rows=("dog",)).rows_of(names) == ()


def test_rows_that_no_text_has_are_refused_with_the_tokens_that_there_are() -> None:
    there = [tokens(["Mary", "lost"]), tokens(["her", "keys"])]
    Selection().check_rows(there)
    Selection(rows=("her", "lost")).check_rows(there)
    with pytest.raises(TextError, match=r"no token 'dog' in this text. Its tokens are: 0 Mary, 1 lost, 0 her, 1 keys"):
        Selection(rows=("her", "dog")).check_rows(there)
