"""Sentences that no grammar wrote: each has a pronoun whose antecedent was marked by hand.

The `natural` ones are of everyday kinds. The `winograd` ones come in pairs that differ in a word which decides the
antecedent, after Winograd 1972 and Levesque et al. 2012.
"""

import re

from msgspec import Struct

from attnviz.text import Span
from attnviz.training.corpus.builder import Example, Link, Relation
from attnviz.training.corpus.lexicon import table

SETS = "natural", "winograd"


class HandWritten(Struct, frozen=True):
    """A sentence with its pronoun's link, and whether the antecedent is the first noun of the sentence."""

    example: Example
    first: bool


def read_sentences(kind: str) -> list[HandWritten]:
    """Return the sentences of a set."""
    return [_mark(row) for row in table("pronouns") if row["set"] == kind]


def _mark(row: dict[str, str]) -> HandWritten:
    pronoun, antecedent = _find(row["pronoun"], row["text"]), _find(row["antecedent"], row["text"])
    link = Link(Relation.PRONOUN_ANTECEDENT, pronoun, antecedent)
    return HandWritten(Example(row["text"], (link,), row["set"]), row["first"] == row["antecedent"])


def _find(word: str, text: str) -> Span:
    found = re.search(rf"\b{re.escape(word)}\b", text)
    assert found is not None, f"{word!r} is not in {text!r}"
    return found.span()
