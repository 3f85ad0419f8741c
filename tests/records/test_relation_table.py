"""The table of the relations of a treebank."""

import pytest

from attnviz.errors import UsageError
from attnviz.records import Followed, Relation, RelationTable
from attnviz.vocabulary import Direction, Kind

FOLLOWED = Followed(7, 0.5, 0.25)
TABLE = RelationTable(
    model="some/model",
    kind=Kind.ENCODER,
    texts=3,
    relations=[Relation(name, Direction.TO_HEAD, 1, 2, -1, FOLLOWED, FOLLOWED) for name in ("det", "nsubj")],
    definitions={},
)


def test_a_relation_is_found_by_its_name() -> None:
    assert TABLE["nsubj"] is TABLE.relations[1]


def test_a_relation_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"no relation 'obj', only: det, nsubj\."):
        TABLE["obj"]
