"""The commands of the README and of the pages beside it, run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attnviz.cli import app
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
PROGRAMS = {
    "attnviz": f'PYTHONPATH={ROOT} exec {sys.executable} -m attnviz "$@"',
    "jq": f"exec {sys.executable} -c '{JQ}' \"$@\"",
    "less": "exec cat",
    "display": "exec cat > shown.png",
}
"""Shell scripts for the programs of commands: the one under test, and stand-ins for those that not everyone has."""


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


def test_the_pages_have_commands_and_the_readme_has_ten():
    assert len(COMMANDS) > 60
    recipes = section(PAGES[README], "## Ten things to do")
    assert len(re.findall(r"^attnviz ", recipes, re.MULTILINE)) == 10


@pytest.mark.parametrize("command", [command for command in COMMANDS if ELSEWHERE.search(command)])
def test_a_command_for_a_model_that_is_not_here_lacks_nothing_but_the_model(command: str, folder: Path):
    environment = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HF_HOME": str(folder)}
    done = subprocess.run(
        ["bash", "-c", f"{command} --offline"], cwd=folder, env=environment, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 1
    assert re.search("not wholly, in the hub's cache|my-checkpoint", done.stderr)


@pytest.mark.parametrize("command", [command for command in COMMANDS if not ELSEWHERE.search(command)])
def test_a_command_of_a_page_does_what_it_is_there_for(command: str, folder: Path):
    environment = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, env=environment, capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (0, "")
    starts = {path.suffix: path.read_bytes()[:4] for path in folder.rglob("*.p[dn][fg]")}
    assert done.stdout or starts
    assert starts.items() <= {".pdf": b"%PDF", ".png": b"\x89PNG"}.items()


def test_the_recipe_that_counts_weights_counts_right(folder: Path):
    import attnviz

    (command,) = (command for command in COMMANDS if "wc -l" in command)
    environment = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    counted = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, check=True)
    model, lines = attnviz.load(), (ROOT / "sample_inputs" / "batch.txt").read_text(encoding="utf-8").splitlines()
    assert int(counted.stdout) == sum(int((model.attend(line)[0].weights > 0.9).sum()) for line in lines if line)
