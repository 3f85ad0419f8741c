"""The commands of the README and of the pages beside it, run as they stand."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attnviz.cli import app
from tests.cli.conftest import Ran, Run
from tests.pages import CONTRIBUTING, PAGES, README, ROOT, blocks, section

NAMED = re.compile(rf"\battnviz ({'|'.join(app.COMMANDS)})\b")
COMMANDS = dict.fromkeys(
    line.partition("  # ")[0].strip()
    for name, text in PAGES.items()
    if name != CONTRIBUTING  # whose commands are for what its examples add
    for block in blocks(text, "console")
    for line in block.splitlines()
    if NAMED.search(line) and not line.startswith(("#", "$", "pip "))
)
"""Each once, whatever number of pages it stands on."""

ELSEWHERE = re.compile(r"--model (?!minilm\b|builtin/)\S")
"""What commands have that name a model which is neither in the package nor installed along."""

SCREEN = "attnviz browse"
"""What begins commands that need a terminal and a keyboard."""

JQ = r"""
import json, re, sys

def path(steps, values):
    for name, index in re.findall(r"\.(\w+)|\[(\d*)\]", steps):
        each = name or index
        values = [value[name or int(index)] for value in values] if each else [one for value in values for one in value]
    return values

def filtered(part, value):
    if part.startswith("["):
        return [[found for steps in part[1:-1].split(",") for found in path(steps, [value])]]
    return path(part, [value])

for line in sys.stdin:
    values = [json.loads(line)]
    for part in sys.argv[-1].split("|"):
        values = [found for value in values for found in filtered(part.strip(), value)]
    for value in values:
        print(json.dumps(value))
"""
PYTHON = shlex.quote(sys.executable)
PROGRAMS = {
    "attnviz": f'PYTHONPATH={shlex.quote(str(ROOT))} exec {PYTHON} -m attnviz "$@"',
    "jq": f"exec {PYTHON} -c '{JQ}' \"$@\"",
    "less": "exec cat",
    "display": "exec cat > shown.png",
}
"""Shell scripts for the programs of commands: the one under test, and stand-ins for those that not everyone has."""

STARTS = {".pdf": b"%PDF", ".png": b"\x89PNG", ".html": b"<!do"}
"""What files begin with, by the suffixes of those that commands make to be looked at."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sample inputs and the programs."""
    (tmp_path / "sample_inputs").symlink_to(ROOT / "sample_inputs")
    (tmp_path / "bin").mkdir()
    for name, script in PROGRAMS.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
    return tmp_path


def in_shell(command: str, folder: Path, **variables: str) -> Ran:
    """Run a command as a shell does that finds the programs."""
    environment = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"} | variables
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, env=environment, capture_output=True)
    return Ran(done.returncode, done.stdout, done.stderr)


def test_the_pages_have_commands_and_the_readme_has_recipes():
    assert len(COMMANDS) > 60
    recipes = section(PAGES[README], "## Recipes")
    assert len(re.findall(r"^attnviz ", recipes, re.MULTILINE)) == len(re.findall(r"^# ", recipes, re.MULTILINE)) > 10


@pytest.mark.parametrize("command", [command for command in COMMANDS if ELSEWHERE.search(command)])
def test_a_command_for_a_model_that_is_not_here_lacks_nothing_but_the_model(command: str, folder: Path, run: Run):
    words = words_of(command)
    done = run(*words[1:], "--offline", cwd=folder) if words else in_shell(f"{command} --offline", folder)
    assert done.code == 1
    assert re.search("not wholly, in the hub's cache|my-checkpoint", done.err)


def words_of(command: str) -> list[str] | None:
    """Return the words of a command; None if it takes a shell to run it."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    return None if words[0] != "attnviz" or any(set(word) <= set(lexer.punctuation_chars) for word in words) else words


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if not ELSEWHERE.search(command) and SCREEN not in command]
)
def test_a_command_of_a_page_does_what_it_is_there_for(command: str, folder: Path, run: Run):
    words = words_of(command)
    done = run(*words[1:], cwd=folder) if words else in_shell(command, folder)
    assert done.code == 0
    assert all(line.startswith("Note: ") for line in done.err.splitlines())
    made = (path for path in folder.rglob("*") if path.suffix in STARTS)
    starts = {path.suffix: path.read_bytes()[:4] for path in made}
    assert done.out or starts
    assert starts.items() <= STARTS.items()


@pytest.mark.parametrize("command", [command for command in COMMANDS if SCREEN in command])
def test_a_command_that_fills_the_terminal_opens_and_ends_at_a_key(
    command: str, folder: Path, in_screen: Callable[..., int]
):
    environment = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "TERM": "xterm-256color"}
    shown = "Esc quits" if command == SCREEN else "looks at"
    assert in_screen(["bash", "-c", command], shown, b"\x03", cwd=folder, env=environment) == 0


def test_the_recipe_that_counts_weights_counts_right(folder: Path):
    import attnviz

    (command,) = (command for command in COMMANDS if "wc -l" in command)
    counted = in_shell(command, folder)
    model, lines = attnviz.load(), (ROOT / "sample_inputs" / "batch.txt").read_text(encoding="utf-8").splitlines()
    assert int(counted.out) == sum(int((model.attend(line)[0].weights > 0.9).sum()) for line in lines if line)
