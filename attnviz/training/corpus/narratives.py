"""Narratives: short texts in which a pronoun has one sensible antecedent."""

from __future__ import annotations

from functools import cache

from msgspec import Struct

from attnviz.training.corpus.lexicon import lexicon, table
from attnviz.training.corpus.patterns import Clause, parse
from attnviz.training.corpus.referents import Slot, parse_slots


class Narrative(Struct, frozen=True):
    """A text with pronouns that only one of its nouns agrees with or makes sense for."""

    kind: str
    slots: tuple[Slot, ...]
    clauses: tuple[Clause, ...]


@cache
def narratives() -> tuple[Narrative, ...]:
    """Return the table of narratives, read once."""
    words = lexicon()
    return tuple(
        Narrative(row["kind"], parse_slots(row["slots"], words), parse(row["text"], words))
        for row in table("narratives")
    )
