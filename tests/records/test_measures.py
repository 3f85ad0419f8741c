"""What the numbers of a record are: the registry of measures decides how they are kept, written, read and drawn."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import attnviz
from attnviz.errors import RecordError
from attnviz.formats.reading import READERS
from attnviz.formats.writing import Result, write_json
from attnviz.records import MEASURES, Attention, HeadMatrix, Measure, find_measure, make_record
from attnviz.views.image.style import Style, scale_of
from attnviz.views.names import describe_axes, in_cell
from attnviz.views.report import HeadWeights
from attnviz.views.terminal.cells import cell_of
from attnviz.views.terminal.matrix import matrix
from attnviz.vocabulary import Orientation
from tests.build import axes

ROWS = np.array([[[[0.25, 0.75, 0], [0, 0, 1]], [[1, 0, 0], [0.5, 0.125, 0.375]]]], np.float32)  # [1, 2, 2, 3]
LARGE = ROWS * 50


@pytest.fixture(autouse=True)
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Measures from outside: of rows that are distributions, of large numbers without a sign, and of ones with it."""
    monkeypatch.setitem(MEASURES, "flow", Measure("a flow", "these tests", distributions=True))
    monkeypatch.setitem(MEASURES, "norm", Measure("a norm", "these tests"))
    monkeypatch.setitem(MEASURES, "slope", Measure("a slope", "these tests", signed=True))
    yield


def record(measure: str, numbers: Any) -> HeadMatrix:
    return make_record(replace(axes(layers=1, heads=2, queries=2, keys=3), measure=measure), numbers)


def test_rows_of_distributions_are_attention_and_prove_it() -> None:
    assert isinstance(record("weight", ROWS), Attention)
    assert isinstance(record("flow", ROWS), Attention)
    assert not isinstance(record("norm", ROWS), Attention)
    with pytest.raises(RecordError, match="row"):
        record("flow", LARGE)


def test_numbers_without_a_sign_are_never_negative() -> None:
    with pytest.raises(RecordError, match="'norm' has no sign"):
        record("norm", -LARGE)
    assert record("slope", -LARGE).weights.min() == -50


def test_a_measure_that_nobody_knows_may_be_anything() -> None:
    assert find_measure("gradient of another program").signed
    assert record("gradient of another program", -LARGE).weights.min() == -50


@pytest.mark.parametrize("measure", ["weight", "flow", "norm", "slope", "unheard of"])
def test_every_measure_is_written_by_its_name_and_comes_back(measure: str) -> None:
    data = b"".join(write_json(Result(0, "k0 k1 k2 k3", [record(measure, ROWS)])))
    (told,) = json.loads(data)["attention"]
    assert told.get("measure", "weight") == measure
    assert ("measure" in told) == (measure != "weight")  # which nobody needs to be told
    (back,) = READERS["json"](data).attention
    assert (type(back), back.measure) == (type(record(measure, ROWS)), measure)


@pytest.mark.parametrize(
    ("measure", "numbers", "ends", "name"),
    [
        ("weight", ROWS / 2, (0, 1), "weight"),
        ("flow", ROWS / 2, (0, 1), "flow"),
        ("norm", LARGE, (0, 50), "norm"),
        ("slope", LARGE, (-50, 50), "slope"),
        ("unheard of", LARGE, (-50, 50), "unheard of"),
    ],
)
def test_colours_begin_and_end_where_the_measure_says(
    measure: str, numbers: Any, ends: tuple[float, float], name: str
) -> None:
    scale = scale_of([numbers[0, 0], numbers[0, 1]], Style(), measure)
    assert (scale.norm.vmin, scale.norm.vmax) == ends
    assert scale.name == name


def test_a_caption_says_what_signs_mean_where_there_are_any() -> None:
    down = Orientation.QUERIES_DOWN
    assert describe_axes(record("flow", ROWS), down).endswith("rows sum to 1")
    assert describe_axes(record("norm", LARGE), down).endswith("keys across; norm")
    assert describe_axes(record("slope", LARGE), down).endswith("slope: + is more, − is less")


def test_cells_hold_numbers_that_are_larger_than_weights() -> None:
    assert [in_cell(number, signed=False) for number in (0.001, 0.25, 1, 1.04, 9.9, 37.5, 120)] == [
        "·", ".25", "1", "1", "9.9", "38", "120"
    ]  # fmt: skip
    assert [in_cell(number, signed=True) for number in (-0.001, -0.25, 1, -37.5)] == ["·", "−.25", "+1", "−38"]
    drawn, _ = cell_of(record("norm", LARGE)).draw(37.5)
    assert drawn == "  38"
    drawn, _ = cell_of(record("slope", LARGE)).draw(-37.5)
    assert drawn == "  −38"


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("measure", ["norm", "slope"])
def test_a_table_has_cells_as_wide_as_its_numbers_and_a_blank_between(measure: str, width: int) -> None:
    numbers = np.array([[[[20000, 17046, 4716, 9030, 7047], [0, 1, 1000, 999.6, 19]]]], np.float32)
    shape = replace(axes(layers=1, heads=1, queries=2, keys=5), measure=measure)
    one = make_record(shape, -numbers if measure == "slope" else numbers)
    lines = [line.plain for line in matrix(HeadWeights(one, None, 5, Orientation.QUERIES_DOWN), width)]
    assert max(map(len, lines)) <= width
    names, *rows = lines
    sign = "−" if measure == "slope" else ""
    large = ["20000", "17046", "4716", "9030", "7047"], ["·", "1.0", "1000", "1000", "19"]
    for row, expected in zip(rows, large, strict=True):
        assert row.split()[2:] == [number if number == "·" else sign + number for number in expected]
    ends = {match.end() for match in re.finditer(r"\S+", names)}
    assert all({match.end() for match in re.finditer(r"\S+", row)} > ends for row in rows)


def test_the_registry_is_public() -> None:
    assert attnviz.MEASURES is MEASURES
    assert all(measure.definition and measure.source for measure in MEASURES.values())
