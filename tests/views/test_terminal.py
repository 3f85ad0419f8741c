import re
from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from attnviz.records import Attention, Link, Word
from attnviz.text import By, Token
from attnviz.views.names import decimals, describe_axes
from attnviz.views.report import HeadWeights, StrongestLinks, WordInHeads
from attnviz.views.terminal.cells import shortened
from attnviz.views.terminal.sections import TerminalSection, head_title, links_in_words, summary, word_title
from attnviz.vocabulary import AVERAGE, Engine, Kind, Orientation
from tests.build import distributions, record, tokens
from tests.terminal import is_weight, printed, rows_of, weights_in, widest
from tests.views.one_head import Matrix

WIDTHS = 20, 30, 60, 80, 200
SENTENCE = [
    "[CLS]",
    "The",
    "animal",
    "didn't",
    "cross",
    "the",
    "street",
    "because",
    "it",
    "was",
    "too",
    "tired",
    "[SEP]",
]
WIDE = ["[CLS]", "\u65e5\u672c\u8a9e", "\U0001f600", "cafe\u0301", "\ud55c\uad6d", "\u05e9\u05dc\u05d5\u05dd", "[SEP]"]
MADE = record(layers=2, heads=3, names=SENTENCE)
NUMBER = re.compile(r"(?<!\S)(?:\.\d\d|1\.0|·)(?!\S)")


def word_table(attention: Attention, word: Word, top: int, width: int) -> str:
    """What stands below the title of a word."""
    _, *lines = printed(TerminalSection(WordInHeads(attention, word, top)), width).splitlines()
    assert lines.pop() == ""
    return "\n".join(lines)


def matrix(names: Sequence[str], weights: np.ndarray | None = None, top: int = 5) -> Matrix:
    held = tokens(names)
    return Matrix(distributions(len(names), len(names)) if weights is None else weights, held, held, top)


