import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnviz.errors import TextError
from attnviz.text import (
    Groups,
    Occurrence,
    Token,
    by_word,
    checked,
    find,
    special_token,
    token_of,
    visible,
    word_at,
    word_spans,
)

ANYTHING = st.text(st.characters())  # halves of surrogate pairs too: a shell can put them on a command line


def words_of(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


def read(cut: str) -> list[Token]:
    """The tokens of a text cut at each bar, special ones around them."""
    pieces = cut.split("|")
    text = "".join(pieces)
    words = word_spans(text)
    tokens, start = [special_token("[CLS]", 0)], 0
    for piece in pieces:
        tokens.append(token_of(text, (start, start + len(piece)), len(tokens), words))
        start += len(piece)
    return [*tokens, special_token("[SEP]", len(tokens))]


@st.composite
def readings(draw: st.DrawFn) -> list[Token]:
    text = draw(st.text(min_size=1))
    cuts = sorted(draw(st.sets(st.integers(1, len(text)))) - {len(text)})
    spans = zip([0, *cuts], [*cuts, len(text)], strict=True)
    words = word_spans(text)
    tokens = [token_of(text, span, position, words) for position, span in enumerate(spans, 1)]
    return [special_token("[CLS]", 0), *tokens, special_token("[SEP]", len(tokens) + 1)]


class TestWords:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("The animal, tired.", ["The", "animal", ",", "tired", "."]),
            ("it didn't", ["it", "didn't"]),
            ("it didn’t", ["it", "didn’t"]),
            ("rock'n'roll", ["rock'n'roll"]),
            ("'tis the dogs' bowl", ["'", "tis", "the", "dogs", "'", "bowl"]),
            ("o''clock", ["o", "'", "'", "clock"]),
            ("snake_case x-ray 3.5", ["snake_case", "x", "-", "ray", "3", ".", "5"]),
            ("...", [".", ".", "."]),
            (" \t two\n\nlines ", ["two", "lines"]),
            ("你好，世界。", ["你好", "，", "世界", "。"]),
            ("مرحبا، يا", ["مرحبا", "،", "يا"]),
            ("مُحَمَّد هنا", ["مُحَمَّد", "هنا"]),
            ("cafe\u0301 ne\u0301e", ["cafe\u0301", "ne\u0301e"]),
            ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
            ("hi 👍🏽!", ["hi", "👍🏽", "!"]),
            ("👩\u200d💻👨\u200d👩\u200d👧", ["👩\u200d💻", "👨\u200d👩\u200d👧"]),
            ("😀😀", ["😀", "😀"]),
            ("1\ufe0f\u20e3", ["1\ufe0f\u20e3"]),
        ],
    )
    def test_runs_of_letters_are_words_and_every_other_character_is_one(self, text: str, words: list[str]) -> None:
        assert words_of(text) == words

    @pytest.mark.parametrize(
        "sequence", ["❤\ufe0f", "👩\u200d❤\ufe0f\u200d👨", "☝🏽\ufe0f", "🇫🇷"], ids=["heart", "couple", "finger", "flag"]
    )
    def test_an_emoji_sequence_is_one_word_between_others(self, sequence: str) -> None:
        assert words_of(f"I {sequence} it,{sequence}{sequence}x") == ["I", sequence, "it", ",", sequence, sequence, "x"]

    @pytest.mark.parametrize(
        "word", ["می\u200cخواهم", "क्\u200dष", "co\u00adoperate"], ids=["Persian", "Devanagari", "soft hyphen"]
    )
    def test_a_word_goes_on_past_an_invisible_character_within(self, word: str) -> None:
        assert words_of(f"a {word}!") == ["a", word, "!"]

    def test_a_space_of_no_width_ends_a_word(self) -> None:
        assert [word.strip("\u200b") for word in words_of("ភាសា\u200bខ្មែរ")] == ["ភាសា", "ខ្មែរ"]

    @pytest.mark.parametrize("mark", ["^", "`", "´", "$", "+", "~"])
    def test_an_ascii_or_latin_symbol_is_a_word_of_its_own(self, mark: str) -> None:
        assert words_of(f"x{mark}2 {mark}y{mark}") == ["x", mark, "2", mark, "y", mark]

    @given(ANYTHING)
    def test_words_are_in_order_and_hold_every_character_that_is_not_blank_once(self, text: str) -> None:
        covered = [offset for start, end in word_spans(text) for offset in range(start, end)]
        assert covered == [offset for offset, char in enumerate(text) if not char.isspace()]
        assert all(start < end for start, end in word_spans(text))

    @given(st.text(st.sampled_from("aé٣你_'’ .\n!")))
    def test_a_run_of_letters_and_digits_is_never_cut(self, text: str) -> None:
        spans = word_spans(text)
        for run in re.finditer(r"\w+", text):
            assert any(start <= run.start() and run.end() <= end for start, end in spans)

    @given(ANYTHING)
    def test_the_word_at_a_character_is_the_one_that_covers_it(self, text: str) -> None:
        words = word_spans(text)
        for offset in range(len(text)):
            covering = [index for index, (start, end) in enumerate(words) if start <= offset < end]
            assert word_at(words, offset) == (covering[0] if covering else None)


