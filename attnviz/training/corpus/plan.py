"""Plans of texts: what they are to say, before any word is chosen."""

from __future__ import annotations

from msgspec import Struct

from attnviz.training.corpus.patterns import Clause
from attnviz.training.corpus.referents import Referent


class Plan(Struct, frozen=True):
    """A plan of a text: clauses about referents, in a tense, closed by a mark."""

    kind: str
    clauses: tuple[Clause, ...]
    referents: dict[str, Referent]
    tense: str
    end: str = "."