class TestMatrix:
    def test_each_weight_stands_under_its_key_beside_its_query(self) -> None:
        weights = np.array([[0.5, 0.25, 0.25], [0.004, 0.996, 0], [0.1, 0.06, 0.84]], np.float32)
        out = [line.rstrip() for line in printed(matrix(["[CLS]", "cat", "sat"], weights), 80).splitlines()]
        assert out == [
            "         [CLS] cat sat",
            " 0 [CLS]   .50 .25 .25",
            " 1 cat       · 1.0   ·",
            " 2 sat     .10 .06 .84",
        ]

    @pytest.mark.parametrize("names", [SENTENCE, WIDE, SENTENCE * 4, ["a" * 50, "b", "[SEP]"]])
    @pytest.mark.parametrize("width", WIDTHS)
    def test_no_line_is_too_wide_and_no_number_is_cut(self, names: list[str], width: int) -> None:
        out = printed(matrix(names), width)
        assert widest(out) <= width
        for piece in out.split():
            assert is_weight(piece) or piece.isdecimal() or piece[0] not in ".·0123456789", piece

    @pytest.mark.parametrize(("width", "pages"), [(200, 1), (80, 1), (60, 2), (40, 2)])
    def test_what_does_not_fit_is_laid_out_in_pages_that_hold_everything(self, width: int, pages: int) -> None:
        names = [f"t{i}" for i in range(13)] if width != 60 else [f"t{i}" for i in range(19)]
        weights = distributions(len(names), len(names))
        out = printed(matrix(names, weights), width)
        rows = [weights_in(line) for line in rows_of(out)]
        assert len(rows) == pages * len(names)
        for query in range(len(names)):
            shown = [cell for row in rows[query :: len(names)] for cell in row]
            assert shown == [decimals(w) if w >= 0.005 else "·" for w in weights[query]]

    @pytest.mark.parametrize("width", [60, 80])
    def test_a_long_text_gives_each_query_its_strongest_keys(self, width: int) -> None:
        names = [f"t{i}" for i in range(101)]
        weights = distributions(101, 101)
        lines = printed(matrix(names, weights, top=3), width).splitlines()
        assert lines[0].split() == ["looks", "at"]
        assert len(lines) == 1 + 101
        for query, line in enumerate(lines[1:]):
            best = np.argsort(-weights[query], kind="stable")[:3]
            shown = [piece for key in best for piece in (f"t{key}", decimals(weights[query, key]))]
            assert line.split() == [str(query), f"t{query}", *shown]

    def test_names_that_do_not_fit_across_are_broken_into_lines_of_equal_width(self) -> None:
        names = ["[CLS]", *["letters"] * 12, "[SEP]"]
        upper, lower, *_ = printed(matrix(names), 79).splitlines()
        assert [upper.split(), lower.split()] == [["[CL", *["lett"] * 12, "[SE"], ["S]", *["ers"] * 12, "P]"]]

    def test_only_names_that_are_too_long_for_their_column_are_broken(self) -> None:
        header = printed(matrix(SENTENCE), 80).splitlines()[:2]
        assert [line.split() for line in header] == [
            ["beca"],
            [name if name != "because" else "use" for name in SENTENCE],
        ]

    @pytest.mark.parametrize("rows", [1, 7, 13, None])
    @pytest.mark.parametrize("orientation", Orientation)
    def test_rows_beyond_those_wanted_are_counted_and_not_shown(
        self, rows: int | None, orientation: Orientation
    ) -> None:
        one = record(layers=1, heads=1, queries=13, keys=13)
        out = printed(TerminalSection(HeadWeights(one, None, 5, orientation, rows)), 200)
        assert len(rows_of(out)) == (rows or 13)
        assert (f"and {13 - (rows or 13)} more rows" in out, "more rows" in out) == ((rows in (1, 7),) * 2)

    @pytest.mark.parametrize("width", [60, 80, 200])
    def test_wide_characters_keep_columns_aligned(self, width: int) -> None:
        lines = printed(matrix(WIDE), width).splitlines()
        rows = rows_of("\n".join(lines))
        ends = {tuple(cell_len(row[: match.end()]) for match in NUMBER.finditer(row)) for row in rows}
        assert len(rows) == len(WIDE)
        assert len(ends) == 1

    def test_wide_names_that_do_not_fit_across_are_broken_and_whole(self) -> None:
        out = printed(matrix(["\u65e5\u672c\u8a9e\u65e5\u672c"] * 9), 80)
        assert "…" not in out
        assert out.count("\u65e5\u672c\u8a9e\u65e5\u672c") == 9  # the queries only

    def test_a_mark_stays_on_the_letter_that_it_modifies_in_a_name_that_is_broken(self) -> None:
        out = printed(matrix(["e\u0301te\u0301", *["letters"] * 13]), 70)
        assert "e\u0301" in out
        assert not re.search(r"(^| )\u0301", out, re.M)

    def test_positions_are_those_of_the_whole_sequence(self) -> None:
        held = tokens(SENTENCE)
        out = printed(Matrix(distributions(2, 13), held[7:9], held, 5), 200)
        assert [row.split()[:2] for row in rows_of(out)] == [["7", "because"], ["8", "it"]]

    @pytest.mark.parametrize("name", ["[bold]x[/bold]", ":smile:", "[/]"])
    def test_markup_in_a_token_is_text(self, name: str) -> None:
        for width in (80, 20):
            assert name[:5] in printed(matrix([name, "b"]), width, color_system="truecolor", force_terminal=True)

    def test_shade_grows_with_the_weight_and_the_number_on_it_is_black(self) -> None:
        weights = np.array([[0.02, 0.12, 0.21, 0.65]], np.float32)
        held = tokens(list("abcd"))
        out = printed(Matrix(weights, held[:1], held, 5), 80, force_terminal=True, color_system="truecolor")
        shades = re.findall(r"\x1b\[(?:30|38;2;0;0;0);48;2;(\d+);(\d+);(\d+)m", out)
        assert len(set(shades)) == 3  # the smallest has none
        blues = [int(blue) for *_, blue in shades]
        assert blues == sorted(blues, reverse=True)


