import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.text import Text

import attnviz
from attnviz.records import Attention
from tests.terminal import DENSITIES, rows_of, thumbnails, widest, without_styles

TEXT = "The animal didn't cross the street because it was too tired"
ONE_HEAD = "--layer", "1", "--head", "2"
Run = Callable[..., Any]


def links_of(out: str) -> list[list[str]]:
    """Return the links listed below tables of weights, each as query, arrow, key and weight."""
    lists = (section.partition("\n\n")[0] for section in out.split("\nStrongest links")[1:])
    return [line.split() for listed in lists for line in listed.splitlines()[1:]]


@pytest.fixture(scope="module")
def piped(run: Run) -> str:
    done = run("show", TEXT)
    assert (done.code, done.err) == (0, "")
    return done.out


def without_legend(out: str, end: str = "\n") -> str:
    """What is printed without the legend of the shades of one head, which is there once."""
    legend = f"weight from  .10  .20  .40  .60  .80{end}"
    assert out.count(legend) == 1
    return out.replace(legend, "")


class TestWhatIsShown:
    def test_the_first_line_says_which_model_ran(self, piped: str, attend: Callable[[str], Attention]) -> None:
        layers, heads, tokens, _ = attend(TEXT).shape
        first = piped.splitlines()[0]
        for what in ("builtin/encoder", "encoder", f"{layers} layers", f"{heads} heads", f"{tokens} tokens"):
            assert what in first

    def test_the_overview_has_a_cell_for_each_head_and_marks_one(
        self, piped: str, attend: Callable[[str], Attention]
    ) -> None:
        layers, heads, _, _ = attend(TEXT).shape
        at_a_glance, _, _ = piped.partition("weight from")
        _, _, header, *below = at_a_glance.splitlines()
        lines = [line for line in below if set(DENSITIES) & set(line)]
        assert header.split() == [f"H{head}" for head in range(heads)]
        assert [line[:2] for line in lines if line.startswith("L")] == [f"L{layer}" for layer in range(layers)]
        assert {len(thumbnails(line)) for line in lines} == {heads}
        marked = [line for line in lines if "‹" in line]
        assert len(marked) == len(lines) / layers
        assert all(line.count("‹") == line.count("›") == 1 for line in marked)

    def test_the_weights_of_the_marked_head_follow(self, piped: str, attend: Callable[[str], Attention]) -> None:
        attention = attend(TEXT)
        link = attnviz.telling(attention)
        title = f"Layer {link.layer} head {link.head}, the most telling: {link.query.text} → {link.key.text}"
        assert f"\n{title} {link.weight:.2f}\n" in piped
        row = next(line for line in piped.splitlines() if line.startswith(f"L{link.layer} "))
        assert len(thumbnails(row.partition("‹")[0])) == link.head
        for token, weights in zip(attention.query_tokens, attention.head(link.layer, link.head), strict=True):
            line = next(line for line in piped.splitlines() if line.startswith(f"{token.position:>2} {token.text} "))
            shown = line.split()[2:]
            assert len(shown) == len(weights)
            for written, weight in zip(shown, weights, strict=True):
                assert abs(float(written.replace("·", "0")) - weight) <= 0.0051

    def test_the_most_telling_link_and_the_strongest_ones_end_it(self, piped: str) -> None:
        links = links_of(piped)
        assert 1 <= len(links) <= 5
        assert f"the most telling: {' '.join(links[0])}" in piped
        assert [weight for *_, weight in links[1:]] == sorted((weight for *_, weight in links[1:]), reverse=True)
        assert {word for query, _, key, _ in links for word in (query, key)} <= set(TEXT.split())

    def test_top_says_how_many_links(self, run: Run) -> None:
        assert len(links_of(run("show", TEXT, "--top", "2", *ONE_HEAD).out)) == 2
        run("show", TEXT, "--top", "0").assert_failed(2, "--top")

    @pytest.mark.parametrize(
        ("options", "titles"),
        [
            (["--layer", "1", "--head", "2-4"], ["Layer 1 head 2", "Layer 1 head 3", "Layer 1 head 4"]),
            (["--all", "--layer", "0,3", "--head", "5"], ["Layer 0 head 5", "Layer 3 head 5"]),
            (["--all", "--layer", "2"], [f"Layer 2 head {head}" for head in range(6)]),
            (["--mean", "--layer", "2"], ["Average"]),
        ],
    )
    def test_every_head_that_was_named_is_shown(self, run: Run, options: list[str], titles: list[str]) -> None:
        out = run("show", "the cat sat", *options).out
        assert [line for line in out.splitlines() if line.startswith(("Layer", "Average"))] == titles

    def test_a_single_head_has_no_overview(self, run: Run) -> None:
        out = run("show", "the cat sat", *ONE_HEAD).out
        assert "most weight goes" not in out
        assert "1 layer " in out.splitlines()[0]
        assert out.splitlines()[0].count("1 head ") == 1

    def test_dropped_special_tokens_are_not_shown_and_this_is_said(self, run: Run) -> None:
        out = run("show", "the cat sat", "--no-special", *ONE_HEAD, "--width", "140").out
        assert "[CLS]" not in out
        assert "special tokens dropped, rows renormalised" in out.splitlines()[0]

    def test_each_occurrence_of_a_word_is_told_apart_in_every_head(self, run: Run) -> None:
        text = "The cat saw the dog"
        out = run("show", text, "--token", "the").out
        assert [line for line in out.splitlines() if "(token" in line] == ["The (token 1)", "the (token 4)"]
        heads = [line.split()[:2] for line in out.splitlines() if line.startswith("L")]
        assert heads == [[f"L{layer}", f"H{head}"] for _ in range(2) for layer in range(4) for head in range(6)]
        assert out.count("looked at by") == 2

    def test_over_the_weights_stands_what_goes_down_and_what_across(self, piped: str) -> None:
        title, axes, *_ = piped.partition("\nLayer ")[2].splitlines()
        assert "the most telling" in title
        assert axes == "queries down, keys across; rows sum to 1"

    @pytest.mark.parametrize("args", [("the cat", "a dog"), ("-",), ()], ids=["arguments", "dash", "piped"])
    def test_where_there_may_be_several_texts_each_stands_above_its_tables(
        self, run: Run, args: tuple[str, ...]
    ) -> None:
        out = run("show", *args, *ONE_HEAD, stdin=b"the cat\na dog\n").out
        assert [line for line in out.splitlines() if line in ("the cat", "a dog")] == ["the cat", "a dog"]


