"""Pages in a real browser: Debian's Chromium, best without windows, driven by Playwright.

Where either is missing, tests are skipped.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import attnviz
from attnviz.measures.terms import KeepTerms, ScoredRecord
from attnviz.models.passages import Passage
from attnviz.records import HeadMatrix, Selection
from attnviz.text import By
from attnviz.views.page.pages import PageStart, make_page
from tests.pages import CHROMIUM

PATIENCE = 60_000  # milliseconds after which a page will never be ready
DRAWN = """new Promise(done => {
  const look = () => "ready" in document.documentElement.dataset ? done() : requestAnimationFrame(look);
  requestAnimationFrame(look);
})"""
"""What waits until a page has drawn all that it was asked for, by then at the latest in the next frame."""


@dataclass
class Shown:
    """A page in a tab, and what went wrong in it or was asked of a network."""

    tab: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The line that says the state, once what was done last is drawn."""
        self.tab.evaluate(DRAWN)
        return self.tab.text_content("#line")

    def press(self, *keys: str) -> str:
        """Presses keys, and returns the line that comes of them."""
        for key in keys:
            self.tab.keyboard.press(key)
        return self.line

    def tokens(self, side: str) -> list[str]:
        """The tokens of a side, as they are shown."""
        return self.tab.locator(f"[data-side={side}] bdi").all_text_contents()

    def hover(self, side: str, place: int) -> str:
        self.tab.hover(f"[data-side={side}][data-group='{place}']")
        return self.line

    def click(self, side: str, place: int) -> str:
        self.tab.click(f"[data-side={side}][data-group='{place}']")
        return self.line

    @property
    def hash(self) -> dict[str, str]:
        """What stands in the URL."""
        return dict(self.tab.evaluate("[...new URLSearchParams(location.hash.slice(1))]"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium-headless-shell")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


Show = Callable[..., Shown]


@pytest.fixture(scope="session")
def window(chromium: Any) -> Iterator[Any]:
    """A window for all tabs that ask for nothing special: to open one takes longer than most tests."""
    window = chromium.new_context()
    yield window
    window.close()


@pytest.fixture
def visit(chromium: Any, window: Any) -> Iterator[Callable[..., Shown]]:
    """Opens a file in a tab of its own, and sees at the end that nothing was complained of or asked of a network."""
    opened: list[Shown] = []

    def visit(path: Path, state: str = "", *, width: int = 1280, height: int = 900, **options: Any) -> Shown:
        tab = chromium.new_page(**options) if options else window.new_page()
        tab.set_viewport_size({"width": width, "height": height})
        shown = Shown(tab)
        opened.append(shown)
        tab.on("console", lambda message: shown.complaints.append(message.text))
        tab.on("pageerror", lambda error: shown.complaints.append(str(error)))
        tab.on("request", lambda request: shown.requests.append(request.url))
        tab.goto(f"{path.as_uri()}{state}")
        return shown

    yield visit
    for shown in opened:
        asked = [url for url in shown.requests if not url.startswith(("file:", "data:", "blob:", "about:"))]
        assert (shown.complaints, asked) == ([], [])
        shown.tab.close()


@pytest.fixture
def show(visit: Callable[..., Shown], tmp_path: Path) -> Show:
    """Shows records as a page, and waits until it is there."""

    def show(found: HeadMatrix | Sequence[HeadMatrix], state: str = "", **options: Any) -> Shown:
        records = [found] if isinstance(found, HeadMatrix) else found
        opening = options.pop("opening", PageStart())
        path = tmp_path / "page.html"
        terms = options.pop("terms", ())
        path.write_bytes(make_page(records, options.pop("text", "a text"), opening, terms=terms).data)
        shown = visit(path, state, **options)
        shown.tab.wait_for_selector("html[data-ready]", state="attached", timeout=PATIENCE)
        return shown

    return show


@pytest.fixture(scope="session")
def told() -> Callable[..., list[ScoredRecord]]:
    """Reads a text, and keeps what scores are made of beside the weights."""

    def keep(name: str, text: str, **more: Any) -> list[ScoredRecord]:
        model = attnviz.load(name)
        make = partial(KeepTerms, by=By.TOKEN, room=math.inf)
        (found,) = model.reduce([model.read(Passage(text=text, **more))], Selection(), make)
        return found

    return keep


@pytest.fixture(scope="session")
def animal() -> attnviz.Attention:
    (attention,) = attnviz.load("builtin").attend("The animal didn't cross the street because it was too tired")
    return attention


@pytest.fixture(scope="session")
def translation() -> list[attnviz.Attention]:
    return attnviz.load("builtin/translator").attend("The red car is fast", target="la voiture rouge est rapide")
