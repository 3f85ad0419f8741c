import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import attnviz
from tests.cli.conftest import COMMAND, surroundings
from tests.pages import ROOT

COMMANDS = "show", "browse", "export", "heads", "find", "compare", "verify", "explain", "cost", "models"
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def helps(run: Run) -> dict[str, str]:
    """The help of each command, asked for in both ways."""
    found = {command: run(command, "--help") for command in COMMANDS}
    assert {done.code for done in found.values()} == {0}
    return {command: done.out for command, done in found.items()}


def examples(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.startswith("  attnviz ")]


def test_the_version_is_the_packages(run: Run) -> None:
    done = run("--version")
    assert (done.code, done.out, done.err) == (0, f"attnviz {attnviz.__version__}\n", "")


def test_the_help_names_every_command_with_a_whole_sentence(run: Run) -> None:
    done = run("-h")
    assert done.code == 0
    lines = done.out.split("Commands:")[1].splitlines()
    listed = dict(line.split(maxsplit=1) for line in lines if line.startswith("  "))
    assert set(listed) == set(COMMANDS)
    assert not [line for line in listed.values() if line.endswith("...")]


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    assert "Commands:" in run().out + run().err


@pytest.mark.parametrize("command", COMMANDS)
class TestHelpOfACommand:
    def test_its_lines_fit_80_columns_and_no_mark_up_is_left(self, helps: dict[str, str], command: str) -> None:
        assert max(map(len, helps[command].splitlines())) <= 80
        assert "\\" not in helps[command]
        assert "\b" not in helps[command]

    def test_a_default_stands_in_one_pair_of_brackets(self, helps: dict[str, str], command: str) -> None:
        assert not re.search(r"default:\s+\(", helps[command])

    def test_every_option_is_explained(self, helps: dict[str, str], command: str) -> None:
        options = re.findall(r"^  (?:-\w, )?(--[\w-]+)(.*(?:\n {10,}.*)*)", helps[command], re.M)
        assert options
        for name, rest in options:
            assert re.search(r"[a-z].*\.", re.sub(r"<[^>]*>|\[[^]]*\]", "", rest), re.S), name

    def test_it_has_examples_that_run(
        self, run: Run, in_screen: Callable[..., int], helps: dict[str, str], command: str, tmp_path: Path
    ) -> None:
        (tmp_path / "lines.txt").write_text("The cat sat.\nA dog barked.\n", encoding="utf-8")
        for name, sample in (("pairs.tsv", "coreference_pairs.tsv"), ("treebank.conllu", "treebank.conllu")):
            (tmp_path / name).write_bytes((ROOT / "sample_inputs" / sample).read_bytes())
        found = examples(helps[command])
        assert found
        for example in found:
            args = shlex.split(example.partition(" | ")[0])
            assert args[:2] == ["attnviz", command]
            if command == "browse":
                assert in_screen([*COMMAND, *args[1:]], "looks at", b"q", cwd=tmp_path, env=surroundings({})) == 0
                continue
            done = run(*args[1:], cwd=tmp_path)
            assert (done.code, done.err) == (0, ""), example
            assert done.stdout or any(path.suffix == ".pdf" for path in tmp_path.iterdir())


def test_an_example_pipes_into_a_filter_that_its_shape_fits(helps: dict[str, str]) -> None:
    piped = [example for example in examples(helps["show"]) if " | " in example]
    assert piped
    for example in piped:
        assert "--format" in example
        shell_words = shlex.split(example)
        assert shell_words[shell_words.index("|") + 1] in ("jq", "head", "awk", "sort", "cut")


class TestModels:
    def test_as_data_each_has_a_name_a_purpose_and_sizes(self, run: Run) -> None:
        builtin, *others, minilm = json.loads(run("models", "--format", "json").stdout)
        assert [other["name"] for other in others] == ["builtin/decoder", "builtin/translator", "builtin/bahdanau"]
        assert others[2]["attention"] == {"cross": {"layers": 1, "heads": 1}}
        assert builtin["name"] == "builtin/encoder"
        assert builtin["attention"] == {"encoder": {"layers": 4, "heads": 6}}
        assert builtin["positions"] >= 512
        assert builtin["parameters"] > 100_000
        assert minilm["name"] == "minilm"
        assert minilm["attention"] == {"encoder": {"layers": 6, "heads": 12}}
        assert minilm["bytes"] == 90_868_376
        for listed in (builtin, *others, minilm):
            assert listed["purpose"]
            assert listed["engine"] == "reference"

    def test_as_a_table_each_has_a_line(self, run: Run) -> None:
        header, *lines = run("models", "--width", "140").out.splitlines()
        for column in ("name", "layers", "heads", "size", "engine", "purpose"):
            assert column in header
        listed = json.loads(run("models", "--format", "json").stdout)
        for line, model in zip(lines, listed, strict=True):
            for value in (model["name"], f"{model['bytes'] / 1e6:.1f} MB", model["engine"], model["purpose"]):
                assert value in line

    def test_what_is_listed_can_be_loaded(self, run: Run) -> None:
        for listed in json.loads(run("models", "--format", "json").stdout):
            done = run("show", "the", "--model", listed["name"], "--format", "json")
            assert done.records[0]["model"] == listed["name"]

    @pytest.mark.parametrize("columns", [72, 80])
    def test_on_a_terminal_no_heading_or_number_is_cut(self, on_terminal: Run, columns: int) -> None:
        out = on_terminal(columns, "models", "--color", "never").out
        assert max(map(len, out.splitlines())) <= columns
        assert "…" not in out


class TestCompletion:
    SCRIPT = "from attnviz.cli.app import app; app(prog_name='attnviz')"  # as the installed command does

    def asked(self, **env: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", self.SCRIPT], capture_output=True, env=os.environ | env, check=True, timeout=600
        )
        return done.stdout.decode()

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_a_shell_gets_its_script(self, shell: str) -> None:
        script = self.asked(_ATTNVIZ_COMPLETE=f"source_{shell}")
        assert f"_ATTNVIZ_COMPLETE=complete_{shell}" in script

    @pytest.mark.parametrize(
        ("line", "offered"),
        [
            ("attnviz ", set(COMMANDS)),
            ("attnviz show --no", {"--no-added-tokens", "--no-special"}),
            ("attnviz mo", {"models"}),
        ],
    )
    def test_what_can_come_next_is_offered(self, line: str, offered: set[str]) -> None:
        place = str(line.count(" "))
        assert set(self.asked(_ATTNVIZ_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=place).split()) == offered
