"""What somebody hostile, or unlucky, may give: it ends in a sentence, and takes no more memory than is promised."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.pipeline.streams import LONGEST_TEXT

Run = Callable[..., Any]
UNSEEN = "\u202e", "\u2028", "\u200b", "\x7f", "\U000e0041", "\x85"


MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, file=sys.stderr)
sys.exit(code)
"""
"""Runs a command, and says how many megabytes it took: a small process, for what starts it counts, too."""


def peak(args: list[str], shell: str = "", memory: int = 4 * 2**30) -> tuple[int, int, str]:
    """Runs the command in a shell with so much memory: its exit code, the most megabytes it took, what it said."""
    script = f'ulimit -v {memory // 1024}; {shell} "$0" -m attnviz "$@" > /dev/null'
    command = [sys.executable, "-c", MEASURE, "bash", "-c", script, sys.executable, *args]
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=600)
    *said, megabytes = done.stderr.decode().splitlines(keepends=True)
    return done.returncode, int(megabytes), "".join(said)


class TestMemory:
    @pytest.mark.parametrize(
        "beginning", ["PK\\003\\004", '{"attention":', '[\\n {"'], ids=["archive", "line", "spread"]
    )
    def test_a_stream_that_never_ends_is_not_read_beyond_what_it_may_take(self, beginning: str) -> None:
        code, megabytes, said = peak(["show", "-", "--memory", "50MB"], f"(printf '{beginning}'; cat /dev/zero) |")
        assert code == 1
        assert "Traceback" not in said
        assert megabytes < 50 * 1.5 + 100

    def test_nor_is_a_text_without_an_end(self) -> None:
        code, megabytes, said = peak(["show", "-"], "cat /dev/zero |")
        assert (code, said.startswith("Error: Line 1 does not end within 2,147,")) == (1, True)
        assert megabytes < 100

    @pytest.mark.parametrize("form", ["npz", "html", "png", "json"])
    def test_weights_that_nearly_fill_the_memory_are_not_there_twice(self, form: str, tmp_path: Path) -> None:
        long = "the animal did not cross the street because it was too tired . " * 37 + "the big dog"  # 22.8 MB
        limits = "--memory", "30MB", "--quiet", "-o", str(tmp_path / f"it.{form}")
        taken = [peak(["export", text, *limits]) for text in ("the big dog", long)]
        assert [code for code, *_ in taken] == [0, 0]
        assert taken[1][1] - taken[0][1] < 30 * 1.5

    @pytest.mark.parametrize(("number", "code", "told"), [(0, 1, "sums to 0"), (1 / 9000, 0, "--by bins:256")])
    def test_an_array_that_is_packed_into_a_thousandth_is_never_unpacked_whole(
        self, tmp_path: Path, number: float, code: int, told: str
    ) -> None:
        np.savez_compressed(tmp_path / "packed.npz", weights=np.full((1, 1, 9000, 9000), number, np.float32))
        ended, megabytes, said = peak(["show", str(tmp_path / "packed.npz"), "--memory", "50MB"])
        assert (ended, told in said) == (code, True)
        assert megabytes < 50 * 1.5 + 50  # the program itself

    @pytest.mark.parametrize("form", ["json", "csv"])
    def test_data_is_written_piece_by_piece(self, tmp_path: Path, form: str) -> None:
        weights = np.random.default_rng(7).dirichlet(np.ones(1103), (1, 5, 1103)).astype(np.float32)
        np.save(tmp_path / "own.npy", weights)
        _, megabytes, _ = peak(["show", str(tmp_path / "own.npy"), "--format", form])
        assert megabytes < 2 * weights.nbytes / 1e6 * 1.5 + 100  # the file, and the record

    @pytest.mark.parametrize("form", ["png", "pdf"])
    def test_pictures_are_gone_once_they_are_written(self, tmp_path: Path, form: str) -> None:
        text = "the cat " * 29
        args = ["export", text, "--format", form, "--layout", "head", "--layer", "0-1", "-o", str(tmp_path / "out")]
        _, one, _ = peak([*args, "--head", "0", "--layer", "0"])
        code, twelve, _ = peak(args)
        assert code == 0
        assert len(list((tmp_path / "out").glob(f"*.{form}"))) == 12
        assert twelve < 1.5 * one

    def test_a_picture_that_takes_more_than_it_may_is_refused_before_it_is_drawn(self, tmp_path: Path) -> None:
        args = ["export", "the cat " * 50, "--dpi", "1200", "-o", str(tmp_path / "out.png")]
        code, megabytes, said = peak([*args, "--memory", "300MB"])
        assert code == 1
        assert "--memory allows 300 MB: give a smaller --dpi" in said
        assert megabytes < 200
        assert list(tmp_path.iterdir()) == []
        code, megabytes, _ = peak([*args, "--memory", "500MB"])
        assert code == 0
        assert megabytes < 1.5 * 500

    def test_a_page_takes_no_more_than_its_record_and_half_of_it(self, tmp_path: Path) -> None:
        row = np.random.default_rng(7).dirichlet(np.ones(1103)).astype(np.float32)
        weights = np.tile(row, (2, 11, 1103, 1))  # packs well, as weights do
        np.save(tmp_path / "own.npy", weights)
        code, megabytes, _ = peak(["export", str(tmp_path / "own.npy"), "-o", str(tmp_path / "own.html")])
        assert code == 0
        assert megabytes < 2 * weights.nbytes / 1e6 * 1.5 + 100  # the file, and the record

    def test_a_comparison_counts_what_it_takes(self, run: Run) -> None:
        texts = "Mary lost her keys", "Mary lost her hat"
        assert "shown between stretches" not in run("show", texts[0], "--memory", "10kB").err
        assert "27.6 kB, and --memory allows 10 kB" in run("compare", *texts, "--memory", "10kB").err

    def test_where_there_is_too_little_the_next_text_is_tried(self, tmp_path: Path) -> None:
        (tmp_path / "lines.txt").write_text("a cat " * 9000 + "\nthe dog\n")
        args = [
            "show",
            "--file",
            str(tmp_path / "lines.txt"),
            "--window",
            "256:128",
            "--memory",
            "99GB",
            "--format",
            "csv",
        ]
        code, _, said = peak(args, memory=2**30)
        assert code == 1
        assert "Error in line 1 of" in said
        assert "There is too little memory for it: choose fewer with --layer" in said
        assert len(said.splitlines()) == 1


