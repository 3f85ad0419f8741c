import pytest
from numpy.testing import assert_array_equal

from attnviz.errors import TextError
from attnviz.measures.word_rows import find_words, select_rows
from attnviz.records import Word
from tests.build import record

FIRST = record(names=["it", "saw", "it"])
SECOND = record(names=["the", "dog"])
CROSS = record(queries=["saw"], keys=["it", "ran"])


def test_a_word_is_looked_for_in_every_record_and_found_in_those_that_have_it() -> None:
    assert find_words([FIRST, SECOND, CROSS], "it") == [
        (FIRST, [Word("it", (0,), (0,)), Word("it", (2,), (2,))]),
        (CROSS, [Word("it", (), (0,))]),
    ]


@pytest.mark.parametrize("look", [find_words, select_rows])
def test_a_word_that_no_record_has_is_refused_with_the_tokens_of_all(look) -> None:
    with pytest.raises(TextError, match="Its tokens are: 0 it, 1 saw, 2 it, 0 the, 1 dog"):
        look([FIRST, SECOND], "cat")


def test_the_rows_of_a_word_are_those_of_all_its_places_among_queries() -> None:
    (kept,) = select_rows([FIRST, SECOND, CROSS], "it")
    assert_array_equal(kept.weights, FIRST.weights[:, :, [0, 2]])
    every = [FIRST, SECOND]
    assert select_rows(every, None) is every