class TestTransposedMatrix:
    def transposed(self, weights: np.ndarray, queries: Sequence[Token], keys: Sequence[Token], top: int = 5) -> Matrix:
        return Matrix(weights, queries, keys, top, Orientation.KEYS_DOWN)

    def test_each_weight_stands_under_its_query_beside_its_key(self) -> None:
        weights = np.array([[0.004, 0.996, 0], [0.1, 0.06, 0.84]], np.float32)
        held = tokens(["[CLS]", "sat", "cat"])
        lines = printed(self.transposed(weights, held[1:], held), 80).splitlines()
        assert [line.rstrip() for line in lines] == [
            "         sat cat",
            " 0 [CLS]   · .10",
            " 1 sat   1.0 .06",
            " 2 cat     · .84",
        ]

    def test_names_of_queries_that_do_not_fit_across_are_broken(self) -> None:
        held = tokens(["ab", "cde", "fghijk", "lm"])
        weights = np.array([[0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.25, 0.75]], np.float32)
        lines = printed(self.transposed(weights, held, held), 26).splitlines()
        assert [line.rstrip() for line in lines] == [
            "                  fgh",
            "           ab cde ijk  lm",
            " 0 ab     .10 1.0   ·   ·",
            " 1 cde    .20   · .50   ·",
            " 2 fghijk .30   · .50 .25",
            " 3 lm     .40   ·   · .75",
        ]

    @pytest.mark.parametrize(("width", "pages"), [(200, 1), (80, 1), (60, 2), (40, 2)])
    def test_pages_hold_every_weight_of_every_key(self, width: int, pages: int) -> None:
        queries, keys = tokens([f"q{i}" for i in range(19 if width == 60 else 13)]), tokens([f"k{i}" for i in range(7)])
        weights = distributions(len(queries), len(keys))
        out = printed(self.transposed(weights, queries, keys), width)
        assert widest(out) <= width
        rows = [weights_in(line) for line in rows_of(out)]
        assert len(rows) == pages * len(keys)
        for key in range(len(keys)):
            shown = [cell for row in rows[key :: len(keys)] for cell in row]
            assert shown == [decimals(w) if w >= 0.005 else "·" for w in weights[:, key]]

    @pytest.mark.parametrize("width", [60, 80])
    def test_a_long_text_gives_each_key_the_queries_that_look_at_it_most(self, width: int) -> None:
        queries, keys = tokens([f"q{i}" for i in range(101)]), tokens([f"k{i}" for i in range(7)])
        weights = distributions(101, 7)
        header, *lines = printed(self.transposed(weights, queries, keys, top=3), width).splitlines()
        assert header.split() == ["looked", "at", "by"]
        assert len(lines) == 7
        for key, line in enumerate(lines):
            assert line.startswith(f" {key} k{key} ")
            best = np.argsort(-weights[:, key], kind="stable")[:3]
            shown = [piece for query in best for piece in (f"q{query}", decimals(weights[query, key]))]
            assert line.split() == [str(key), f"k{key}", *shown]

    @pytest.mark.parametrize("names", [SENTENCE, WIDE, SENTENCE * 4, ["a" * 50, "b", "[SEP]"]])
    @pytest.mark.parametrize("width", WIDTHS)
    def test_no_line_is_too_wide_at_any_width(self, names: list[str], width: int) -> None:
        held = tokens(names)
        weights = distributions(len(names), len(names))
        assert widest(printed(self.transposed(weights, held, held), width)) <= width


