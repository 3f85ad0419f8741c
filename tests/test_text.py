import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attnviz.errors import TextError
from attnviz.text import (
    Bins,
    By,
    Groups,
    Occurrence,
    Segment,
    Token,
    check_text,
    find_occurrences,
    group_tokens,
    make_special_token,
    not_found,
    visible,
)
from attnviz.text.boundaries import find_covering, find_sentence_spans, find_word_spans

ANYTHING = st.text(st.characters())  # halves of surrogate pairs too: a shell can put them on a command line
PROSE = st.text(st.sampled_from("aB3é你い한ไ.!。?…'\"”(\u200d\u0301\u202e🦆 \n\u3000\x1c"), max_size=23)


def cut(text: str, spans: list[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in spans]


def words_of(text: str) -> list[str]:
    return cut(text, find_word_spans(text))


def sentences_of(text: str) -> list[str]:
    return cut(text, find_sentence_spans(text))


def read(*texts: str) -> list[Token]:
    """The tokens of texts cut at each bar, special ones around and between."""
    tokens = [make_special_token("[CLS]", 0)]
    for number, barred in enumerate(texts):
        pieces = barred.split("|")
        segment, start = Segment("".join(pieces), number), 0
        for piece in pieces:
            tokens.append(segment.token((start, start + len(piece)), len(tokens)))
            start += len(piece)
        tokens.append(make_special_token("[SEP]", len(tokens)))
    return tokens


def tokens_of(text: str, *spans: tuple[int, int]) -> list[Token]:
    segment = Segment(text)
    return [segment.token(span, position) for position, span in enumerate(spans)]


@st.composite
def readings(draw: st.DrawFn) -> tuple[list[str], list[Token]]:
    """Texts and their tokens, which may share characters with those before them, or stand for none."""
    texts = draw(st.lists(PROSE | st.text(min_size=1), min_size=1, max_size=2))
    tokens = [make_special_token("[CLS]", 0)]
    for number, text in enumerate(texts):
        cuts = [0, *sorted(draw(st.lists(st.integers(0, len(text)), max_size=11))), len(text)]
        for start, end in pairwise(cuts):
            back = draw(st.integers(0, min(start, 1)))
            tokens.append(Segment(text, number).token((start - back, end), len(tokens)))
        tokens.append(make_special_token("[SEP]", len(tokens)))
    return texts, tokens


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
            ("an 'animal' 'cat' 1'a", ["an", "'", "animal", "'", "'", "cat", "'", "1", "'", "a"]),
            ("un ’animal’ l’é", ["un", "’", "animal", "’", "l’é"]),
            ("snake_case x-ray U.S. army", ["snake_case", "x", "-", "ray", "U.S", ".", "army"]),
            ("3.14, 1,000 and 2.", ["3.14", ",", "1,000", "and", "2", "."]),
            ("10\u202f000\u00a0€", ["10", "000", "€"]),
            ("...", [".", ".", "."]),
            (" \t two\n\nlines\x1c ", ["two", "lines"]),
            ("مرحبا، يا", ["مرحبا", "،", "يا"]),
            ("مُحَمَّد هنا", ["مُحَمَّد", "هنا"]),
            ('צה"ל שלום', ['צה"ל', "שלום"]),
            ("cafe\u0301 ne\u0301e", ["cafe\u0301", "ne\u0301e"]),
            ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
            ("안녕하세요 세계", ["안녕하세요", "세계"]),
        ],
    )
    def test_runs_of_letters_and_numbers_are_words_and_every_other_character_is_one(
        self, text: str, words: list[str]
    ) -> None:
        assert words_of(text) == words

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("你好，世界。", ["你", "好", "，", "世", "界", "。"]),
            ("東京タワーへ行く", ["東", "京", "タワー", "へ", "行", "く"]),
            ("ดีครับ", ["ดี", "ค", "รั", "บ"]),
        ],
        ids=["Chinese", "Japanese", "Thai"],
    )
    def test_scripts_without_blanks_are_cut_into_ideographs_syllables_and_runs_of_katakana(
        self, text: str, words: list[str]
    ) -> None:
        assert words_of(text) == words

    @pytest.mark.parametrize(
        "sequence",
        ["❤\ufe0f", "👩\u200d❤\ufe0f\u200d👨", "👨\u200d👩\u200d👧", "👍🏽", "☝🏽\ufe0f", "🇫🇷", "1\ufe0f\u20e3"],
        ids=["heart", "couple", "family", "thumb", "finger", "flag", "keycap"],
    )
    def test_an_emoji_sequence_is_one_word_between_others(self, sequence: str) -> None:
        assert words_of(f"I {sequence} it,{sequence}!{sequence}") == ["I", sequence, "it", ",", sequence, "!", sequence]

    def test_emoji_side_by_side_are_words_of_their_own(self) -> None:
        assert words_of("😀😀👩\u200d💻👍🏽🇫🇷🇩🇪x") == ["😀", "😀", "👩\u200d💻", "👍🏽", "🇫🇷", "🇩🇪", "x"]

    @pytest.mark.parametrize(
        "word", ["می\u200cخواهم", "क्\u200dष", "co\u00adoperate"], ids=["Persian", "Devanagari", "soft hyphen"]
    )
    def test_a_word_goes_on_past_an_invisible_character_within(self, word: str) -> None:
        assert words_of(f"a {word}!") == ["a", word, "!"]

    def test_a_space_of_no_width_parts_words(self) -> None:
        assert words_of("so\u200bso") == ["so", "\u200b", "so"]

    @pytest.mark.parametrize("mark", ["^", "`", "´", "$", "+", "~"])
    def test_an_ascii_or_latin_symbol_is_a_word_of_its_own(self, mark: str) -> None:
        assert words_of(f"x{mark}2 {mark}y{mark}") == ["x", mark, "2", mark, "y", mark]

    @given(ANYTHING | PROSE)
    def test_words_are_in_order_and_hold_every_character_that_is_not_blank_once(self, text: str) -> None:
        covered = [offset for start, end in find_word_spans(text) for offset in range(start, end)]
        assert covered == [offset for offset, char in enumerate(text) if not char.isspace()]
        assert all(start < end for start, end in find_word_spans(text))

    @given(st.text(st.sampled_from("abZ39_.':,;- \"\n\t\x00\x1c\x7f!?@/")))
    def test_ascii_text_has_the_words_that_it_has_before_other_text(self, text: str) -> None:
        assert words_of(text) == words_of(f"{text} é")[:-1]

    @given(st.text(st.sampled_from("aZ39_'’ .\n!é你")))
    def test_a_run_of_ascii_letters_and_digits_is_never_cut(self, text: str) -> None:
        spans = find_word_spans(text)
        for run in re.finditer(r"[A-Za-z0-9_]+", text):
            assert any(start <= run.start() and run.end() <= end for start, end in spans)

    @given(ANYTHING | PROSE)
    @example("'\u0300 é")
    @example("\u2019\u0300a")
    def test_no_mark_is_cut_from_what_it_stands_on(self, text: str) -> None:
        starts = [start for start, _ in find_word_spans(text) if start and not text[start - 1].isspace()]
        assert not [start for start in starts if unicodedata.category(text[start])[0] == "M"]

    @given(ANYTHING | PROSE)
    def test_the_span_covering_a_character_is_the_one_that_holds_it(self, text: str) -> None:
        words = find_word_spans(text)
        for offset in range(len(text)):
            holding = [index for index, (start, end) in enumerate(words) if start <= offset < end]
            assert find_covering(words, offset) == (holding[0] if holding else None)


