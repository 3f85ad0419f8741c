"""Arguments in place of texts, names of models and of outputs that were not meant, and what a shell completes."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from attnviz.cli.app import app
from attnviz.measures.circuits import CIRCUITS
from attnviz.measures.statistics import STATISTICS
from attnviz.text import visible
from tests.cli.conftest import COMMAND, Run, surroundings

TEXT = "Mary lost her keys"
NO_MODEL = (
    "Error: '{}' is no model. Saved weights are shown without one, as in attnviz show FILE: leave --model out, or "
    "unset ATTNVIZ_MODEL.\n"
)
BUILT_IN = "encoder", "decoder", "translator", "bahdanau"


class TestNamesOfFiles:
    @pytest.mark.parametrize("command", ["show", "export", "heads", "explain"])
    @pytest.mark.parametrize("name", ["data.csv", "texts/batch.txt", "~/x.txt", "a/b.odd", "Notes.MD"])
    def test_a_text_that_is_spelled_like_one_says_what_to_type(self, run: Run, command: str, name: str) -> None:
        done = run(command, name)
        done.assert_failed(
            2, f"There is no file {name!r}: check the name", "type --file before it", "pipe it in (echo "
        )
        assert done.stdout == b""

    def test_one_that_is_there_is_said_to_be_a_file_whatever_its_name(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "my notes.odd").write_text("the cat")
        run("show", "my notes.odd", cwd=tmp_path).assert_failed(
            2, "'my notes.odd' is a file: to read it, type --file before it"
        )

    @pytest.mark.parametrize(
        ("name", "typed"),
        [
            ("weights", "weights"),
            ("weights/", "weights"),
            ("../weights", "../weights"),
            ("my weights", '"my weights"'),
        ],
    )
    def test_a_folder_says_how_to_show_the_weights_that_are_saved_in_it(
        self, run: Run, tmp_path: Path, name: str, typed: str
    ) -> None:
        for folder in ("weights", "my weights"):
            (tmp_path / "here" / folder).mkdir(parents=True)
            (tmp_path / "here" / folder / "0001.npz").touch()
            (tmp_path / "here" / folder / "manifest.jsonl").touch()
        (tmp_path / "weights").symlink_to(tmp_path / "here" / "weights")
        run("show", name, cwd=tmp_path / "here").assert_failed(
            2, f"{name!r} is a folder: to show the weights that are saved in it, type {typed}/*.npz"
        )

    @pytest.mark.parametrize(
        ("names", "pattern"),
        [
            (("manifest.jsonl",), None),
            (("train.jsonl",), None),
            (("package.json", "a.txt"), None),
            (("manifest.jsonl", "lines.jsonl"), "*.jsonl"),
            (("manifest.jsonl", "A.JSON"), "*.JSON"),
            (("train.jsonl", "B.NPZ"), "*.NPZ"),
        ],
    )
    def test_json_in_a_folder_is_said_to_be_saved_weights_only_where_a_manifest_lists_it(
        self, run: Run, tmp_path: Path, names: tuple[str, ...], pattern: str | None
    ) -> None:
        (tmp_path / "corp").mkdir()
        for name in names:
            (tmp_path / "corp" / name).touch()
        said = f"to show the weights that are saved in it, type corp/{pattern}" if pattern else "name a file in it"
        run("show", "corp", cwd=tmp_path).assert_failed(2, f"'corp' is a folder: {said}")

    @pytest.mark.parametrize("command", ["show", "export", "heads"])
    def test_a_folder_of_other_files_asks_for_one_of_them(self, run: Run, tmp_path: Path, command: str) -> None:
        (tmp_path / "texts").mkdir()
        done = run(command, "texts", cwd=tmp_path)
        done.assert_failed(
            2, "'texts' is a folder: name a file in it", "type --file before it", "pipe it in (echo texts"
        )

    def test_a_pipe_is_refused_unread_and_said_to_be_read_as_a_file(self, run: Run, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "ff")  # to open it would wait for a writer
        run("show", "ff", cwd=tmp_path).assert_failed(
            2, "'ff' is a pipe or a device: to read it, type --file before it"
        )

    def test_rows_that_cannot_be_read_back_are_not_said_to_be_read_as_a_file(self, run: Run, tmp_path: Path) -> None:
        for name in ("d.csv", "d.tsv"):
            assert run("export", TEXT, "--layer", "0", "-o", tmp_path / name).code == 0
            done = run("show", name, cwd=tmp_path)
            done.assert_failed(
                2,
                f"{name!r} holds weights or numbers saved as CSV, which attnviz cannot read back: save them as .npz",
            )
            assert "--file" not in done.err

    @pytest.mark.parametrize("command", ["show", "heads"])
    def test_weights_that_are_not_there_fail_as_a_file_does_before_anything_is_done(
        self, run: Run, command: str
    ) -> None:
        missing = run("show", "--file", "nowhere.txt")
        done = run(command, TEXT, "nowhere.npz")
        done.assert_failed(missing.code, "There is no file 'nowhere.npz'")
        assert done.stdout == b""

    def test_the_same_text_on_standard_input_is_a_text(self, run: Run) -> None:
        done = run("show", "--format", "json", stdin=b"data.csv\nnowhere.npz\n")
        assert [record["text"] for record in done.records] == ["data.csv", "nowhere.npz"]

    @pytest.mark.parametrize(
        "text", ["and/or", "e.g.", "3.14", "U.S.A", "I read data.csv", "Mr.Smith", "…", "a\0.txt b"]
    )
    def test_other_texts_are_texts(self, run: Run, text: str) -> None:
        assert run("show", text, "--format", "json").records[0]["text"] == text

    @pytest.mark.parametrize("name", ["it's.txt", "a$b.txt", "my notes/a.txt"])
    def test_the_hint_can_be_typed(self, run: Run, tmp_path: Path, name: str) -> None:
        (tmp_path / "my notes").mkdir()
        (tmp_path / name).touch()
        (command,) = re.findall(r"pipe it in \((.*) \| attnviz …\)", run("show", name, cwd=tmp_path).err)
        assert shlex.split(command) == ["echo", name]

    def test_what_cannot_be_typed_is_no_hint(self, run: Run, tmp_path: Path) -> None:
        for name in ("a\nb", "a\x1bb", "-x"):
            (tmp_path / name).touch()
            run("show", "--", name, cwd=tmp_path).assert_failed(2, 'pipe it in (echo "…" | attnviz …)')


class TestSeveralWords:
    def test_arguments_of_one_word_each_are_said_to_be_texts_of_their_own(self, run: Run) -> None:
        done = run("show", *TEXT.split(), "--format", "json")
        assert [record["text"] for record in done.records] == TEXT.split()
        assert done.err == f'Note: 4 texts are read, one for each argument. If they are one text, quote it: "{TEXT}".\n'

    @pytest.mark.parametrize(("texts", "one"), [(("a", 'b"c'), "'a b\"c'"), (("a", "b\x1b"), '"…"')])
    def test_they_are_quoted_as_a_shell_takes_them(self, run: Run, texts: tuple[str, ...], one: str) -> None:
        assert run("show", *texts).err.endswith(f"quote it: {one}.\n")

    @pytest.mark.parametrize("texts", [("Mary",), (TEXT, "keys"), (TEXT, TEXT)])
    def test_others_are_not(self, run: Run, texts: tuple[str, ...]) -> None:
        assert run("show", *texts).err == ""


class TestCommands:
    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ("shwo", "No such command 'shwo'. Did you mean attnviz show?"),
            ("model", "Did you mean attnviz models?"),
            (TEXT, f'For a text, type: attnviz show "{TEXT}"'),
            ('a "dog"', "type: attnviz show 'a \"dog\"'"),
            *product(["cat " * 99, "a\nb", "a\x1bb", "-x", "", " "], ['For a text, type: attnviz show "…"\n']),
        ],
    )
    def test_one_that_there_is_not_says_what_may_be_meant(self, run: Run, typed: str, said: str) -> None:
        done = run("--", typed)
        done.assert_failed(2, said)
        assert done.stdout == b""

    @pytest.mark.parametrize(
        ("command", "other"),
        [
            ("show", " For a picture, type: attnviz export … -o x.png, or x.npz for data."),
            ("heads", " For a picture, type: attnviz export … --layout heads -o x.png."),
            *product(["find", "explain", "models", "verify"], [""]),
        ],
    )
    @pytest.mark.parametrize("option", ["-o", "--output"])
    def test_one_that_only_prints_says_how_to_save_that(self, run: Run, command: str, other: str, option: str) -> None:
        run(command, option, "h.csv").assert_failed(
            2, f"No such option: {option}.{other} To save what attnviz {command} prints, type > FILE after it.\n"
        )

    @pytest.mark.parametrize("option", [("--layer", "-1"), ("--layer", "last"), ("--head", "last")])
    def test_layers_and_heads_are_said_to_count_from_0(self, run: Run, option: tuple[str, str]) -> None:
        run("show", TEXT, *option).assert_failed(
            2, f"'{option[1]}'", "or 0-3,5. Layers and heads are counted from 0.\n"
        )

    @pytest.mark.parametrize(("given", "said"), [("3-1", "write 1-3.\n"), ("12345", "write numbers from 0 to 9999.\n")])
    def test_numbers_that_are_wrong_in_another_way_are_not_told_where_to_count_from(
        self, run: Run, given: str, said: str
    ) -> None:
        done = run("show", TEXT, "--layer", given)
        done.assert_failed(2, said)
        assert "counted" not in done.err

    def test_a_head_to_explain_that_there_is_not_says_which_there_are(self, run: Run) -> None:
        run("explain", TEXT, "--layer", "-1").assert_failed(2, "no layer -1: builtin/encoder has layers 0 to 3")
        run("explain", "--toy", "--head", "-1").assert_failed(2, "There is no head -1: the toy has only head 0.\n")
        run("explain", "--toy", "--heads", "2", "--head", "3").assert_failed(
            2, "no head 3: the toy has heads 0 to 1.\n"
        )

    @pytest.mark.parametrize(
        ("command", "name"),
        [
            *product(["show", "heads", "find", "export", "compare", "explain", "cost", "browse", "verify"], ["m.npz"]),
            *product(["show"], ["m.npy", "m.json", "M.JSONL", "a\0.npz", "~/m.npz"]),
        ],
    )
    def test_saved_weights_are_no_model(self, run: Run, command: str, name: str) -> None:
        done = run(command, "--model", name, HF_ENDPOINT="http://127.0.0.1:9")
        done.assert_failed(1, NO_MODEL.format(visible(name)))

    @pytest.mark.parametrize("command", [("show", TEXT, TEXT), ("compare", TEXT, "a cat"), ("cost",)])
    def test_the_environment_names_no_saved_weights_either(self, run: Run, command: tuple[str, ...]) -> None:
        done = run(*command, ATTNVIZ_MODEL="m.npz", HF_ENDPOINT="http://127.0.0.1:9")
        assert (done.code, done.err) == (1, NO_MODEL.format("m.npz"))

    @pytest.mark.parametrize(
        "command", [("show", "m.npz"), ("explain", "query"), ("explain", "--words"), ("heads", "--list")]
    )
    def test_whatever_the_environment_names_is_nothing_to_commands_that_need_no_model(
        self, run: Run, tmp_path: Path, command: tuple[str, ...]
    ) -> None:
        assert run("export", TEXT, "--layer", "0", "-o", tmp_path / "m.npz").code == 0
        done = run(*command, ATTNVIZ_MODEL="m.npz", cwd=tmp_path)
        assert (done.code, done.err) == (0, "") and done.out

    @pytest.mark.parametrize("name", ["m" * 307 + ".npz", "~nobody-here/m.npz"])
    def test_names_that_no_file_can_have_are_no_models_either(self, run: Run, name: str) -> None:
        run("show", TEXT, "--model", name).assert_failed(1, repr(name))

    def test_a_folder_may_be_named_like_saved_weights(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "my.json").mkdir()
        run("show", TEXT, "--model", "my.json", cwd=tmp_path).assert_failed(1, "The folder 'my.json' here holds no")


class TestNoText:
    @pytest.mark.parametrize(
        ("typed", "example"),
        [
            (("show",), 'attnviz show "The animal'),
            (("heads",), 'attnviz heads "The animal'),
            (("find", "it -> animal"), 'attnviz find "it -> dog" "The dog barked because it was hungry"'),
            (("compare",), 'attnviz compare "The street was too tired" "The street was too wide"'),
            (("export",), 'attnviz export "The animal'),
            (("export", "--layout", "heads"), 'attnviz export "The animal'),
            (("explain",), 'attnviz explain "Mary lost her keys" --token her'),
        ],
    )
    def test_on_a_terminal_the_command_that_was_typed_is_shown_with_one(
        self, on_terminal: Run, typed: tuple[str, ...], example: str
    ) -> None:
        done = on_terminal(200, *typed)
        assert done.code == 2
        assert done.out.startswith(f"Error: There is no text. Give one, as in: {example}")  # no progress before it

    @pytest.mark.parametrize("args", [("show",), ("heads",), ("explain",), ("show", "--file", os.devnull)])
    def test_an_empty_stream_is_no_error_but_said(self, run: Run, args: tuple[str, ...]) -> None:
        done = run(*args, stdin=b" \n")
        assert (done.code, done.stdout, done.err) == (0, b"", "Note: no text was read.\n")
        assert run(*args, "--quiet").err == ""

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (("export", "-o", "x.npz"), "x.npz was not written: no text could be read."),
            (("export", "--layout", "heads", "-o", "x.png"), "x.png was not written: no text could be read."),
            (
                ("compare", *("--model", "builtin") * 2),
                "There is no text that could be compared: give one that is not empty.",
            ),
        ],
    )
    def test_where_one_is_needed_the_error_alone_says_that_there_was_none(
        self, run: Run, tmp_path: Path, args: tuple[str, ...], said: str
    ) -> None:
        done = run(*args, stdin=b" \n", cwd=tmp_path)
        assert (done.code, done.err) == (1, f"Error: {said}\n")

    def test_nothing_is_said_where_a_text_was_read_or_failed(self, run: Run, tmp_path: Path) -> None:
        assert run("show", stdin=b"the cat\n").err == ""
        assert "no text was read" not in run("show", stdin=b"\xff\n").err
        done = run("export", "-o", tmp_path / "out", stdin=b"")
        assert (done.code, done.err) == (0, "Note: no text was read.\n")


class TestQuiet:
    @pytest.mark.parametrize("place", [("--quiet", "show", *TEXT.split()), ("show", *TEXT.split(), "--quiet")])
    def test_there_are_no_notes(self, run: Run, place: tuple[str, ...]) -> None:
        done = run(*place)
        assert (done.code, done.err) == (0, "")
        assert run("show", *TEXT.split()).err

    def test_errors_stay(self, run: Run) -> None:
        run("show", "", "the cat", "--quiet").assert_failed(1, "Error in text 1: ")

    def test_there_is_no_progress(self, on_terminal: Run, tmp_path: Path) -> None:
        (tmp_path / "lines.txt").write_text("the cat\na dog\n")
        args = ("export", "--file", str(tmp_path / "lines.txt"), "--format", "npz", "-o")
        assert "2 done" in on_terminal(80, *args, str(tmp_path / "loud")).out
        assert "done" not in on_terminal(80, *args, str(tmp_path / "quiet"), "--quiet").out.replace("quiet/", "")


class TestUnits:
    BOOK = b"The dog\nbarked.\n\n \r\nA cat\r\nsat.\n\n"

    @pytest.mark.parametrize("piped", [True, False])
    def test_blank_lines_part_paragraphs(self, run: Run, tmp_path: Path, piped: bool) -> None:
        (tmp_path / "book.txt").write_bytes(self.BOOK)
        given = () if piped else ("--file", tmp_path / "book.txt")
        done = run("show", *given, "--paragraphs", "--format", "json", stdin=self.BOOK if piped else b"")
        assert [record["text"] for record in done.records] == ["The dog\nbarked.", "A cat\nsat."]

    def test_a_whole_file_is_one_text(self, run: Run) -> None:
        (record,) = run("show", "--whole-file", "--format", "json", stdin=self.BOOK).records
        assert record["text"] == "The dog\nbarked.\n\n \nA cat\nsat."
        (counted,) = run("heads", "--whole-file", "--format", "json", stdin=self.BOOK).records
        assert counted["texts"] == 1

    def test_a_paragraph_that_fails_is_named_by_its_lines(self, run: Run) -> None:
        done = run("show", "--paragraphs", "--format", "json", stdin=b"the\ncat\n\n\xff\nx\n\nit\n")
        done.assert_failed(1, "Error in lines 4 to 5: The text is not valid UTF-8")
        assert [record["text"] for record in done.records] == ["the\ncat", "it"]

    @pytest.mark.parametrize("unit", ["--whole-file", "--paragraphs"])
    def test_blank_lines_alone_are_no_text(self, run: Run, unit: str) -> None:
        assert run("show", unit, "--format", "json", stdin=b"\n \n\n").stdout == b""

    def test_a_line_too_long_to_be_read_at_once_is_cut_or_read_in_windows(self, run: Run) -> None:
        line = b"a cat " * 300 + b" " * 2_000_000 + b"sat"  # few words, which are soon read
        run("show", stdin=line).assert_failed(1, "longer than 2,000,000 bytes", "--window", "--truncate")
        run("show", "--whole-file", stdin=line).assert_failed(1, "The file is longer than 2,000,000 bytes")
        done = run("show", "--truncate", "--layer", "0", "--head", "0", "--format", "json", stdin=line)
        assert (done.code, len(done.records[0]["text"])) == (0, len(line))


class TestNearNames:
    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("builtin/encodr", "Did you mean builtin/encoder?"),
            ("bultin", "Did you mean builtin?"),
            ("Minilm", "Did you mean minilm?"),
            ("builtin/nope", "the built-in ones are builtin/encoder, builtin/decoder, "),
        ],
    )
    @pytest.mark.parametrize("command", [("show", TEXT), ("cost",)], ids="-".join)
    def test_a_slip_is_answered_here(self, run: Run, command: tuple[str, ...], name: str, said: str) -> None:
        run(*command, "--model", name, HF_ENDPOINT="http://127.0.0.1:9").assert_failed(
            1, f"There is no model '{name}'", said
        )

    def test_other_names_are_those_of_the_hub(self, run: Run) -> None:
        run("show", TEXT, "--model", "gpt2", "--offline").assert_failed(
            1, "gpt2 is not, or not wholly, in the hub's cache"
        )


class TestOutputs:
    @pytest.mark.parametrize("name", ["my fig.eps", "a.jpg", "b.jsonl", "c.TIFF"])
    def test_a_suffix_of_no_format_lists_the_formats(self, run: Run, tmp_path: Path, name: str) -> None:
        done = run("export", TEXT, "-o", name, cwd=tmp_path)
        done.assert_failed(2, f"{name} does not end in a format: choose png, svg, pdf")
        assert shlex.split(done.err.strip().rpartition(": ")[2].removesuffix(".")) == ["mkdir", name]
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["results.2", "there.d", "plain"])
    def test_a_number_is_no_suffix_and_a_folder_that_is_there_is_one(self, run: Run, tmp_path: Path, name: str) -> None:
        (tmp_path / "there.d").mkdir()
        assert run("export", TEXT, "--format", "npz", "-o", tmp_path / name).code == 0
        assert (tmp_path / name).is_dir()

    def test_tsv_is_a_file_as_csv_is(self, run: Run, tmp_path: Path) -> None:
        assert run("export", TEXT, "-o", tmp_path / "x.tsv").code == 0
        assert (tmp_path / "x.tsv").read_bytes() == run("show", TEXT, "--format", "tsv").stdout


class TestMemoryHints:
    @pytest.mark.parametrize(
        ("options", "absent"),
        [
            (("--by", "bins:1"), ("--by", "--rows")),
            (("--by", "word", "--layer", "0"), ("--layer", "--rows")),
            (("--layer", "0", "--head", "0", "--rows", "her"), ("--layer", "--head", "--rows", "--by")),
        ],
    )
    def test_what_was_given_is_not_advised(self, run: Run, options: tuple[str, ...], absent: tuple[str, ...]) -> None:
        done = run("show", TEXT, *options, "--memory", "1B")
        done.assert_failed(1, "--memory allows 1 B", "allow more.")
        assert not [option for option in absent if option in done.err]

    def test_a_note_does_not_either(self, run: Run) -> None:
        assert (
            "For single tokens choose --rows.\n"
            in run("show", TEXT, "--layer", "0", "--head", "0", "--memory", "10B").err
        )


Complete = Callable[..., list[str]]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    """What bash is offered for the last of some words, by the protocol of its completion script."""

    def complete(*words: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", "\n".join(("attnviz", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        monkeypatch.setenv("_ATTNVIZ_COMPLETE", "complete_bash")
        with pytest.raises(SystemExit):
            app([], prog_name="attnviz")
        return capsys.readouterr().out.split()

    return complete


class TestCompletion:
    @pytest.mark.parametrize(
        ("words", "offered"),
        [
            (("export", "--layout", ""), ["head", "layer", "grid", "heads"]),
            (("export", "--format", "p"), ["png", "pdf"]),
            (("explain", "--positions", ""), ["none", "learned", "sinusoidal", "rotary", "alibi"]),
            (("explain", "--mask", "w"), ["window"]),
            (("explain", "--scores", "dot,co"), ["dot,cosine"]),
            (("show", "--kind", ""), ["encoder", "decoder", "cross"]),
            (("show", "--by", ""), ["token", "word", "sentence", "segment", "bins:256"]),
            (("show", "--dtype", ""), ["float32", "bfloat16", "float16", "auto"]),
            (("show", "--engine", "r"), ["reference"]),
            (("show", "--color", "a"), ["auto", "always"]),
            (("show", "--model", "builtin/"), [f"builtin/{one}" for one in BUILT_IN]),
            (("heads", "--stat", ""), [*STATISTICS, *CIRCUITS]),
            (("heads", "--sort", "ne"), ["next"]),
            (("export", "--cmap", "viri"), ["viridis", "viridis_r"]),
            (("sh",), ["show"]),
            (("show", "--file", "x"), []),  # which leaves it to the shell to offer files
            (("show", "x"), []),
        ],
    )  # fmt: skip
    def test_the_values_of_an_option_are_offered(
        self, complete: Complete, words: tuple[str, ...], offered: list[str]
    ) -> None:
        assert complete(*words) == offered

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_it_is_installed_for_the_shell_that_is_named(self, tmp_path: Path, shell: str) -> None:
        env = surroundings({"HOME": str(tmp_path), "SHELL": "/bin/bash"})
        done = subprocess.run([*COMMAND, "--install-completion", shell], env=env, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"for {shell} is installed in {tmp_path}" in done.stdout
        where = {"bash": ".bash_completions", "zsh": ".zfunc", "fish": ".config/fish"}
        assert [(tmp_path / folder).exists() for folder in where.values()] == [one == shell for one in where]

    def test_its_script_can_be_shown_and_an_unknown_shell_is_wrong_usage(self, run: Run) -> None:
        assert run("--show-completion", "zsh").out.startswith("#compdef attnviz")
        run("--install-completion", "csh").assert_failed(2, "'csh'", "bash, zsh, fish")


@pytest.mark.parametrize("args", [("--help",), ("show", "--help"), ("show", TEXT)])
def test_whoever_stops_reading_is_no_error(args: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*COMMAND, *args], stdout=writer, stderr=subprocess.PIPE, env=surroundings({}))
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(("args", "code"), [(("show", "--nope"), 2), (("nope",), 2), (("show", ""), 1)])
def test_with_standard_error_closed_nothing_but_data_is_printed(args: tuple[str, ...], code: int) -> None:
    shell = f"{shlex.quote(sys.executable)} -m attnviz {shlex.join(args)} 2>&-"
    done = subprocess.run(
        ["sh", "-c", shell], stdout=subprocess.PIPE, env=surroundings({}), cwd=Path(__file__).parents[2]
    )
    assert (done.returncode, done.stdout) == (code, b"")
