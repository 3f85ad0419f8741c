import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnviz.text import align_pieces

Pieces = list[str | None]


def stretches(text: str, pieces: Pieces) -> list[str]:
    return [text[start:end] for start, end in align_pieces(text, pieces)]


@st.composite
def cuttings(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> tuple[str, list[tuple[int, int]]]:
    """A text, and the spans that it is cut into."""
    text = draw(texts)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    return text, list(pairwise(cuts))


def without_blanks(text: str, span: tuple[int, int]) -> tuple[int, int]:
    inside = [offset for offset in range(*span) if not text[offset].isspace()]
    return inside[0], inside[-1] + 1


def plain(piece: str) -> str:
    """Lower case, accents stripped, compatibility forms replaced."""
    decomposed = unicodedata.normalize("NFKD", piece.lower())
    return unicodedata.normalize("NFKC", "".join(char for char in decomposed if unicodedata.category(char) != "Mn"))


@pytest.mark.parametrize(
    ("text", "pieces", "found"),
    [
        ("Hello World", ["hello", "world"], ["Hello", "World"]),
        ("Café naïve", ["cafe", "nai", "ve"], ["Café", "naï", "ve"]),
        ("Cafe\u0301 x", ["CAFÉ", "X"], ["Cafe\u0301", "x"]),
        ("Straße ㎅ ᾳ", ["STRASS", "E", "kb", "α"], ["Straß", "e", "㎅", "ᾳ"]),
        ("ＡＢ　２", ["a", "b", "2"], ["Ａ", "Ｂ", "２"]),
        ("so \n\t  what", ["so what"], ["so \n\t  what"]),
        ("½ kg", ["1", "⁄", "2", "kg"], ["½", "½", "½", "kg"]),
        ("の の", ["の", "", "の"], ["の", "", "の"]),
    ],
    ids=["case", "accents", "composed", "folding", "width", "blanks", "parts", "blank"],
)
def test_pieces_are_found_whatever_a_tokenizer_has_normalised(text: str, pieces: Pieces, found: list[str]) -> None:
    assert stretches(text, pieces) == found


@pytest.mark.parametrize(
    ("text", "pieces", "found"),
    [
        ("I ⌘ it", ["i", None, "it"], ["I", "⌘", "it"]),
        ("⌘⌥ it ⌘", [None, "it", None], ["⌘⌥", "it", "⌘"]),
        ("a 你好 b", ["a", "", None, None, "", "b"], ["a", "", "你好", "你好", "", "b"]),
        ("❤\ufe0f it is it", ["❤", None, "it", "is", "it"], ["❤", "\ufe0f", "it", "is", "it"]),
        ("aa b", [None, "a", "b"], ["a", "a", "b"]),
        ("an unheard-of thing, a", [None, "thing", ",", "a"], ["an unheard-of", "thing", ",", "a"]),
        ("x", ["x", None], ["x", ""]),
        ("ab ⌘ b", ["ab", None, "b"], ["ab", "⌘", "b"]),
        ("⌘ ⌥", [None, "z", None], ["⌘ ⌥", "⌘ ⌥", "⌘ ⌥"]),
        ("⌘⌥b", [None, "\u0301", "b"], ["⌘⌥", "", "b"]),
    ],
    ids=[
        *("between", "edges", "several", "mark", "one letter at least", "long", "nothing left"),
        *("what comes before is not looked for again", "with one that is not there", "a mark that is not there"),
    ],
)
def test_an_unknown_piece_gets_what_lies_between_its_neighbours(text: str, pieces: Pieces, found: list[str]) -> None:
    assert stretches(text, pieces) == found


@given(st.text())
def test_a_byte_has_the_span_of_the_character_that_it_is_part_of(text: str) -> None:
    data = [bytes([byte]) for byte in text.encode()]
    whose = [offset for offset, char in enumerate(text) for _ in char.encode()]
    assert align_pieces(text, data) == [(offset, offset + 1) for offset in whose]


def test_bytes_stand_between_pieces_as_the_characters_that_they_make() -> None:
    assert align_pieces("Café 東x", ["cafe", b"\xe6", b"\x9d", b"\xb1", "x"]) == [
        (0, 4),
        *[(5, 6)] * 3,
        (6, 7),
    ]
    assert align_pieces("é!", [b"\xc3", b"\xff", "!"]) == [(0, 1), (0, 1), (1, 2)]  # no character: unknown


@pytest.mark.parametrize(
    ("text", "pieces", "found"),
    [
        ("⌘ ⌥ x", [None, "", None, "", "x"], ["⌘", "", "⌥", "", "x"]),
        ("⌘⌥ x", ["", None, None, "", "x"], ["", "⌘⌥", "⌘⌥", "", "x"]),
        ("⌘ ⌥", [" ", None, " ", None], ["", "⌘", "", "⌥"]),
        ("a ⌘ b", ["a", None, " ", "b"], ["a", "⌘", "", "b"]),
        ("⌘ x", [None, " ", None, " ", None, "x"], ["⌘", "", "", "", "", "x"]),
        ("a ⌘ ⌥ ⌦ b", ["a", None, "", None, "b"], ["a", "⌘", "", "⌥ ⌦", "b"]),
    ],
    ids=["a word each", "at the start", "before all", "after one", "more blanks than words", "more words than blanks"],
)
def test_a_blank_piece_stands_for_nothing_even_between_unknown_ones(
    text: str, pieces: Pieces, found: list[str]
) -> None:
    assert stretches(text, pieces) == found


@pytest.mark.parametrize(
    ("text", "pieces", "spans"),
    [
        ("a b", ["a", "z", "b"], [(0, 1), (2, 2), (2, 3)]),
        ('``Yes" so', ['"', "yes", '"', "so"], [(0, 0), (2, 5), (5, 6), (7, 9)]),
        ("a b", ["z", "a", None, "z"], [(0, 0), (0, 1), (2, 3), (3, 3)]),
        ("", ["a", "b"], [(0, 0), (0, 0)]),
        ("a b", ["a", " ", "b"], [(0, 1), (1, 2), (2, 3)]),
        ("a½", ["a", "1", "2"], [(0, 1), (1, 2), (1, 2)]),
        ("½ k", ["1", "", "2", "k"], [(0, 1), (1, 1), (1, 1), (2, 3)]),
    ],
    ids=["absent", "replaced", "beside an unknown one", "empty text", "blank", "parts", "parted by a blank"],
)
def test_a_piece_that_cannot_be_found_is_empty_and_the_next_are_found(
    text: str, pieces: Pieces, spans: list[tuple[int, int]]
) -> None:
    assert align_pieces(text, pieces) == spans


def test_a_short_piece_is_not_sought_far_away() -> None:
    assert align_pieces("abc, d", ["d"]) == [(0, 0)]
    assert align_pieces("abc d", ["d"]) == [(4, 5)]


def test_what_a_tokenizer_has_dropped_is_passed_over_however_long() -> None:
    words = [f"word{number}" for number in range(31)]
    found = stretches("-" * 307 + " ".join(words), [piece for word in words for piece in (word, " ")])
    assert found[-14::2] == words[-7:]


@given(cuttings(st.text(st.characters()) | st.text(st.sampled_from("aA \u0301\u200d½\n"))))
def test_a_text_cut_anywhere_gives_back_the_cuts(cutting: tuple[str, list[tuple[int, int]]]) -> None:
    text, cuts = cutting
    for cut, span in zip(cuts, align_pieces(text, [text[slice(*cut)] for cut in cuts]), strict=True):
        if text[slice(*cut)].strip():
            assert span == without_blanks(text, cut)


@given(cuttings(st.text(st.sampled_from("aZéÜ½ﬁ你한ДＡ .,")).filter(str.strip)))
def test_a_text_cut_anywhere_and_normalised_gives_back_the_cuts(cutting: tuple[str, list[tuple[int, int]]]) -> None:
    text, cuts = cutting
    for cut, span in zip(cuts, align_pieces(text, [plain(text[slice(*cut)]) for cut in cuts]), strict=True):
        if text[slice(*cut)].strip():
            assert span == without_blanks(text, cut)


@given(cuttings(st.permutations("abcdefghijk ,你ü").map("".join)), st.integers(0, 1))
def test_every_other_piece_may_be_unknown(cutting: tuple[str, list[tuple[int, int]]], first: int) -> None:
    text, cuts = cutting
    cuts = [cut for cut in cuts if text[slice(*cut)].strip()]
    pieces: Pieces = [text[slice(*cut)] for cut in cuts]
    pieces[first::2] = [None] * len(pieces[first::2])
    assert align_pieces(text, pieces) == [without_blanks(text, cut) for cut in cuts]


@given(st.text(st.sampled_from("aAé½ \u0301.")), st.lists(st.none() | st.text(st.sampled_from("aé12⁄ \u0301.z"))))
def test_spans_never_decrease_nor_leave_the_text_whatever_the_pieces(text: str, pieces: Pieces) -> None:
    spans = align_pieces(text, pieces)
    assert len(spans) == len(pieces)
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert all(a <= c and b <= d for (a, b), (c, d) in pairwise(spans))