class TestSentences:
    @pytest.mark.parametrize(
        "sentences",
        [
            ["The dog ran.", "It was fast!", "Was it?!", "Yes…", "So..."],
            ['"He left."', "(Really.)", "“Go!”", "[So?]", "‘Yes.’", "„Hallo!“", "»Nein.«", "Ja"],
            ["¿Qué?", "¡Hola!", "¿Y tú?", "Wow‼\ufe0f", "So"],
            ["You and I...", "Then?", "Etc...", "7 of them."],
            ["It is the USA.", "He did his best.", "A tip.", "7 of them."],
            ["هل هذا؟", "نعم۔", "لا"],
            ["यह है।", "वह है॥", "ठीक"],
            ["Սա է։", "Ոչ"],
            ["ეს არის.", "ისე."],
        ],
        ids=["English", "closed", "opened", "dots", "like short", "Arabic", "Hindi", "Armenian", "Georgian"],
    )
    def test_a_sentence_ends_after_its_marks_and_what_closes_it(self, sentences: list[str]) -> None:
        assert sentences_of("  ".join(sentences)) == sentences

    @pytest.mark.parametrize(
        "sentences",
        [
            ["你好。", "他说：“好的。”", "然后走了！", "真的吗？？", "是"],
            ["「行こう。」", "「はい！」", "終わり．", "また３．１４です｡", "次"],
            ["ሰላም።", "እንዴት"],
        ],
        ids=["Chinese", "Japanese", "Ethiopic"],
    )
    def test_marks_of_scripts_without_blanks_need_none(self, sentences: list[str]) -> None:
        assert sentences_of("".join(sentences)) == sentences

    @pytest.mark.parametrize(
        "sentence",
        [
            "J. Smith met É. Dupont and E\u0301. Blanc in the U.S. Army.",
            "Mr. Brown, Dr. White and Prof. Green of St. Ives vs. Mrs. Black.",
            "They (cf. Smith, i.e. Him, e.g. Her, etc. And so on) came.",
            "See No. 5, Fig. 3 and pp. 7-11.",
            "He paid 3.14 at example.com/?q=A! for it.",
            "“Stop!” he said… and (yes!) ran. so (he) “Did.” (he did) what?",
            "Wait! – He did.",
            "“好。”，他说。",
        ],
        ids=["initials", "titles", "Latin", "numbers", "within", "lower case", "dash", "comma"],
    )
    def test_a_mark_that_the_sentence_goes_on_after_does_not_end_it(self, sentence: str) -> None:
        assert sentences_of(sentence) == [sentence]

    def test_an_abbreviation_of_numbers_is_a_word_before_anything_else(self) -> None:
        assert sentences_of("No. I won't. No. 5 is.") == ["No.", "I won't.", "No. 5 is."]

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\n \n", "\u2028", "\u2029", "\x85"])
    def test_a_sentence_ends_with_its_line(self, end: str) -> None:
        assert sentences_of(f" one{end}two J. {end}Smith") == ["one", "two J.", "Smith"]

    @pytest.mark.parametrize("text", ["", " \n "])
    def test_blank_text_has_no_sentence(self, text: str) -> None:
        assert sentences_of(text) == []

    @given(ANYTHING | PROSE)
    def test_every_character_that_is_not_blank_is_in_one_sentence(self, text: str) -> None:
        spans = find_sentence_spans(text)
        covered = [offset for start, end in spans for offset in range(start, end)]
        assert covered == sorted(set(covered))
        assert {offset for offset, char in enumerate(text) if not char.isspace()} <= set(covered)

    @given(ANYTHING | PROSE)
    def test_no_sentence_begins_or_ends_with_a_blank_or_holds_a_line_break(self, text: str) -> None:
        for sentence in sentences_of(text):
            assert sentence == sentence.strip() != ""
            assert not re.search("[\n\r\x85\u2028\u2029]", sentence)

    @given(PROSE)
    def test_words_are_in_one_sentence_whole(self, text: str) -> None:
        sentences = find_sentence_spans(text)
        for start, end in find_word_spans(text):
            assert find_covering(sentences, start) == find_covering(sentences, end - 1)


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
        assert check_text(text) == text

    @pytest.mark.parametrize("text", ["", " ", "\n\t\u3000"])
    def test_blank_text_is_refused(self, text: str) -> None:
        with pytest.raises(TextError, match="empty"):
            check_text(text)

    def test_half_of_a_surrogate_pair_is_refused_with_its_place(self) -> None:
        with pytest.raises(TextError, match=r"character 2 .*U\+DC80.*UTF-8"):
            check_text("né\udc80")