class TestWords:
    SENTENCES = "The cat sat. The dog barked. It was late."

    @pytest.mark.parametrize(("by", "unit"), [("word", "words"), ("sentence", "sentences"), ("bins:3", "bins")])
    def test_links_are_named_after_what_they_link(self, run: Run, by: str, unit: str) -> None:
        assert f"\nStrongest links between {unit}" in run("show", self.SENTENCES, "--by", by).out
        title = "\nStrongest links between words, the most telling one first, then the strongest\n"
        assert title in run("show", self.SENTENCES).out

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (("--by", "sentence"), "3 sentences and 2 special tokens"),
            (("--by", "sentence", "--no-special"), "3 sentences"),
            (("--by", "segment", "--pair", "It sat.", "--model", "minilm"), "2 segments and 3 special tokens"),
            (("--by", "bins:3"), "3 bins"),
        ],
    )
    def test_special_tokens_are_counted_apart_from_what_tokens_are_grouped_into(
        self, run: Run, args: tuple[str, ...], said: str
    ) -> None:
        assert f" · {said} ·" in run("show", self.SENTENCES, *args, COLUMNS="200").out

    def test_bytes_of_a_character_are_one_token_where_it_is_named_by_its_position_too(self, run: Run) -> None:
        first, later = (run("show", "これは犬です", "--token", position, COLUMNS="200").out for position in "12")
        assert " · 8 tokens · " in first and "tokens that share a character shown as one" in first
        assert "こ (token 1)" in first and first == later  # both are bytes of this character

    def test_no_link_is_listed_whose_weight_is_written_as_0(self, run: Run) -> None:
        out = run("show", "Mary lost her keys", "--all", "--top", "30").out
        listed = [weight for *_, weight in links_of(out)]
        assert len(listed) > 24
        assert "0.00" not in listed

    def test_an_average_is_named_once_and_its_single_layer_is_no_plural(self, run: Run) -> None:
        out = run("show", "the cat sat", "--layer", "3", "--mean", "--token", "cat", "--width", "140").out
        assert "mean over layer 3, heads 0-5" in out
        assert "\nmean  " in out
        assert "Lmean" not in out

    def test_counts_of_tokens_have_their_commas(self, run: Run, tmp_path: Path) -> None:
        weights = np.full((1, 1, 2, 1203), 1 / 1203, np.float32)
        np.save(tmp_path / "wide.npy", weights)
        out = run("show", tmp_path / "wide.npy").out
        assert "2 × 1,203 tokens" in out


