import pytest

from attnviz.measures.function_words import is_function_word, is_pronoun


@pytest.mark.parametrize("word", ["the", "The", "d'", "l’", "didn't", "Didn’t", "hasn't", "because", "très"])
def test_words_that_hold_a_sentence_together_are_function_words_in_any_case_and_negated(word: str) -> None:
    assert is_function_word(word)


@pytest.mark.parametrize("word", ["animal", "n'tango", "it", "her", "n’tango"])
def test_other_words_are_not(word: str) -> None:
    assert not is_function_word(word)


@pytest.mark.parametrize(
    ("word", "stands_for_another"), [("Her", True), ("elle", True), ("the", False), ("Mary", False)]
)
def test_pronouns_stand_for_another_word(word: str, stands_for_another: bool) -> None:
    assert is_pronoun(word) == stands_for_another
