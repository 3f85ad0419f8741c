"""The page and the full-screen browser have one keyboard: a key that both know does the same in both."""

import re
from importlib.resources import files

from attnviz.views.screen.keys import COMMANDS, name_key

ASSETS = files("attnviz.views.page").joinpath("assets")
ROW = re.compile(r'^\s*\["(?P<keys>[^"]+)", "(?P<words>[^"]+)", ', re.MULTILINE)

SAVED_DIFFERENTLY = {"x"}
"""A page saves its view as SVG, a terminal asks for the name of a file: the same key, each in its own words."""

SAID_SHORTER = {"/"}
"""The browser's words go on with what the page does too: it chooses the first token of the word."""


def keys_of_the_page() -> dict[str, str]:
    """Return what each key of the page does, by its name, in the words of its help."""
    rows = ROW.finditer(ASSETS.joinpath("keys.js").read_text(encoding="utf-8"))
    return {_name(key): row["words"] for row in rows for key in row["keys"].split()}


def keys_of_the_screen() -> dict[str, str]:
    """Return what each key of the browser does."""
    return {_name(name_key(key)): command.words for command in COMMANDS for key in command.keys}


def _name(key: str) -> str:
    return {"Escape": "Esc"}.get(key, key)


def test_a_key_that_both_know_does_the_same_in_the_same_words() -> None:
    page, screen = keys_of_the_page(), keys_of_the_screen()
    both = page.keys() & screen.keys()
    assert {"←", "→", "↑", "↓", "h", "j", "k", "l", "⇧↑", "⇧←", "/", "Enter", "Esc", "w", "s", "t", "g", "?"} <= both
    differ = {key for key in both if page[key] != screen[key]}
    assert differ == SAVED_DIFFERENTLY | SAID_SHORTER
    for key in SAID_SHORTER:
        assert screen[key].startswith(page[key])
    for key in SAVED_DIFFERENTLY:
        assert page[key].split()[0] == screen[key].split()[0] == "save"


def test_no_key_does_two_things() -> None:
    rows = ROW.finditer(ASSETS.joinpath("keys.js").read_text(encoding="utf-8"))
    for keys in ([key for row in rows for key in row["keys"].split()], [key for one in COMMANDS for key in one.keys]):
        assert len(set(keys)) == len(keys)
