"""Records show themselves in a notebook: first a picture, then the page in a frame."""

import base64
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import attnviz
from attnviz.records import Judgement
from tests.pages import ROOT

NOTEBOOK = ROOT / "sample_inputs" / "attention.ipynb"
TEXT = "Mary lost her keys"


@pytest.fixture(scope="module")
def records() -> list[attnviz.Attention]:
    return attnviz.load("builtin").attend(TEXT)


def images(fragment: str) -> list[bytes]:
    return [base64.b64decode(data) for data in re.findall(r'src="data:image/png;base64,([^"]+)"', fragment)]


def test_a_record_is_a_picture_and_then_a_page_in_a_frame_of_its_own(records: list[attnviz.Attention]) -> None:
    bundle = records[0]._repr_mimebundle_()
    assert set(bundle) == {"image/png", "text/html"}
    assert images(bundle["text/html"]) == [base64.b64decode(bundle["image/png"])]
    assert images(bundle["text/html"])[0].startswith(b"\x89PNG")
    assert bundle["text/html"].index("<img") < bundle["text/html"].index("<iframe")
    (sandbox,) = re.findall(r'<iframe[^>]* sandbox="([^"]*)"', bundle["text/html"])
    assert "allow-same-origin" not in sandbox


def test_nothing_of_the_page_stands_outside_its_frame(records: list[attnviz.Attention]) -> None:
    fragment = records[0]._repr_html_()
    around = re.sub(r'srcdoc="[^"]*"', "", fragment or "")
    assert re.findall(r"<(\w+)", around) == ["div", "img", "iframe"]


def test_each_time_the_frame_has_another_name(records: list[attnviz.Attention]) -> None:
    found = {re.findall(r'<iframe id="([^"]+)"', records[0]._repr_html_() or "")[0] for _ in range(3)}
    assert len(found) == 3


def test_what_attend_returns_is_one_page_with_a_picture_of_each_kind() -> None:
    found = attnviz.load("builtin/translator").attend("The red car is fast")
    fragment = found._repr_html_()  # type: ignore[attr-defined]
    assert len(images(fragment)) == 3
    assert fragment.count("<iframe") == 1
    assert isinstance(found, list) and repr(found) == repr(list(found))


def test_numbers_of_heads_are_a_table(records: list[attnviz.Attention]) -> None:
    (table,) = attnviz.statistics(records, ["entropy", "previous"])
    fragment = table._repr_html_() or ""
    rows = re.findall(r"<tr><td>(.*?)</td></tr>", fragment)
    assert len(rows) == 24
    cells = rows[3 * 6 + 2].split("</td><td>")
    assert cells == ["L3 H2", f"{table['entropy'][3, 2]:.2f}", f"{table['previous'][3, 2]:.2f}", ""]
    labelled = replace(table, labels={(3, 2): Judgement("broad", "entropy > 1", 1.5)})
    assert "</td><td>broad</td></tr>" in (labelled._repr_html_() or "")
    both = attnviz.statistics([*records, *attnviz.load("builtin/decoder").attend(TEXT)])
    assert both._repr_html_().count("<table") == 2  # type: ignore[attr-defined]
    assert set(table._repr_mimebundle_()) == {"text/html"}


def test_what_is_no_record_shows_as_it_is() -> None:
    from attnviz.display import DisplayedList

    assert DisplayedList()._repr_mimebundle_() == DisplayedList([1, "a"])._repr_mimebundle_() == {}


def test_nothing_is_drawn_or_loaded_for_it_until_a_notebook_asks() -> None:
    code = (
        "import sys, attnviz; found = attnviz.load('builtin').attend('It works.'); repr(found); "
        "assert not {'attnviz.views', 'matplotlib'} & set(sys.modules); found._repr_html_(); "
        "assert 'attnviz.views.notebook' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("default")  # those of other people's event loops
def test_the_sample_notebook_runs_and_every_result_of_it_shows_itself(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = [cell.outputs[0].data for cell in notebook.cells if cell.cell_type == "code"]
    assert len(shown) == 5
    assert ["text/html" in data for data in shown] == [True] * 5
    assert ["image/png" in data for data in shown] == [True] * 4 + [False]
    for data in shown[:4]:
        assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    frames = re.findall(r'<iframe id="([^"]+)"', "".join(data["text/html"] for data in shown))
    assert len(set(frames)) == len(frames) == 4