class TestSentences:
    @pytest.mark.parametrize(
        ("args", "code", "said"),
        [
            (("show", "the cat", "--memory", "9" * 309), 2, "is not a size"),
            (("show", "the cat", "--token", "9" * 4301), 1, "There is no token"),
            (("export", "the cat", "--title", "x\n" * 13_000), 2, "The title is too long for a picture"),
            (("export", "the cat", "--title", "x" * 1001), 2, "The title is too long for a picture"),
            (("export", "the cat", "-o", ""), 2, "a name is missing"),
            (("show", "the cat", "--model", "gpt2", "--revision", "../../x"), 2, "cannot be the name of a revision"),
            (("show", "the cat", "--color", "\u202e\x1b[31m"), 2, "choose one of auto"),
            (("show", "the cat", "--nosuch\u202e\x1b[31m"), 2, "No such option: --nosuch<U+202E>"),
        ],
        ids=lambda value: value[2] if isinstance(value, tuple) and len(value) > 2 else "",
    )
    def test_odd_values(self, run: Run, tmp_path: Path, args: tuple[str, ...], code: int, said: str) -> None:
        ran = run(*args, cwd=tmp_path)
        ran.assert_failed(code, said)
        assert len(ran.err) < 2500
        assert not set("\u202e\x1b") & set(ran.err)
        assert list(tmp_path.iterdir()) == []

    def test_the_help_is_printed_as_it_is_where_nothing_was_typed(self, run: Run) -> None:
        ran = run()
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.splitlines() == run("--help").out.splitlines()

    @pytest.mark.parametrize("command", ["show", "heads"])
    @pytest.mark.parametrize("form", ["csv", "tsv"])
    def test_rows_that_were_saved_are_no_texts(self, run: Run, tmp_path: Path, command: str, form: str) -> None:
        (tmp_path / "rows").write_bytes(run("show", "the cat", "--format", form).stdout)
        run(command, "--file", tmp_path / "rows").assert_failed(
            1, "rows holds weights or numbers saved as CSV", "npz or .json"
        )
        piped = run(command, stdin=run("heads", "the cat", "--format", form).stdout)
        piped.assert_failed(1, "Standard input holds weights or numbers saved as CSV")
        assert piped.stdout == b""

    def test_what_nobody_has_foreseen_asks_for_a_report(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        class PanicException(BaseException):
            """What a library in Rust raises."""

        def panic(*_: Any) -> None:
            raise PanicException("index out of bounds")

        monkeypatch.setattr("attnviz.cli.show.make_job", panic)
        ran = run("show", "the cat")
        ran.assert_failed(70, "PanicException: index out of bounds. Please report this", "--debug")
        assert "Traceback" in run("show", "the cat", "--debug").err

    @pytest.mark.parametrize("name", ["HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"])
    def test_a_variable_that_the_hubs_client_cannot_read(self, run_process: Run, name: str) -> None:
        run_process("models", **{name: "abc"}).assert_failed(1, "HF_HUB_", "'abc'")

    def test_a_cache_that_leads_to_itself(self, run_process: Run, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        run_process("models", HF_HOME=str(tmp_path / "loop")).assert_failed(1, "cannot be read")

    def test_settings_of_matplotlib_in_the_current_folder_are_not_read(self, run_process: Run, tmp_path: Path) -> None:
        (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe no settings")
        ran = run_process("export", "the cat", "-o", "cat.png", cwd=tmp_path)
        assert (ran.code, ran.err) == (0, "")

    @pytest.mark.parametrize("count", [5, 6, 7])
    def test_few_files_may_be_open(self, count: int) -> None:
        code, _, said = peak(["export", "the cat", "-o", "/tmp/no/such"], f"ulimit -n {count};")
        assert (code, "Traceback" in said) in ((1, False), (0, False))


class TestTheOthersGoOn:
    GOOD = b"Mary lost her keys\n"

    def test_explain_with_a_text_that_is_too_short_for_it(self, run: Run) -> None:
        ran = run("explain", "--permute", "--format", "json", stdin=self.GOOD + b"Mary\n" + self.GOOD)
        ran.assert_failed(2, "Error in line 2: --permute needs at least two tokens")
        assert len(ran.records) == 2

    def test_options_for_texts_on_a_saved_record_among_them(self, run: Run) -> None:
        record = run("show", "the cat", "--format", "json").stdout
        ran = run("show", "--truncate", "--format", "json", stdin=self.GOOD + record + self.GOOD)
        ran.assert_failed(2, "line 2 holds saved weights")
        assert [found["text"] for found in ran.records] == ["Mary lost her keys"] * 2

    def test_a_model_that_fails_on_one_of_them(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        from attnviz.errors import ModelError
        from attnviz.models.tokenization import TextReader

        read = TextReader.read

        def fail(self: TextReader, passage: Any, card: Any) -> Any:
            if passage.text == "Mary":
                raise ModelError("The tokenizer cannot read this text.")
            return read(self, passage, card)

        monkeypatch.setattr(TextReader, "read", fail)
        ran = run("show", "--format", "json", stdin=self.GOOD + b"Mary\n" + self.GOOD)
        ran.assert_failed(1, "Error in line 2: The tokenizer cannot read this text.")
        assert len(ran.records) == 2


class TestEscapes:
    @pytest.mark.parametrize("char", UNSEEN, ids=ascii)
    def test_json_has_no_character_that_is_not_seen_and_means_the_same(self, run: Run, char: str) -> None:
        text = f"the{char}cat"
        ran = run("show", "--format", "json", stdin=text.encode() + b"\n")
        assert char not in ran.out
        assert ran.records[0]["text"] == text

    def test_a_long_value_is_not_quoted_whole_and_the_advice_is_kept(self, run: Run, tmp_path: Path) -> None:
        own = {"weights": [[[[1.0, 1.0]]]], "query_tokens": ["q" * LONGEST_TEXT], "key_tokens": ["a", "b"]}
        (tmp_path / "own.json").write_text(json.dumps({"attention": [own]}))
        ran = run("show", tmp_path / "own.json")
        ran.assert_failed(1, "own.json", "each row must sum to 1")
        assert len(ran.err) < 2500

    def test_paths_are_safe_on_a_terminal_and_whole_in_a_pipe(self, on_terminal: Run, run: Run, tmp_path: Path) -> None:
        folder = str(tmp_path / "a\u202eb")
        assert "\u202e" not in on_terminal(200, "export", "the cat", "--format", "csv", "-o", folder).out
        assert folder in run("export", "the cat", "--format", "csv", "--force", "-o", folder).out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_file_that_is_not_finished_is_removed_by_a_signal(
    start: Callable[..., Any], tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "long.txt").write_text("a cat " * 2000)
    process = start("export", "--file", "long.txt", "--window", "256:128", "-o", "long.csv", cwd=tmp_path)
    while process.poll() is None and not list(tmp_path.glob("*.part")):
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["long.txt"]
    assert b"Traceback" not in process.stderr.read()


def test_flags_without_end_are_read_in_a_moment(run: Run) -> None:
    """Where each looked back to the first, 80,000 took a minute."""
    from attnviz.text.boundaries import find_word_spans
    from attnviz.text.graphemes import split_graphemes

    flags = "\U0001f1e6\U0001f1e9" * 40_000
    assert split_graphemes(flags) == ["\U0001f1e6\U0001f1e9"] * 40_000
    assert find_word_spans(flags) == [(start, start + 2) for start in range(0, 80_000, 2)]
    assert split_graphemes(f"a{flags[:5]}b") == ["a", flags[:2], flags[:2], flags[0], "b"]
