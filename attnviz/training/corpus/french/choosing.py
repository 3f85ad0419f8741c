"""Choosing the words of noun phrases: which noun, which determiner a role allows, which adjectives."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from random import Random

from attnviz.training.corpus.french.holdout import is_held_out
from attnviz.training.corpus.french.lexicon import lexicon
from attnviz.training.corpus.french.phrases import (
    BARE,
    DEMONSTRATIVES,
    EVERY,
    GENERIC,
    MANY,
    NONE,
    NUMERALS,
    PARTITIVE,
    PLURAL_DEMONSTRATIVES,
    POSSESSIVES,
    PRONOUNS,
    THE,
    THEY,
    A,
    Coordination,
    Determiner,
    NounPhrase,
    Subject,
)
from attnviz.training.corpus.french.words import Adjective, Noun


class Role(Enum):
    """The role of a noun phrase, which decides how it may be determined."""

    ALONE = auto()
    SUBJECT = auto()
    PAST_SUBJECT = auto()
    OBJECT = auto()
    LIKED = auto()
    DEFINITE = auto()
    PLACE = auto()
    EXISTING = auto()


_Weighted = tuple[Determiner, ...]
_DEFINITE: _Weighted = (THE,) * 14 + POSSESSIVES + DEMONSTRATIVES
_DEFINITE_PLURAL: _Weighted = (THE,) * 14 + POSSESSIVES + PLURAL_DEMONSTRATIVES * 2
_COUNTED: _Weighted = (NUMERALS[0],) * 3 + (*NUMERALS, MANY)
# English leaves out the article of what is meant in general, and of some of it; the role tells which.
_SINGULAR: dict[Role, _Weighted] = {
    Role.ALONE: (*_DEFINITE, *(A,) * 12, *(NONE,) * 3),
    Role.SUBJECT: (*_DEFINITE, *(A,) * 5, EVERY),
    Role.PAST_SUBJECT: (*_DEFINITE, *(A,) * 5),
    Role.OBJECT: (*_DEFINITE, *(A,) * 12),
    Role.LIKED: _DEFINITE,
    Role.DEFINITE: _DEFINITE,
    Role.PLACE: (*_DEFINITE, *(A,) * 4),
    Role.EXISTING: (A,),
}
_PLURAL: dict[Role, _Weighted] = {
    Role.ALONE: (*_DEFINITE_PLURAL, *_COUNTED, *(BARE,) * 6),
    Role.SUBJECT: (*_DEFINITE_PLURAL, *_COUNTED, *(GENERIC,) * 6),
    Role.PAST_SUBJECT: (*_DEFINITE_PLURAL, *_COUNTED),
    Role.OBJECT: (*_DEFINITE_PLURAL, *_COUNTED, *(BARE,) * 6),
    Role.LIKED: (*_DEFINITE_PLURAL, *(GENERIC,) * 12),
    Role.DEFINITE: _DEFINITE_PLURAL,
    Role.PLACE: (*_DEFINITE_PLURAL, *NUMERALS),
    Role.EXISTING: (*_COUNTED, *(BARE,) * 6),
}
_MASS: dict[Role, _Weighted] = {
    Role.ALONE: (*_DEFINITE, *(PARTITIVE,) * 12),
    Role.SUBJECT: _DEFINITE,
    Role.PAST_SUBJECT: _DEFINITE,
    Role.OBJECT: (*_DEFINITE, *(PARTITIVE,) * 12),
    Role.LIKED: (*_DEFINITE, *(GENERIC,) * 12),
    Role.DEFINITE: _DEFINITE,
    Role.PLACE: _DEFINITE,
    Role.EXISTING: (PARTITIVE,),
}
_PLURAL_SHARE = 0.3


class Chooser:
    """Chooses from one source of chance, and remembers which words it has put together."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.shows_held_out = False
        self._names = lexicon().names
        self._anyone = lexicon().nouns["man"]
        self._owners = lexicon().members("relative,child,man,woman,king,queen,friend,neighbor,teacher,doctor")

    def meet(self, first: str, second: str) -> None:
        """Note that two lemmas are put together."""
        if is_held_out(first, second):
            self.shows_held_out = True

    def phrase(self, nouns: Sequence[Noun], role: Role, *, adjectives: float = 0.25) -> NounPhrase:
        """Return a noun phrase about one of these nouns, described at this rate."""
        noun = self._rng.choice(nouns)
        if noun.is_unique:
            return NounPhrase(noun, THE)
        if noun.is_mass:
            return self._described(noun, self._rng.choice(_MASS[role]), plural=False, rate=adjectives)
        if noun.is_ownable and role is not Role.EXISTING and self._rng.random() < 0.05:
            return self._owned(noun, adjectives)
        plural = noun.has_plural and self._rng.random() < _PLURAL_SHARE
        determiner = self._rng.choice((_PLURAL if plural else _SINGULAR)[role])
        return self._described(noun, determiner, plural=plural, rate=adjectives)

    def subject(self, nouns: Sequence[Noun], role: Role, *, adjectives: float = 0.2) -> Subject:
        """Likewise, or a pronoun, a name, or two phrases joined by *and*."""
        draw = self._rng.random()
        if draw < 0.3 and nouns[0].is_person:
            return self._rng.choice(PRONOUNS) if draw < 0.18 else self.name()
        if draw < 0.02:
            return THEY
        first = self.phrase(nouns, role, adjectives=adjectives)
        if draw > 0.96 and role is not Role.LIKED:
            return Coordination(first, self.phrase(nouns, role, adjectives=0.0))
        return first

    def name(self) -> NounPhrase:
        """Someone's name."""
        return NounPhrase(self._rng.choice(self._names))

    def predicates(self, noun: Noun | None) -> tuple[Adjective, ...]:
        """One adjective that can be said of a noun, or of anybody, seldom two."""
        choices = lexicon().bearing(noun or self._anyone)
        first, second = self._rng.choice(choices), self._rng.choice(choices)
        both = self._rng.random() < 0.1 and _can_join(first, second)
        adjectives = (first, second) if both else (first,)
        if noun is not None:
            for adjective in adjectives:
                self.meet(adjective.english.lemma, noun.english.lemma)
        return adjectives

    def _owned(self, noun: Noun, rate: float) -> NounPhrase:
        if self._rng.random() < 0.6:
            owner = self.name()
        else:
            owner = NounPhrase(self._rng.choice(self._owners), self._rng.choice(_DEFINITE))
        plural = noun.has_plural and self._rng.random() < _PLURAL_SHARE
        return self._described(noun, GENERIC, plural=plural, rate=rate, possessor=owner)

    def _described(
        self, noun: Noun, determiner: Determiner, *, plural: bool, rate: float, possessor: NounPhrase | None = None
    ) -> NounPhrase:
        choices = lexicon().bearing(noun) if self._rng.random() < rate else ()
        if not choices:
            return NounPhrase(noun, determiner, plural, possessor=possessor)
        first, second = self._rng.choice(choices), self._rng.choice(choices)
        self.meet(first.english.lemma, noun.english.lemma)
        both = self._rng.random() < 0.25
        stacked = both and first.before_noun and not second.before_noun
        conjoined = both and not stacked and self._rng.random() < 0.4 and _can_join(first, second)
        if not (stacked or conjoined):
            return NounPhrase(noun, determiner, plural, (first,), possessor=possessor)
        self.meet(second.english.lemma, noun.english.lemma)
        return NounPhrase(noun, determiner, plural, (first, second), conjoined, possessor)


def _can_join(first: Adjective, second: Adjective) -> bool:
    """Return whether *and* can join two adjectives: both said with *être* and after the French noun, not both colours.

    In French the colours of two-coloured things do not agree: *des drapeaux noir et jaune*.
    """
    plain = not (first.before_noun or second.before_noun or first.sensation or second.sensation)
    colours = first.english.kind == second.english.kind == "colour"
    return plain and not colours and first.masculine != second.masculine
