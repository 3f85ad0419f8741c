"""Whole processes, and what each costs."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_NOT_OURS = "ATTNVIZ_MODEL", "NO_COLOR", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took: seconds from its start to its end, and the most memory that it held, in bytes."""

    seconds: float
    peak: int


@dataclass(frozen=True, slots=True)
class Command:
    """What Python is asked to run, by a short `name`; `input` is the file that it reads as standard input."""

    name: str
    arguments: tuple[str, ...]
    input: Path = Path(os.devnull)

    def run(self) -> Run:
        """Runs it in a process of its own, its output thrown away.

        Raises:
            subprocess.CalledProcessError: it failed; why is on standard error.
        """
        with self.input.open("rb") as lines, Path(os.devnull).open("wb") as nowhere:
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, *self.arguments], stdin=lines, stdout=nowhere, cwd=ROOT, env=_environment()
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
        return Run(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def _environment() -> dict[str, str]:
    """A colour terminal, and the defaults of attnviz and of Python, which then compiles each module only once."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_OURS} | {"TERM": "xterm-256color"}
