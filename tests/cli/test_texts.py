import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
NextLine = Callable[[Any], bytes]
AS_DATA = "--format", "json", "--layer", "0", "--head", "0"
LINES = b"\xef\xbb\xbfthe cat\r\n\n \t \na dog \xc3\xa9\n\xe3\x80\x80\nit"  # a byte order mark, blanks of all sorts
READ = ["the cat", "a dog \u00e9", "it"]


def texts(done: Any) -> list[str]:
    return [record["text"] for record in done.records]


class TestWhereTextsComeFrom:
    def test_each_argument_is_a_text(self, run: Run) -> None:
        assert texts(run("show", "the cat", "a dog", *AS_DATA)) == ["the cat", "a dog"]

    @pytest.mark.parametrize("args", [(), ("-",), ("--file", "-")], ids=["piped", "dash", "file dash"])
    def test_each_line_of_standard_input_is_a_text_and_blank_lines_are_none(
        self, run: Run, args: tuple[str, ...]
    ) -> None:
        done = run("show", *args, *AS_DATA, stdin=LINES)
        assert (texts(done), done.code, done.err) == (READ, 0, "")

    def test_each_line_of_a_file_is_a_text_and_blank_lines_are_none(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "lines.txt"
        path.write_bytes(LINES)
        done = run("show", "--file", path, *AS_DATA, stdin=b"not this")
        assert (texts(done), done.code, done.err) == (READ, 0, "")

    def test_indices_count_texts_and_not_blank_lines(self, run: Run) -> None:
        rows = run("show", "--format", "csv", "--head", "0", stdin=b"\nthe\n\n\ncat\n").rows()
        assert [row["text_index"] for row in rows] == sorted(row["text_index"] for row in rows)
        assert {(row["text_index"], row["key_token"]) for row in rows if row["key"] == "1"} == {
            ("0", "the"),
            ("1", "cat"),
        }

    @pytest.mark.parametrize("stdin", [b"", b"\n\n", b"\xef\xbb\xbf"], ids=["nothing", "blank lines", "a mark alone"])
    def test_no_lines_are_no_results(self, run: Run, stdin: bytes) -> None:
        done = run("show", *AS_DATA, stdin=stdin)
        assert (done.stdout, done.code, done.err) == (b"", 0, "Note: no text was read.\n")

    def test_texts_and_a_file_exclude_each_other(self, run: Run, tmp_path: Path) -> None:
        run("show", "the cat", "--file", tmp_path / "x").assert_failed(2, "--file", "one or the other")

    def test_on_a_terminal_a_text_is_asked_for_instead_of_waited_for(self, on_terminal: Run) -> None:
        done = on_terminal(80, "show")
        assert done.code == 2
        assert "There is no text" in done.out
        assert "Traceback" not in done.out

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda path: None, "No such file"),
            (lambda path: path.mkdir(), "Is a directory"),
            (lambda path: path.symlink_to("/proc/self/mem"), "Input/output error"),
            (lambda path: path.symlink_to(path), "symbolic links"),
        ],
        ids=["missing", "directory", "unreadable", "loop"],
    )
    def test_a_file_that_cannot_be_read_is_named_with_the_reason(
        self, run: Run, tmp_path: Path, make: Callable[[Path], Any], said: str
    ) -> None:
        path = tmp_path / "lines.txt"
        make(path)
        done = run("show", "--file", path, *AS_DATA)
        done.assert_failed(1, f"{path} cannot be read", said)
        assert done.stdout == b""


class TestStreaming:
    def test_a_line_is_answered_before_the_next_is_written(
        self, start: Callable[..., Any], next_line: NextLine
    ) -> None:
        process = start("show", *AS_DATA)
        for text in (b"the cat", b"a dog"):
            process.stdin.write(text + b"\n")
            process.stdin.flush()
            assert json.loads(next_line(process))["text"] == text.decode()
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait() == 0

    def test_a_table_is_printed_before_the_next_line_is_written(
        self, start: Callable[..., Any], next_line: NextLine
    ) -> None:
        process = start("show", "--layer", "0", "--head", "0")
        process.stdin.write(b"the cat\n")
        process.stdin.flush()
        assert next_line(process) == b"the cat\n"

    def test_a_file_is_saved_before_the_next_line_is_written(
        self, start: Callable[..., Any], next_line: NextLine, tmp_path: Path
    ) -> None:
        process = start("export", "--format", "npz", "-o", str(tmp_path))
        process.stdin.write(b"the cat\n")
        process.stdin.flush()
        assert Path(next_line(process).decode().strip()).exists()


