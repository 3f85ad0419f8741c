"""Pages from the command line: one file, a folder of them, or straight into the browser."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.cli.conftest import Run
from tests.interpreter import run_python

SENTENCE = "Mary lost her keys"


def data_of(page: bytes) -> dict[str, Any]:
    """What a page holds beside its numbers."""
    (found,) = re.findall(rb'id="data">(.*?)</script>', page, re.DOTALL)
    data: dict[str, Any] = json.loads(found)
    return data


def names(page: bytes) -> list[str]:
    return [record["name"] for record in data_of(page)["records"]]


def test_the_suffix_of_a_file_asks_for_a_page(run: Run, tmp_path: Path) -> None:
    ran = run("export", SENTENCE, "-o", tmp_path / "mary.html")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    data = data_of((tmp_path / "mary.html").read_bytes())
    assert data["text"] == SENTENCE
    assert data["records"][0]["queries"]["text"] == ["[CLS]", "Mary", "lost", "her", "keys", "[SEP]"]


def test_each_text_of_a_batch_has_a_page_beside_its_data(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("the cat\n\nthe dog sat\n", encoding="utf-8")
    asked = "export", "--file", tmp_path / "lines.txt", "--format", "html", "--format", "json", "-o", tmp_path / "out"
    assert run(*asked).code == 0
    pages = sorted((tmp_path / "out").glob("*.html"))
    assert [path.name for path in pages] == ["000000-the-cat.html", "000001-the-dog-sat.html"]
    assert len(list((tmp_path / "out").glob("*.json"))) == 2
    before = [path.stat().st_mtime_ns for path in pages]
    assert run(*asked).code == 0
    assert [path.stat().st_mtime_ns for path in pages] == before


def test_a_page_has_all_kinds_and_what_is_chosen_of_them(run: Run) -> None:
    asked = "export", "The red car is fast", "--model", "builtin/translator", "--format", "html", "-o", "-"
    assert names(run(*asked).stdout) == ["encoder", "decoder", "cross"]
    chosen = "--kind", "cross", "--layer", "1", "--head", "3,0", "--no-special"
    (record,) = data_of(run(*asked, *chosen).stdout)["records"]
    assert (record["layers"], record["heads"]) == ([1], [3, 0])
    assert record["keys"]["special"] == [0] * len(record["keys"]["text"])


def test_a_page_is_grouped_averaged_and_cut_to_rows_as_data_is(run: Run) -> None:
    asked = "export", "The unhappiest zebras ran away.", "--model", "builtin/decoder", "--format", "html", "-o", "-"
    for more in (["--by", "word"], ["--mean"], ["--rows", "1-2"]):
        (record,) = data_of(run(*asked, *more).stdout)["records"]
        (saved,) = run("show", *asked[1:4], "--format", "json", *more).records[0]["attention"]
        keys = record["keys"] or record["queries"]
        assert (record["queries"]["text"], keys["text"]) == (saved["query_tokens"], saved["key_tokens"])
        assert (record["layers"], record["heads"]) == (saved["layers"], saved["heads"])


def test_saved_records_become_the_page_of_what_they_were_saved_of(run: Run, tmp_path: Path) -> None:
    run("export", SENTENCE, "-o", tmp_path / "mary.npz")
    saved = run("export", tmp_path / "mary.npz", "--format", "html", "-o", "-")
    fresh = run("export", SENTENCE, "--format", "html", "-o", "-")
    was, now = data_of(fresh.stdout), data_of(saved.stdout)
    told = [(record.pop("terms"), record.pop("untold")) for record in (*was["records"], *now["records"])]
    assert was == now
    assert [terms is None for terms, _ in told] == [False, True]  # what scores are made of is not saved
    numbers = re.compile(rb'id="chunk-0-(?:thumbnails|\d)">[^<]+')
    assert numbers.findall(saved.stdout) == numbers.findall(fresh.stdout) != []


def test_a_word_is_locked_when_its_page_opens_and_must_be_there(run: Run) -> None:
    asked = "export", SENTENCE, "--format", "html", "-o", "-"
    opening = data_of(run(*asked, "--token", "her", "--log", "--transpose", "--title", "A <b>").stdout)["opening"]
    assert opening == {
        "record": 0, "log": True, "turned": True, "words": False, "view": "links",
        "side": "query", "token": 3, "locked": True,
    }  # fmt: skip
    run(*asked, "--token", "dog").assert_failed(1, "dog")


def test_no_picture_is_drawn_for_a_page(tmp_path: Path) -> None:
    exported = f"from attnviz.cli.app import main; main(['export', 'the cat', '-o', {str(tmp_path / 'a.html')!r}])"
    script = f"{exported}; import sys; assert 'matplotlib' not in sys.modules"
    run_python(script)  # whose own assertion fails
    assert names((tmp_path / "a.html").read_bytes()) == ["encoder"]


def path_of(address: str) -> Path:
    return Path(unquote(urlsplit(address).path))


class TestOpen:
    @pytest.fixture
    def opened(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The addresses that a browser would have been sent to."""
        found: list[str] = []
        monkeypatch.setattr("webbrowser.open", lambda address: found.append(address) or True)
        return found

    def test_it_writes_a_page_and_sends_the_browser_there(self, run: Run, opened: list[str]) -> None:
        ran = run("show", SENTENCE, "--open", "--token", "her", DISPLAY=":0")
        assert (ran.code, ran.out, ran.err) == (0, "", "")
        (address,) = opened
        page = path_of(address)
        assert data_of(page.read_bytes())["opening"]["token"] == 3
        page.unlink()

    def test_where_there_is_no_screen_it_says_where_the_page_is(self, run: Run, opened: list[str]) -> None:
        ran = run("show", SENTENCE, "--open", DISPLAY=None, WAYLAND_DISPLAY=None, BROWSER=None)
        ran.assert_failed(1, "There is no browser here", "--open")
        (path,) = re.findall(r"The page is (.+?\.html)", ran.err)
        assert data_of(Path(path).read_bytes())["text"] == SENTENCE
        assert opened == []
        Path(path).unlink()

    def test_a_browser_that_does_not_start_is_none(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("webbrowser.open", lambda address: False)
        ran = run("show", SENTENCE, "--open", DISPLAY=":0")
        ran.assert_failed(1, "There is no browser here")
        Path(re.findall(r"The page is (.+?\.html)", ran.err)[0]).unlink()

    def test_it_takes_one_text_and_no_format(self, run: Run, opened: list[str]) -> None:
        run("show", SENTENCE, "--open", "--format", "json").assert_failed(2, "--format has no effect with --open")
        run("show", SENTENCE, "The dog barked", "--open", DISPLAY=":0").assert_failed(
            2, "one text", "export --format html"
        )
        for address in opened:
            path_of(address).unlink()
