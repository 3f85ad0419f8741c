"""Tables that come some at a time, as rows of one file."""

import numpy as np
import pytest

from attnviz.errors import UsageError
from attnviz.formats.tables import PORTIONS
from attnviz.records import Column, HeadTable
from attnviz.text import By
from attnviz.vocabulary import Kind


def table(*names: str, model: str = "m") -> HeadTable:
    column = Column.of_one_text(np.array([[0.5, 0.25]]), "")
    return HeadTable(
        model=model,
        kind=Kind.ENCODER,
        by=By.TOKEN,
        layers=(3,),
        heads=(5, 7),
        texts=1,
        columns=dict.fromkeys(names, column),
    )


def test_the_first_of_them_that_has_rows_gives_the_header() -> None:
    pieces = list(PORTIONS["csv"]([[], [table("x")], [], [table("x")]]))
    rows = "encoder,3,5,0.5,1,\nencoder,3,7,0.25,1,\n"
    assert b"".join(pieces).decode() == "kind,layer,head,x,x_n,x_se\n" + rows * 2


def test_rows_of_another_model_than_those_before_are_refused() -> None:
    pieces = PORTIONS["tsv"]([[], [table("x", model="first")], [table("x", model="second")]])
    assert next(pieces)
    with pytest.raises(UsageError, match="The rows so far are of first and have no model column, but these are of sec"):
        next(pieces)


def test_rows_of_other_columns_than_those_before_are_refused() -> None:
    pieces = PORTIONS["csv"]([[table("x")], [table("y")]])
    assert next(pieces)
    with pytest.raises(UsageError, match="other columns"):
        next(pieces)
