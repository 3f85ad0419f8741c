"""The most telling link of sentences, held to those that a person would name."""

import csv
from pathlib import Path

import pytest

import attnviz
from attnviz.measures.links import find_telling, strongest
from attnviz.records import Attention

with (Path(__file__).parent / "telling_links.tsv").open(encoding="utf-8", newline="") as _lines:
    SENTENCES = {text: {tuple(link.strip().split(">")) for link in links.split(";")} for text, links in
                 [*csv.reader(_lines, delimiter="\t")][1:]}  # fmt: skip

NAMED = {"builtin": 28, "minilm": 26}
"""Of the 30 sentences, those for which the link is one that a person named; it was 17 and 11 before the rule."""


def attend(name: str, text: str) -> Attention:
    (attention,) = attnviz.load(name).attend(text)
    return attention


def words(link: attnviz.Link | None) -> tuple[str, str]:
    assert link is not None
    return link.query.text, link.key.text


@pytest.mark.parametrize("name", NAMED)
def test_the_link_is_one_that_a_person_would_name(name: str) -> None:
    assert len(SENTENCES) == 30
    missed = {text: words(attnviz.telling(attend(name, text))) for text in SENTENCES}
    missed = {text: link for text, link in missed.items() if link not in SENTENCES[text]}
    assert len(SENTENCES) - len(missed) >= NAMED[name], missed


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("The animal didn't cross the street because it was too tired", ("it", "animal")),
        ("The animal didn't cross the street because it was too wide", ("it", "street")),
        ("I love my dog but he hates baths", ("love", "dog")),
    ],
)
def test_the_built_in_model_names(text: str, link: tuple[str, str]) -> None:
    assert words(attnviz.telling(attend("builtin", text))) == link


@pytest.mark.parametrize("text", list(SENTENCES)[:10])
def test_no_two_of_the_best_are_of_the_same_words_and_none_has_no_weight(text: str) -> None:
    attention = attend("builtin", text)
    found = find_telling(attention, 3)
    assert len({words(link) for link in found}) == len(found) == 3
    assert all(link.weight >= 0.005 for link in (*found, *strongest(attention, 10_000)))
    assert found[0] == attnviz.telling(attention)