class TestWhatADecoderPredicts:
    HELD = tokens(["<s>", "die", "Katze"])
    READ = (replace(HELD[0], predicts="die"), replace(HELD[1], predicts="Katze"), HELD[2])
    WEIGHTS = np.array([[1, 0, 0], [0.25, 0.75, 0], [0.1, 0.2, 0.7]], np.float32)

    @pytest.mark.parametrize("keys", [HELD, READ], ids=["another sequence", "the same tokens"])
    def test_it_goes_with_the_queries_where_they_go_down(self, keys: tuple[Token, ...]) -> None:
        lines = printed(Matrix(self.WEIGHTS, self.READ, keys, 5), 80).splitlines()
        assert [line.rstrip() for line in lines] == [
            "               <s> die Katze",
            " 0 <s> → die   1.0   ·     ·",
            " 1 die → Katze .25 .75     ·",
            " 2 Katze       .10 .20   .70",
        ]

    @pytest.mark.parametrize("keys", [HELD, READ], ids=["another sequence", "the same tokens"])
    def test_it_goes_with_the_queries_where_they_go_across(self, keys: tuple[Token, ...]) -> None:
        lines = printed(Matrix(self.WEIGHTS, self.READ, keys, 5, Orientation.KEYS_DOWN), 80).splitlines()
        assert [line.rstrip() for line in lines] == [
            "         <s> → die die → Katze Katze",
            " 0 <s>         1.0         .25   .10",
            " 1 die           ·         .75   .20",
            " 2 Katze         ·           ·   .70",
        ]

    def test_it_stands_in_lines_of_its_own_where_names_are_broken(self) -> None:
        lines = printed(Matrix(self.WEIGHTS, self.READ, self.READ, 5, Orientation.KEYS_DOWN), 26).splitlines()
        assert [line.rstrip() for line in lines[:3]] == [
            "                die",
            "           <s> → Ka",
            "         → die  tze Katze",
        ]

    def test_it_goes_with_the_queries_that_look_at_a_key_most(self) -> None:
        queries = tuple(replace(token, predicts="x") for token in tokens([f"q{i}" for i in range(101)]))
        weights = distributions(101, 7)
        matrix = Matrix(weights, queries, tokens("abcdefg"), 1, Orientation.KEYS_DOWN)
        for key, line in enumerate(printed(matrix, 60).splitlines()[1:]):
            assert f"  q{weights[:, key].argmax()} → x " in line


class TestWordInHeads:
    def test_each_head_says_what_the_word_looks_at_and_who_looks_at_it(self) -> None:
        weights = np.zeros((1, 2, 3, 3), np.float32)
        weights[0, 0] = [[0, 1, 0], [0.25, 0, 0.75], [0, 0.6, 0.4]]
        weights[0, 1] = np.eye(3)
        attention = record(names=["the", "cat", "sat"], weights=weights).select((0,), (1, 0))
        lines = word_table(attention, Word("cat", (1,), (1,)), 2, 80).splitlines()
        assert [line.split() for line in lines] == [
            ["head", "looks", "at", "looked", "at", "by"],
            ["L0", "H1", "cat", "1.0", "cat", "1.0"],
            ["L0", "H0", "sat", ".75", "the", ".25", "the", "1.0", "sat", ".60"],
        ]

    def test_pieces_of_a_word_are_averaged_as_query_and_summed_as_key(self) -> None:
        weights = np.array([[0.4, 0.2, 0.4], [0.2, 0.2, 0.6], [0.3, 0.5, 0.2]], np.float32)
        attention = record(names=["un", "seen", "it"], weights=weights)
        line = word_table(attention, Word("unseen", (0, 1), (0, 1)), 1, 80).splitlines()[1]
        assert line.split() == ["L0", "H0", "it", ".50", "it", ".80"]

    @pytest.mark.parametrize("width", WIDTHS)
    def test_at_every_width_each_head_says_something_and_nothing_is_cut(self, width: int) -> None:
        attention = record(layers=3, heads=5, names=SENTENCE)
        out = word_table(attention, Word("it", (8,), (8,)), 5, width)
        assert widest(out) <= width
        rows = [line.split() for line in out.splitlines() if line.startswith("L")]
        assert len(rows) >= 15
        for _, _, *pieces in rows:
            assert any(map(is_weight, pieces))
            assert all(is_weight(piece) for piece in pieces if piece[0] in ".0123456789")

    def test_in_cross_attention_nobody_looks_at_a_query(self) -> None:
        attention = record(Kind.CROSS, layers=1, heads=1, names=["un", "seen", "it"])
        (word,) = attention.words("seen")[:1]
        assert "looked at by" not in word_table(attention, word, 1, 80)

    def test_in_cross_attention_a_key_looks_at_nothing(self) -> None:
        attention = record(Kind.CROSS, layers=1, heads=1, names=["un", "seen", "it"])
        out = word_table(attention, attention.words("seen")[1], 1, 80)
        assert "looked at by" in out
        assert "looks at" not in out

    def test_wide_characters_keep_columns_aligned(self) -> None:
        out = word_table(record(layers=2, heads=3, names=WIDE), Word(WIDE[1], (1,), (1,)), 2, 80)
        starts = {cell_len(line) for line in out.splitlines()}
        assert len(starts) == 1


