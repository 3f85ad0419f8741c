"""The command as its users meet it: a process with arguments, three streams and an exit code."""

import contextlib
import csv
import fcntl
import io
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import attnviz
from attnviz.cli.app import Environment, main
from attnviz.costs import measurement
from attnviz.costs.process import Size, Taken
from attnviz.records import Attention

COMMAND = (sys.executable, "-m", "attnviz")
ASKED = b"\x1b[c"
"""How a terminal is asked for its attributes."""
_PATIENCE = 600  # seconds after which a command hangs for good
_PATIENCE_OF_SCREENS = 120


def surroundings(changes: dict[str, str | None]) -> dict[str, str]:
    """The environment of a user with a colour terminal, with changes; None removes a variable."""
    sized = {"COLUMNS": None, "LINES": None}  # which processes that share tests may have been told
    wanted = {**os.environ, **sized, "TERM": "xterm-256color", "COLORTERM": "truecolor", **changes}
    return {name: value for name, value in wanted.items() if value is not None}


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        return self.stdout.decode()

    @property
    def err(self) -> str:
        return self.stderr.decode()

    @property
    def records(self) -> list[dict[str, Any]]:
        """Standard output as one JSON document a line."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def rows(self, delimiter: str = ",") -> list[dict[str, str]]:
        """Standard output as separated rows under a header."""
        return list(csv.DictReader(io.StringIO(self.out, newline=""), delimiter=delimiter))

    def assert_failed(self, code: int, *said: str) -> None:
        """Assert that this ended with one sentence on standard error that says certain things, and no traceback."""
        assert self.code == code, self.err
        assert "Traceback" not in self.err
        for what in said:
            assert what in self.err


Run = Callable[..., Ran]


@pytest.fixture(scope="module", autouse=True)
def sudden_measurements() -> Iterator[None]:
    """Gives commands in this process at once what attention would cost; those in processes of their own measure it."""

    def found(method: str, sizes: Sequence[Size]) -> Iterator[Taken]:
        yield 0.0, 0
        yield from ((1e-9 * tokens**2 * width, 4 * tokens**2 * width) for tokens, width in sizes)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(measurement, "measure_sizes", found)
        yield


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs `attnviz` with arguments in this process, its streams being bytes in memory."""

    def run(
        *args: str | bytes | Path,
        stdin: bytes = b"",
        cwd: Path | None = None,
        encoding: str = "utf-8",
        **env: str | None,
    ) -> Ran:
        given = io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin)), encoding)
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding, errors) for errors in ("strict", "backslashreplace"))
        with contextlib.chdir(cwd or "."):
            code = main([os.fsdecode(arg) for arg in args], Environment(given, out, err, surroundings(env)))
        for stream in (out, err):
            stream.flush()
        return Ran(code, out.buffer.getvalue(), err.buffer.getvalue())

    return run


@pytest.fixture(scope="session")
def run_process() -> Run:
    """Runs `attnviz` with arguments in a process of its own."""

    def run_process(*args: str | bytes | Path, stdin: bytes = b"", cwd: Path | None = None, **env: str | None) -> Ran:
        done = subprocess.run(
            [*COMMAND, *args],
            input=stdin,
            capture_output=True,
            cwd=cwd,
            env=surroundings(env),
            timeout=_PATIENCE,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run_process


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Starts `attnviz`, to talk to while it runs."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*args: str, env: Mapping[str, str | None] = {}, **options: Any) -> "subprocess.Popen[bytes]":
        streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started.append(subprocess.Popen([*COMMAND, *args], env=surroundings({**env}), **streams | options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream and not stream.closed:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        process.wait()


@pytest.fixture(scope="session")
def next_line() -> Callable[["subprocess.Popen[bytes]"], bytes]:
    """The next line of what a command prints while it runs; fails where none comes."""

    def next_line(process: "subprocess.Popen[bytes]") -> bytes:
        assert process.stdout
        ready, _, _ = select.select([process.stdout], [], [], _PATIENCE)
        assert ready, "nothing was printed"
        return process.stdout.readline()

    return next_line


@pytest.fixture(scope="session")
def on_terminal() -> Run:
    """Runs `attnviz` in this process on a terminal of so many columns, which both output streams are.

    The terminal answers once, when it is asked for its attributes. What it was told is in `stdout`.
    """

    def on_terminal(columns: int, *args: str, piped: Path | None = None, answer: bytes = b"", **env: str | None) -> Ran:
        ours, theirs = _open_terminal(columns, lines=40)
        told: list[bytes] = []
        terminal = threading.Thread(target=lambda: told.extend(_until_closed(ours, ASKED, answer)))
        terminal.start()
        options: Any = {"encoding": "utf-8", "closefd": False}
        try:
            with (
                pytest.MonkeyPatch.context() as patched,
                piped.open(encoding="utf-8") if piped else os.fdopen(theirs, **options) as stdin,
                os.fdopen(theirs, "w", buffering=1, **options) as stdout,
                os.fdopen(theirs, "w", buffering=1, errors="backslashreplace", **options) as stderr,
            ):
                patched.setattr("rich.console._STD_STREAMS", (theirs,))  # progress is as wide as these
                code = main(args, Environment(stdin, stdout, stderr, surroundings(env)))
        finally:
            os.close(theirs)
            terminal.join()
            os.close(ours)
        return Ran(code, b"".join(told).replace(b"\r\n", b"\n"), b"")

    return on_terminal


@pytest.fixture(scope="session")
def in_screen() -> Callable[..., int]:
    """Runs a command in a terminal until it shows something, presses keys, and returns its exit code."""

    def in_screen(command: list[str], shown: str, keys: bytes, piped: bytes = b"", **options: Any) -> int:
        ours, theirs = _open_terminal(80, lines=24)
        stdin = subprocess.PIPE if piped else theirs
        process = subprocess.Popen(command, stdin=stdin, stdout=theirs, stderr=theirs, **options)
        os.close(theirs)
        if process.stdin:
            process.stdin.write(piped)
            process.stdin.close()
        giving_up = threading.Timer(_PATIENCE_OF_SCREENS, process.kill)
        giving_up.start()
        written = b"".join(_until_closed(ours, shown.encode(), keys))
        giving_up.cancel()
        os.close(ours)
        assert shown.encode() in written, f"{shown!r} was never shown, but {written[-2000:]!r}"
        return process.wait(_PATIENCE)

    return in_screen


def _open_terminal(columns: int, lines: int) -> tuple[int, int]:
    """A terminal of a size: its own end, and that of the programs that run on it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    return ours, theirs


def _until_closed(terminal: int, awaited: bytes, typed: bytes) -> Iterator[bytes]:
    """What is written to a terminal; once it has shown what is awaited, keys are typed."""
    written, answered = b"", False
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # how Linux says that nobody holds the other end any more
            return
        if not data:
            return
        yield data
        written += data
        if not answered and awaited in written:
            answered = bool(os.write(terminal, typed))


@pytest.fixture(scope="session")
def attend() -> Callable[[str], Attention]:
    """What the built-in model gives for a text, straight from Python."""
    model = attnviz.load("builtin")

    def attend(text: str) -> Attention:
        (attention,) = model.attend(text)
        return attention

    return attend


@pytest.fixture(scope="session")
def too_long() -> str:
    """A text that no built-in model can read: a megabyte of short words."""
    return "a cat " * 170_000