class TestTransposed:
    def table(self, out: str) -> dict[tuple[str, str], str]:
        """What stands in each cell, by the names of its row and column."""
        header, *rows = out.split("sum to 1\n")[1].split("\n\n")[0].splitlines()
        columns = [f"{at} {name}" for at, name in enumerate(header.split())]
        return {
            (f"{at} {name}", column): weight
            for at, name, *weights in map(str.split, rows)
            for column, weight in zip(columns, weights, strict=True)
        }

    def test_each_weight_stands_beside_its_key_and_under_its_query(self, run: Run) -> None:
        upright, turned = (run("show", TEXT, *ONE_HEAD, "--width", "140", *more).out for more in ((), ("--transpose",)))
        assert "\nqueries down, keys across; rows sum to 1\n" in upright
        assert "\nkeys down, queries across; columns sum to 1\n" in turned
        held = self.table(upright)
        assert len(held) == 13 * 13
        assert self.table(turned) == {(key, query): weight for (query, key), weight in held.items()}

    def test_nothing_but_the_tables_of_weights_is_turned(self, run: Run) -> None:
        upright, turned = (run("show", TEXT, *more).out for more in ((), ("--transpose",)))
        assert turned.split("\nqueries")[0].split("\nkeys")[0] == upright.split("\nqueries")[0]
        assert turned.split("Strongest links")[1] == upright.split("Strongest links")[1]

    def test_every_head_shown_is_turned(self, run: Run) -> None:
        out = run("show", "the cat sat", "--layer", "1", "--all", "--transpose").out
        assert out.count("\nkeys down, queries across; columns sum to 1\n") == 6
        assert "rows sum" not in out

    @pytest.mark.parametrize("columns", [60, 80, 200])
    def test_no_line_is_wider_than_the_terminal(self, on_terminal: Run, columns: int) -> None:
        out = on_terminal(columns, "show", TEXT, "--transpose", "--color", "never").out
        assert "keys down, queries across; columns sum to 1\n" in out
        assert widest(out) <= columns

    @pytest.mark.parametrize("form", ["json", "csv", "tsv"])
    def test_data_has_no_orientation(self, run: Run, form: str) -> None:
        run("show", "the cat sat", "--format", form, "--transpose").assert_failed(2, "--transpose has no effect")

    def test_the_table_of_one_word_has_none_either(self, run: Run) -> None:
        run("show", "the cat sat", "--token", "cat", "--transpose").assert_failed(
            2, "--transpose has no effect with --token"
        )


