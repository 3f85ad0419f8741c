"""`attnviz verify` as a user sees it: figures as a table and as data, what is skipped, and the exit code."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from attnviz.cli.app import Environment, main
from attnviz.models.model import Model
from attnviz.pipeline.checks import CHECKS, Check
from tests.cli.conftest import Run, surroundings

FIELDS = ["check", "model", "figure", "published", "measured", "difference", "verdict", "tolerance", "source", "reason"]


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def add_check(monkeypatch: pytest.MonkeyPatch, published: Mapping[str, float], measured: Mapping[str, float]) -> None:
    """Adds a check of the built-in encoder, as a user can who writes Python."""

    def measure(model: Model) -> Mapping[str, float]:
        return measured

    made: dict[str, Any] = {"name": "made-up", "model": "builtin/encoder", "how": "a number", "source": "a test"}
    check = Check(**made, tolerance=0.01, published=published, measure=measure)
    monkeypatch.setitem(CHECKS, "made-up", check)


def test_each_check_is_there_with_its_figures_or_with_why_it_is_skipped(run: Run) -> None:
    done = run("verify", "--format", "json")
    assert (done.code, done.err) == (0, "")
    assert list(dict.fromkeys(row["check"] for row in done.records)) == [*CHECKS]
    for row in done.records:
        assert [*row] == FIELDS
        check = CHECKS[row["check"]]
        assert (row["source"], row["tolerance"]) == (check.source, check.tolerance)
        if row["verdict"] == "skipped":
            assert row["figure"] is row["published"] is row["measured"] is row["difference"] is None
            assert row["reason"] == f"not here: --model {row['model']} fetches it."
        else:
            assert row["reason"] is None and row["published"] == check.published[row["figure"]]
            assert row["difference"] == pytest.approx(row["measured"] - row["published"])


@pytest.mark.parametrize(("form", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_rows_hold_what_the_lines_of_json_hold(run: Run, form: str, delimiter: str) -> None:
    rows = run("verify", "--format", form).rows(delimiter)
    lines = run("verify", "--format", "json").records
    assert [*rows[0]] == FIELDS and len(rows) == len(lines)
    for row, line in zip(rows, lines, strict=True):
        assert row["figure"] == (line["figure"] or "") and row["verdict"] == line["verdict"]
        assert row["measured"] == "" if line["measured"] is None else float(row["measured"]) == line["measured"]


def test_only_the_named_models_are_checked(run: Run) -> None:
    done = run("verify", "--model", "builtin/decoder", "--model", "minilm", "--format", "json")
    assert done.code == 0
    assert [*dict.fromkeys(row["model"] for row in done.records)] == ["builtin/decoder", "minilm"]
    assert {row["verdict"] for row in done.records} == {"passed"}


def test_a_figure_that_is_off_fails_and_so_does_the_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    add_check(monkeypatch, {"near": 0.5, "off": 0.5, "none": -0.25}, {"near": 0.509, "off": 0.511})
    done = run("verify", "--model", "builtin", "--width", "80")
    assert (done.code, done.err) == (1, "")
    assert [line.split() for line in done.out.splitlines() if line.startswith(("near", "off", "none"))] == [
        ["near", "0.500", "0.509", "+0.009", "passed"],
        ["off", "0.500", "0.511", "+0.011", "failed"],
        ["none", "−0.250", "–", "–", "failed"],
    ]
    assert done.out.endswith("8 figures: 6 passed, 2 failed; 0 checks skipped\n")
    (last,) = run("verify", "--model", "builtin", "--format", "json").records[-1:]
    assert (last["figure"], last["measured"], last["verdict"]) == ("none", None, "failed")


def test_a_model_that_cannot_be_run_fails_and_so_does_the_command(run: Run, tmp_path: Path) -> None:
    (tmp_path / "gpt2").mkdir()
    (tmp_path / "gpt2" / "config.json").write_text("{}")
    done = run("verify", cwd=tmp_path)
    assert done.code == 1
    assert "gpt2-induction · gpt2\nfailed: " in done.out
    assert "22 figures: 22 passed, 0 failed, 7 checks could not be run; 4 checks skipped\n" in done.out


def test_a_model_of_which_no_figures_are_known_is_a_wrong_usage(run: Run) -> None:
    done = run("verify", "--model", "distilgpt2")
    done.assert_failed(2, "No published figures of distilgpt2 are known, only those of builtin/encoder,")
    assert done.stdout == b""


def test_a_named_model_that_is_not_here_is_asked_for_as_by_other_commands(run: Run) -> None:
    done = run("verify", "--model", "openai-community/gpt2", "--offline")
    done.assert_failed(1, "openai-community/gpt2 is not, or not wholly, in the hub's cache")
    assert done.err == run("show", "a", "--model", "openai-community/gpt2", "--offline").err


def test_standard_input_is_never_read() -> None:
    class Unread(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            raise AssertionError("standard input was read")

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    given = io.TextIOWrapper(io.BufferedReader(Unread()), "utf-8")
    assert main(["verify", "--model", "builtin"], Environment(given, out, err, surroundings({}))) == 0


def test_the_list_names_every_check_with_its_source_and_runs_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.pipeline.verifying.load", None)
    done = run("verify", "--list", "--width", "300")
    assert (done.code, done.err) == (0, "")
    for check in CHECKS.values():
        assert check.name in done.out.splitlines()
        for fact in (check.model, check.how, check.source, f"{check.tolerance:g}"):
            assert fact in done.out
    only = run("verify", "--list", "--model", "gpt2").out
    assert "gpt2-induction" in only and "opt-125m-loss" not in only


def test_the_default_model_of_the_environment_chooses_no_checks(run: Run) -> None:
    assert run("verify", "--list", ATTNVIZ_MODEL="minilm").out == run("verify", "--list").out


def test_a_name_from_outside_obeys_no_terminal(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[31m" / "gpt2"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    done = run("verify", "--model", folder)
    assert done.code == 1 and b"\x1b" not in done.stdout + done.stderr