class TestBadTexts:
    def test_bad_lines_are_reported_with_their_numbers_and_the_others_done(self, run: Run, too_long: str) -> None:
        lines = b"\n".join([b"the cat", b"", b"caf\xe9", b"a dog", too_long.encode(), b"\xed\xa0\x80", b"it"])
        done = run("show", *AS_DATA, stdin=lines)
        assert texts(done) == ["the cat", "a dog", "it"]
        done.assert_failed(1, "line 3: ", "byte 4 (0xe9)", "line 5: ", "line 6: ")
        assert len(done.err.splitlines()) == 3
        assert "512" in done.err.splitlines()[1]

    def test_lines_of_a_file_are_named_with_it(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "latin.txt"
        path.write_bytes(b"the cat\ncaf\xe9\n")
        done = run("show", "--file", path, "--format", "csv")
        done.assert_failed(1, f"line 2 of {path}")
        assert {row["text_index"] for row in done.rows()} == {"0"}

    def test_of_several_arguments_the_bad_one_is_named_by_its_number(self, run: Run) -> None:
        done = run("show", "the cat", "", "a dog", *AS_DATA)
        done.assert_failed(1, "text 2", "empty")
        assert texts(done) == ["the cat", "a dog"]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "empty"),
            (" \t\n ", "empty"),
            (b"caf\xe9 au lait", "byte 4 (0xe9)"),
            (b"\xff", "UTF-8"),
            (b"half \xed\xa0\xbd", "UTF-8"),
            ("the cat " * 600, "at most 512"),
        ],
        ids=["empty", "blank", "latin-1", "no UTF-8", "half of a pair", "long"],
    )
    @pytest.mark.parametrize("command", ["show", "export"])
    def test_a_text_that_cannot_be_read_is_said_to_be_so(
        self, run: Run, tmp_path: Path, command: str, text: str | bytes, said: str
    ) -> None:
        done = run(command, text, "--format", "csv" if command == "show" else "npz", cwd=tmp_path)
        done.assert_failed(1, said)
        assert done.err.startswith("Error: ")
        assert len(done.err.splitlines()) == 1
        assert list(tmp_path.iterdir()) == []

    def test_a_text_that_is_too_long_is_told_the_limit_and_how_to_cut_it(self, run: Run, too_long: str) -> None:
        run("show", stdin=too_long.encode()).assert_failed(1, "at most 512", "--truncate")

    def test_debug_shows_the_traceback_before_or_after_the_command(self, run: Run) -> None:
        for args in (("show", "", "--debug"), ("--debug", "show", "")):
            done = run(*args)
            assert done.code == 1
            assert "Traceback" in done.err
            assert done.err.splitlines()[-1].startswith("Error: ")

    def test_a_traceback_shows_what_a_terminal_would_obey(self, run: Run) -> None:
        done = run("show", "the cat", "--model", "\x1b[2J", "--debug")
        assert "Traceback" in done.err and "\x1b" not in done.err and "␛[2J" in done.err


