"""The grammar: says parsed clauses in words, and links the words as it says them."""

from __future__ import annotations

from random import Random

from msgspec import Struct

from attnviz.training.corpus import morphology
from attnviz.training.corpus.builder import Relation, TextBuilder
from attnviz.training.corpus.conjugation import verb_group
from attnviz.training.corpus.patterns import (
    PLURAL_DETERMINERS,
    Adverb,
    Clause,
    Deictic,
    Item,
    Literal,
    Mention,
    NonFinite,
    NounPhrase,
    Pair,
    Particle,
    Predicate,
    Preposition,
    Pronoun,
)
from attnviz.training.corpus.referents import Modifier, Referent

_SUBJECT = {"m": "he", "f": "she", "n": "it"}
_OBJECT = {"m": "him", "f": "her", "n": "it"}
_POSSESSIVE = {"m": "his", "f": "her", "n": "its"}
_REFLEXIVE = {"m": "himself", "f": "herself", "n": "itself"}
_DEICTIC_OBJECT = {"i": "me", "we": "us"}
_DEICTIC_NUMBER = {"i": "first", "you": "plural", "we": "plural"}
_CONNECTIVES: dict[str, tuple[tuple[str, ...], ...]] = {
    "because": (("because",), ("because",), ("because",), ("because",), (",", "because"), ("since",), ("as",)),
    "so": ((",", "so"), (",", "so"), ("so",), (",", "and", "so")),
    "but": ((",", "but"), (",", "but"), ("but",)),
    "and": (("and",), ("and",), (",", "and")),
    "and then": (("and", "then"), (".", "then"), ("and",)),
    "that": (("that",), ()),
    "so that": (("that",),),
    "although": (("although",), ("even", "though"), ("though",)),
    ".": ((".",),),
    ",": ((",",),),
}


def connective_words(connective: str, rng: Random) -> tuple[str, ...]:
    """One way to say a connective; one that the table does not know is said as it is."""
    ways = _CONNECTIVES.get(connective)
    if ways is None:
        return tuple(connective.split())
    return ways[int(rng.random() * len(ways))]


class Head(Struct, frozen=True):
    """The head words of a noun phrase and the number its verb agrees with."""

    indices: tuple[int, ...]
    number: str