class TestSegment:
    def test_blanks_at_the_edges_belong_to_no_token(self) -> None:
        token = Segment("so  the \nend", 3).token((2, 9), 5)
        assert token == Token("the", 5, (4, 7), False, word=1, segment=3)
        assert token.sentence == 0

    def test_text_without_blanks_keeps_its_span(self) -> None:
        assert Segment("tired").token((2, 5), 1) == Token("red", 1, (2, 5), False, word=0)

    def test_a_token_over_several_words_or_sentences_belongs_to_the_first(self) -> None:
        token = Segment("No. Yes. So").token((4, 11), 1)
        assert (token, token.sentence) == (Token("Yes. So", 1, (4, 11), False, word=2), 1)

    @pytest.mark.parametrize(
        ("blank", "shown"), [(" ", "␣"), ("\t", "⇥"), ("  ", "␣␣"), ("\u3000", "<U+3000>"), ("\x1c", "␜")]
    )
    def test_a_token_of_nothing_but_blanks_shows_them_and_has_no_word(self, blank: str, shown: str) -> None:
        span = (1, 1 + len(blank))
        token = Segment(f"a{blank}b").token(span, 1)
        assert (token, token.sentence) == (Token(shown, 1, span, False, word=None), 0)

    def test_a_blank_between_sentences_belongs_to_neither(self) -> None:
        token = Segment("No.\nYes.").token((3, 4), 1)
        assert (token, token.sentence) == (Token("⏎", 1, (3, 4), False, word=None), None)

    @pytest.mark.parametrize(("offset", "sentence"), [(0, 0), (3, 0), (5, None)])
    def test_a_token_of_nothing_shows_as_a_blank_and_keeps_its_place(self, offset: int, sentence: int | None) -> None:
        token = Segment("a bit").token((offset, offset), 1)
        assert (token, token.sentence) == (Token("␣", 1, (offset, offset), False, word=None), sentence)

    def test_control_characters_do_not_reach_the_display_text(self) -> None:
        assert Segment("\x1b[0m").token((0, 1), 0).text == "␛"
        assert make_special_token("<\x1b>", 0) == Token("<␛>", 0, None, special=True)


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
        assert find_occurrences(tokens, wanted) == [Occurrence(*occurrence) for occurrence in found]

    def test_a_word_goes_before_a_piece_of_the_same_name(self) -> None:
        assert find_occurrences(read("an|other| an"), "an") == [Occurrence("an", (3,))]

    @pytest.mark.parametrize(("word", "wanted"), [("Straße", "STRASSE"), ("STRASSE", "straße"), ("ΣΟΦΟΣ", "σοφος")])
    def test_case_is_folded_in_every_script(self, word: str, wanted: str) -> None:
        assert find_occurrences(read(word), wanted) == [Occurrence(word, (1,))]

    @pytest.mark.parametrize("form", ["NFC", "NFD"])
    @pytest.mark.parametrize("written", ["NFC", "NFD"])
    @pytest.mark.parametrize("word", ["Café", "한국어", "ÎLE", "שָׁלוֹם", "مُحَمَّد", "हिन्दी"])
    def test_composed_and_decomposed_characters_are_the_same(self, word: str, written: str, form: str) -> None:
        there = unicodedata.normalize(written, word)
        wanted = unicodedata.normalize(form, word.lower())
        assert find_occurrences(read(f"a| {there}"), wanted) == [Occurrence(there, (2,))]

    def test_what_joins_or_parts_characters_need_not_be_typed(self) -> None:
        assert find_occurrences(read("می\u200cخواهم"), "میخواهم") == [Occurrence("می\u200cخواهم", (1,))]
        assert find_occurrences(tokens_of("co\u00adoperate", (0, 2), (3, 10)), "cooperate") == [
            Occurrence("cooperate", (0, 1))
        ]

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ("capital of france", [("capital of France", (2, 3, 4, 5))]),
            ("  Capital   of ", [("capital of", (2, 3, 4))]),
            ("of France.", [("of France.", (4, 5, 6))]),
            ("the capital", [("The capital", (1, 2, 3)), ("the capital", (7, 8))]),
        ],
    )
    def test_several_words_in_a_row_are_found_together(
        self, wanted: str, found: list[tuple[str, tuple[int, ...]]]
    ) -> None:
        tokens = read("The| capi|tal| of|  France|.| the| capital")
        assert find_occurrences(tokens, wanted) == [Occurrence(*occurrence) for occurrence in found]

    @pytest.mark.parametrize("wanted", ["capital France", "capitalof", "of Fran", "tal of", "France The"])
    def test_what_does_not_stand_there_in_a_row_is_not_found(self, wanted: str) -> None:
        assert find_occurrences(read("The| capi|tal| of| France", "The"), wanted) == []

    def test_words_of_a_script_without_blanks_are_found_together(self) -> None:
        assert find_occurrences(read("我|爱|北京|天安门"), "北京天安门") == [Occurrence("北京天安门", (3, 4))]
        assert find_occurrences(read("ดี|ครับ"), "ดีครับ") == [Occurrence("ดีครับ", (1, 2))]

    def test_a_token_is_found_by_its_name_in_the_vocabulary_where_nothing_is_called_so(self) -> None:
        tokens = [Token("zebra", 0, (0, 5), piece="[UNK]", unknown=True), Token("s", 1, (5, 6), piece="##s")]
        assert find_occurrences(tokens, "##S") == [Occurrence("s", (1,))]
        assert find_occurrences(tokens, "[unk]") == [Occurrence("zebra", (0,))]

    def test_a_position_is_the_one_in_the_whole_sequence(self) -> None:
        rows = read("one| two| three")[2:4]
        assert find_occurrences(rows, "3") == [Occurrence("three", (1,))]
        assert find_occurrences(rows, "1") == []

    @pytest.mark.parametrize("wanted", ["cat", "99", "", "\x1b"])
    def test_the_error_says_what_was_wanted_and_lists_the_tokens(self, wanted: str) -> None:
        tokens = read("The| dog")
        assert find_occurrences(tokens, wanted) == []
        assert str(not_found(tokens, wanted)) == (
            f"There is no token {visible(wanted)!r} in this text. Its tokens are: 0 [CLS], 1 The, 2 dog, 3 [SEP]."
        )

    def test_the_list_in_the_error_is_cut_after_forty(self) -> None:
        tokens = [Token("x", position) for position in range(41)]
        assert str(not_found(tokens, "y")).endswith("39 x, ….")
        assert str(not_found(tokens[:40], "y")).endswith("39 x.")

    def test_a_word_is_found_in_every_segment_and_its_pieces_are_not_mixed(self) -> None:
        assert find_occurrences(read("un|do| it", "Un|do"), "undo") == [
            Occurrence("undo", (1, 2)),
            Occurrence("Undo", (5, 6)),
        ]


