"""What attnviz offers is named in the README or in a page beside it, and what these pages point at is there."""

import re
from collections.abc import Iterator

import pytest
import typer

from attnviz.cli.app import COMMANDS, app
from attnviz.formats.tables import PORTIONS
from attnviz.formats.writing import FILES, STREAMS
from attnviz.lessons.toy import MASKS, POSITIONS
from attnviz.measures.circuits import CIRCUITS
from attnviz.measures.labels import LABELS
from attnviz.measures.probes import PROBES
from attnviz.measures.statistics import STATISTICS
from attnviz.models.catalogue import list_models
from attnviz.models.checkpoint.families import FAMILIES
from attnviz.records import MEASURES
from attnviz.reference.scores import SCORES
from attnviz.vocabulary import DTYPES, GROUPINGS, IMAGE_FORMATS, PAGE_FORMATS, Engine, Kind, Layout
from tests.pages import OPTIONS, PAGES, README, ROOT, headings, section
from tests.tools.options import page

HEADS = ".github/docs/heads.md"


def options() -> Iterator[tuple[str, str]]:
    """Yield each command, none being the one before them all, with each of its options as it is typed."""
    group = typer.main.get_command(app)
    context = typer.Context(group)
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
    for name, command in {"": group, **commands}.items():
        for parameter in command.params:
            yield from ((name, typed) for typed in (*parameter.opts, *parameter.secondary_opts) if typed[0] == "-")


def code_in(text: str) -> set[str]:
    """Return the words of a page that are code: in backticks, or in a block."""
    inside = re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return {word for code in (*inside, *re.findall(r"`([^`]+)`", rest)) for word in re.findall(r"[\w./:-]+", code)}


WRITTEN = {word for name, text in PAGES.items() if name != OPTIONS for word in code_in(text)}
"""The code in all pages that somebody wrote: the page of options names everything that a help lists."""

OFFERED = {
    "command": [*COMMANDS],
    "format": [*FILES, *STREAMS, *PORTIONS, *IMAGE_FORMATS, *PAGE_FORMATS],
    "layout": [layout.value for layout in Layout],
    "statistic": [*STATISTICS, *CIRCUITS],
    "probe": [*PROBES],
    "measure": [*MEASURES],
    "label": [label.name for label in LABELS],
    "family": [*FAMILIES],
    "score function": [*SCORES],
    "grouping": [*GROUPINGS],
    "kind": [kind.value for kind in Kind],
    "engine": [engine.value for engine in Engine if engine is not Engine.UNKNOWN],
    "precision": [*DTYPES],
    "mask and positions of the toy": [*MASKS, *POSITIONS],
    "model": [card.name for card in list_models()],
}


@pytest.mark.parametrize("what", OFFERED)
def test_each_is_named_on_a_page_that_somebody_wrote(what: str) -> None:
    assert OFFERED[what]
    assert [name for name in OFFERED[what] if name not in WRITTEN] == []


def test_every_command_is_in_the_readme() -> None:
    assert [command for command in COMMANDS if command not in code_in(PAGES[README])] == []


def test_every_option_of_every_command_is_on_the_page_of_options() -> None:
    found = list(options())
    assert {name for name, _ in found} == {"", *COMMANDS}
    assert ("export", "--linear") in found
    for name, typed in found:
        assert typed in code_in(section(PAGES[OPTIONS], f"## attnviz {name}".rstrip())), f"{name} {typed}"


def test_the_page_of_options_is_what_the_commands_say() -> None:
    assert page() == PAGES[OPTIONS], "make it again: python -m tests.tools.options > .github/docs/options.md"


def test_the_page_of_numbers_has_the_rule_of_each_label_in_order() -> None:
    found = re.findall(r"^\| `(\w+)` \| `(\w+)` \| ([\d.]+) \|", PAGES[HEADS], re.MULTILINE)
    assert found == [(label.name, label.statistic, str(label.least)) for label in LABELS]


def links(text: str) -> list[str]:
    """Return where the links and images of a page point, in this repository."""
    return [to for to in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in to]


def anchors(text: str) -> set[str]:
    """Return what a link may say after `#` to point at a heading of a page."""
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for _, title in headings(text)}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_and_picture_of_a_page_is_there(name: str) -> None:
    for to in links(PAGES[name]):
        path, _, anchor = to.partition("#")
        there = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert there.exists(), to
        if anchor:
            assert anchor in anchors(there.read_text(encoding="utf-8")), to


def test_every_page_and_picture_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [README]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        for to in links(PAGES.get(name, "")):
            there = ((ROOT / name).parent / to.partition("#")[0]).resolve().relative_to(ROOT).as_posix()
            if there not in reached:
                waiting.append(there)
    beside = (path for path in (ROOT / ".github").iterdir() if path.suffix in (".png", ".svg"))
    pictures = {path.relative_to(ROOT).as_posix() for path in beside}
    assert {*PAGES, *pictures} - reached == set()