class Grammar(Struct):
    """Says clauses about referents into a builder, in one tense."""

    rng: Random
    builder: TextBuilder
    referents: dict[str, Referent]
    tense: str
    contracted: bool = True
    _subject: Head | None = None

    def say(self, clauses: tuple[Clause, ...]) -> None:
        """Say clauses in order, with their connectives."""
        for position, clause in enumerate(clauses):
            # Only the first clause of a text about the future is in the future; what it depends on is present.
            tense = "present" if self.tense == "future" and position else self.tense
            for word in connective_words(clause.connective, self.rng) if clause.connective else ():
                if position or word != ",":
                    self.builder.add(word)
            self.clause(clause, tense)

    def clause(self, clause: Clause, tense: str) -> None:
        """Say one clause without its connective."""
        if clause.question:
            verb = self._question(clause, tense)
        else:
            if clause.subject is not None:
                self._subject = self.noun_phrase(clause.subject, subject=True)
            elif self._subject is None:
                tense = "imperative"
            number = self._subject.number if self._subject else "plural"
            group = verb_group(clause.verb, tense, number, clause.marks, contracted=self.contracted)
            verb = self._finish_group(group, clause.adverb)
        self._link_subject(verb)
        self._items(clause.items, verb, copular=clause.verb.lemma == "be")

    def _question(self, clause: Clause, tense: str) -> int:
        if clause.question != "yes-no":
            self.builder.add(clause.question)
        position = self.builder.add("")
        assert clause.subject is not None
        self._subject = self.noun_phrase(clause.subject, subject=True)
        group = verb_group(
            clause.verb, tense, self._subject.number, clause.marks, contracted=self.contracted, inverted=True
        )
        self.builder.words[position] = group[0]
        if len(group) == 1:
            return position
        verb = self._finish_group(group[1:], clause.adverb)
        self.builder.link(Relation.AUXILIARY_VERB, position, verb)
        return verb

    def _finish_group(self, group: tuple[str, ...], adverb: str) -> int:
        builder = self.builder
        verb = len(builder.words) + len(group) - 1 + bool(adverb)
        for word in group[:-1]:
            relation = Relation.ADVERB_VERB if word == "not" else Relation.AUXILIARY_VERB
            builder.link(relation, builder.add(word), verb)
        if adverb:
            builder.link(Relation.ADVERB_VERB, builder.add(adverb), verb)
        return builder.add(group[-1])

    def _link_subject(self, verb: int) -> None:
        if self._subject is not None:
            for index in self._subject.indices:
                self.builder.link(Relation.VERB_SUBJECT, verb, index)

    def _items(self, items: tuple[Item, ...], verb: int, *, copular: bool = False) -> None:
        builder = self.builder
        preposition = -1
        for item in items:
            if isinstance(item, Preposition):
                preposition = builder.add(item.form)
            elif isinstance(item, Mention | Pronoun | Literal | Deictic | Pair):
                head = self.noun_phrase(item, subject=False)
                self._link_object(head, verb, preposition, copular)
                preposition = -1
            elif isinstance(item, NonFinite):
                verb = self._non_finite(item)
                preposition = -1
            elif isinstance(item, Predicate):
                self._predicate(item)
            elif isinstance(item, Adverb):
                builder.link(Relation.ADVERB_VERB, builder.add(item.form), verb)
            else:
                self._particle(item)

    def _link_object(self, head: Head, verb: int, preposition: int, copular: bool) -> None:
        for index in head.indices:
            if preposition >= 0:
                self.builder.link(Relation.PREPOSITION_OBJECT, preposition, index)
            elif not copular:
                self.builder.link(Relation.VERB_OBJECT, verb, index)
            elif self._subject is not None:
                self.builder.link(Relation.PREDICATE_SUBJECT, index, self._subject.indices[0])

    def _particle(self, item: Particle) -> None:
        for word in item.form.split("_"):
            self.builder.add(word)

    def _non_finite(self, item: NonFinite) -> int:
        if item.gerund:
            return self.builder.add(morphology.gerund(item.verb.lemma))
        self.builder.lead(Relation.AUXILIARY_VERB, "to")
        return self.builder.add(item.verb.lemma)

    def _predicate(self, item: Predicate) -> None:
        degrees, adjective = item.degrees, item.adjective
        if degrees == ("more",) and (compared := morphology.comparative(adjective)):
            degrees, adjective = (), compared
        for degree in degrees:
            self.builder.add(degree)
        index = self.builder.add(adjective)
        if self._subject is not None:
            for head in self._subject.indices:
                self.builder.link(Relation.PREDICATE_SUBJECT, index, head)

    def noun_phrase(self, phrase: NounPhrase, *, subject: bool) -> Head:
        """Say a noun phrase."""
        if isinstance(phrase, Mention):
            return self._mention(phrase)
        if isinstance(phrase, Pronoun):
            return self._pronoun(phrase, subject)
        if isinstance(phrase, Literal):
            return self._literal(phrase)
        if isinstance(phrase, Pair):
            first = self._mention(Mention(phrase.first))
            self.builder.add("and")
            second = self._mention(Mention(phrase.second))
            return Head(first.indices + second.indices, "plural")
        form = phrase.form if subject else _DEICTIC_OBJECT.get(phrase.form, phrase.form)
        index = self.builder.add("I" if form == "i" else form)
        number = "plural" if phrase.plural else _DEICTIC_NUMBER.get(phrase.form, "singular")
        return Head((index,), number)

    def _mention(self, phrase: Mention) -> Head:
        referent = self.referents[phrase.slot]
        determiner, adjectives = referent.determiner, referent.adjectives
        if referent.head >= 0 and not referent.noun.is_name:
            determiner, adjectives = "the", ()
        possessor = self._possessor(phrase.possessor) if phrase.possessor else -1
        if possessor >= 0:
            determiner = ""
        head = len(self.builder.words) + bool(determiner) + len(adjectives)
        if determiner:
            self.builder.link(Relation.DETERMINER_NOUN, self.builder.add(determiner), head)
        for adjective in adjectives:
            self.builder.link(Relation.ADJECTIVE_NOUN, self.builder.add(adjective), head)
        self.builder.add(referent.noun.plural if referent.plural else referent.noun.lemma)
        if possessor >= 0:
            self.builder.link(Relation.POSSESSIVE_NOUN, possessor, head)
        first_time = referent.head < 0
        referent.head = head
        if first_time and referent.modifier is not None and possessor < 0:
            self._modify(referent, referent.modifier)
        return Head((head,), referent.number)

    def _modify(self, referent: Referent, modifier: Modifier) -> None:
        """Say what follows a noun and depends on it."""
        builder, head = self.builder, referent.head
        if modifier.clause is None:
            preposition = builder.add(modifier.preposition)
            target = self._mention(Mention(modifier.slot)).indices[0]
            builder.link(Relation.PREPOSITION_OBJECT, preposition, target)
            return
        outer, clause = self._subject, modifier.clause
        pronouns = ("that", "who") if referent.gender != "n" else ("that", "which")
        relative = pronouns[self.rng.random() < 0.5]
        builder.link(Relation.RELATIVE_NOUN, builder.add(relative), head)
        self._subject = Head((head,), referent.number)
        if modifier.object_gap and clause.subject is not None:
            self._subject = self.noun_phrase(clause.subject, subject=True)
        tense = "past" if self.tense == "past" else "present"
        group = verb_group(clause.verb, tense, self._subject.number, clause.marks, contracted=self.contracted)
        verb = self._finish_group(group, "")
        self._link_subject(verb)
        if modifier.object_gap:
            builder.link(Relation.VERB_OBJECT, verb, head)
        self._items(clause.items[modifier.object_gap :], verb)
        self._subject = outer

    def _possessor(self, slot: str) -> int:
        """Say a possessor, a pronoun or a noun in -'s; its word."""
        referent = self.referents[slot.lstrip("@")]
        if slot.startswith("@"):
            form = "their" if referent.plural else _POSSESSIVE[referent.gender]
            return self._refer(form, referent)
        head = self._mention(Mention(slot)).indices[0]
        word = self.builder.words[head]
        self.builder.words[head] = word + ("'" if referent.plural and word.endswith("s") else "'s")
        return head

    def _refer(self, form: str, referent: Referent) -> int:
        if referent.head < 0:
            raise ValueError(f"{form!r} comes before {referent.noun.lemma!r}, which it stands for")
        index = self.builder.add(form)
        self.builder.link(Relation.PRONOUN_ANTECEDENT, index, referent.head)
        return index

    def _pronoun(self, phrase: Pronoun, subject: bool) -> Head:
        referent = self.referents[phrase.slot]
        if phrase.reflexive:
            form = "themselves" if referent.plural else _REFLEXIVE[referent.gender]
        elif referent.plural:
            form = "they" if subject else "them"
        else:
            form = (_SUBJECT if subject else _OBJECT)[referent.gender]
        return Head((self._refer(form, referent),), referent.number)

    def _literal(self, phrase: Literal) -> Head:
        possessor = self._possessor(phrase.possessor) if phrase.possessor else -1
        before = ((phrase.determiner, Relation.DETERMINER_NOUN),) if phrase.determiner else ()
        modifiers = (*before, *((adjective, Relation.ADJECTIVE_NOUN) for adjective in phrase.adjectives))
        head = len(self.builder.words) + len(modifiers)
        for word, relation in modifiers:
            self.builder.link(relation, self.builder.add(word), head)
        self.builder.add(phrase.noun.plural if phrase.plural else phrase.noun.lemma)
        if possessor >= 0:
            self.builder.link(Relation.POSSESSIVE_NOUN, possessor, head)
        plural = phrase.plural or phrase.determiner in PLURAL_DETERMINERS
        return Head((head,), "plural" if plural else "singular")
