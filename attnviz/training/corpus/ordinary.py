"""Ordinary sentences without pronouns: statements, questions, commands, comparisons, and clauses joined together."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from random import Random

from msgspec.structs import replace

from attnviz.training.corpus.conjugation import BE
from attnviz.training.corpus.constructions import Construction, Inventory, inventory
from attnviz.training.corpus.lexicon import Lexicon, lexicon
from attnviz.training.corpus.morphology import comparative
from attnviz.training.corpus.patterns import (
    Adverb,
    Clause,
    Deictic,
    Item,
    Mention,
    Pair,
    Particle,
    Predicate,
    Preposition,
    parse,
)
from attnviz.training.corpus.plan import Plan
from attnviz.training.corpus.referents import Chooser, Modifier, Referent, parse_slot

_MARKS = tuple(
    frozenset(marks.split())
    for marks in (
        *[""] * 14,
        *["not"] * 3,
        *["prog"] * 3,
        "perf",
        "perf",
        "can",
        "can not",
        "must",
        "might",
        "perf not",
    )
)
_DEGREES = ((), (), (), ("very",), ("really",), ("quite",))
_SPEAKERS = tuple(Deictic(form) for form in ("i", "i", "you", "we", "someone", "everyone", "nobody"))
_TIMES = ("yesterday", "last_night", "in_the_morning", "every_day", "today", "after_lunch", "at_night", "last_week")
_TIME_TENSES = {"yesterday": "past", "last_night": "past", "last_week": "past", "every_day": "present"}
_FORMS = {
    "statement": 30,
    "predicate": 14,
    "relative": 9,
    "attachment": 6,
    "yes-no question": 5,
    "wh question": 5,
    "imperative": 4,
    "passive": 6,
    "comparison": 4,
    "existential": 3,
    "complement": 5,
    "infinitive": 3,
    "pair": 4,
    "coordination": 8,
    "identity": 2,
}


class Ordinary:
    """Plans of sentences drawn from the constructions of the lexicon."""

    def __init__(self, rng: Random, chooser: Chooser) -> None:
        self._rng = rng
        self._chooser = chooser
        self._words: Lexicon = lexicon()
        self._inventory: Inventory = inventory()
        manner = [lemma for lemma, kind in self._words.adverbs.items() if kind == "general manner"]
        self._manner = tuple(Adverb(lemma) for lemma in manner)
        self._frequency = [lemma for lemma, kind in self._words.adverbs.items() if kind == "frequency"]
        self._anyone = parse_slot("A", "person.any", self._words)
        self._worker = parse_slot("B", "worker", self._words)
        self._topics = tuple(
            parse_slot("A", f"{label}.any", self._words)
            for label in ("person", "animal", "thing", "place", "food", "drink", "plant", "idea", "entity", "animate")
        )
        self._other_topic = {slot.classes: replace(slot, letter="B") for slot in self._topics}
        self._weights = tuple(accumulate(_FORMS.values()))
        self._makers: tuple[Callable[[], Plan], ...] = (
            self._statement, self._predicate, self._relative, self._attachment, self._yes_no, self._wh,
            self._imperative, self._passive, self._comparison, self._existential, self._complement,
            self._infinitive, self._pair, self._coordination, self._identity,
        )  # fmt: skip

    def plan(self) -> Plan:
        """One sentence."""
        return self._rng.choices(self._makers, cum_weights=self._weights)[0]()

    def _tense(self) -> str:
        draw = self._rng.random()
        return "past" if draw < 0.62 else "present" if draw < 0.9 else "future"

    def _construct(self, letters: int = 0) -> Construction:
        return self._rng.choice(self._inventory.all[letters])

    def _cast(self, construction: Construction) -> dict[str, Referent]:
        return self._chooser.cast(construction.slots, plain=False)

    def _embellished(self, construction: Construction, tense: str) -> tuple[Clause, str]:
        """Return the clause with marks and perhaps adverbs or a time, and the tense that these leave."""
        rng = self._rng
        clause = construction.clause
        marks, items, adverb = rng.choice(_MARKS), clause.items, ""
        if clause.verb.stative:
            marks -= {"prog"}
        if tense == "future" and marks & {"can", "must", "might"}:
            marks = frozenset[str]()
        draw = rng.random()
        if draw < 0.1 and "not" not in marks:
            adverb = rng.choice(self._frequency)
        elif draw < 0.25 and construction.has_agent and not clause.verb.stative:
            items = (*items, rng.choice(self._manner))
        elif draw < 0.4 and not marks & {"perf", "must", "might"}:
            time = rng.choice(_TIMES)
            tense = _TIME_TENSES.get(time, tense)
            items = (*items, Particle(time))
        return replace(clause, marks=marks, items=items, adverb=adverb), tense

    def _statement(self) -> Plan:
        construction = self._construct()
        clause, tense = self._embellished(construction, self._tense())
        if construction.subject_classes[0] == "person" and self._rng.random() < 0.2:
            clause = replace(clause, subject=self._rng.choice(_SPEAKERS))
        return Plan("statement", (clause,), self._cast(construction), tense)

    def _predicate(self) -> Plan:
        referents = self._chooser.cast((self._rng.choice(self._topics),), plain=False)
        if not self._words.bearing(referents["A"].noun):
            return self._statement()
        clause, tense = self._described(referents["A"]), self._tense()
        if referents["A"].gender != "n" and self._rng.random() < 0.2:
            clause = replace(clause, subject=self._rng.choice(_SPEAKERS))
        if self._rng.random() < 0.1:
            return Plan("question", (replace(clause, question="yes-no"),), referents, "present", "?")
        return Plan("predicate", (clause,), referents, "past" if tense == "future" else tense)

    def _described(self, subject: Referent) -> Clause:
        options = [adjective for adjective in self._words.bearing(subject.noun) if adjective.kind != "material"]
        adjective = self._rng.choice(options)
        marks = frozenset({"not"}) if self._rng.random() < 0.15 else frozenset[str]()
        # *The huge briefcase was little*: what is said of a noun must not deny its adjective.
        kinds = {self._words.adjectives[lemma].kind for lemma in subject.adjectives}
        if adjective.kind in kinds:
            subject.adjectives = ()
        degrees = self._rng.choice(_DEGREES) if adjective.gradable else ()
        return Clause(Mention("A"), BE, marks, (Predicate(degrees, adjective.lemma),))

    def _relative(self) -> Plan:
        construction = self._construct()
        referents = self._cast(construction)
        subject = referents["A"]
        object_gap = self._rng.random() < 0.35
        pick = self._inventory.with_object if object_gap else self._inventory.with_subject
        inner = pick(subject.noun, 1, self._rng)
        if inner is not None and inner.clause.verb is not construction.clause.verb and not subject.noun.is_name:
            subject.determiner = "the"
            letter = inner.slots[object_gap].letter
            referents |= {key: value for key, value in self._cast(inner).items() if key != letter}
            subject.modifier = Modifier(clause=inner.clause, object_gap=object_gap)
        return Plan("relative clause", (construction.clause,), referents, self._tense())

    def _attachment(self) -> Plan:
        for _ in range(20):
            construction = self._construct()
            referents = self._cast(construction)
            subject = referents["A"]
            attachment = None if subject.noun.is_name else self._inventory.attachment(subject.noun, self._rng)
            if attachment is not None:
                referents |= self._chooser.cast((attachment.slot,), plain=True)
                subject.modifier = Modifier(preposition=attachment.preposition, slot="K")
                break
        clause = construction.clause
        if self._rng.random() < 0.5 and self._words.bearing(subject.noun):
            clause = self._described(subject)
        return Plan("attachment", (clause,), referents, self._rng.choice(("past", "past", "present")))

    def _yes_no(self) -> Plan:
        construction = self._construct()
        marks = self._rng.choice(
            (frozenset[str](),) * 4 + (frozenset({"not"}), frozenset({"prog"}), frozenset({"can"}))
        )
        if construction.clause.verb.stative:
            marks -= {"prog"}
        clause = replace(construction.clause, marks=marks, question="yes-no")
        return Plan("question", (clause,), self._cast(construction), self._tense(), "?")

    def _wh(self) -> Plan:
        construction = self._construct()
        referents = self._cast(construction)
        clause = construction.clause
        if self._rng.random() < 0.3 and "person" in self._words.ancestry(referents["A"].noun.classes):
            return Plan("question", (replace(clause, subject=Deictic("who")),), referents, "past", "?")
        word = self._rng.choice(("why", "why", "when", "how", "where"))
        return Plan("question", (replace(clause, question=word),), referents, self._tense(), "?")

    def _imperative(self) -> Plan:
        while True:
            construction = self._construct()
            commanded = construction.subject_classes[0] in ("person", "child", "worker")
            if commanded and construction.object_classes and not construction.clause.verb.stative:
                break
        marks = frozenset({"not"}) if self._rng.random() < 0.25 else frozenset[str]()
        clause = replace(construction.clause, subject=None, marks=marks)
        end = "!" if self._rng.random() < 0.3 else "."
        return Plan("imperative", (clause,), self._cast(construction), "imperative", end)

    def _passive(self) -> Plan:
        while True:
            construction = self._construct()
            if construction.object_classes and not construction.clause.verb.stative:
                break
        agent: tuple[Item, ...] = (Preposition("by"), Mention("A")) if self._rng.random() < 0.8 else ()
        items = (*construction.clause.items[1:], *agent)
        marks = frozenset({"passive"}) if self._rng.random() < 0.85 else frozenset({"passive", "not"})
        clause = Clause(Mention("B"), construction.clause.verb, marks, items)
        return Plan("passive", (clause,), self._cast(construction), self._tense())

    def _comparison(self) -> Plan:
        topic = self._rng.choice(self._topics[:4])
        referents = self._chooser.cast((topic, self._other_topic[topic.classes]), plain=True)
        common = {adjective.lemma for adjective in self._words.bearing(referents["B"].noun)}
        shared = [
            adjective
            for adjective in self._words.bearing(referents["A"].noun)
            if adjective.lemma in common
            and adjective.gradable
            and adjective.kind in ("size", "state", "quality", "age")
        ]
        if not shared:
            return self._statement()
        adjective = self._rng.choice(shared).lemma
        if self._rng.random() < 0.3 or comparative(adjective) is None:
            items: tuple[Item, ...] = (Particle("as"), Predicate((), adjective), Particle("as"), Mention("B"))
        else:
            items = (Predicate(("more",), adjective), Preposition("than"), Mention("B"))
        return Plan(
            "comparison",
            (Clause(Mention("A"), BE, frozenset(), items),),
            referents,
            self._rng.choice(("past", "present")),
        )

    def _existential(self) -> Plan:
        for _ in range(20):
            referents = self._chooser.cast((self._rng.choice(self._topics),), plain=False)
            subject = referents["A"]
            attachment = None if subject.noun.is_name else self._inventory.attachment(subject.noun, self._rng)
            if attachment is not None:
                break
        else:
            return self._statement()
        subject.determiner = self._rng.choice(("two", "many", "three", "some")) if subject.plural else "a"
        referents |= self._chooser.cast((attachment.slot,), plain=True)
        subject.modifier = Modifier(preposition=attachment.preposition, slot="K")
        there = Clause(Deictic("there", plural=subject.plural), BE, frozenset(), (Mention("A"),))
        return Plan("existential", (there,), referents, self._rng.choice(("past", "present")))

    def _complement(self) -> Plan:
        inner = self._construct(1)
        verb = self._rng.choice(("say", "think", "know", "believe", "hear", "hope", "see", "dream"))
        outer = Clause(Mention("A"), self._words.verbs[verb], frozenset(), ())
        referents = self._chooser.cast((self._anyone,), plain=False) | self._cast(inner)
        return Plan("complement clause", (outer, replace(inner.clause, connective="that")), referents, "past")

    def _infinitive(self) -> Plan:
        while True:
            construction = self._construct()
            willing = construction.subject_classes[0] in ("person", "child", "worker", "pet", "animal", "animate")
            if willing and not construction.clause.verb.stative:
                break
        verb = self._rng.choice(("want", "try", "begin", "need", "like", "learn", "hope", "forget", "refuse"))
        governed = parse(f"i {verb} >{construction.clause.verb.lemma}", self._words)[0]
        clause = replace(governed, subject=Mention("A"), items=governed.items + construction.clause.items)
        return Plan("infinitive", (clause,), self._cast(construction), self._tense())

    def _pair(self) -> Plan:
        construction = self._construct()
        second = replace(construction.slots[0], letter="D")
        referents = self._chooser.cast((*construction.slots, second), plain=True)
        if referents["A"].noun.lemma == referents["D"].noun.lemma:
            return self._statement()
        clause, tense = self._embellished(construction, self._tense())
        clause = replace(clause, subject=Pair("A", "D"))
        return Plan("pair", (clause,), referents, tense)

    def _coordination(self) -> Plan:
        first, second = self._construct(), self._construct(1)
        referents = self._cast(first) | self._cast(second)
        follow = self._inventory.with_subject(referents["A"].noun, 1, self._rng)
        if self._rng.random() < 0.5 and follow is not None:
            cast = self._cast(follow)
            del cast["D"]
            referents |= cast
            clauses = first.clause, replace(follow.clause, subject=None, connective="and")
        else:
            connective = self._rng.choice(("and", "while", "but", "when", "."))
            clauses = first.clause, replace(second.clause, connective=connective)
        return Plan("coordination", clauses, referents, self._rng.choice(("past", "past", "present")))

    def _identity(self) -> Plan:
        referents = self._chooser.cast((self._anyone, self._worker), plain=False)
        referents["B"].determiner = "a"
        if referents["A"].plural:
            return self._statement()
        identity = Clause(Mention("A"), BE, frozenset(), (Mention("B"),))
        return Plan("identity", (identity,), referents, self._rng.choice(("past", "present")))
