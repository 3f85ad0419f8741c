"""What the axes of a record tell without its weights."""

import pytest
from msgspec.structs import replace

from attnviz.records import Axes, Word
from attnviz.text import By, Segment, Token
from attnviz.vocabulary import Kind
from tests.build import axes, tokens


def at(*positions: int) -> tuple[Token, ...]:
    return tuple(Token(f"t{position}", position) for position in positions)


def between(kind: Kind, queries: tuple[Token, ...], keys: tuple[Token, ...], by: By = By.TOKEN) -> Axes:
    return axes(kind, queries=queries, keys=keys, by=by)


@pytest.mark.parametrize(
    ("kind", "queries", "keys", "whole"),
    [
        (Kind.ENCODER, at(0, 1, 2), at(0, 1, 2), True),
        (Kind.CROSS, at(0, 1, 2), at(0, 1), True),
        (Kind.ENCODER, at(1, 2), at(0, 1, 2), False),
        (Kind.ENCODER, at(0, 1, 2), at(1, 2), False),
        (Kind.ENCODER, at(0, 2), at(0, 2), False),
        (Kind.ENCODER, at(0, 1, 2), at(0, 2), False),
    ],
)
def test_tokens_are_whole_if_none_is_missing_on_either_side(
    kind: Kind, queries: tuple[Token, ...], keys: tuple[Token, ...], whole: bool
) -> None:
    assert between(kind, queries, keys).is_whole == whole


@pytest.mark.parametrize(
    ("kind", "queries", "keys", "whole"),
    [
        (Kind.ENCODER, at(0, 2, 5), at(0, 2, 5), True),
        (Kind.ENCODER, at(0, 2, 5), at(0, 2), False),
        (Kind.ENCODER, at(2, 5), at(2, 5), False),
        (Kind.ENCODER, at(2, 5), at(0, 2, 5), False),
        (Kind.CROSS, at(0, 2, 5), at(0, 3), True),
        (Kind.CROSS, at(2, 5), at(0, 3), False),
        (Kind.CROSS, at(0, 2), at(3, 5), False),
    ],
)
def test_groups_are_whole_if_they_begin_with_the_text_and_are_the_same_on_both_sides_of_one_sequence(
    kind: Kind, queries: tuple[Token, ...], keys: tuple[Token, ...], whole: bool
) -> None:
    assert between(kind, queries, keys, By.WORD).is_whole == whole


def test_keys_that_are_only_numbered_have_no_names() -> None:
    numbered = tuple(Token(str(i), i) for i in range(3))
    for keys, named in ((numbered, False), (numbered[::-1], True), ((*numbered[:2], Token("it", 2)), True)):
        assert axes(keys=keys).named == named
    assert axes(keys=(numbered[0], Token("1", 1, (2, 3)), numbered[2])).named


def test_special_tokens_round_windows_are_not_counted_between_neighbours() -> None:
    start = Token("[CLS]", 2, special=True, window=1)
    placed = replace(start, source=Segment("a b"))  # one that stands in the text
    text = Token("a", 1, (0, 1), window=0), Token("b", 3, (2, 3), window=1)
    for special, distance in ((start, 1), (placed, 2), (replace(start, window=None), 2)):
        here = axes(Kind.ENCODER, names=(text[0], special, text[1]))
        distances = here.distances()
        assert distances is not None
        assert distances[0, 2] == distance


class TestWords:
    def test_a_word_in_pieces_is_found_among_queries_and_keys(self) -> None:
        names = tokens(["the", "un", "seen", "cat"], words=[0, 1, 1, 2])
        here = axes(Kind.ENCODER, queries=names, keys=names[1:])
        assert here.words("unseen") == [Word("unseen", (1, 2), (0, 1))]
        assert [token.text for token in here.pieces(here.words("unseen")[0])] == ["un", "seen"]

    def test_of_a_word_of_which_a_piece_is_no_key_none_is(self) -> None:
        names = tokens(["the", "un", "seen", "cat"], words=[0, 1, 1, 2])
        here = axes(Kind.ENCODER, queries=names, keys=names[2:])
        assert here.words("unseen") == [Word("unseen", (1, 2), ())]

    def test_between_two_sequences_queries_and_keys_are_other_places(self) -> None:
        here = axes(Kind.CROSS, queries=tokens(["it", "cat"]), keys=tokens(["the", "dog", "it"]))
        found = here.words("it")
        assert found == [Word("it", (0,), ()), Word("it", (), (2,))]
        assert [here.pieces(word) for word in found] == [here.query_tokens[:1], here.key_tokens[2:]]
