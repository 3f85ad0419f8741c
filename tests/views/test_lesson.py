import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.testing import assert_array_equal
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment

from attnviz.lessons import Axis, Lesson, Quantity, Step, encode_lesson
from attnviz.views.terminal.lesson import LessonSteps
from tests import terminal
from tests.terminal import without_styles

KEYS, DIMENSIONS, HEADS, PARTS, TOP_KEYS, TILES = (
    Axis.KEYS,
    Axis.DIMENSIONS,
    Axis.HEADS,
    Axis.PARTS,
    Axis.TOP_KEYS,
    Axis.TILES,
)
WIDTHS = 30, 60, 80, 200
PIPE = 1_000_000
RISING = "▁▂▃▄▅▆▇"
HUES = {"#e17129": 1, "#4a92e6": -1}
HOSTILE = "\x1b[31m[bold]x[/bold]\n\x9b2J"


def lesson(*quantities: Quantity, keys: Sequence[str] = ("[CLS]", "animal", "it"), **changes: Any) -> Lesson:
    named: dict[str, Any] = {
        "subject": "some/model",
        "query": "it",
        "position": 2,
        "keys": tuple(keys),
        "steps": (Step("A title", "f(x)", "A reason.", quantities),),
    }
    return Lesson(**named | changes)


def printed(shown: Lesson, width: int = 60, about: dict[str, Any] | None = None, **options: Any) -> str:
    return terminal.printed(LessonSteps(shown, about or {}), width, **options)


def block(shown: Lesson, width: int = 60) -> list[str]:
    """What stands below the reason of a lesson's only step, without its margin."""
    lines = printed(shown, width).splitlines()
    return [line[4:] for line in lines[lines.index("    A reason.") + 2 :]]


def coloured(shown: Lesson, width: int = 60) -> list[list[Segment]]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system="truecolor", _environ={})
    return console.render_lines(LessonSteps(shown), pad=False)


def heights(line: Iterable[Segment]) -> list[int]:
    """The signed heights of the characters of a bar, in eighths of a line."""
    found = []
    for text, style, _ in line:
        if style and style.color and style.color.name in HUES:
            sign = HUES[style.color.name]
            assert bool(style.reverse) == (sign < 0)
            found += [sign * (RISING.index(char) + 1 if sign > 0 else 7 - RISING.index(char)) for char in text]
        elif style and style.dim and text == "·":
            found.append(0)
    return found


def vector(values: Any, name: str = "vector") -> Quantity:
    return Quantity(name, "a vector", np.asarray(values, float), (DIMENSIONS,))


