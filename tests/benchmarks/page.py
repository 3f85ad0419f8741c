"""How large a page is, and how soon it answers: `python -m tests.benchmarks.page [TABLE.md]`.

12 layers of 12 heads for 512 tokens are MiniLM's six layers for two texts, since no trained model of that size is in a
package; 16,384 tokens are shown in bins. A page is ready when its first view is drawn. Where BertViz is installed, a
second table sets `attnviz export` beside its head view of the same texts: whole processes, and the files that they
leave. BertViz's file asks a network for its scripts; ours holds all of it, with queries and keys.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from msgspec.structs import replace

import attnviz
from attnviz.measures.reducers import group_record
from attnviz.models.passages import Overlong, Passage
from attnviz.models.registry import locate_minilm
from attnviz.records import Attention
from attnviz.text import Bins, group_tokens, make_tokens
from attnviz.views.page.pages import PageStart, make_page
from tests.benchmarks.processes import Command
from tests.pages import CHROMIUM, ROOT

_TIMES = 5
_SAMPLES = "story.txt", "long_text.txt"
_LONG = 16_384


_SENTENCE = "The animal didn't cross the street because it was too tired"
_HEAD_VIEW = "tests.benchmarks.scripts.bertviz_head_view"
_WORDS = 85  # that a text has about 100 tokens of


@dataclass(frozen=True, slots=True)
class Measured:
    """What a page takes: bytes, seconds to make, to be ready, and to show the next head."""

    what: str
    size: int
    made: float
    ready: float
    next_head: float

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of its row."""
        return self.what, f"{self.size / 1e6:.2f} MB", *(f"{s:.2f} s" for s in (self.made, self.ready, self.next_head))


def main() -> None:
    """Measures, and prints or writes the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.page", description=__doc__)
    parser.add_argument("table", type=Path, nargs="?")
    options = parser.parse_args()
    pages = _format(("page", "size", "to make", "to be ready", "the next head"), [one.cells for one in _measure()])
    table = f"{pages}\n{_compare_with_bertviz()}"
    if options.table:
        options.table.write_text(table, encoding="utf-8")
    else:
        print(table, end="")


def _format(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown, whose first column has words and all others numbers."""
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---", *["---:"] * (len(head) - 1)), *rows))


def _compare_with_bertviz() -> str:
    """Return a table of both, or why there is none."""
    if find_spec("bertviz") is None:
        return "BertViz is not installed, so nothing is set beside its head view: pip install --no-deps bertviz\n"
    story = (ROOT / "sample_inputs" / _SAMPLES[0]).read_text(encoding="utf-8").split()
    folder = str(locate_minilm())
    rows = []
    with tempfile.TemporaryDirectory() as kept:
        ours, theirs = (Path(kept) / name for name in ("attnviz.html", "bertviz.html"))
        for what, text in (("13 tokens", _SENTENCE), ("about 100", " ".join(story[:_WORDS]))):
            runs = [
                (
                    Command("attnviz", ("-m", "attnviz", "export", text, "--model", "minilm", "-o", str(ours))).run(),
                    Command("bertviz", ("-m", _HEAD_VIEW, folder, text, str(theirs))).run(),
                )
                for _ in range(_TIMES)
            ]
            mine, other = (median(run.seconds for run in side) for side in zip(*runs, strict=True))
            sizes = [path.stat().st_size for path in (ours, theirs)]
            cells = *(f"{size / 1e6:.2f} MB" for size in sizes), *(f"{seconds:.2f} s" for seconds in (mine, other))
            rows.append((f"MiniLM, {what}", *cells, f"{mine / other:.2f}"))
    return _format(("head view", "page", "BertViz", "to export", "BertViz", "share of the time"), rows)


def _measure() -> Iterator[Measured]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for what, record in _records():
            started = time.perf_counter()
            page = make_page([record], what, PageStart()).data
            made = time.perf_counter() - started
            path = Path(folder) / "page.html"
            path.write_bytes(page)
            times = [_time(browser, path) for _ in range(_TIMES)]
            ready, next_head = (median(each) for each in zip(*times, strict=True))
            yield Measured(what, len(page), made, ready, next_head)
        browser.close()


def _time(browser: Any, path: Path) -> tuple[float, float]:
    """Seconds from asking for a page until its first view is drawn, and from a key until the next head is named."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    started = time.perf_counter()
    tab.goto(path.as_uri(), wait_until="commit")
    tab.wait_for_selector("html[data-ready]", state="attached")
    ready = time.perf_counter() - started
    before = tab.text_content("#line")
    started = time.perf_counter()
    tab.keyboard.press("ArrowDown" if "layer 0" in before else "ArrowUp")
    tab.wait_for_function("before => document.querySelector('#line').textContent !== before", arg=before)
    answered = time.perf_counter() - started
    tab.close()
    return ready, answered


def _records() -> Iterator[tuple[str, Attention]]:
    (few,) = attnviz.load("builtin").attend("The animal didn't cross the street because it was too tired")
    yield "4 × 6 heads, 13 tokens", few
    first, second = (_attend(ROOT / "sample_inputs" / name) for name in _SAMPLES)
    weights = np.concatenate([first.weights, second.weights])
    many = replace(first, weights=weights, layers=tuple(range(12)))
    yield "12 × 12 heads, 512 tokens", many
    bins = group_tokens(make_tokens([f"w{index}" for index in range(_LONG)]), Bins(256)).tokens
    each = group_record(many, Bins(256))
    yield f"12 × 12 heads, {_LONG:,} tokens in 256 bins", replace(each, query_tokens=bins, key_tokens=bins)


def _attend(path: Path) -> Attention:
    model = attnviz.load("minilm")
    text = " ".join(path.read_text(encoding="utf-8").split()) + " "
    reading = model.read(Passage(text=text * 6, overlong=Overlong.CUT))
    (attention,) = model.weights(reading)
    return attention


if __name__ == "__main__":
    main()
