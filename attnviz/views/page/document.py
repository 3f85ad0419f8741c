"""The page as one HTML document: its script and style joined and hashed, its data escaped."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from attnviz.views.page.packing import Packed

SCRIPTS = (
    "elements.js",
    "records.js",
    "state.js",
    "groups.js",
    "scene.js",
    "colours.js",
    "grid.js",
    "overview.js",
    "text.js",
    "links.js",
    "matrix.js",
    "details.js",
    "terms.js",
    "products.js",
    "saving.js",
    "tools.js",
    "keys.js",
    "main.js",
)
"""The script of the page, in the order in which its parts are joined."""

_OF_TERMS = "terms.js", "products.js", "products.css"
"""The parts that a page does without where no record says what its scores are made of."""

STYLES = "page.css", "text.css", "products.css", "print.css"

_UNREAD = re.compile(r"^\s*(?://.*\n|/\*[\s\S]*?\*/\n)?|(?<=;) // .*$", re.MULTILINE)
"""What of the assets only people read: indentation, and comments on lines of their own or behind a statement."""

_BLANKS = re.compile(
    r";?\s*([{};,]|:(?=\s))\s*|\b(?<![.\d#])0(?=\.\d)"
)  # of a style, around its marks, and zeros before points

_MARKS = r"""[-+=,:?!{}()<>*&|;/"`\[\]]"""
_SAYING_NOTHING = re.compile(
    rf"(?<={_MARKS}) (?![-+])|(?<![-+]) (?={_MARKS})"  # spaces around marks
    r"|;?\n(?=})|(?<=[{(\[,;])\n"  # ends of lines beside marks
    r"""|("[^"]*"|`[^`]*`|/\^.*?/)|\b(const)\b"""  # texts, which are kept, and a word that can be shorter
)
"""What of a script says nothing to a browser."""

_TITLE = 120  # characters
_UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def write_document(data: Mapping[str, Any], packed: Sequence[Packed]) -> str:
    """Return the document of some data and of the numbers of each record."""
    script, style = _join_assets(with_terms=any(one.terms for one in packed))
    policy = f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data: blob:; "
    policy += "base-uri 'none'; form-action 'none'"
    chunks = dict(_list_chunks(packed))
    title = data["text"] if len(data["text"]) <= _TITLE else data["text"][:_TITLE] + "…"
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{html.escape(title)} · attnviz</title>",
            f"<style>{style}</style>",
            "<noscript>This page shows attention with JavaScript, which is switched off here.</noscript>",
            '<div id="page"></div>',
            f'<script type="application/json" id="data">{json.dumps(data).translate(_UNSAFE)}</script>',
            *(chunks.pop(name) for name in _find_first(data)),
            f"<script>{script}</script>",
            *chunks.values(),
            "</html>\n",
        )
    )


def _list_chunks(packed: Sequence[Packed]) -> Iterator[tuple[str, str]]:
    """Yield an element for each chunk, which no browser runs or shows, after its name."""
    for place, one in enumerate(packed):
        for name, chunk in one.named_chunks():
            yield f"{place}-{name}", f'<script type="text/plain" id="chunk-{place}-{name}">{chunk}</script>'


def _find_first(data: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of the chunks that a page opens with, which its script need not wait for."""
    record = data["opening"]["record"]
    return f"{record}-thumbnails", f"{record}-{data['records'][record]['start']['layer']}"


def _tidy_script(script: str) -> str:
    """Return a script without spaces, ends of lines and longer words that say nothing to a browser."""
    return _SAYING_NOTHING.sub(lambda one: one[1] or (one[2] and "let") or "", script)


@cache
def _join_assets(*, with_terms: bool) -> tuple[str, str]:
    """Return the script and the style of a page, with the parts for terms or without."""
    code, style = (_join(name for name in names if with_terms or name not in _OF_TERMS) for names in (SCRIPTS, STYLES))
    return f'(() => {{\n"use strict";\n{_tidy_script(code)}}})();\n', _BLANKS.sub(r"\1", style)


def _join(names: Iterable[str]) -> str:
    """Return the text of some assets, one after the other, without indentation and comments."""
    assets = files(__package__).joinpath("assets")
    joined = "".join(assets.joinpath(name).read_text(encoding="utf-8") for name in names)
    return _UNREAD.sub("", joined)


def _hash(code: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