class TestPage:
    LESSON = lesson(
        notes=("A note.",),
        steps=(
            Step(
                "Its query",
                "q = W_Q x",
                "The query is what this token is looking for, like the words that you type into a search box.",
                (
                    Quantity("query", "the query of head 1", np.float32([1, -2, 0.03, -0.5, 0.75]), (DIMENSIONS,)),
                    Quantity(
                        "keys",
                        "the key of every token",
                        np.array([[0.5, 0, -4], [1, 2, 3.5], [-0.25, -3, 0.07]]),
                        (KEYS, DIMENSIONS),
                    ),
                ),
            ),
            Step(
                "Softmax",
                "w_j = exp(s_j) / Σ_k exp(s_k)",
                "Shares of a whole.",
                (
                    Quantity("allowed", "may be seen", np.array([True, True, False]), (KEYS,)),
                    Quantity("scores", "score", np.array([-1.5, 12.25, -np.inf]), (KEYS,)),
                    Quantity("weights", "weight", np.array([0.25, 0.75, 0.0]), (KEYS,)),
                    Quantity("sum", "their sum", np.float64(1)),
                    Quantity(
                        "count", "how many tokens there are in all of the texts that were read so far", np.int64(1234)
                    ),
                ),
            ),
            Step(
                "Others",
                "w'",
                "Side by side.",
                (
                    Quantity(
                        "by_score",
                        "weights under each function",
                        np.array([[0.25, 0.75, 0.0], [0.5, 0.5, 0]]),
                        (PARTS, KEYS),
                        ("dot", "cosine"),
                    ),
                    Quantity("lengths", "how long what each head adds is", np.array([7.25, 0.5]), (HEADS,)),
                ),
            ),
        ),
    )
    ABOUT = {"text": "the animal it", "model": "some/model", "kind": "encoder", "layer": 3, "head": 1}  # noqa: RUF012

    def test_without_colour_a_lesson_reads_like_this(self) -> None:
        assert printed(self.LESSON, 60, self.ABOUT) == (
            "some/model · encoder · layer 3 · head 1\n"
            "the animal it\n"
            "The query is token 2, it. This token looks at the others.\n"
            "Tokens, heads and layers are counted from 0.\n"
            "A vector is a row of signs, one for each number: +╋ above\n"
            "zero, -━ below zero, · near zero. Taller or heavier signs\n"
            "are larger numbers; ± gives the largest.\n"
            "A note.\n"
            "\n"
            " 1. Its query\n"
            "    q = W_Q x\n"
            "    The query is what this token is looking for, like the\n"
            "    words that you type into a search box.\n"
            "\n"
            "    the query of head 1  ±2.00\n"
            "      +━·-+   1.00  −2.00   0.03  −0.50   0.75\n"
            "\n"
            "    the key of every token  ±4.00\n"
            "      0 [CLS]   +·━   0.50   0.00  −4.00\n"
            "      1 animal  ++╋   1.00   2.00   3.50\n"
            "      2 it      -━·  −0.25  −3.00   0.07\n"
            "\n"
            " 2. Softmax\n"
            "    w_j = exp(s_j) / Σ_k exp(s_k)\n"
            "    Shares of a whole.\n"
            "\n"
            "                may be seen  score  weight\n"
            "      0 [CLS]           yes  −1.50     .25\n"
            "      1 animal          yes  12.25     .75\n"
            "      2 it           hidden     −∞       ·\n"
            "\n"
            "     1.00  their sum\n"
            "    1,234  how many tokens there are in all of the texts\n"
            "           that were read so far\n"
            "\n"
            " 3. Others\n"
            "    w'\n"
            "    Side by side.\n"
            "\n"
            "    weights under each function\n"
            "                 dot  cosine\n"
            "      0 [CLS]    .25     .50\n"
            "      1 animal   .75     .50\n"
            "      2 it         ·       ·\n"
            "\n"
            "    how long what each head adds is\n"
            "      head 0  7.25\n"
            "      head 1  0.50\n"
        )

    def test_the_next_token_of_a_target_is_not_said_to_be_what_the_model_predicts(self) -> None:
        out = printed(lesson(query="la", predicts="voiture"))
        assert "The query is token 2, la, in the target, where voiture comes next." in " ".join(out.split())

    def test_with_colour_it_has_the_same_numbers_in_the_same_places(self) -> None:
        bars = re.compile(f"[·+╋━▔▀{RISING}-]")
        plain = printed(self.LESSON, 60, self.ABOUT)
        styled = printed(self.LESSON, 60, self.ABOUT, force_terminal=True, color_system="truecolor", _environ={})
        assert "\x1b[" in styled
        assert bars.sub("#", without_styles(styled)) == bars.sub("#", plain)

    @pytest.mark.parametrize("options", [{"no_color": True, "force_terminal": True}, {"color_system": None}])
    def test_a_console_without_colour_gets_signs_that_do_without(self, options: dict[str, Any]) -> None:
        out = printed(self.LESSON, **{"_environ": {}} | options)
        assert "+━·-+" in without_styles(out)
        assert not re.search(r"\x1b\[([\d;]+;)?(7|[349][0-8])\b", out)  # neither reversed nor in a colour

    def test_an_encoding_without_block_characters_gets_plus_and_minus(self) -> None:
        file = io.TextIOWrapper(io.BytesIO(), "ascii", errors="replace")
        Console(file=file, width=60, force_terminal=False).print(LessonSteps(lesson(vector([1, -2, 0, 0.5]))))
        file.seek(0)
        assert "+-?+" in file.read()

    def test_what_is_piped_is_neither_cut_nor_padded(self) -> None:
        wide, long = np.linspace(-1, 1, 101), "word " * 20
        out = printed(lesson(vector(wide), Quantity("n", long, np.array([1.5, 2.5]), (HEADS,))), PIPE, {"text": long})
        assert not [line for line in out.splitlines() if line != line.rstrip()]
        assert max(map(len, re.findall(r"[·━+╋-]+", out))) == 101
        assert "first" not in out

    def test_prose_has_lines_of_at_most_90_columns(self) -> None:
        steps = (Step("title " * 30, "a + b + " * 30, "reason " * 60, ()),)
        out = printed(lesson(steps=steps, subject="model " * 30, notes=("note " * 60,)), 200, {"text": "text " * 60})
        assert 80 <= max(map(len, out.splitlines())) <= 90
        assert out.count("reason") == 60

    @pytest.mark.parametrize("width", WIDTHS)
    @pytest.mark.parametrize("count", [1, 7, 31])
    def test_nothing_is_wider_than_the_console_and_no_number_is_broken(self, width: int, count: int) -> None:
        rng = np.random.default_rng(2)
        names = ["[CLS]", "日本語", "cafe\u0301", "😀", "a-very-long-token-that-goes-on-and-on-and-on", HOSTILE]
        many = lesson(
            Quantity("scores", "a long name of a score", rng.normal(0, 50, count), (KEYS,)),
            Quantity("weights", "weight", rng.dirichlet(np.ones(count)), (KEYS,)),
            Quantity("keys", "key", rng.normal(0, 50, (count, 97)), (KEYS, DIMENSIONS)),
            Quantity("matrix", "matrix", rng.normal(0, 50, (count, count)), (KEYS, KEYS)),
            Quantity("parts", "parts", rng.normal(0, 50, (5, count)), (PARTS, KEYS), tuple(names[:5])),
            Quantity("fact", "so much", np.array(123.456)),
            keys=[names[i % len(names)] for i in range(count)],
        )
        lines = printed(many, width).splitlines()
        assert max(map(cell_len, lines)) <= width
        written = re.findall(r"(?<!\S)−?\d+\.\d*", "\n".join(lines[lines.index("    A reason.") :]))
        assert len(written) > count
        assert all(re.fullmatch(r"−?\d+\.\d\d|1\.0", number) for number in written)

    def test_no_markup_or_escape_code_in_names_or_words_is_obeyed(self) -> None:
        steps = (
            Step(
                HOSTILE,
                HOSTILE,
                HOSTILE,
                (
                    Quantity("a", HOSTILE, np.ones(2), (PARTS,), (HOSTILE, HOSTILE)),
                    Quantity("b", HOSTILE, np.ones((2, 3)), (PARTS, KEYS), (HOSTILE, HOSTILE)),
                    Quantity("c", HOSTILE, np.ones(3), (DIMENSIONS,)),
                    Quantity("d", HOSTILE, np.array(1.0)),
                ),
            ),
        )
        hostile = lesson(subject=HOSTILE, query=HOSTILE, notes=(HOSTILE,), keys=(HOSTILE,) * 3, steps=steps)
        out = printed(hostile, 200, {"text": HOSTILE, "kind": HOSTILE})
        assert not set(out) & {"\x1b", "\x9b"}
        assert out.count("␛[31m[bold]x[/bold]⏎<U+009B>2J") == 16


