import numpy as np
import pytest

from attnviz.measures.labels import LABELS, find_labels
from attnviz.measures.statistics import STATISTICS
from attnviz.records import Column, HeadTable
from attnviz.vocabulary import Kind


def table(**numbers: list[float]) -> HeadTable:
    """A layer of heads with these numbers."""
    columns = {name: Column.of_one_text(np.array([values]), "a definition") for name, values in numbers.items()}
    heads = tuple(range(len(next(iter(numbers.values())))))
    return HeadTable(model="some model", kind=Kind.ENCODER, layers=(3,), heads=heads, texts=1, columns=columns)


def names(found: HeadTable) -> list[str | None]:
    labels = find_labels(found)
    return [labels[3, head].name if (3, head) in labels else None for head in found.heads]


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.name)
def test_a_head_has_a_label_from_its_threshold_on_and_none_where_the_number_is_undefined(label) -> None:
    found = table(**{label.statistic: [label.least, label.least - 1e-9, np.nan, 1.0]})
    assert names(found) == [label.name, None, None, label.name]
    assert label.statistic in STATISTICS


def test_of_several_labels_a_head_has_the_last() -> None:
    found = table(normalized_entropy=[0.9, 0.9, 0.9], special=[0.1, 0.7, 0.7], first=[0.2, 0.2, 0.7])
    assert names(found) == ["broad", "special", "first"]


def test_numbers_that_are_not_there_give_no_labels() -> None:
    assert names(table(entropy=[9.0, 0.1])) == [None, None]
