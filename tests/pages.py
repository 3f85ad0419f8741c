"""The pages that people read: the README, the contributing page, and those under .github/docs."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
"""The browser that pages are tested in, best without windows; None if there is none."""
README, CONTRIBUTING, OPTIONS = "README.md", ".github/CONTRIBUTING.md", ".github/docs/options.md"

PAGES: Mapping[str, str] = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / README, ROOT / CONTRIBUTING, *sorted((ROOT / ".github" / "docs").glob("*.md")))
}
"""The text of each page, by its path from the root of the repository."""


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language in a text, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def headings(text: str) -> list[tuple[int, str]]:
    """Return the headings of a page, each after its level, from 1."""
    return [(len(marks), title) for marks, title in re.findall(r"^(#+) (.*)$", _without_code(text), re.MULTILINE)]


def section(text: str, heading: str) -> str:
    """Return what stands under a heading of a page, such as `## Install`, up to the next of its level or above."""
    level, ends = len(heading.partition(" ")[0]), _without_code(text)
    start = ends.index(f"\n{heading}\n") + len(heading) + 2
    end = re.compile(rf"^#{{1,{level}}} ", re.MULTILINE).search(ends, start)
    return text[start : end.start() if end else None]


def _without_code(text: str) -> str:
    """Return a page with blanks for what stands in its blocks, where a comment may look like a heading."""
    block = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
    return block.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