class TestVectors:
    @given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40))
    def test_a_bar_has_the_sign_of_its_number_and_is_as_high_as_its_share_of_the_largest(
        self, values: list[float]
    ) -> None:
        drawn = heights(coloured(lesson(vector(values)), 200)[-1])
        full = max(map(abs, values))
        assert len(drawn) == len(values)
        for height, value in zip(drawn, values, strict=True):
            if abs(value) < 0.02 * full or not full:
                assert height == 0
            else:
                assert np.sign(height) == np.sign(value)
                assert abs(height) - 1 < abs(value) / full * 7 + 1e-9
                assert abs(value) / full * 7 < abs(height) + 1e-9

    def test_without_colour_there_are_two_heights_above_and_two_below(self) -> None:
        assert block(lesson(vector([4, 2.1, 1.9, 0.07, 0, -0.07, -1.9, -2.1, -4])))[1].split()[0] == "╋╋+···-━━"

    def test_all_bars_of_a_quantity_have_one_scale_which_is_said_once(self) -> None:
        values = np.array([[7.0, -1, 3], [0.5, 0.1, -0.5]])
        shown = lesson(Quantity("heads", "z", values, (HEADS, DIMENSIONS)), vector([0.5, -0.5]))
        lines = coloured(shown)
        assert [heights(line) for line in lines[-5:]] == [[7, -1, 3], [1, 0, -1], [], [], [7, -7]]
        assert printed(shown).count("±") == 3  # the first is the legend's
        assert block(shown)[0] == "z  ±7.00"

    @pytest.mark.parametrize("width", WIDTHS)
    def test_of_a_wide_vector_the_first_numbers_are_drawn_and_the_words_say_how_many(self, width: int) -> None:
        values = np.where(np.arange(769) % 3, 1.0, -1.0)
        *caption, bar = block(lesson(vector(values)), width)
        drawn, *numbers = bar.split()
        assert drawn == ("━╋╋" * 257)[: len(drawn)]
        assert width // 3 < len(drawn) <= 128
        assert " ".join(caption).split() == ["a", "vector", "±1.00,", "first", f"{len(drawn)}", "of", "769"]
        assert numbers[:-1] == ["−1.00", "1.00", "1.00", "−1.00", "1.00"][: len(numbers) - 1]

    @pytest.mark.parametrize(("dimensions", "count"), [(2, 2), (5, 5), (7, 7), (8, 5), (29, 3), (97, 3)])
    def test_a_bar_is_followed_by_all_numbers_or_else_by_three_to_five_as_there_is_room(
        self, dimensions: int, count: int
    ) -> None:
        values = np.linspace(1, 2, dimensions)
        _, bar = block(lesson(vector(values)))
        assert bar.split()[1:] == [f"{value:.2f}" for value in values[:count]] + ["…"] * (dimensions > count)

    @pytest.mark.parametrize("width", WIDTHS)
    def test_where_numbers_that_a_reader_needs_do_not_fit_it_is_said_how_to_get_them(self, width: int) -> None:
        numbers = np.linspace(1, 2, 16)
        for name, whole in (("needed", True), ("other", False)):
            shown = lesson(replace(vector(numbers, name), whole=whole))
            out = terminal.printed(LessonSteps(shown, {}, "ask {} of me"), width)
            written = len(re.findall(r"\d\.\d\d", out)) - out.count("±2.00")
            assert (written == 16) == (width == 200)
            assert ("all 16 numbers: ask needed of me" in " ".join(out.split())) == (whole and width < 200)
            assert "all 16 numbers" not in printed(shown, width)  # nobody said how

    def test_the_signs_are_explained_only_where_there_are_some(self) -> None:
        legend = "A vector is a row of signs"
        weights = Quantity("weights", "weight", np.array([0.25, 0.75, 0]), (KEYS,))
        assert legend in printed(lesson(weights, vector([1, 2])))
        for nothing in (weights, replace(vector([1, 2]), shown=False)):
            assert legend not in printed(lesson(nothing))

    def test_rows_are_named_by_token_by_head_or_by_the_quantity(self) -> None:
        for axis, rows, labels in (
            (KEYS, (), ["0 [CLS]", "1 animal", "2 it"]),
            (HEADS, (), ["head 0", "head 1", "head 2"]),
            (TILES, (), ["tile 0", "tile 1", "tile 2"]),
            (TOP_KEYS, ("x", "y", "z"), ["x", "y", "z"]),
            (PARTS, ("x", "y", "z"), ["x", "y", "z"]),
            (TILES, ("after 2", "after 4", "after 5"), ["after 2", "after 4", "after 5"]),
        ):
            lines = block(lesson(Quantity("q", "words", np.ones((3, 5)), (axis, DIMENSIONS), rows)))
            assert [line.split("╋")[0].strip() for line in lines[1:]] == labels

    def test_where_not_even_one_number_fits_the_line_says_that_it_is_cut(self) -> None:
        lines = printed(lesson(Quantity("q", "score", np.array([123.45, 2, 3]), (KEYS,))), 15).splitlines()
        assert any(line.endswith(" 123…") for line in lines)

    def test_numbers_that_are_not_finite_leave_the_scale_to_the_others(self) -> None:
        caption, bar = block(lesson(vector([np.nan, np.inf, -np.inf, 3, 1])))
        assert caption == "a vector  ±3.00"
        assert bar.split() == ["·╋━╋+", "nan", "∞", "−∞", "3.00", "1.00"]

    def test_small_numbers_get_the_decimals_that_they_need(self) -> None:
        assert block(lesson(vector([0.0123, -0.5e-3])))[1].split()[1:] == ["0.012", "−0.001"]
        assert block(lesson(vector([2e-9, -1e-9])))[1].split()[1:] == ["2.0e−09", "−1.0e−09"]
        assert block(lesson(vector([7, -0.001])))[1].split()[1:] == ["7.00", "0.00"]

    def test_three_axes_are_a_block_for_each_entry_of_the_first(self) -> None:
        values = np.arange(30.0).reshape(2, 3, 5)
        lines = block(lesson(Quantity("q", "keys", values, (HEADS, KEYS, DIMENSIONS))))
        assert [line for line in lines if "±" in line] == ["keys, head 0  ±14.00", "keys, head 1  ±29.00"]
        assert sum("1 animal" in line for line in lines) == 2