class TestPipedOutput:
    LONG = f"{TEXT} and {TEXT}, and then {TEXT} again"

    @pytest.mark.parametrize(("told", "columns"), [("60", 60), ("70", 70), (None, 80), ("wide", 80), ("0", 80)])
    def test_it_is_as_wide_as_columns_says_else_80(self, run: Run, told: str | None, columns: int) -> None:
        done = run("show", self.LONG, *ONE_HEAD, COLUMNS=told)
        assert columns - 20 < widest(done.out) <= columns

    def test_where_there_is_room_it_has_no_escape_codes_no_wrapping_and_nothing_left_out(
        self, run: Run, attend: Callable[[str], Attention]
    ) -> None:
        done = run("show", self.LONG, *ONE_HEAD, COLUMNS="500")
        assert "\x1b" not in done.out
        assert "…" not in done.out
        tokens = attend(self.LONG).query_tokens
        lines = rows_of(done.out)
        assert len(lines) == len(tokens)
        assert {len(line.split()) for line in lines} == {len(tokens) + 2}

    def test_colour_can_be_forced_and_adds_only_the_legend_of_its_shades(self, run: Run) -> None:
        args = "show", "the cat sat", *ONE_HEAD  # without thumbnails
        plain = run(*args).out
        for env in ({}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": None}):
            coloured = run(*args, "--color", "always", **env).out
            assert any(span.style.bgcolor for span in Text.from_ansi(coloured).spans), env
            assert without_legend(without_styles(coloured)) == plain, env

    def test_a_character_that_takes_several_tokens_has_one_row_and_a_position_still_names_one_token(
        self, run: Run
    ) -> None:
        text = "\u65e5\u672c"
        done = run("show", text, *ONE_HEAD)
        assert [row.split()[1] for row in rows_of(done.out)] == ["[CLS]", *text, "[SEP]"]
        assert "tokens that share a character shown as one" in done.out.replace("\n", "")
        assert run("show", text, "--token", "2").code == 0

    def test_rows_beyond_the_first_hundred_are_counted_unless_all_are_wanted(self, run: Run) -> None:
        args = "show", "the cat " * 60, *ONE_HEAD
        for more, rows in (((), 100), (("--all-rows",), 122)):
            done = run(*args, *more)
            assert len(rows_of(done.out)) == rows
            assert ("and 22 more rows" in done.out, "--all-rows" in done.err) == (rows == 100, rows == 100)

    def test_a_width_is_kept_to(self, run: Run) -> None:
        done = run("show", self.LONG, "--width", "60", *ONE_HEAD)
        assert widest(done.out) <= 60
        assert len(done.out.splitlines()) > 30

    def test_a_width_too_small_to_show_anything_is_refused(self, run: Run) -> None:
        run("show", "the cat", "--width", "19").assert_failed(2, "--width", "20")

    def test_a_color_that_is_none_is_refused(self, run: Run) -> None:
        run("show", "the cat", "--color", "red").assert_failed(2, "auto, always, never")


class TestTerminal:
    @pytest.mark.parametrize("columns", [60, 80, 200])
    def test_no_line_is_wider_than_the_terminal(self, on_terminal: Run, columns: int) -> None:
        done = on_terminal(columns, "show", TEXT, "--color", "never")
        assert done.code == 0
        assert "\x1b" not in done.out
        assert widest(done.out) <= columns

    def test_there_is_colour_by_default_and_it_moves_no_column(self, on_terminal: Run) -> None:
        coloured, plain = (on_terminal(80, "show", TEXT, *ONE_HEAD, *more).out for more in ((), ("--color", "never")))
        assert "\x1b[" in coloured
        assert without_legend(without_styles(coloured), "\r\n" if "\r\n" in plain else "\n") == plain

    def test_no_color_leaves_no_colour(self, on_terminal: Run) -> None:
        out = on_terminal(80, "show", "the cat", NO_COLOR="1").out
        codes = {code for sequence in re.findall(r"\x1b\[([0-9;]*)m", out) for code in sequence.split(";")}
        assert codes <= {"0", "1", "2", "3", "4", "22", ""}  # bold, dim and the like are no colours

    @pytest.mark.parametrize("term", ["dumb", "unknown", None, "no-such-terminal"])
    def test_a_terminal_that_can_do_little_gets_its_width_kept(self, on_terminal: Run, term: str | None) -> None:
        done = on_terminal(60, "show", TEXT, TERM=term)
        assert done.code == 0
        if term in ("dumb", "unknown"):
            assert "\x1b" not in done.out
        assert widest(without_styles(done.out)) <= 60

    def test_a_dumb_terminal_heeds_the_width_option(self, on_terminal: Run) -> None:
        assert 40 < widest(on_terminal(80, "show", TEXT, "--width", "50", TERM="dumb").out) <= 50

    def test_the_legend_takes_three_lines_on_a_usual_terminal(self, on_terminal: Run) -> None:
        for color in ("never", "always"):
            out = on_terminal(80, "show", TEXT, "--color", color).out
            _, found, legend = without_styles(out).partition("\nweight from")
            assert found
            assert len(legend.partition("\n\n")[0].splitlines()) == 3

    def test_thumbnails_are_shades_where_there_are_enough_colours_else_density(self, on_terminal: Run) -> None:
        few = {"TERM": "xterm", "COLORTERM": None}
        for env, shaded in (({}, True), ({"COLORTERM": None}, True), (few, False), ({"NO_COLOR": "1"}, False)):
            out = on_terminal(80, "show", TEXT, **env).out
            assert ("▀" in out, "▒" in out) == (shaded, not shaded), env


class TestEncodings:
    @pytest.mark.parametrize(
        "env",
        [
            {"PYTHONIOENCODING": "ascii"},
            {"PYTHONIOENCODING": "latin-1"},
            {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
        ],
        ids=["ascii", "latin-1", "C locale"],
    )
    def test_what_an_encoding_lacks_moves_no_column(self, run: Run, run_process: Run, env: dict[str, str]) -> None:
        text = (
            "the cat sat on the mat and the dog sat on the other mat"  # long enough for weights that round to nothing
        )
        done = run_process("show", text, "--layer", "0", "--head", "0-1", **env)
        assert (done.code, done.err) == (0, "")
        written = done.stdout.decode("latin-1")
        assert "\\" not in written
        expected = run("show", text, "--layer", "0", "--head", "0-1").out
        for ours, theirs in zip(expected.splitlines(), written.splitlines(), strict=True):
            if rows_of(ours):
                assert len(theirs) == len(ours)
                assert theirs.split()[:2] == ours.split()[:2]

    def test_characters_that_it_lacks_are_spelled_out(self, run: Run) -> None:
        done = run("show", "the \u65e5 caf\u00e9", *ONE_HEAD, encoding="ascii")
        assert (done.code, done.err) == (0, "")
        assert b"caf\\xe9" in done.stdout or b"\\xe9" in done.stdout
        assert b"\\u65e5" in done.stdout

    def test_data_is_utf8_in_every_locale(self, run: Run, run_process: Run) -> None:
        locale = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
        for form in ("json", "csv"):
            args = ("show", "the caf\u00e9 \u65e5", "--format", form, *ONE_HEAD)
            assert run_process(*args, **locale).stdout == run(*args).stdout

    def test_an_error_message_is_printed_in_any_encoding(self, run: Run) -> None:
        done = run("show", "the cat", "--token", "\u65e5", encoding="ascii")
        done.assert_failed(1, "no token")
