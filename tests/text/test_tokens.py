"""What tokens, groups of them and the words of a treebank say of themselves."""

import json

import pytest
from msgspec.structs import replace

from attnviz.text import (
    Bins,
    By,
    GoldWord,
    ParsedText,
    Segment,
    Token,
    add_predictions,
    escape_unseen,
    find_occurrences,
    find_rows,
    find_unnamed,
    group_tokens,
    join_characters,
    make_special_token,
    visible,
)
from attnviz.text.graphemes import split_graphemes


def cut(text: str, *pieces: str, number: int = 0) -> list[Token]:
    """Return tokens for these pieces of a text, one after the other."""
    segment, tokens, end = Segment(text, number), list[Token](), 0
    for position, piece in enumerate(pieces):
        start = text.index(piece, end)
        end = start + len(piece)
        tokens.append(segment.token((start, end), position))
    return tokens


class TestTokens:
    def test_the_label_of_an_unknown_token_names_what_the_model_reads(self) -> None:
        (token,) = cut("snow", "snow")
        assert token.label == "snow"
        assert replace(token, unknown=True).label == "[UNK] snow"
        assert replace(token, unknown=True, piece="<unk>\n").label == "<unk>⏎ snow"

    def test_only_special_tokens_that_stand_nowhere_in_a_text_are_added(self) -> None:
        within = Segment("a [MASK]", 3).special_token("[MASK]", 5)
        assert [token.added for token in (make_special_token("[CLS]", 0), within, *cut("a", "a"))] == [
            True,
            False,
            False,
        ]
        assert (within.text, within.position, within.segment, within.special) == ("[MASK]", 5, 3, True)

    def test_what_has_no_text_or_no_place_in_it_is_in_no_sentence(self) -> None:
        _, second = cut("A cat. It ran.", "A", "ran")
        assert second.sentence == 1
        assert replace(second, source=None).sentence is None
        assert Segment("A cat.").special_token("[MASK]", 0).sentence is None

    @pytest.mark.parametrize(
        ("since", "told"),
        [(0, ["b", "c", "d", None]), (2, [None, None, "d", None]), (3, [None] * 4), (9, [None] * 4)],
    )
    def test_tokens_predict_the_next_from_a_place_on(self, since: int, told: list[str | None]) -> None:
        tokens = cut("a b c d", "a", "b", "c", "d")
        found = add_predictions(tokens, since)
        assert [token.predicts for token in found] == told
        assert [replace(token, predicts=None) for token in found] == tokens