class TestColumns:
    def test_only_weights_are_shaded_and_each_by_its_size(self) -> None:
        shown = lesson(
            Quantity("scores", "score", np.array([0.9, 0.7, 0.1]), (KEYS,)),
            Quantity("weights", "weight", np.array([0.9, 0.07, 0.03]), (KEYS,)),
        )
        cells = [segment for line in coloured(shown) for segment in line if segment.style and segment.style.bgcolor]
        assert [cell.text for cell in cells] == [" .90"]
        assert block(shown)[1].split() == ["0", "[CLS]", "0.90", ".90"]

    def test_numbers_that_are_to_be_exact_have_as_many_decimals_as_that_and_are_not_written_as_weights(self) -> None:
        shares = np.array([1, 0.00042, 0.0])
        shown = lesson(
            Quantity("e", "exp", shares, (KEYS,), decimals=4),
            Quantity("w", "weight", shares, (KEYS,)),
            Quantity("sum", "their sum", shares.sum(), decimals=4),
        )
        assert [line.split()[2:] for line in block(shown)[1:4]] == [["1.0000", "1.0"], ["0.0004", "·"], ["0.0000", "·"]]
        assert block(shown)[-1] == "1.0004  their sum"

    def test_weights_that_some_were_taken_from_are_written_like_those_beside_them(self) -> None:
        weights = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0]])
        shown = lesson(Quantity("q", "words", weights, (PARTS, KEYS), ("with", "zeroed after")))
        assert [line.split()[2:] for line in block(shown)[2:]] == [[".50", ".50"], [".30", ".30"], [".20", "·"]]

    def test_what_is_no_number_is_a_dash_beside_the_others(self) -> None:
        shown = lesson(Quantity("q", "entropy", np.array([0.5, np.nan]), (PARTS,), ("with", "zeroed after")))
        assert [line.split()[-1] for line in block(shown)[1:]] == ["0.50", "–"]

    def test_rows_of_weights_under_each_other_become_shaded_columns(self) -> None:
        weights = np.array([[0.9, 0.1, 0], [0.2, 0.2, 0.6]])
        shown = lesson(Quantity("q", "words", weights, (PARTS, KEYS), ("dot", "cosine")))
        assert [line.split() for line in block(shown)[1:]] == [
            ["dot", "cosine"],
            ["0", "[CLS]", ".90", ".20"],
            ["1", "animal", ".10", ".20"],
            ["2", "it", "·", ".60"],
        ]

    def test_between_tokens_rows_are_queries(self) -> None:
        products = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
        lines = block(lesson(Quantity("q", "products", products, (KEYS, KEYS))))
        assert [line.split() for line in lines[1:]] == [
            ["[CLS]", "animal", "it"],
            ["0", "[CLS]", "1", "2", "3"],
            ["1", "animal", "4", "5", "6"],
            ["2", "it", "7", "8", "9"],
        ]

    def test_axes_that_have_no_form_of_their_own_are_a_small_table(self) -> None:
        lines = block(lesson(Quantity("q", "running", np.array([[1.5, 2], [3, 4], [5, 6]]), (TILES, PARTS))))
        assert [line.split() for line in lines] == [
            ["running"],
            ["0", "1"],
            ["tile", "0", "1.50", "2.00"],
            ["tile", "1", "3.00", "4.00"],
            ["tile", "2", "5.00", "6.00"],
        ]

    def test_numbers_for_the_same_rows_stand_beside_each_other_and_for_others_apart(self) -> None:
        shown = lesson(
            Quantity("a", "maximum", np.array([1.5, 2]), (TILES,), ("after 2", "after 3")),
            Quantity("b", "length", np.array([7.5]), (HEADS,)),
            Quantity("c", "sum", np.array([3.5, 4]), (TILES,), ("after 2", "after 3")),
            Quantity("d", "entropy", np.array([0.5, 1]), (PARTS,), ("dot", "cosine")),
            Quantity("e", "length", np.array([0.5]), (TILES,)),
            Quantity("f", "width", np.array([0.5, 1]), (TILES,)),
        )
        assert block(shown) == [
            "           maximum   sum",
            "  after 2     1.50  3.50",
            "  after 3     2.00  4.00",
            "",
            "length",
            "  head 0  7.50",
            "",
            "entropy",
            "  dot     0.50",
            "  cosine  1.00",
            "",
            "length",
            "  tile 0  0.50",
            "",
            "width",
            "  tile 0  0.50",
            "  tile 1  1.00",
        ]

    def test_columns_that_do_not_fit_go_on_below_with_the_names_of_their_rows(self) -> None:
        values = np.arange(1, 22).reshape(7, 3)
        lines = block(lesson(Quantity("q", "words", values, (HEADS, KEYS))), 60)
        found = [line.split() for line in lines[1:] if line]
        assert [row for row in found if row[0] == "head"] == [
            ["head", "0", "head", "1", "head", "2", "head", "3", "head", "4"],
            ["head", "5", "head", "6"],
        ]
        assert [row for row in found if "animal" in row] == [
            ["1", "animal", "2", "5", "8", "11", "14"],
            ["1", "animal", "17", "20"],
        ]

    @pytest.mark.parametrize(
        ("value", "written"),
        [
            (np.float64(1), "1.00"),
            (np.float32(-0.001), "−0.0010"),
            (np.array(-1e-17), "−1.0e−17"),
            (np.float64(0), "0.00"),
            (np.float64(-np.inf), "−∞"),
            (np.int64(57982058496), "57,982,058,496"),
            (np.bool_(True), "yes"),
            (np.array(False), "no"),
        ],
    )
    def test_a_fact_is_a_number_and_words(self, value: Any, written: str) -> None:
        assert block(lesson(Quantity("fact", "so much", value))) == [f"{written}  so much"]