class TestVisible:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("\x1b[31mred", "␛[31mred"),
            ("\x9b31m", "<U+009B>31m"),
            ("a\x00\x07\x08b", "a␀␇␈b"),
            ("\t\n\r\x7f", "⇥⏎␍␡"),
            ("\u202egnp.exe", "<U+202E>gnp.exe"),
            ("\u2028\u00a0\ufeff", "<U+2028><U+00A0><U+FEFF>"),
            ("\U000e0041", "<U+E0041>"),
            ("\ud83d", "<U+D83D>"),
            ("naïve 你 👩\u200d💻", "naïve 你 👩\u200d💻"),
        ],
    )
    def test_what_a_terminal_would_obey_or_hide_is_replaced(self, text: str, shown: str) -> None:
        assert visible(text) == shown

    @given(ANYTHING)
    def test_the_result_is_printable_but_for_joiners(self, text: str) -> None:
        assert re.sub("[\u200c\u200d]", "", visible(text)).isprintable()

    @given(ANYTHING)
    def test_what_is_visible_stays_as_it_is(self, text: str) -> None:
        assert visible(visible(text)) == visible(text)

    @given(ANYTHING)
    def test_every_printable_character_is_kept_in_order(self, text: str) -> None:
        kept = "".join(re.escape(char) if char.isprintable() else "(?:<U\\+[0-9A-F]+>|.)" for char in text)
        assert re.fullmatch(kept, visible(text))


class TestChecked:
    @given(st.text().filter(str.strip))
    def test_valid_text_comes_back_unchanged(self, text: str) -> None:
        assert checked(text) == text

    @pytest.mark.parametrize("text", ["", " ", "\n\t\u3000"])
    def test_blank_text_is_refused(self, text: str) -> None:
        with pytest.raises(TextError, match="empty"):
            checked(text)

    def test_half_of_a_surrogate_pair_is_refused_with_its_place(self) -> None:
        with pytest.raises(TextError, match=r"character 2 .*U\+DC80.*UTF-8"):
            checked("né\udc80")


class TestTokenOf:
    def test_blanks_at_the_edges_belong_to_no_token(self) -> None:
        assert token_of("so  the \nend", (2, 9), 3, [(0, 2), (4, 7), (9, 12)]) == Token("the", 3, (4, 7), False, 1)

    def test_text_without_blanks_keeps_its_span(self) -> None:
        assert token_of("tired", (2, 5), 1, [(0, 5)]) == Token("red", 1, (2, 5), False, 0)

    @pytest.mark.parametrize(("blank", "shown"), [(" ", "␣"), ("\t", "⇥"), ("\n", "⏎")])
    def test_a_token_of_nothing_but_blanks_shows_them_and_has_no_word(self, blank: str, shown: str) -> None:
        assert token_of(f"a{blank}b", (1, 2), 1, [(0, 1), (2, 3)]) == Token(shown, 1, (1, 2), False, None)

    def test_control_characters_do_not_reach_the_display_text(self) -> None:
        assert token_of("\x1b[0m", (0, 1), 0, [(0, 1)]).text == "␛"
        assert special_token("<\x1b>", 0) == Token("<␛>", 0, None, True, None)


