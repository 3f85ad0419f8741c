import numpy as np
import pytest

from attnviz.measures.labels import LABELS, find_labels, judge_heads
from attnviz.measures.probes import PROBES
from attnviz.measures.statistics import STATISTICS
from attnviz.records import Column, HeadTable
from attnviz.vocabulary import Kind
from tests.build import record

BY_STATISTIC = [label for label in LABELS if label.statistic in STATISTICS]


def table(**numbers: list[float]) -> HeadTable:
    """A layer of heads with these numbers, and 0 for those of other rules."""
    count = len(next(iter(numbers.values())))
    every = {label.statistic: [0.0] * count for label in BY_STATISTIC} | numbers
    return only(**every)


def only(**numbers: list[float]) -> HeadTable:
    """A layer of heads with these numbers and no others."""
    columns = {name: Column.of_one_text(np.array([values]), "a definition") for name, values in numbers.items()}
    heads = tuple(range(len(next(iter(numbers.values())))))
    return HeadTable(model="some model", kind=Kind.ENCODER, layers=(3,), heads=heads, texts=1, columns=columns)


def names(found: HeadTable) -> list[str | None]:
    labels = find_labels(found)
    return [labels[3, head].name if (3, head) in labels else None for head in found.heads]


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.name)
def test_a_head_has_a_label_above_its_threshold_and_none_where_the_number_is_undefined(label) -> None:
    found = table(**{label.statistic: [label.least + 1e-9, label.least, label.least - 1e-9, np.nan, 1.0]})
    at_threshold = (
        label.name if label.name == "positional" else None
    )  # Voita et al. say from 90 % on, Clark et al. above
    assert names(found) == [label.name, at_threshold, None, None, label.name]
    assert label.statistic in STATISTICS or label.statistic in PROBES


def test_a_label_says_its_rule_and_the_number_of_the_head() -> None:
    found = find_labels(table(next=[0.8], positional=[0.9]))[3, 0]
    assert (found.name, found.rule, found.number) == ("next", "next > 0.5", 0.8)
    assert find_labels(table(positional=[0.9]))[3, 0].rule == "positional ≥ 0.9"


def test_of_several_labels_a_head_has_the_last_which_are_those_of_cls_sep_and_punctuation() -> None:
    everything = {"next": [0.9] * 4, "first": [0.7, 0.5, 0.7, 0.7], "separator": [0.1, 0.7, 0.7, 0.7]}
    assert names(table(**everything, punctuation=[0.1, 0.1, 0.1, 0.7])) == [
        "first", "separator", "separator", "punctuation",
    ]  # fmt: skip


def test_a_label_does_not_depend_on_which_numbers_were_asked_for() -> None:
    assert names(only(entropy=[9.0, 0.1])) == [None, None]
    assert names(only(next=[0.9, 0.1])) == [None, None]


def test_the_heads_of_a_whole_text_are_judged_and_those_of_a_part_are_not() -> None:
    weights = np.stack([np.eye(7, k=1) + np.diag([0] * 6 + [1]), np.full((7, 7), 1 / 7), np.eye(7)])
    whole = record(Kind.ENCODER, layers=(3,), heads=(5, 0, 7), names=7, weights=weights)
    assert {place: found.name for place, found in judge_heads(whole).items()} == {
        (3, 5): "next",
        (3, 0): "broad",
        (3, 7): "same",
    }
    assert judge_heads(whole.rows([1, 2])) == {}


def test_induction_is_told_by_its_probe_alone() -> None:
    assert names(only(induction=[0.9, 0.5])) == ["induction", None]
    assert names(table(first=[0.9, 0.9], induction=[0.9, 0.5])) == ["induction", "first"]