class TestMatrices:
    def lines(self, rows: int, columns: int, width: int = 60) -> list[str]:
        values = np.arange(rows * columns, dtype=float).reshape(rows, columns)
        return block(lesson(Quantity("w", "W", values, (Axis.OUTPUTS, Axis.INPUTS))), width)

    def test_a_small_one_is_shown_whole(self) -> None:
        assert self.lines(2, 3) == ["W  2 × 3", "  0.00  1.00  2.00", "  3.00  4.00  5.00"]
        assert "…" not in "".join(self.lines(8, 5))

    def test_of_a_large_one_the_shape_and_the_first_numbers_are_shown(self) -> None:
        lines = self.lines(11, 1300)
        assert lines[0] == "W  11 × 1,300, first 3 × 5"
        assert lines[1].split() == ["0.00", "1.00", "2.00", "3.00", "4.00", "…"]
        assert len(lines) == 4
        assert self.lines(8, 8, 40)[0] == "W  8 × 8, first 8 × 4"

    @pytest.mark.parametrize("width", WIDTHS)
    @pytest.mark.parametrize("shape", [(1, 1), (7, 8), (8, 8), (2, 9), (300, 2)])
    def test_no_number_is_broken(self, shape: tuple[int, int], width: int) -> None:
        lines = self.lines(*shape, width)
        assert max(map(cell_len, lines)) <= width - 4
        numbers = [number for line in lines[1:] for number in line.replace("…", "").split()]
        assert {*numbers} <= {f"{value}.00" for value in range(math.prod(shape))}

    def test_rows_of_queries_stay_rows(self) -> None:
        weights = np.array([[0.25, 0.75, 0], [1, 0, 0]])
        lines = block(lesson(Quantity("a", "A", weights, (Axis.QUERIES, KEYS), ("0", "1, this one"))))
        assert [line.split()[0] for line in lines[1:]] == ["[CLS]", "0", "1,"]


