"""Ordinary clauses: who does what to whom, from the patterns that the lexicon gives each verb."""

from __future__ import annotations

from functools import cache
from random import Random

from msgspec import Struct

from attnviz.training.corpus.lexicon import Lexicon, Noun, Verb, lexicon, table
from attnviz.training.corpus.patterns import Clause, Item, Mention, Preposition
from attnviz.training.corpus.referents import Slot, parse_slot

LETTER_SETS = ("ABC", "DEF", "GHJ")


class Construction(Struct, frozen=True):
    """A verb with slots for what it selects."""

    slots: tuple[Slot, ...]
    clause: Clause
    subject_classes: tuple[str, ...]
    object_classes: tuple[str, ...]

    @property
    def has_agent(self) -> bool:
        """Return whether the subject is a person or an animal."""
        nouns = self.slots[0].pool.nouns
        return "animate" in lexicon().ancestry(nouns[0].classes)


class Attachment(Struct, frozen=True):
    """A noun class, a preposition and what may follow: *the key to the cabinet*."""

    preposition: str
    slot: Slot


def _construction(verb: Verb, pattern: str, letters: str, words: Lexicon) -> Construction:
    subject, _, rest = pattern.partition(">")
    subject_classes = tuple(subject.strip().split(","))
    slots = [parse_slot(letters[0], subject.strip() + ".any", words)]
    items: list[Item] = []
    direct, *others = rest.split() or ["-"]
    if direct != "-":
        slots.append(parse_slot(letters[1], direct + ".any", words))
        items.append(Mention(letters[1]))
    if others:
        preposition, classes = others
        slots.append(parse_slot(letters[2], classes, words))
        items += [Preposition(preposition), Mention(letters[2])]
    clause = Clause(Mention(letters[0]), verb, frozenset(), tuple(items))
    return Construction(tuple(slots), clause, subject_classes, () if direct == "-" else tuple(direct.split(",")))


class Inventory:
    """All constructions, one list for each set of slot letters, indexed by the classes they select."""

    def __init__(self, words: Lexicon) -> None:
        self._words = words
        self.all = [
            [_construction(verb, pattern, letters, words) for verb in words.verbs.values() for pattern in verb.patterns]
            for letters in LETTER_SETS
        ]
        self._by_subject = [_indexed(row, by_object=False) for row in self.all]
        self._by_object = [_indexed(row, by_object=True) for row in self.all]
        self._found: dict[tuple[int, tuple[str, ...], str], list[Construction]] = {}
        self._attachments: dict[str, list[Attachment]] = {}
        for row in table("attachments"):
            attachment = Attachment(row["preposition"], parse_slot("K", row["object"], words))
            self._attachments.setdefault(row["noun"], []).append(attachment)

    def with_subject(self, noun: Noun, letters: int, rng: Random) -> Construction | None:
        """Return a construction whose subject can be this noun."""
        return self._pick(self._by_subject[letters], noun, rng)

    def with_object(self, noun: Noun, letters: int, rng: Random) -> Construction | None:
        """Return a construction whose direct object can be this noun."""
        return self._pick(self._by_object[letters], noun, rng)

    def attachment(self, noun: Noun, rng: Random) -> Attachment | None:
        """Return a prepositional phrase that can follow this noun."""
        labels = [*self._words.ancestry(noun.classes), noun.lemma]
        found = [attachment for label in labels for attachment in self._attachments.get(label, ())]
        return rng.choice(found) if found else None

    def _pick(self, index: dict[str, list[Construction]], noun: Noun, rng: Random) -> Construction | None:
        key = (id(index), noun.classes, noun.lemma)
        if key not in self._found:
            labels = (*self._words.ancestry(noun.classes), noun.lemma)
            self._found[key] = [construction for label in labels for construction in index.get(label, ())]
        found = self._found[key]
        return rng.choice(found) if found else None


def _indexed(constructions: list[Construction], *, by_object: bool) -> dict[str, list[Construction]]:
    index: dict[str, list[Construction]] = {}
    for construction in constructions:
        for label in construction.object_classes if by_object else construction.subject_classes:
            index.setdefault(label, []).append(construction)
    return index


@cache
def inventory() -> Inventory:
    """Return the inventory, built once."""
    return Inventory(lexicon())