class TestGrouped:
    def test_pieces_of_a_word_come_together_and_special_tokens_stay_alone(self) -> None:
        assert group_tokens(read("un|believ|able|!| It| did|n't"), By.WORD) == Groups(
            (
                Token("[CLS]", 0, special=True),
                Token("unbelievable", 1, (0, 12), word=0),
                Token("!", 4, (12, 13), word=1),
                Token("It", 5, (14, 16), word=2),
                Token("didn't", 6, (17, 23), word=3),
                Token("[SEP]", 8, special=True),
            ),
            (0, 1, 1, 1, 2, 3, 4, 4, 5),
            By.WORD,
        )

    def test_tokens_of_a_sentence_come_together_with_single_blanks(self) -> None:
        assert group_tokens(read("He |  | r|an|.\n|\n| So|  did|  I|."), By.SENTENCE) == Groups(
            (
                Token("[CLS]", 0, special=True),
                Token("He ran.", 1, (0, 10), word=0),
                Token("⏎", 6, (11, 12)),
                Token("So did I.", 7, (13, 24), word=3),
                Token("[SEP]", 11, special=True),
            ),
            (0, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 4),
            By.SENTENCE,
        )

    def test_tokens_of_a_segment_come_together(self) -> None:
        assert group_tokens(read("So|.| Un|do", " | Why|?"), By.SEGMENT) == Groups(
            (
                Token("[CLS]", 0, special=True),
                Token("So. Undo", 1, (0, 8), word=0, segment=0),
                Token("[SEP]", 5, special=True),
                Token("Why?", 6, (2, 6), word=0, segment=1),
                Token("[SEP]", 9, special=True),
            ),
            (0, 1, 1, 1, 1, 2, 3, 3, 3, 4),
            By.SEGMENT,
        )

    def test_each_token_can_be_a_group_of_its_own(self) -> None:
        tokens = read("un|do", "un|do")
        assert group_tokens(tokens, By.TOKEN) == Groups(tuple(tokens), tuple(range(7)))

    @pytest.mark.parametrize("by", [By.WORD, By.SENTENCE, By.SEGMENT])
    def test_a_group_never_has_tokens_of_two_segments(self, by: By) -> None:
        one, other = Segment("undo", 0), Segment("untie", 1)
        tokens = [one.token((0, 2), 0), one.token((2, 4), 1), other.token((0, 2), 2), other.token((2, 5), 3)]
        groups = group_tokens(tokens, by)
        assert [(token.text, token.segment) for token in groups.tokens] == [("undo", 0), ("untie", 1)]
        assert groups.index == (0, 0, 1, 1)

    def test_the_same_word_twice_is_two_groups(self) -> None:
        assert group_tokens(read("so| so"), By.WORD).index == (0, 1, 2, 3)

    def test_the_bytes_of_one_character_show_it_once(self) -> None:
        duck = tokens_of("a 🦆b", (1, 3), (2, 3), (2, 3))
        assert group_tokens(duck, By.WORD) == Groups((Token("🦆", 0, (2, 3), word=1),), (0, 0, 0), By.WORD)

    @pytest.mark.parametrize("text", ["한국어", "a\u0301\u0301", "e\u202ee"], ids=["letters", "marks", "picture"])
    def test_a_character_shared_by_two_pieces_shows_once(self, text: str) -> None:
        pieces = tokens_of(text, (0, 2), (1, 3))
        assert [token.text for token in group_tokens(pieces, By.WORD).tokens] == [visible(text)]

    def test_a_joiner_that_is_a_token_is_a_picture_alone_and_joins_in_its_word(self) -> None:
        pieces = tokens_of("👩\u200d💻", (0, 1), (1, 2), (2, 3))
        assert [token.text for token in pieces] == ["👩", "<U+200D>", "💻"]
        assert find_occurrences(pieces, "👩\u200d💻") == [Occurrence("👩\u200d💻", (0, 1, 2))]

    def test_text_that_looks_like_a_picture_stays_as_it_is(self) -> None:
        text = "<U+200D>!"
        assert [token.text for token in group_tokens(tokens_of(text, (0, 8), (8, 9)), By.SEGMENT).tokens] == [text]

    def test_pieces_within_others_show_once(self) -> None:
        pieces = tokens_of("한국어", (0, 3), (1, 2), (2, 3), (1, 2))
        assert group_tokens(pieces, By.WORD).tokens == (Token("한국어", 0, (0, 3), word=0),)

    def test_joiners_that_join_nothing_are_pictures_in_their_word_too(self) -> None:
        pieces = tokens_of("\u200d\u200d", (0, 1), (1, 2))
        assert [token.text for token in group_tokens(pieces, By.WORD).tokens] == ["<U+200D><U+200D>"]

    def test_tokens_that_belong_to_no_word_are_parted_where_they_leave_a_gap(self) -> None:
        tokens = [Token("a", 0, (0, 2)), Token("b", 1, (2, 3)), Token("c", 2, (4, 5))]
        assert group_tokens(tokens, By.SEGMENT).tokens == (Token("ab c", 0, (0, 5)),)

    def test_what_a_tokenizer_drops_within_a_word_leaves_no_blank(self) -> None:
        assert group_tokens(tokens_of("co\u00adoperate", (0, 2), (3, 10)), By.WORD).tokens[0].text == "cooperate"

    @pytest.mark.parametrize(
        ("text", "spans", "words"),
        [
            ("हिन्दी है", [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (7, 8)], ["हिन्दी", "है"]),
            ("Cafe\u0301 x", [(0, 4), (6, 7)], ["Cafe\u0301", "x"]),
            ("שָׁלוֹם", [(0, 1), (3, 4), (4, 5), (6, 7)], ["שָׁלוֹם"]),
            ("a \u0640م\u0640!", [(0, 1), (3, 4), (5, 6)], ["a", "\u0640م\u0640", "!"]),
        ],
        ids=["Hindi", "decomposed", "pointed Hebrew", "letters at the edges"],
    )
    def test_a_word_shows_what_a_tokenizer_has_dropped_of_it(
        self, text: str, spans: list[tuple[int, int]], words: list[str]
    ) -> None:
        tokens = tokens_of(text, *spans)
        groups = group_tokens(tokens, By.WORD).tokens
        assert [group.text for group in groups] == words
        assert [text[slice(*group.span)] for group in groups if group.span] == words
        assert [group.text for group in group_tokens(tokens, By.SENTENCE).tokens] == [text]

    def test_the_words_of_two_texts_show_what_a_tokenizer_has_dropped_of_each(self) -> None:
        first, second = Segment("Cafe\u0301", 0), Segment("\u0640م\u0640", 1)
        pair = [first.token((0, 4), 0), second.token((1, 2), 1)]
        assert [group.text for group in group_tokens(pair, By.WORD).tokens] == [first.text, second.text]
        turned = [second.token((1, 2), 0), first.token((0, 4), 1)]
        assert [group.text for group in group_tokens(turned, By.WORD).tokens] == [second.text, first.text]

    def test_a_word_whose_text_is_not_known_shows_what_its_token_does(self) -> None:
        token = Token("ab", 0, (0, 2), word=0)
        assert group_tokens([token], By.WORD).tokens == (token,)

    def test_what_another_token_stands_for_is_not_shown_twice(self) -> None:
        thai = tokens_of("ครับ", (0, 2), (2, 4))  # the first covers a word, and the letter that begins the next
        assert [group.text for group in group_tokens(thai, By.WORD).tokens] == ["คร", "ับ"]
        cut = group_tokens(tokens_of("unbelievable", (0, 2), (2, 7), (7, 12)), Bins(2)).tokens
        assert [group.text for group in cut] == ["unbelie", "vable"]

    def test_tokens_of_nothing_do_not_show_between_others(self) -> None:
        assert group_tokens(tokens_of("I am", (0, 0), (0, 1), (2, 2), (2, 4)), By.SEGMENT).tokens == (
            Token("I am", 0, (0, 4), word=0),
        )

    def test_a_sentence_grouped_again_keeps_its_single_blanks(self) -> None:
        tokens = tokens_of("3\u30003", (0, 0), (0, 1), (2, 3), (3, 3))
        again = group_tokens(group_tokens(tokens, By.SENTENCE).tokens, By.SEGMENT).tokens
        assert again == group_tokens(tokens, By.SEGMENT).tokens
        assert again[0].text == "3 3"

    def test_a_group_of_nothing_but_blanks_can_be_seen(self) -> None:
        assert group_tokens(tokens_of("a", (1, 1), (1, 1)), By.SEGMENT).tokens == (Token("␣␣", 0, (1, 1)),)

    @given(readings(), st.sampled_from(By))
    def test_every_token_is_in_one_group_and_the_order_is_kept(
        self, reading: tuple[list[str], list[Token]], by: By
    ) -> None:
        _, tokens = reading
        groups = group_tokens(tokens, by)
        assert len(groups.index) == len(tokens)
        assert list(dict.fromkeys(groups.index)) == list(range(len(groups.tokens)))
        firsts = [groups.index.index(group) for group in range(len(groups.tokens))]
        assert [group.position for group in groups.tokens] == [tokens[first].position for first in firsts]

    @given(readings())
    def test_a_group_holds_one_word_or_one_token(self, reading: tuple[list[str], list[Token]]) -> None:
        _, tokens = reading
        groups = group_tokens(tokens, By.WORD)
        for number, group in enumerate(groups.tokens):
            members = [token for token, index in zip(tokens, groups.index, strict=True) if index == number]
            assert {(token.segment, token.word, token.special) for token in members} == {
                (group.segment, group.word, group.special)
            }
            assert group.word is not None or len(members) == 1

    @given(readings())
    def test_a_word_shows_its_text_and_what_its_tokens_reach_over_beside_it_with_single_blanks(
        self, reading: tuple[list[str], list[Token]]
    ) -> None:
        texts, tokens = reading
        for group in group_tokens(tokens, By.WORD).tokens:
            if group.word is not None:
                text = texts[group.segment][slice(*group.span)]
                assert group.text == visible(text if group in tokens else " ".join(text.split()))

    @given(PROSE)
    def test_a_sentence_shows_its_text_with_single_blanks(self, text: str) -> None:
        tokens = tokens_of(text, *(match.span() for match in re.finditer(r"\s|\S", text)))
        shown = [group.text for group in group_tokens(tokens, By.SENTENCE).tokens if group.sentence is not None]
        assert shown == [visible(" ".join(sentence.split())) for sentence in sentences_of(text)]

    @given(readings(), st.permutations([By.WORD, By.SENTENCE, By.SEGMENT]))
    def test_groups_can_be_grouped_again_as_their_tokens_would_be(
        self, reading: tuple[list[str], list[Token]], order: list[By]
    ) -> None:
        _, tokens = reading
        finer, coarser = sorted(order[:2], key=[By.WORD, By.SENTENCE, By.SEGMENT].index)
        nested = group_tokens(group_tokens(tokens, finer).tokens, coarser).tokens
        assert nested == group_tokens(tokens, coarser).tokens