class TestGroups:
    def test_a_word_of_several_pieces_has_no_id_and_predicts_what_the_next_word_is(self) -> None:
        tokens = [
            replace(token, id=index, piece=f"p{index}", unknown=index == 2)
            for index, token in enumerate(cut("unseen cat saw", "un", "seen", "cat", "saw"))
        ]
        word, cat, saw = group_tokens(add_predictions(tokens), By.WORD).tokens
        assert (word.text, word.id, word.piece, word.unknown) == ("unseen", None, None, False)
        assert (cat.id, cat.piece, cat.unknown) == (2, "p2", True)
        assert [token.predicts for token in (word, cat, saw)] == ["p2 cat", "saw", None]

    def test_a_word_is_unknown_if_all_of_its_pieces_are(self) -> None:
        un, seen = cut("unseen", "un", "seen")
        for pieces, unknown in (((True, True), True), ((True, False), False), ((False, True), False)):
            some = [replace(token, unknown=each) for token, each in zip((un, seen), pieces, strict=True)]
            assert group_tokens(some, By.WORD).tokens[0].unknown == unknown

    def test_what_a_decoder_predicts_is_told_of_groups_from_the_first_that_predicts_on(self) -> None:
        tokens = add_predictions(cut("un seen cat saw it", "un", "seen", "cat", "saw", "it"), 2)
        words = group_tokens(tokens, By.WORD).tokens
        assert [word.predicts for word in words] == [None, None, "saw", "it", None]
        pieces = add_predictions(cut("unseen cats saw it", "un", "seen", "cat", "s", "saw", "it"), 1)
        assert [word.predicts for word in group_tokens(pieces, By.WORD).tokens] == ["cats", "saw", "it", None]

    def test_a_token_whose_reach_is_wider_keeps_its_id(self) -> None:
        token = replace(Segment("(it)").token((1, 3), 0), id=5, piece="it")
        wide = replace(Segment("itʼs").token((0, 2), 0), id=5, piece="it")
        for each in (token, wide):
            (group,) = group_tokens([each], By.WORD).tokens
            assert (group.id, group.piece) == (5, "it")

    def test_bytes_of_one_character_are_joined_and_tokens_that_only_stand_side_by_side_are_not(self) -> None:
        segment = Segment("aé")
        tokens = [segment.token(span, place) for place, span in enumerate([(0, 1), (1, 2), (1, 2)])]
        special = [make_special_token("[A]", 3), make_special_token("[B]", 4)]
        groups = join_characters([*tokens, *special])
        assert groups.index == (0, 1, 1, 2, 3)
        assert [token.text for token in groups.tokens] == ["a", "é", "[A]", "[B]"]
        other = replace(tokens[0], segment=1)
        assert len(join_characters([tokens[0], other]).tokens) == 2
        dropped = Segment("it's").token((0, 2), 0)
        assert join_characters([dropped]).tokens == (dropped,)  # and no character more

    @pytest.mark.parametrize("count", range(1, 16))
    def test_bins_are_shared_out_as_is_said(self, count: int) -> None:
        first, second = "abcdefg", "uvwxy"
        tokens = [
            make_special_token("[CLS]", 0),
            *cut(" ".join(first), *first),
            make_special_token("[SEP]", 8),
            *cut(" ".join(second), *second, number=1),
        ]
        index = group_tokens(tokens, Bins(count)).index
        assert list(index) == sorted(index) and set(index) == set(range(max(index) + 1)) and max(index) < count
        own = {index[0], index[8]}
        alone = all(index.count(one) == 1 for one in own) and len(own) == 2
        assert alone == (count >= 4)
        if alone:
            assert not set(index[1:8]) & set(index[9:])  # no bin reaches from one text into the other
            sizes = [len(set(index[1:8])), len(set(index[9:]))]
            assert sizes == [max(1, (count - 2) * 7 // 12), max(1, (count - 2) * 5 // 12)]


class TestPlaces:
    def test_words_are_found_together_over_special_tokens_which_are_no_part_of_them(self) -> None:
        a, b, c = cut("a b c", "a", "b", "c")
        tokens = [a, make_special_token("[SEP]", 9), b, c]
        assert [found.indices for found in find_occurrences(tokens, "a b")] == [(0, 2)]
        assert [found.indices for found in find_occurrences(tokens, "a b c")] == [(0, 2, 3)]
        assert [found.indices for found in find_occurrences(tokens, "[SEP]")] == [(1,)]

    def test_a_blank_before_a_word_is_no_part_of_it_and_one_between_two_is(self) -> None:
        tokens = cut("a b a b", "a", " ", "b", " ", "a", " ", "b")
        assert [found.indices for found in find_occurrences(tokens, "b")] == [(2,), (6,)]
        assert [found.indices for found in find_occurrences(tokens, "a b")] == [(0, 1, 2), (4, 5, 6)]
        assert find_occurrences(tokens, "b b") == []

    def test_rows_come_in_order_and_once_whatever_names_them_and_blanks_around_names_are_nothing(self) -> None:
        tokens = cut("a b c a", "a", "b", "c", "a")
        assert find_rows(tokens, ["c", "0-1", "a", "2"]) == (0, 1, 2, 3)
        assert find_rows(tokens, [" 2 ", " b "]) == find_rows(tokens, ["c , b"]) == (1, 2)

    def test_a_name_stands_for_nothing_if_no_sequence_has_it(self) -> None:
        there = [cut("a b", "a", "b"), cut("c d", "c", "d")]
        assert find_unnamed(there, ["a", "c,b", "d"]) is None
        assert find_unnamed(there, ["a", "c,e", "f"]) == "e"
        assert find_unnamed(there, ["5"]) == "5"

    def test_words_of_two_texts_do_not_stand_in_a_row(self) -> None:
        tokens = [*cut("a b", "a", "b"), *cut("b c", "b", "c", number=1)]
        assert [found.indices for found in find_occurrences(tokens, "b c")] == [(2, 3)]
        assert find_occurrences(tokens, "b b") == []

    def test_tokens_are_part_of_the_word_of_a_treebank_in_which_they_begin(self) -> None:
        words = [GoldWord((0, 2), "det", 1), GoldWord((3, 6), "root", None)]
        parsed = ParsedText("to see", words)
        pieces = cut("to see", "to", "s", "ee")
        assert parsed.align(pieces) == [0, 1, 1]
        elsewhere = cut("to saw", "to")[0]
        nowhere = [
            Segment("to see").token((2, 3), 0),
            elsewhere,
            replace(pieces[0], source=None),
            replace(pieces[0], span=None),
            replace(pieces[0], special=True),
        ]
        assert parsed.align(nowhere) == [-1] * 5


class TestShown:
    @pytest.mark.parametrize("text", ["plain", "é", "a\u202eb", "\x7f", "\u200b\x7fé", "a\u2028b", "\U000e0041"])
    def test_what_cannot_be_seen_is_escaped_in_json_and_means_the_same(self, text: str) -> None:
        line = json.dumps({"text": text}, ensure_ascii=False).encode()
        safe = escape_unseen(line)
        assert json.loads(safe) == {"text": text}
        assert safe.decode().isprintable()
        if text.isprintable():
            assert safe == line

    def test_control_characters_have_pictures_and_others_their_numbers(self) -> None:
        assert visible("\x00\x1f\x80") == "␀␟<U+0080>"

    def test_a_letter_with_its_marks_is_one_character(self) -> None:
        assert split_graphemes("abc") == ["a", "b", "c"]
        assert split_graphemes("e\u0301a") == ["e\u0301", "a"]
        assert split_graphemes("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7") == [
            "\U0001f1e9\U0001f1ea",
            "\U0001f1eb\U0001f1f7",
        ]
