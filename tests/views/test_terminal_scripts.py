"""Tables of tokens in any script, on terminals that do not agree on how wide these are."""

import io
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import regex
from rich.console import Console
from rich.text import Text

from attnviz.records import Link, Word
from attnviz.text.graphemes import split_graphemes, split_letters
from attnviz.views.report import StrongestLinks, WordInHeads
from attnviz.views.terminal.cells import shortened, widest
from attnviz.views.terminal.columns import KeptColumns
from attnviz.views.terminal.sections import TerminalSection, links_in_words, word_title
from attnviz.vocabulary import Orientation
from tests.build import distributions, record, tokens
from tests.views.one_head import Matrix

FARMER, FAMILY = "👩🏽\u200d🌾", "👨\u200d👩\u200d👧"
TOKENS = {
    "Chinese": ["狗", "没有", "过"],
    "Japanese": ["犬は", "ｶﾞ", "疲れ"],
    "Korean": ["개는", "\u1100\u1161\u11a8", "너무"],
    "Hindi": ["कुत्ते", "क्योंकि", "का"],
    "Tamil": ["கொ", "நாய்", "ஒரு"],
    "Thai": ["สุนัข", "ไม่ได้", "ทำ"],
    "Arabic": ["الكلب", "مُتعَبًا", "لأنه"],
    "Hebrew": ["הַכֶּלֶב", "לא", "חצה"],
    "signs": ["❤\ufe0f", "☂\ufe0f", "x"],
    "emoji": ["🐕", FARMER, FAMILY, "🇳🇴", "1\ufe0f\u20e3", "❤\ufe0f", "👍🏽", "dog"],
}
EVERY_SCRIPT = pytest.mark.parametrize("script", TOKENS)
WIDTHS = 60, 80, 200
START, END = "\u2068", "\u2069"  # of an isolate