class TestOddTexts:
    @pytest.mark.parametrize(
        "text",
        [
            "[CLS] the [MASK] cat [SEP] [PAD] [UNK]",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467 and \U0001f44d\U0001f3fd",
            "cafe\u0301 Z\u0351\u036balgo",
            "\u0130stanbul \u0131s \ufb01ne, \u1e9e",
            "a\tb\u00a0c",
            "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u202eabc",
            "\u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4",
            "\u200b",
            "\U0010ffff \ue000 \x85 \x9b31m",
        ],
    )
    def test_tokens_cover_the_text_in_order_and_only_the_models_own_are_special(self, run: Run, text: str) -> None:
        done = run("show", text, *AS_DATA)
        assert (done.code, done.err) == (0, "")
        assert done.records[0]["text"] == text
        (fields,) = done.records[0]["attention"]
        spans = fields["key_spans"]
        assert [i for i, span in enumerate(spans) if span is None] == [0, len(spans) - 1]
        inner = spans[1:-1]
        assert all(0 <= start < end <= len(text) for start, end in inner)
        assert inner == sorted(inner)
        covered = {i for start, end in inner for i in range(start, end)}
        assert [i for i, char in enumerate(text) if not char.isspace() and i not in covered] == []

    def test_the_names_of_special_tokens_are_cut_into_pieces_like_any_word(self, run: Run) -> None:
        (fields,) = run("show", "[CLS] the [MASK] cat [SEP] [PAD]", *AS_DATA).records[0]["attention"]
        assert set(fields["key_tokens"][1:-1]).isdisjoint({"[CLS]", "[MASK]", "[SEP]", "[PAD]"})
        assert fields["key_tokens"][1] == "["

    def test_a_nul_is_a_character_like_others(self, run: Run) -> None:
        done = run("show", *AS_DATA, stdin=b"the\0cat\n")
        assert texts(done) == ["the\0cat"]
        assert "\u2400" in done.records[0]["attention"][0]["key_tokens"]

    def test_a_text_may_begin_with_a_dash_after_two_of_them(self, run: Run) -> None:
        assert texts(run("show", *AS_DATA, "--", "--layer")) == ["--layer"]

    @pytest.mark.parametrize(
        "args",
        [
            (),
            ("--layer", "0", "--head", "0"),
            ("--token", "0"),
            ("--format", "json"),
            ("--format", "csv"),
            ("--token", "\x1b[31m"),
        ],
        ids=["overview", "matrix", "token", "json", "csv", "missing token"],
    )
    def test_no_escape_code_of_a_text_reaches_the_terminal(self, run: Run, args: tuple[str, ...]) -> None:
        done = run("show", "\x1b[31mred\x1b]0;t\x07 \x9b2J [bold]x[/bold] \u202eabc \x7f", "the\x0ccat", *args)
        assert (done.code == 0) or "no token" in done.err
        both = done.out + done.err
        allowed = "\n\u202e\x7f" if "json" in args else "\n"  # JSON keeps what no terminal obeys
        assert {char for char in both if not char.isprintable() and char not in allowed} == set()

    def test_markup_is_shown_as_it_is_written(self, run: Run) -> None:
        done = run("show", "[bold]x[/bold] :smile:", "the [red]", "--color", "never")
        assert "[bold]x[/bold] :smile:\n" in done.out
        assert "the [red]\n" in done.out

    @pytest.mark.parametrize("option", ["--model", "--token", "--file"])
    def test_what_an_option_quotes_is_made_visible(self, run: Run, option: str) -> None:
        args = () if option == "--file" else ("the cat",)
        done = run("show", *args, option, b"\x1b[31m\xff\n")
        done.assert_failed(1)
        assert "\x1b" not in done.err
        assert "\u241b[31m" in done.err


def test_a_reader_that_closes_early_is_no_error(start: Callable[..., Any], next_line: NextLine) -> None:
    process = start("show", *AS_DATA)
    process.stdin.write(b"the cat\n")
    process.stdin.flush()
    assert next_line(process)
    process.stdout.close()
    deadline = time.monotonic() + 600
    while process.poll() is None and time.monotonic() < deadline:
        try:
            process.stdin.write(b"a dog\n")
            process.stdin.flush()
        except BrokenPipeError:
            break
    assert process.wait() == 0
    assert process.stderr.read() == b""


def test_lines_may_come_from_a_named_pipe(run: Run, start: Callable[..., Any], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = start("show", "--file", str(pipe), *AS_DATA)
    pipe.write_bytes(b"the cat\na dog\n")
    assert [json.loads(line)["text"] for line in process.stdout.read().splitlines()] == ["the cat", "a dog"]
