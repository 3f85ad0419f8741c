"""A page is one file: what it runs is hashed, what it says is escaped, and it keeps to its budget."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

import attnviz
from attnviz.errors import TextError
from attnviz.records import Attention, HeadMatrix
from attnviz.views.page import document
from attnviz.views.page.document import SCRIPTS, STYLES
from attnviz.views.page.pages import PageStart, make_page

HOSTILE = ["</script>", "<!--", "<script>alert(1)</script>", "\u2028", "\u202ereversed\u2066", "&lt;", "\"'`${1}"]
HOSTILE += ["]]>", "x" * 10_000, "\x00\x1b[31m"]


class Elements(HTMLParser):
    """The elements of a page: each with its attributes and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}", {}, ""))

    def handle_data(self, data: str) -> None:
        if self.found:
            tag, attributes, text = self.found[-1]
            self.found[-1] = tag, attributes, text + data

    def texts(self, tag: str, **wanted: str) -> list[str]:
        return [text for name, held, text in self.found if name == tag and wanted.items() <= held.items()]


def page_of(found: list[HeadMatrix], text: str = "a text", opening: PageStart = PageStart()) -> Elements:  # noqa: B008
    return Elements(make_page(found, text, opening).data.decode())


def uniform(tokens: list[str]) -> Attention:
    return Attention.from_array(np.full((2, 3, len(tokens), len(tokens)), 1 / len(tokens)), tokens)