def apart(text: str) -> int:
    """The width on a terminal that adds up characters, as wcwidth of the C library has them."""
    sizes = {"Mn": 0, "Me": 0, "Cf": 0}
    wide = (2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
    return sum(0 if _trailing_jamo(char) else sizes.get(unicodedata.category(char), w) for char, w in zip(text, wide))  # noqa: B905


def together(text: str) -> int:
    """The width on a terminal that draws what a reader takes for a character as one."""
    return sum(
        min(apart(each) if "\ufe0f" not in each else 2, 1 + _is_wide(each)) for each in regex.findall(r"\X", text)
    )


def _is_wide(grapheme: str) -> bool:
    return "\ufe0f" in grapheme or any(unicodedata.east_asian_width(char) in "WF" for char in grapheme)


def _trailing_jamo(char: str) -> bool:
    return "\u1160" <= char <= "\u11ff"


TERMINALS = pytest.mark.parametrize("width_of", [apart, together])
WidthOf = Callable[[str], int]


def cells(line: str, width_of: WidthOf) -> list[str]:
    """What is left in each column of a terminal after it has obeyed a line; nothing where a wide character goes on."""
    shown, column = [" "] * 300, 0
    for move, text in re.findall(r"\x1b\[(\d+)G|((?:(?!\x1b\[\d+G).)+)", re.sub(r"\x1b\[[\d;]*m", "", line)):
        column = int(move) - 1 if move else column
        for each in split_graphemes(text):
            if width := width_of(each):
                shown[column : column + width] = [each, *[""] * (width - 1)]
                column += width
    return shown


def numbers(shown: list[str]) -> list[int]:
    """The column after each number on a line."""
    line = "".join(cell if len(cell) == 1 else "x" for cell in shown)
    return [match.end() for match in re.finditer(r"(?<! \d)(?<= )(\.\d\d|1\.0|·)(?= )", line)]


def printed(renderable: Any, width: int, *, terminal: bool = True) -> list[str]:
    file = io.StringIO()
    colours = "truecolor" if terminal else None
    console = Console(file=file, width=width, height=50, highlight=False, force_terminal=terminal, color_system=colours)
    if terminal:
        console.push_render_hook(KeptColumns())
    console.print(renderable)
    return file.getvalue().splitlines()


def matrix(names: list[str], orientation: Orientation = Orientation.QUERIES_DOWN) -> Matrix:
    return Matrix(distributions(len(names), len(names)), tokens(names), tokens(names), 5, orientation)


class TestColumns:
    @EVERY_SCRIPT
    @TERMINALS
    @pytest.mark.parametrize("width", WIDTHS)
    def test_weights_stand_under_each_other(self, script: str, width_of: WidthOf, width: int) -> None:
        names = TOKENS[script] * 2
        lines = [cells(line, width_of) for line in printed(matrix(names), width)]
        rows = [numbers(line) for line in lines if "".join(line[:2]).strip().isdecimal()]
        pages = [rows[first : first + len(names)] for first in range(0, len(rows), len(names))]
        assert all(row == page[0] for page in pages for row in page)
        assert sum(len(page[0]) for page in pages) == len(names)

    @EVERY_SCRIPT
    @TERMINALS
    def test_each_name_above_a_column_is_whole_and_ends_within_it(self, script: str, width_of: WidthOf) -> None:
        names = ["a", *TOKENS[script], "z"]
        header, row, *_ = (cells(line, width_of) for line in printed(matrix(names), 200))
        stops = numbers(row)
        starts = [stops[0] - 4, *stops[:-1]]
        above = ["".join(header[start:stop]).strip() for start, stop in zip(starts, stops, strict=True)]
        assert above == names

    @EVERY_SCRIPT
    @TERMINALS
    def test_no_name_loses_its_end_to_the_number_after_it(self, script: str, width_of: WidthOf) -> None:
        names = TOKENS[script]
        _, *rows = (cells(line, width_of) for line in printed(matrix(names), 200))
        assert ["".join(row[3 : numbers(row)[0] - 3]).strip() for row in rows] == names

    @EVERY_SCRIPT
    @TERMINALS
    def test_no_token_of_a_word_in_all_heads_loses_its_end(self, script: str, width_of: WidthOf) -> None:
        names = TOKENS[script][:3]
        attention = record(names=names, weights=np.eye(len(names))[[1, 2, 0]])
        *_, line, _ = printed(TerminalSection(WordInHeads(attention, Word(names[0], (0,), (0,)), 1)), 80)
        shown = cells(line, width_of)
        first, second = numbers(shown)
        assert "".join(shown[9 : first - 3]).split() == [names[1]]
        assert "".join(shown[first : second - 3]).split() == [names[2]]

    def test_prose_is_left_to_the_terminal(self) -> None:
        assert "\x1b[" not in printed(Text("कुत्ते ने सड़क पार नहीं की"), 80)[0]

    def test_tokens_of_plain_width_need_no_column_codes(self) -> None:
        assert not [line for line in printed(matrix(["the", "naïve", "пёс"]), 80) if re.search(r"\x1b\[\d+G", line)]

    @EVERY_SCRIPT
    def test_a_pipe_is_told_of_no_columns(self, script: str) -> None:
        assert not any("\x1b" in line for line in printed(matrix(TOKENS[script]), 80, terminal=False))


class TestRightToLeft:
    @pytest.mark.parametrize("script", ["Arabic", "Hebrew"])
    @pytest.mark.parametrize("orientation", Orientation)
    @pytest.mark.parametrize("terminal", [False, True])
    def test_each_token_is_isolated_from_what_stands_beside_it(
        self, script: str, orientation: Orientation, terminal: bool
    ) -> None:
        for line in printed(matrix(TOKENS[script], orientation), 80, terminal=terminal):
            outside = re.sub(f"{START}[^{START}{END}]*{END}", "", line)
            assert not any(unicodedata.bidirectional(char) in ("R", "AL") for char in outside)
            assert START not in outside
            assert END not in outside

    def test_each_line_of_a_name_that_is_broken_is_isolated(self) -> None:
        lines = printed(matrix(["אבגדה"] * 12), 60)
        assert {f"{START}אבג{END}", f"{START}דה{END}"} <= set(" ".join(lines).split())

    def test_a_token_that_is_cut_is_isolated(self) -> None:
        assert shortened("אבגדהוזח", 4) == f"{START}אבג…{END}"

    def test_links_keep_their_direction(self) -> None:
        query, key = tokens(["הוא", "הכלב"])
        *_, line = links_in_words(StrongestLinks([Link(0, 0, query, key, 0.93)], "word", telling=False))
        assert line.plain == f"  {START}הוא{END} → {START}הכלב{END} 0.93"

    def test_a_word_is_named_before_its_place(self) -> None:
        attention = record(names=["הוא"], weights=[[1]])
        assert word_title(Word("הוא", (0,), (0,)), attention).plain == f"{START}הוא{END} (token 0)"

    @pytest.mark.parametrize("script", [script for script in TOKENS if script not in ("Arabic", "Hebrew")])
    def test_tokens_that_run_from_left_to_right_are_not_isolated(self, script: str) -> None:
        assert START not in "".join(printed(matrix([*TOKENS[script], "dog"]), 80))


class TestCutting:
    @pytest.mark.parametrize("width", range(1, 13))
    @pytest.mark.parametrize("grapheme", [FAMILY, FARMER, "e\u0301\u0323", "\u1112\u1161\u11ab", "🇳🇴", "क्षि", "คื่"])
    def test_an_ellipsis_comes_between_what_a_reader_takes_for_characters(self, grapheme: str, width: int) -> None:
        short = shortened(grapheme * 13, width).strip()
        assert short == grapheme * short.count(grapheme) + "…"
        assert max(apart(short), together(short)) <= width

    @EVERY_SCRIPT
    def test_no_terminal_draws_a_text_wider_than_it_is_taken_to_be(self, script: str) -> None:
        for text in TOKENS[script]:
            assert widest(text) >= max(apart(text), together(text))

    def test_a_name_is_broken_between_what_a_reader_takes_for_a_character(self) -> None:
        name = "각\u1112\u1161\u11abe\u0301n"
        lines = printed(matrix([name, *["letters"] * 13]), 70, terminal=False)
        parts = [part for part in " ".join(lines[:4]).split() if part in name and part != name]
        assert len(parts) > 1 and "".join(parts) == name
        assert all(split_graphemes(part) == [one for one in split_graphemes(name) if one in part] for part in parts)

    def test_a_sign_that_takes_no_column_is_drawn_above_its_weights_among_names_that_are_broken(self) -> None:
        lines = printed(matrix(["\u094d", *["letters"] * 13]), 70, terminal=False)
        assert {len(numbers([*line, " "])) for line in lines if line.lstrip()[:1].isdecimal()} == {14}

    @pytest.mark.parametrize("text", [FARMER, FAMILY, "क्षि"])
    def test_letters_are_a_text_cut_finer(self, text: str) -> None:
        assert "".join(split_letters(text)) == text
        assert len(split_letters(text)) > len(split_graphemes(text)) == 1
