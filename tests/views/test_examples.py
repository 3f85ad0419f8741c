"""Modules that draw something show it when they are run."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import attnviz.views

VIEWS = Path(attnviz.views.__file__).parent
SHOWING = [path for path in sorted(VIEWS.glob("*/*.py")) if '__name__ == "__main__"' in path.read_text("utf-8")]
STARTS = {"image": b"\x89PNG", "page": b"<!doctype html>"}
"""What the files of a room begin with."""
Snapshot = Callable[[str, str], None]


def run_module(path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Run a module as `python -m` does, but in this process."""
    name = ".".join(("attnviz.views", path.parent.name, path.stem))
    monkeypatch.delitem(sys.modules, name, raising=False)  # else runpy warns that it runs twice
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_module(name, run_name="__main__")


def test_each_room_that_draws_has_modules_that_show_themselves() -> None:
    shown = {f"{path.parent.name}/{path.stem}" for path in SHOWING}
    assert shown >= {
        "terminal/matrix",
        "terminal/heads",
        "terminal/lesson",
        "terminal/cost",
        "image/pictures",
        "page/pages",
    }


@pytest.mark.parametrize(
    "path", [path for path in SHOWING if path.parent.name == "terminal"], ids=lambda path: path.stem
)
def test_a_module_of_the_terminal_prints_what_it_draws(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], check_snapshot: Snapshot
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run_module(path, monkeypatch)
    check_snapshot(capsys.readouterr().out, f"terminal-{path.stem}")


@pytest.mark.parametrize(
    "path", [path for path in SHOWING if path.parent.name in STARTS], ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_module_of_pictures_or_pages_writes_one_and_says_where(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = tmp_path / "made"
    run_module(path, monkeypatch, str(made))
    assert made.read_bytes().startswith(STARTS[path.parent.name])
    assert capsys.readouterr().out == f"{made}\n"
