"""What texts come to: how much of them is in memory together."""

import pytest

from attnviz.formats.writing import Result
from attnviz.models.model import Model
from attnviz.pipeline.job import Job
from attnviz.pipeline.outcomes import KeepWeights, outcomes
from attnviz.pipeline.streams import Source


def test_terms_are_left_out_where_memory_has_no_room_for_them_beside_the_weights() -> None:
    source, found = Source(b"The dog that barked lost the keys"), []
    weights, terms = 4 * 24 * 9 * 9, 4 * 24 * 2 * 9 * 16  # bytes: 24 heads of 16 numbers, 9 tokens
    for memory in (weights + terms - 1, weights + terms):
        ((_, result),) = outcomes(KeepWeights(Job(memory=memory), terms=True), [source])
        assert isinstance(result, Result)
        found.append(len(result.terms))
    assert found == [0, 1]


@pytest.mark.parametrize(("terms", "together"), [(False, [2]), (True, [1, 1])])
def test_texts_whose_terms_are_kept_do_not_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch, terms: bool, together: list[int]
) -> None:
    texts = [Source(text, index=index) for index, text in enumerate((b"Mary lost her keys", b"Mary lost her dogs"))]
    ran, reduce = list[int](), Model.reduce
    monkeypatch.setattr(
        Model, "reduce", lambda model, given, *more: ran.append(len(given)) or reduce(model, given, *more)
    )
    assert len(list(outcomes(KeepWeights(Job(), terms=terms), texts))) == 2
    assert ran == together