class TestManyTokens:
    NAMES = tuple(f"token{i}" for i in range(29))
    WEIGHTS = np.random.default_rng(7).dirichlet(np.full(29, 0.5))

    def lines(self, *quantities: Quantity) -> list[str]:
        return block(lesson(*quantities, keys=self.NAMES), 80)

    def shown(self, lines: Iterable[str]) -> list[int]:
        return [self.NAMES.index(piece) for line in lines for piece in line.split() if piece in self.NAMES]

    def test_all_steps_show_those_of_the_largest_weight_in_the_order_of_the_text(self) -> None:
        weights = Quantity("weights", "weight", self.WEIGHTS, (KEYS,))
        others = Quantity("others", "weight", self.WEIGHTS[::-1], (KEYS,))
        keys = Quantity("keys", "key", np.ones((29, 3)), (KEYS, DIMENSIONS))
        scores = Quantity("scores", "score", np.ones((2, 29)), (PARTS, KEYS))
        strongest = sorted(sorted(range(29), key=lambda i: -self.WEIGHTS[i])[:12])
        lines = self.lines(keys, weights, others, scores)
        assert self.shown(lines) == strongest * 3
        assert lines.count("  … 17 more") == 3

    def test_weights_are_shaded_though_those_that_are_shown_do_not_sum_to_1(self) -> None:
        shown = lesson(Quantity("weights", "weight", np.full(29, 1 / 29), (KEYS,)), keys=self.NAMES)
        assert sum(" .03" in line for line in block(shown)) == 12

    def test_without_weights_they_are_the_first_and_the_last(self) -> None:
        lines = self.lines(Quantity("scores", "score", np.ones(29), (KEYS,)))
        assert self.shown(lines) == [*range(6), *range(23, 29)]

    def test_up_to_24_are_all_shown(self) -> None:
        held = lesson(Quantity("scores", "score", np.ones(24), (KEYS,)), keys=self.NAMES[:24])
        assert self.shown(block(held)) == list(range(24))

    def test_the_opening_says_that_some_are_left_out(self) -> None:
        left_out = " ".join(printed(lesson(vector([1]), keys=self.NAMES)).split())
        assert "12 of its 29 keys are shown, which are the tokens that it looks at." in left_out
        assert "are shown here" not in printed(lesson(vector([1])))


