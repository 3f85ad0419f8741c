import contextlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from attnviz import errors
from attnviz.cli import app
from attnviz.cli.progress import Tally
from attnviz.cli.request import Input
from attnviz.pipeline.folder import Folder

WORDS = "the", "dog", "saw", "a", "cat", "because", "it", "was", "tired"
AS_DATA = "--format", "npz", "--layer", "1"
MANIFEST = "manifest.jsonl"
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    chance = random.Random(3)
    return [" ".join(chance.choices(WORDS, k=chance.randint(3, 12))) for _ in range(100)]


@pytest.fixture
def lines(tmp_path: Path, sentences: list[str]) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(sentences[:5]), encoding="utf-8")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / MANIFEST).read_bytes().splitlines()]


def written(done: Any) -> list[int]:
    """The indices of the texts whose files were written."""
    return [int(Path(line).name[:6]) for line in done.out.splitlines()]


class TestManifest:
    def test_it_says_for_each_text_what_was_done(self, run: Run, tmp_path: Path, lines: Path) -> None:
        out = tmp_path / "out"
        done = run("export", "--file", lines, "-o", out, "--format", "npz", "--format", "csv", "--layer", "1-2")
        assert (done.code, done.err) == (0, "")
        found = entries(out)
        assert [entry["index"] for entry in found] == list(range(5))
        assert [entry["text"] for entry in found] == lines.read_text(encoding="utf-8").splitlines()
        assert [entry["source"] for entry in found] == [f"line {number} of {lines}" for number in range(1, 6)]
        assert len({entry["hash"] for entry in found}) == 5
        for entry in found:
            assert (entry["file"], entry["model"], entry["engine"]) == (str(lines), "builtin/encoder", "reference")
            assert entry["options"] == {"layer": [[1, 2]], "format": ["npz", "csv"]}
            assert entry["sizes"] == [(out / name).stat().st_size for name in entry["files"]]
        named = [str(out / name) for entry in found for name in entry["files"]]
        assert named == done.out.splitlines()
        assert {Path(name).name for name in named} | {MANIFEST} == set(contents(out))

    @pytest.mark.parametrize("place", ["x.npz", "-"])
    def test_an_export_to_one_file_writes_no_manifest(self, run: Run, tmp_path: Path, place: str) -> None:
        run("export", "the cat", "-o", place, "--format", "npz", cwd=tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {place} - {"-"}

    def test_an_array_that_is_refused_has_no_text_in_the_manifest(self, run: Run, tmp_path: Path) -> None:
        np.save(tmp_path / "own.npy", np.full((2, 3, 3), np.nan))
        assert run("export", tmp_path / "own.npy", *AS_DATA, "-o", tmp_path / "out").code == 1
        (entry,) = map(json.loads, (tmp_path / "out" / MANIFEST).read_text().splitlines())
        assert (entry["text"], entry["file"]) == ("", None)

    def test_a_manifest_of_another_program_is_left_alone(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / MANIFEST).write_text('{"audio_filepath": "1.wav"}\n', encoding="utf-8")
        run("export", "the cat", "-o", tmp_path, *AS_DATA).assert_failed(1, MANIFEST, "Line 1", "another folder")
        assert list(contents(tmp_path)) == [MANIFEST]


class TestRunAgain:
    @pytest.fixture
    def out(self, run: Run, tmp_path: Path, lines: Path) -> Path:
        run("export", "--file", lines, "-o", tmp_path / "out", *AS_DATA)
        return tmp_path / "out"

    def test_what_is_done_is_skipped_without_a_touch(self, run: Run, lines: Path, out: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
        done = run("export", "--file", lines, "-o", out, *AS_DATA)
        assert (done.code, done.out, done.err) == (0, "", f"{out}: 0 done, 5 skipped, 0 failed.\n")
        assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before

    def test_force_makes_all_files_again(self, run: Run, lines: Path, out: Path) -> None:
        before = contents(out)
        assert written(run("export", "--file", lines, "-o", out, *AS_DATA, "--force")) == list(range(5))
        assert contents(out) == before

    def test_a_line_that_has_changed_replaces_its_files(self, run: Run, lines: Path, out: Path) -> None:
        texts = lines.read_text(encoding="utf-8").splitlines()
        lines.write_text("\n".join([*texts[:2], "a new one", *texts[3:]]), encoding="utf-8")
        assert written(run("export", "--file", lines, "-o", out, *AS_DATA)) == [2]
        assert {path.name[:6] for path in out.glob("*.npz")} == {f"{index:06}" for index in range(5)}
        assert (out / "000002-a-new-one.npz").exists()
        assert len(list(out.iterdir())) == 6
        run("export", "--file", lines, "-o", out.parent / "fresh", *AS_DATA)
        assert contents(out) == contents(out.parent / "fresh")

    def test_a_line_that_moves_is_still_done(self, run: Run, lines: Path, out: Path) -> None:
        lines.write_bytes(b"\n" + lines.read_bytes())
        assert written(run("export", "--file", lines, "-o", out, *AS_DATA)) == []
        assert entries(out)[0]["source"] == f"line 2 of {lines}"

    @pytest.mark.parametrize(
        "change", [("--layer", "2"), ("--no-special",), ("--mean",), ("--model", "builtin/decoder")]
    )
    def test_another_option_makes_other_files(self, run: Run, lines: Path, out: Path, change: tuple[str, ...]) -> None:
        assert written(run("export", "--file", lines, "-o", out, *AS_DATA, *change)) == list(range(5))

    def test_an_option_that_changes_no_result_makes_no_new_files(self, run: Run, lines: Path, out: Path) -> None:
        assert written(run("export", "--file", lines, "-o", out, *AS_DATA, "--offline", "--jobs", "2")) == []

    def test_a_file_that_is_gone_or_cut_is_made_again(self, run: Run, lines: Path, out: Path) -> None:
        before = contents(out)
        first, second = sorted(out.glob("*.npz"))[1:3]
        first.unlink()
        second.write_bytes(b"half")
        assert written(run("export", "--file", lines, "-o", out, *AS_DATA)) == [1, 2]
        assert contents(out) == before

    def test_a_model_whose_files_have_changed_is_another(self, run: Run, tmp_path: Path, sentences: list[str]) -> None:
        from attnviz.models.registry import locate_minilm

        folder = tmp_path / "model"
        folder.mkdir()
        for path in locate_minilm().iterdir():
            if path.is_file():
                (folder / path.name).symlink_to(path)
        export = "export", sentences[0], "-o", tmp_path / "out", "--model", folder, *AS_DATA
        assert written(run(*export)) == [0]
        assert written(run(*export)) == []
        (folder / "notes.json").write_text("{}", encoding="utf-8")
        assert written(run(*export)) == [0]


class TestBadTexts:
    LINES = b"the cat\n\n\xff\na dog\n" + b"word " * 900 + b"\nit\n"

    @pytest.mark.parametrize("jobs", ["1", "2"])
    def test_each_is_reported_and_listed_and_the_rest_is_done(self, run: Run, tmp_path: Path, jobs: str) -> None:
        (tmp_path / "lines.txt").write_bytes(self.LINES)
        done = run("export", "--file", "lines.txt", "-o", "out", *AS_DATA, "--jobs", jobs, cwd=tmp_path)
        done.assert_failed(1, "Error in line 3 of lines.txt: ", "Error in line 5 of lines.txt: ")
        assert written(done) == [0, 2, 4]
        failed = [entry for entry in entries(tmp_path / "out") if "error" in entry]
        assert [(entry["index"], entry["files"]) for entry in failed] == [(1, []), (3, [])]
        assert len(failed[1]["text"]) == 1000
        assert "not valid UTF-8" in failed[0]["error"]
        assert "512" in failed[1]["error"]
        assert "(--truncate)" in failed[1]["error"]

    def test_a_second_run_tries_only_the_texts_that_failed(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "lines.txt"
        path.write_bytes(self.LINES)
        for _ in range(2):
            done = run("export", "--file", path, "-o", tmp_path / "out", *AS_DATA)
        done.assert_failed(1, "line 3", "line 5", "0 done, 3 skipped, 2 failed")
        path.write_bytes(self.LINES.replace(b"\xff", b"mended").replace(b"word " * 900, b"cut"))
        mended = run("export", "--file", path, "-o", tmp_path / "out", *AS_DATA)
        assert (mended.code, written(mended)) == (0, [1, 3])

    def test_a_line_that_goes_bad_loses_its_files(self, run: Run, tmp_path: Path, lines: Path) -> None:
        run("export", "--file", lines, "-o", tmp_path / "out", *AS_DATA)
        lines.write_bytes(b"\xff\n" + lines.read_bytes().split(b"\n", 1)[1])
        run("export", "--file", lines, "-o", tmp_path / "out", *AS_DATA).assert_failed(1, "line 1")
        assert list((tmp_path / "out").glob("000000*")) == []

    @pytest.mark.parametrize("jobs", ["1", "2"])
    def test_wrong_usage_ends_all(self, run: Run, tmp_path: Path, lines: Path, jobs: str) -> None:
        done = run("export", "--file", lines, "-o", tmp_path / "out", "--layer", "9", "--format", "npz", "--jobs", jobs)
        done.assert_failed(2, "There is no layer 9")
        assert len(done.err.splitlines()) == 1
        assert not (tmp_path / "out").exists()


class TestSameResults:
    def test_any_number_of_processes_makes_the_same_folder(
        self, run: Run, tmp_path: Path, sentences: list[str]
    ) -> None:
        lines = tmp_path / "lines.txt"
        lines.write_text("\n".join([*sentences, "\udc80"]), encoding="utf-8", errors="surrogateescape")
        for jobs in "13":
            done = run("export", "--file", lines, "-o", tmp_path / jobs, *AS_DATA, "--jobs", jobs)
            assert done.code == 1
        assert contents(tmp_path / "1") == contents(tmp_path / "3")
        assert len(contents(tmp_path / "1")) == 101

    def test_any_number_of_processes_draws_the_same_pictures(self, run: Run, tmp_path: Path, lines: Path) -> None:
        looks = "--layer", "1", "--head", "0", "--layout", "head", "--dpi", "40"
        formats = "--format", "png", "--format", "svg", "--format", "pdf"
        for jobs in "12":
            run("export", "--file", lines, "-o", tmp_path / jobs, *looks, *formats, "--jobs", jobs)
        assert contents(tmp_path / "1") == contents(tmp_path / "2")

    @pytest.mark.parametrize("model", ["builtin", "minilm"])
    def test_equally_long_texts_that_are_run_together_come_out_as_one_by_one(
        self, run: Run, tmp_path: Path, model: str
    ) -> None:
        texts = ["the dog saw a cat", "a cat saw the dog", "it was tired", "the cat was the dog", "a dog was tired"]
        options = "--model", model, "--format", "json"
        together = run("show", *texts, *options).records
        alone = [run("show", text, *options).records[0] for text in texts[:2]]
        for one, other in zip(together, alone, strict=False):
            assert_allclose(one["attention"][0]["weights"], other["attention"][0]["weights"], atol=1e-5)


class TestKilled:
    @pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
    def test_an_interrupt_after_which_an_archive_cannot_be_closed_is_one(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int
    ) -> None:
        def interrupt(*_: object) -> None:
            try:
                raise raised
            finally:
                raise ValueError("Can't close the ZIP file while there is an open writing handle on it.")

        monkeypatch.setattr("attnviz.formats.writing._write_array", interrupt)
        done = run("export", "the cat", "-o", tmp_path / "cat.npz")
        assert (done.code, list(tmp_path.iterdir())) == (code, []), done.err

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_an_interrupt_that_a_library_loses_is_one(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
    ) -> None:
        def lose(*_: object) -> None:
            with contextlib.suppress(KeyboardInterrupt, SystemExit):
                app._end(number, None)
            raise TypeError("incompatible function arguments")

        monkeypatch.setattr(errors, "_raised", [])
        monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
        monkeypatch.setattr("attnviz.formats.writing._write_array", lose)
        done = run("export", "the cat", "-o", tmp_path / "cat.npz")
        assert (done.code, list(tmp_path.iterdir())) == (code, []), done.err

    def test_run_again_it_ends_as_if_it_had_never_been_killed(
        self, start: Callable[..., Any], run: Run, tmp_path: Path, sentences: list[str]
    ) -> None:
        lines, chance = tmp_path / "lines.txt", random.Random(11)
        lines.write_text("\n".join(sentences * 5), encoding="utf-8")
        export = "export", "--file", str(lines), *AS_DATA, "--jobs", "2", "-o"
        run(*export, tmp_path / "undisturbed")
        for whom in ("parent", "worker", "parent"):
            process = start(*export, str(tmp_path / "out"), stdout=subprocess.DEVNULL)
            workers = started(process)
            time.sleep(chance.uniform(0, 0.3))
            os.kill(process.pid if whom == "parent" else workers[0], signal.SIGKILL)
            _, said = process.communicate(timeout=600)
            assert (process.returncode, said) == (-signal.SIGKILL, b"") or b"was killed (signal 9)" in said
            assert gone(workers)
        assert run(*export, tmp_path / "out").code == 0
        assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")

    @pytest.mark.parametrize("jobs", ["1", "2"])
    def test_ctrl_c_says_how_far_it_came_and_leaves_nothing_behind(
        self, start: Callable[..., Any], tmp_path: Path, sentences: list[str], jobs: str
    ) -> None:
        lines = tmp_path / "lines.txt"
        lines.write_text("\n".join(sentences * 50), encoding="utf-8")
        process = start(
            "export",
            "--file",
            str(lines),
            "-o",
            str(tmp_path / "out"),
            *AS_DATA,
            "--jobs",
            jobs,
            start_new_session=True,
        )
        assert process.stdout.readline()
        workers = children(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=600)
        assert process.returncode == 130
        told = re.fullmatch(
            rb"Interrupted: ([\d,]+) texts? (is|are) done; the same command goes on from there.\n", said
        )
        assert told
        assert 0 <= len(entries(tmp_path / "out")) - int(told[1].replace(b",", b"")) <= 1  # one may be just written
        assert gone(workers)
        assert not [name for name in contents(tmp_path / "out") if name.endswith(".part")]
        assert entries(tmp_path / "out")

    @pytest.mark.parametrize(
        ("anew", "before", "told"),
        [
            (False, False, "done; the same command goes on from there"),
            (False, True, "done; the same command goes on from there"),
            (True, False, "done; the same command without --force goes on from there"),
            (True, True, "saved again; the other texts are not"),
        ],
    )
    def test_what_is_said_of_it_reads_no_file_again_and_promises_nothing_that_force_does_not_keep(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, anew: bool, before: bool, told: str
    ) -> None:
        lines, out = tmp_path / "lines.txt", tmp_path / "out"
        lines.write_text("the cat\n" * 7)
        if before:
            out.mkdir()
            (out / "manifest.jsonl").touch()
        with pytest.raises(KeyboardInterrupt), Tally(Input(file=lines), out, anew=anew) as tally:
            tally.finish([])
            raise KeyboardInterrupt
        assert capsys.readouterr().err == f"Interrupted: 1 text is {told}.\n"

    @pytest.mark.parametrize("raised", [SystemExit(143), ValueError("which an interrupt led to")])
    def test_it_is_said_of_any_interrupt(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, raised: BaseException
    ) -> None:
        raised.__context__ = KeyboardInterrupt()
        with pytest.raises(type(raised)), Tally(Input(), tmp_path, anew=False):
            raise raised
        assert capsys.readouterr().err.startswith("Interrupted: 0 texts are done")

    def test_processes_do_not_hear_of_ctrl_c_themselves(
        self, start: Callable[..., Any], tmp_path: Path, lines: Path
    ) -> None:
        process = start("export", "--file", str(lines), "-o", str(tmp_path / "out"), *AS_DATA, "--jobs", "2")
        os.kill(started(process, 1)[0], signal.SIGINT)
        _, said = process.communicate(timeout=600)
        assert (process.returncode, said) == (0, b"")

    @pytest.mark.parametrize("whom", ["parent", "worker"])
    def test_when_one_dies_the_others_end_whatever_they_are_doing(self, whom: str) -> None:
        code = "from time import sleep; from functools import partial; from attnviz.processes import *\n"
        code += "list(in_processes(partial(map, sleep), [[600], [600]], 2))"
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
        workers = started(process)
        time.sleep(0.5)  # so that they are asleep
        os.kill(process.pid if whom == "parent" else workers[0], signal.SIGKILL)
        _, said = process.communicate(timeout=600)
        assert process.returncode
        assert whom == "parent" or b"ProcessError: One of the processes of `jobs` was killed (signal 9)" in said
        assert gone(workers)

    def test_a_second_run_in_the_same_folder_is_refused(self, run: Run, tmp_path: Path, lines: Path) -> None:
        run("export", "--file", lines, "-o", tmp_path / "out", *AS_DATA)
        with Folder(tmp_path / "out"):
            done = run("export", "--file", lines, "-o", tmp_path / "out", *AS_DATA, "--force")
        done.assert_failed(1, f"Another run is exporting into {tmp_path / 'out'}")


def test_a_disk_that_runs_full_ends_the_run_and_leaves_whole_files_and_lines_only(
    start: Callable[..., Any], run: Run, tmp_path: Path
) -> None:
    long = "word " * 99
    lines = tmp_path / "lines.txt"
    lines.write_text(f"the cat\n{long}\nit\n", encoding="utf-8")
    export = "export", "--file", str(lines), *AS_DATA, "-o"
    run(*export, tmp_path / "whole")
    limit = (tmp_path / "whole" / "000000-the-cat.npz").stat().st_size * 2
    full = start(
        *export,
        str(tmp_path / "full"),
        env={"PYTHONDONTWRITEBYTECODE": "1"},  # else compiled modules are cut too
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    _, said = full.communicate(timeout=600)
    assert full.returncode == 1
    assert re.fullmatch(rb"Error: .*000001-word\S* cannot be written: File too large\.\n", said)
    assert [entry["text"] for entry in entries(tmp_path / "full")] == ["the cat"]
    assert set(contents(tmp_path / "full")) == {"000000-the-cat.npz", MANIFEST}
    run(*export, tmp_path / "full")
    assert contents(tmp_path / "full") == contents(tmp_path / "whole")


class TestProgress:
    def test_a_terminal_shows_a_bar_and_in_the_end_a_line_and_no_paths(
        self, on_terminal: Run, tmp_path: Path, lines: Path
    ) -> None:
        done = on_terminal(80, "export", "--file", str(lines), "-o", str(tmp_path / "o"), *AS_DATA)
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.out)
        assert re.search(r"[0-5]/5 texts", shown)
        assert f"{tmp_path / 'o'}: 5 done, 0 skipped, 0 failed." in shown
        assert ".npz" not in shown

    def test_a_bad_line_is_reported_above_the_bar(
        self, on_terminal: Run, lines: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines.write_bytes(lines.read_bytes() + b"\n\xff")
        monkeypatch.chdir(lines.parent)  # a long path would be broken into lines
        done = on_terminal(200, "export", "--file", lines.name, "-o", "o", *AS_DATA)
        assert done.code == 1
        assert re.search(rf"\x1b\[2KError in line 6 of {re.escape(lines.name)}: The text is not valid", done.out)
        assert done.out.endswith("o: 5 done, 0 skipped, 1 failed.\n")

    def test_what_is_piped_in_is_not_used_up_by_counting_it(
        self, on_terminal: Run, tmp_path: Path, lines: Path
    ) -> None:
        ran = on_terminal(80, "export", "-", "--format", "csv", "-o", str(tmp_path / "out"), piped=lines)
        assert "5 done" in ran.out
        assert len(list((tmp_path / "out").glob("*.csv"))) == len(lines.read_text().splitlines()) == 5

    def test_a_single_text_shows_no_progress_bar(self, on_terminal: Run, tmp_path: Path) -> None:
        done = on_terminal(200, "export", "the cat", "-o", str(tmp_path), *AS_DATA)
        assert done.out == f"{tmp_path}/000000-the-cat.npz\n"


def test_a_batch_can_be_read_from_a_pipe(run: Run, tmp_path: Path, sentences: list[str]) -> None:
    done = run("export", "-o", tmp_path, *AS_DATA, "--jobs", "2", stdin="\n".join(sentences[:40]).encode())
    assert (done.code, sorted(written(done))) == (0, list(range(40)))
    assert {(entry["source"], entry["file"]) for entry in entries(tmp_path)} == {
        (f"line {number}", None) for number in range(1, 41)
    }
    weights = np.load(next(tmp_path.glob("000007*.npz")), allow_pickle=False)["weights"]
    assert weights.shape[:2] == (1, 6)


def children(pid: int) -> list[int]:
    """The processes that one has started to share its work."""
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def started(process: "subprocess.Popen[bytes]", count: int = 2) -> list[int]:
    """Its workers, once there are so many."""
    for _ in range(30_000):
        with contextlib.suppress(OSError):
            if len(found := children(process.pid)) == count:
                return found
        time.sleep(0.02)
    raise AssertionError("no workers were started")


def gone(pids: list[int]) -> bool:
    """Whether processes end, within some patience."""
    for _ in range(30_000):
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
