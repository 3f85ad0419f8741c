"""Pronoun texts made of ordinary constructions: only one earlier noun agrees with the pronoun."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from msgspec.structs import replace

from attnviz.training.corpus.constructions import Construction, inventory
from attnviz.training.corpus.lexicon import lexicon
from attnviz.training.corpus.patterns import Clause, Item, Mention, Pronoun
from attnviz.training.corpus.plan import Plan
from attnviz.training.corpus.referents import Chooser, Referent

_OWNABLE = frozenset({"thing", "relative", "pet", "building", "food"})
_SUBJECT_JOINTS = ("and", "and", "and then", ".", "before", "after", "while", "but", "when")
_OBJECT_JOINTS = ("and", "but", ".", "while", "and then")


def _possible_pronouns(referent: Referent) -> tuple[str, ...]:
    """Return the genders a reader may give a referent: both, for a person whose noun does not tell."""
    if referent.plural:
        return ("plural",)
    if referent.gender == "n":
        return ("n",)
    return (referent.noun.gender,) if referent.noun.gender else ("m", "f")


def _is_unambiguous(letter: str, referents: dict[str, Referent]) -> bool:
    if len({referent.noun.lemma for referent in referents.values()}) < len(referents):
        return False
    target = referents[letter]
    wanted = "plural" if target.plural else target.gender
    return all(key == letter or wanted not in _possible_pronouns(other) for key, other in referents.items())


def _follows(first: Construction, second: Construction) -> bool:
    return second.clause.verb is not first.clause.verb and not second.clause.verb.stative


class Anaphora:
    """Plans of texts whose pronoun is decided by agreement."""

    def __init__(self, rng: Random, chooser: Chooser) -> None:
        self._rng = rng
        self._chooser = chooser
        self._inventory = inventory()
        self._makers: tuple[Callable[[], Plan | None], ...] = (self._subject, self._object, self._possessor)

    def plan(self) -> Plan:
        """One text."""
        while True:
            plan = self._rng.choice(self._makers)()
            if plan is not None:
                return plan

    def _cast(self, construction: Construction) -> dict[str, Referent]:
        return self._chooser.cast(construction.slots, plain=True)

    def _plan(self, referents: dict[str, Referent], *clauses: Clause) -> Plan:
        return Plan("anaphora", clauses, referents, "past" if self._rng.random() < 0.7 else "present")

    def _subject(self) -> Plan | None:
        """Return a pronoun for the subject: *the dog chased Tom and then it barked*."""
        first = self._rng.choice(self._inventory.all[0])
        referents = self._cast(first)
        second = self._inventory.with_subject(referents["A"].noun, 1, self._rng)
        if second is None or not _follows(first, second) or not _is_unambiguous("A", referents):
            return None
        cast = self._cast(second)
        del cast["D"]
        follow = replace(second.clause, subject=Pronoun("A"), connective=self._rng.choice(_SUBJECT_JOINTS))
        return self._plan(referents | cast, first.clause, follow)

    def _object(self) -> Plan | None:
        """Return a pronoun for the object: *Tom found a key but Mary took it*."""
        first = self._rng.choice(self._inventory.all[0])
        referents = self._cast(first)
        if not first.object_classes:
            return None
        second = self._inventory.with_object(referents["B"].noun, 1, self._rng)
        if second is None or not _follows(first, second):
            return None
        cast = self._cast(second)
        del cast["E"]
        if not _is_unambiguous("B", referents | cast):
            return None
        items: tuple[Item, ...] = (Pronoun("B"), *second.clause.items[1:])
        follow = replace(second.clause, items=items, connective=self._rng.choice(_OBJECT_JOINTS))
        return self._plan(referents | cast, first.clause, follow)

    def _possessor(self) -> Plan | None:
        """Return a possessive for the subject: *the girl washed her bicycle*."""
        construction = self._rng.choice(self._inventory.all[0])
        referents = self._cast(construction)
        if not construction.object_classes or referents["A"].gender == "n":
            return None
        if _OWNABLE.isdisjoint(lexicon().ancestry(referents["B"].noun.classes)) or referents["B"].noun.is_name:
            return None
        items: tuple[Item, ...] = (Mention("B", "@A"), *construction.clause.items[1:])
        return self._plan(referents, replace(construction.clause, items=items))