class TestFind:
    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ("animal", [("animal", (3, 4))]),
            ("ANIMAL", [("animal", (3, 4))]),
            ("the", [("The", (1, 2)), ("the", (7,))]),
            ("mal", [("mal", (4,))]),
            ("it", [("it", (5,)), ("it", (8,))]),
            ("[sep]", [("[SEP]", (10,))]),
            ("4", [("mal", (4,))]),
            ("10", [("[SEP]", (10,))]),
        ],
    )
    def test_a_word_a_piece_or_a_position_is_found_wherever_it_stands(
        self, wanted: str, found: list[tuple[str, tuple[int, ...]]]
    ) -> None:
        tokens = read("T|he| ani|mal| it| bit| the| it|.")
        assert find(tokens, wanted) == [Occurrence(*occurrence) for occurrence in found]

    def test_a_word_goes_before_a_piece_of_the_same_name(self) -> None:
        assert find(read("an|other| an"), "an") == [Occurrence("an", (3,))]

    @pytest.mark.parametrize(("word", "wanted"), [("Straße", "STRASSE"), ("STRASSE", "straße"), ("ΣΟΦΟΣ", "σοφος")])
    def test_case_is_folded_in_every_script(self, word: str, wanted: str) -> None:
        assert find(read(word), wanted) == [Occurrence(word, (1,))]

    def test_a_position_is_the_one_in_the_whole_sequence(self) -> None:
        rows = read("one| two| three")[2:4]
        assert find(rows, "3") == [Occurrence("three", (1,))]
        with pytest.raises(TextError):
            find(rows, "1")

    @pytest.mark.parametrize("wanted", ["cat", "99", "", "\x1b"])
    def test_the_error_says_what_was_wanted_and_lists_the_tokens(self, wanted: str) -> None:
        with pytest.raises(TextError) as raised:
            find(read("The| dog"), wanted)
        assert str(raised.value) == (
            f"There is no token {visible(wanted)!r} in this text. Its tokens are: 0 [CLS], 1 The, 2 dog, 3 [SEP]."
        )

    def test_the_list_in_the_error_is_cut_after_forty(self) -> None:
        tokens = [Token("x", position) for position in range(41)]
        with pytest.raises(TextError, match=r"39 x, …\.$"):
            find(tokens, "y")
        with pytest.raises(TextError, match=r"39 x\.$"):
            find(tokens[:40], "y")


class TestByWord:
    def test_pieces_of_a_word_come_together_and_special_tokens_stay_alone(self) -> None:
        assert by_word(read("un|believ|able|!| It| did|n't")) == Groups(
            (
                Token("[CLS]", 0, None, True, None),
                Token("unbelievable", 1, (0, 12), False, 0),
                Token("!", 4, (12, 13), False, 1),
                Token("It", 5, (14, 16), False, 2),
                Token("didn't", 6, (17, 23), False, 3),
                Token("[SEP]", 8, None, True, None),
            ),
            (0, 1, 1, 1, 2, 3, 4, 4, 5),
        )

    def test_the_same_word_twice_is_two_groups(self) -> None:
        assert by_word(read("so| so")).index == (0, 1, 2, 3)

    def test_the_bytes_of_one_character_show_it_once(self) -> None:
        words = word_spans("a 🦆b")
        duck = [token_of("a 🦆b", span, position, words) for position, span in enumerate([(1, 3), (2, 3), (2, 3)])]
        assert by_word(duck) == Groups((Token("🦆", 0, (2, 3), False, 1),), (0, 0, 0))

    def test_a_character_shared_by_two_pieces_shows_once(self) -> None:
        pieces = [token_of("你好吗", span, position, [(0, 3)]) for position, span in enumerate([(0, 2), (1, 3)])]
        assert by_word(pieces).tokens == (Token("你好吗", 0, (0, 3), False, 0),)

    @given(readings())
    def test_every_token_is_in_one_group_and_the_order_is_kept(self, tokens: list[Token]) -> None:
        groups = by_word(tokens)
        assert len(groups.index) == len(tokens)
        assert list(dict.fromkeys(groups.index)) == list(range(len(groups.tokens)))
        firsts = [groups.index.index(group) for group in range(len(groups.tokens))]
        assert [group.position for group in groups.tokens] == [tokens[first].position for first in firsts]
        assert list(groups.index) == sorted(groups.index)

    @given(readings())
    def test_a_group_holds_one_word_or_one_token(self, tokens: list[Token]) -> None:
        groups = by_word(tokens)
        for number, group in enumerate(groups.tokens):
            members = [token for token, index in zip(tokens, groups.index, strict=True) if index == number]
            assert {token.word for token in members} == {group.word}
            assert {token.special for token in members} == {group.special}
            assert group.word is not None or len(members) == 1

    @given(readings())
    def test_the_groups_cover_the_same_text_as_their_tokens(self, tokens: list[Token]) -> None:
        groups = by_word(tokens)
        assert "".join(group.text for group in groups.tokens) == "".join(token.text for token in tokens)
        for number, group in enumerate(groups.tokens):
            spans = [token.span for token, index in zip(tokens, groups.index, strict=True) if index == number]
            if group.span:
                assert group.span == (min(span[0] for span in spans), max(span[1] for span in spans))