class TestInWords:
    def test_what_ran_is_one_line(self) -> None:
        attention = record(layers=2, heads=3, names=SENTENCE, notes=("a note",))
        said = summary(attention).plain
        assert said == "some/model · encoder · 2 layers × 3 heads · 13 tokens · reference engine · a note"

    def test_groups_are_counted_as_what_they_are(self) -> None:
        assert "· 11 words and 2 special tokens ·" in summary(replace(MADE, by=By.WORD)).plain

    def test_what_computed_it_is_said_and_in_which_numbers_unless_they_are_the_usual(self) -> None:
        made = replace(MADE, engine=Engine.TRANSFORMERS, precision="bfloat16")
        assert "13 tokens · transformers engine · bfloat16" in summary(made).plain

    def test_rows_that_sum_to_less_than_1_are_owned_up_to(self) -> None:
        assert "sink" not in summary(MADE).plain
        assert "the weights of a query may sum to less than 1" in summary(replace(MADE, sink=True)).plain

    def test_a_count_of_one_is_singular(self) -> None:
        assert "1 layer × 1 head · 1 token" in summary(record(layers=1, heads=1, names=["the"])).plain

    def test_queries_that_are_not_the_keys_are_counted_apart(self) -> None:
        assert "2 × 13 tokens" in summary(MADE.rows([1, 2])).plain

    def test_an_average_counts_no_heads(self) -> None:
        said = summary(MADE.mean()).plain
        assert "1 layer" not in said
        assert "mean over layers 0-1, heads 0-2" in said

    def test_a_head_is_named_with_the_link_that_it_was_chosen_for(self) -> None:
        query, key = Token("it", 8, (0, 2)), Token("animal", 2, (4, 10))
        title = head_title(3, 5, Link(3, 5, query, key, 0.934)).plain
        assert title == "Layer 3 head 5, the most telling: it → animal 0.93"
        assert head_title(AVERAGE, AVERAGE).plain == "Average"

    def test_the_axes_are_named_with_what_sums_to_1(self) -> None:
        made = record(layers=1, heads=1, names=SENTENCE)
        said = [describe_axes(a, way) for a in (made, replace(made, sink=True)) for way in Orientation]
        assert said == [
            "queries down, keys across; rows sum to 1",
            "keys down, queries across; columns sum to 1",
            "queries down, keys across; rows sum to at most 1",
            "keys down, queries across; columns sum to at most 1",
        ]

    def test_links_are_lines_of_words(self) -> None:
        a, b = Token("it", 8, (0, 2)), Token("[b]", 2, (4, 10))
        assert [
            line.plain
            for line in links_in_words(StrongestLinks([Link(0, 1, a, b, 0.5), Link(0, 1, b, a, 0.123)], "word", False))
        ][1:] == [
            "  it → [b] 0.50",
            "  [b] → it 0.12",
        ]

    def test_a_word_is_named_with_its_place(self) -> None:
        attention = record(layers=1, heads=1, names=["[CLS]", "un", "seen", "it"])
        assert word_title(Word("unseen", (1, 2), (1, 2)), attention).plain == "unseen (tokens 1-2)"
        assert word_title(Word("it", (), (3,)), attention).plain == "it (token 3)"


@pytest.mark.parametrize(
    ("weight", "shown"), [(1, "1.0"), (0.996, "1.0"), (0.994, ".99"), (0.5, ".50"), (0.006, ".01"), (0.994999, ".99")]
)
def test_a_weight_takes_three_columns(weight: float, shown: str) -> None:
    assert decimals(weight) == shown


@pytest.mark.parametrize("width", range(1, 9))
@pytest.mark.parametrize("text", ["abcdefgh", "\u65e5\u672c\u8a9e\u65e5", "a\u65e5b\u672c", "e\u0301" * 8, "a  b   c"])
def test_a_shortened_text_fits_and_says_that_it_is_cut(text: str, width: int) -> None:
    short = shortened(text, width)
    assert cell_len(short) <= width
    assert (short == text) == (cell_len(text) <= width)
    if short != text:
        assert short.endswith("…")
        assert text.startswith(short[:-1].rstrip())