def hash_of(code: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def test_nothing_runs_but_the_script_that_is_hashed() -> None:
    page = page_of([uniform(["the", "cat", "sat"])])
    (policy,) = (held["content"] for tag, held, _ in page.found if held.get("http-equiv") == "Content-Security-Policy")
    (script,), (style,) = [text for tag, held, text in page.found if tag == "script" and not held], page.texts("style")
    assert policy.split("; ")[:3] == [
        "default-src 'none'",
        f"script-src {hash_of(script)}",
        f"style-src {hash_of(style)}",
    ]
    assert {held.get("type") for tag, held, _ in page.found if tag == "script"} == {
        None,
        "application/json",
        "text/plain",
    }


def test_what_a_page_opens_with_stands_above_its_script_and_all_else_below() -> None:
    (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
    page = page_of([attention])
    order = [held.get("id", "the script") for tag, held, _ in page.found if tag == "script"]
    first = json.loads(page.texts("script", id="data")[0])["records"][0]["start"]["layer"]
    at = order.index("the script")
    assert order[:at] == ["data", "chunk-0-thumbnails", f"chunk-0-{first}"]
    assert order[at + 1 :] == [f"chunk-0-{layer}" for layer in range(4) if layer != first]


def test_of_a_script_only_what_says_nothing_is_taken_out() -> None:
    """Texts stay as they are, and so does all between them but spaces, ends of lines and the word const."""
    quoted = re.compile(r'"[^"]*"|`[^`]*`')
    code = document._join(SCRIPTS)
    tidied = document._tidy_script(code)
    assert quoted.findall(tidied) == quoted.findall(code)

    def squeeze(script: str) -> str:
        return re.sub(r"\bconst\b", "let", quoted.sub('""', script)).replace(";\n}", "}").translate({32: "", 10: ""})

    assert squeeze(tidied) == squeeze(code)
    assert len(tidied) < 0.93 * len(code)


def test_a_page_names_no_other_place() -> None:
    page = make_page([uniform(["the", "cat"])], "a text", PageStart()).data.decode()
    assert set(re.findall(r"https?://[^\s\"'`<>]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"\b(?:src|href)=\"", page)


def test_what_texts_hold_is_no_part_of_the_page_around_them() -> None:
    plain = page_of([uniform([f"w{i}" for i in range(len(HOSTILE))])])
    page = page_of([uniform(HOSTILE)], " ".join(HOSTILE))
    assert [tag for tag, _, _ in page.found] == [tag for tag, _, _ in plain.found]
    (data,) = page.texts("script", id="data")
    assert not re.search("[<>&\u2028\u2029]", data)
    shown = json.loads(data)["records"][0]["queries"]["text"]
    assert shown[:3] == HOSTILE[:3]
    assert shown[3:5] == ["<U+2028>", "<U+202E>reversed<U+2066>"]


def test_the_script_and_the_style_are_small_and_all_of_them_are_joined() -> None:
    assets = files("attnviz.views.page").joinpath("assets")
    assert {path.name for path in assets.iterdir()} == {*SCRIPTS, *STYLES}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_text_of_a_script_goes_over_lines_since_blanks_are_taken_out_line_by_line(name: str) -> None:
    script = files("attnviz.views.page").joinpath("assets", name).read_text(encoding="utf-8")
    assert not [line for line in script.splitlines() if line.count("`") % 2]
    assert not re.search(r"`[^`]*\$\{[^}`]*`", script)  # nor stands a template in another
    page = page_of([uniform(["the", "cat"])])
    code = [text for tag, held, text in page.found if (tag, held) in (("script", {}), ("style", {}))]
    assert len(code) == 2
    assert sum(len(text.encode()) for text in code) < 60_000


def test_all_heads_of_a_long_text_take_less_than_a_page_may() -> None:
    rng = np.random.default_rng(5)
    weights = np.exp(8 * rng.standard_normal((1, 3, 521, 521), np.float32))
    weights /= weights.sum(-1, keepdims=True)
    found = uniform([f"w{i}" for i in range(521)])
    record = replace(found, layers=(0,), weights=weights)
    assert len(make_page([record], "a text", PageStart()).data) < 0.3 * weights.size + 150_000


def test_over_its_budget_a_page_shows_stretches_of_the_text_and_says_so() -> None:
    (attention,) = attnviz.load("builtin").attend("The animal didn't cross the street because it was too tired. " * 9)
    page = make_page([attention], "a text", PageStart(), budget=30_000)
    data = json.loads(Elements(page.data.decode()).texts("script", id="data")[0])
    (record,), (note,) = data["records"], data["notes"]
    assert re.fullmatch(r"bins:\d+", record["by"])
    bins = int(record["by"].split(":")[1])
    assert 1 < len(record["queries"]["text"]) <= bins
    assert (f"between {bins} stretches" in note, "it has room for 30 kB" in note, page.notes) == (True, True, (note,))


def test_over_its_budget_a_page_of_groups_says_what_to_choose() -> None:
    (attention,) = attnviz.load("builtin").attend("The animal didn't cross the street. It was too tired.", by="word")
    page = make_page([attention], "a text", PageStart(), budget=100)
    assert "Choose layers or heads" in page.notes[0]


def test_a_page_opens_with_the_token_that_is_named(animal: Attention) -> None:
    (data,) = map(json.loads, page_of([animal], opening=PageStart(token="street")).texts("script", id="data"))
    street = next(i for i, token in enumerate(animal.query_tokens) if token.text == "street")
    assert {name: data["opening"][name] for name in ("record", "side", "token")} == {
        "record": 0,
        "side": "query",
        "token": street,
    }
    with pytest.raises(TextError, match="dog"):
        page_of([animal], opening=PageStart(token="dog"))


@pytest.mark.parametrize(("token", "position"), [("the", 4), ("The", 1), ("THE", 1)])
def test_a_page_opens_with_the_token_that_is_spelled_as_it_is_named(token: str, position: int) -> None:
    (attention,) = attnviz.load("builtin").attend("The cat saw the dog")
    (data,) = map(json.loads, page_of([attention], opening=PageStart(token=token)).texts("script", id="data"))
    assert data["opening"]["token"] == position


def test_each_number_of_a_head_stands_at_its_layer_and_head(animal: Attention) -> None:
    turned = animal.select([3, 1], [5, 0, 2])
    (data,) = map(json.loads, page_of([turned]).texts("script", id="data"))
    shown = {one["name"]: np.array(one["values"], float) for one in data["records"][0]["statistics"]}
    (table,) = attnviz.statistics(animal)
    for name in ("entropy", "previous", "distance"):
        assert shown[name] == pytest.approx(table[name][np.ix_([3, 1], [5, 0, 2])], abs=1e-4)


def test_the_package_brings_what_the_page_is_made_of() -> None:
    import tomllib

    settings = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    assert "views/page/assets/*" in settings["tool"]["setuptools"]["package-data"]["attnviz"]