class TestJson:
    def parsed(self, *quantities: Quantity, **head: Any) -> dict[str, Any]:
        line = encode_lesson(lesson(*quantities, notes=("a note",)), head)
        assert line.count(b"\n") == 1
        assert line.endswith(b"\n")
        fields: dict[str, Any] = json.loads(line, parse_constant=pytest.fail)
        return fields

    def test_it_says_all_that_the_lesson_does(self) -> None:
        rows = Quantity("parts", "some parts", np.array([1, 2]), (PARTS,), ("x", "y"))
        assert self.parsed(rows, vector([1, 0.5]), text="a text", layer=3) == {
            "text": "a text",
            "layer": 3,
            "query": {"token": "it", "position": 2, "predicts": None},
            "key_tokens": ["[CLS]", "animal", "it"],
            "notes": ["a note"],
            "steps": [
                {
                    "number": 1,
                    "title": "A title",
                    "formula": "f(x)",
                    "why": "A reason.",
                    "arrays": ["parts", "vector"],
                }
            ],
            "arrays": {
                "parts": {"words": "some parts", "axes": ["parts"], "shape": [2], "rows": ["x", "y"], "values": [1, 2]},
                "vector": {"words": "a vector", "axes": ["dimensions"], "shape": [2], "values": [1.0, 0.5]},
            },
        }

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_arrays_come_back_as_they_were(self, dtype: type) -> None:
        values = np.random.default_rng(3).normal(size=(5, 3, 7)).astype(dtype)
        for array in (values, values.transpose(2, 0, 1), values[::2]):
            fields = self.parsed(Quantity("q", "words", array, (HEADS, KEYS, DIMENSIONS)))["arrays"]["q"]
            assert fields["axes"] == ["heads", "keys", "dimensions"]
            assert fields["shape"] == list(array.shape)
            assert_array_equal(np.array(fields["values"], dtype), array)

    @pytest.mark.parametrize(
        ("value", "written"),
        [
            (np.array(0.1, np.float32), 0.1),
            (np.float64(0.25), 0.25),
            (np.int64(7), 7),
            (np.array(True), True),
            (np.array(-np.inf), None),
            (np.array([-np.inf, 1, np.nan]), [None, 1.0, None]),
            (np.array([True, False, True]), [True, False, True]),
        ],
    )
    def test_what_is_no_list_of_numbers_is_written_too(self, value: Any, written: Any) -> None:
        axes = (KEYS,) * np.ndim(value)
        assert self.parsed(Quantity("q", "words", value, axes))["arrays"]["q"]["values"] == written

    def test_no_control_character_is_left_as_it_is(self) -> None:
        line = encode_lesson(lesson(keys=(HOSTILE,)), {"text": HOSTILE})
        assert not [char for char in line.decode() if not char.isprintable() and char != "\n"]
        assert json.loads(line)["key_tokens"] == [HOSTILE]
