"""Where the streams themselves fail: closed, full, interrupted."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
PRINTING = [
    ("show", "the cat"),
    ("show", "the cat", "--format", "json"),
    ("show", "the cat", "--format", "csv"),
    ("export", "the cat", "-o", "-", "--format", "npz"),
    ("models",),
    ("models", "--format", "json"),
    ("--version",),
    ("--help",),
    ("show", "--help"),
]


def through_shell(redirection: str, *args: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[bytes]":
    """Runs the command with its streams as a shell makes them."""
    script = f'"$0" -m attnviz "$@" {redirection}'
    return subprocess.run(["bash", "-c", script, sys.executable, *args], capture_output=True, cwd=cwd, timeout=600)


@pytest.mark.parametrize("args", PRINTING, ids=" ".join)
def test_a_full_device_is_said_to_be_full(args: tuple[str, ...]) -> None:
    done = through_shell("> /dev/full", *args)
    said = done.stderr.decode()
    assert done.returncode == 1
    assert "No space left on device" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("args", [*PRINTING[:3], ("export", "the cat", "--format", "npz"), ("--help",)], ids=" ".join)
def test_a_standard_output_that_is_closed_is_no_traceback(args: tuple[str, ...], tmp_path: Path) -> None:
    done = through_shell(">&-", *args, cwd=tmp_path)
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1


@pytest.mark.parametrize("args", [PRINTING[0], PRINTING[1], PRINTING[8]], ids=" ".join)
def test_a_pipe_that_nobody_reads_ends_it_silently(args: tuple[str, ...]) -> None:
    done = through_shell("| sleep 0; echo ${PIPESTATUS[0]}", *args)
    assert (done.stdout, done.stderr) == (b"0\n", b"")


def test_head_takes_the_first_line_of_many(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("the cat sat on the mat\n" * 300, encoding="utf-8")
    done = through_shell("| head -n 1", "show", "--file", str(lines), "--format", "tsv")
    assert done.stdout.split(b"\t")[0] == b"text_index"
    assert done.stderr == b""


def test_a_closed_standard_input_is_no_text() -> None:
    done = through_shell("<&-", "show")
    assert done.returncode == 2
    assert b"There is no text" in done.stderr


def test_a_closed_standard_error_leaves_the_exit_code() -> None:
    assert through_shell("2>&-", "show", "").returncode == 1


@pytest.mark.parametrize("args", [("show",), ("show", "--format", "json"), ("export", "-o", "out")], ids=" ".join)
def test_an_interrupt_ends_it_with_its_own_code(
    start: Callable[..., Any], next_line: Callable[[Any], bytes], tmp_path: Path, args: tuple[str, ...]
) -> None:
    process = start(*args, cwd=tmp_path)
    process.stdin.write(b"the cat\n")
    process.stdin.flush()
    assert next_line(process)  # it is at work, and waits for the next line
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert b"Traceback" not in process.stderr.read()


def test_an_unknown_command_and_an_unknown_option_are_wrong_usage(run: Run) -> None:
    run("tell").assert_failed(2, "tell")
    for command in ("show", "export", "models"):
        run(command, "--colour").assert_failed(2, "--colour")


def test_a_reader_of_both_streams_may_close_early(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_bytes(b"\xff\n" * 20_000)
    done = through_shell("2>&1 | head -n 1", "show", "--file", str(lines), "--format", "json")
    assert done.stdout.startswith(b"Error in line 1 ")
    assert b"Traceback" not in done.stderr
