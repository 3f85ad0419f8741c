"""Noun phrases and pronouns: what they hold, and how both languages say them."""

from __future__ import annotations

from msgspec import Struct

from attnviz.training.corpus.french.conjugation import Person
from attnviz.training.corpus.french.spelling import Draft, starts_with_vowel
from attnviz.training.corpus.french.words import PREPOSITIONS, Adjective, Noun


class Determiner(Struct, frozen=True):
    """A determiner: its English, and its French before a masculine, a feminine and a plural noun."""

    english: str
    masculine: tuple[str, ...]
    feminine: tuple[str, ...]
    plural: tuple[str, ...]

    def french(self, *, feminine: bool, plural: bool) -> tuple[str, ...]:
        """Return the words of the form that agrees."""
        return self.plural if plural else self.feminine if feminine else self.masculine


def _same(english: str, french: str) -> Determiner:
    return Determiner(english, *[tuple(french.split())] * 3)


THE = Determiner("the", ("le",), ("la",), ("les",))
A = Determiner("a", ("un",), ("une",), ())
BARE = Determiner("", (), (), ("des",))
PARTITIVE = Determiner("", ("de", "le"), ("de", "la"), ())
GENERIC = Determiner("", ("le",), ("la",), ("les",))
NONE = Determiner("", (), (), ())
DEMONSTRATIVES = Determiner("this", ("ce",), ("cette",), ()), Determiner("that", ("ce",), ("cette",), ())
PLURAL_DEMONSTRATIVES = Determiner("these", (), (), ("ces",)), Determiner("those", (), (), ("ces",))
POSSESSIVES = tuple(
    Determiner(english, (f"{letter}on",), (f"{letter}a",), (f"{letter}es",))
    for english, letter in (("my", "m"), ("your", "t"), ("his", "s"), ("her", "s"))
) + tuple(
    Determiner(english, (french,), (french,), (plural,))
    for english, french, plural in (("our", "notre", "nos"), ("their", "leur", "leurs"))
)
EVERY = _same("every", "chaque")
NUMERALS = tuple(
    _same(english, french)
    for english, french in (
        ("two", "deux"),
        ("three", "trois"),
        ("four", "quatre"),
        ("five", "cinq"),
        ("six", "six"),
        ("seven", "sept"),
        ("ten", "dix"),
        ("several", "plusieurs"),
    )
)
MANY = _same("many", "beaucoup de")


class NounPhrase(Struct, frozen=True):
    """A noun with what belongs to it: a determiner or a possessor, adjectives, and a phrase after a preposition.

    Of two adjectives, the first stands before the French noun, or both stand after it; ``conjoined`` puts *and*
    between them.
    """

    noun: Noun
    determiner: Determiner = NONE
    plural: bool = False
    adjectives: tuple[Adjective, ...] = ()
    conjoined: bool = False
    possessor: NounPhrase | None = None
    preposition: str = ""
    complement: NounPhrase | None = None

    @property
    def feminine(self) -> bool:
        """Return the gender that agrees with it."""
        return self.noun.feminine

    @property
    def person(self) -> Person:
        """Return the person that agrees with it."""
        return Person.THEY if self.plural else Person.IT

    def say(self, draft: Draft) -> None:
        """Append it on both sides."""
        if self.possessor is None:
            _say_french(self, draft, _say_english(self, draft))
        else:
            _say_possessed(self, self.possessor, draft)
        if self.complement is not None:
            say_preposition(self.preposition, draft)
            self.complement.say(draft)


class Coordination(Struct, frozen=True):
    """Two noun phrases joined by *and*; the masculine prevails."""

    first: NounPhrase
    second: NounPhrase

    @property
    def feminine(self) -> bool:
        """Return the gender that agrees with both."""
        return self.first.feminine and self.second.feminine

    @property
    def person(self) -> Person:
        """Return the person that agrees with both."""
        return Person.THEY

    def say(self, draft: Draft) -> None:
        """Append it on both sides."""
        self.first.say(draft)
        draft.french("et", draft.english("and"))
        self.second.say(draft)


class Pronoun(Struct, frozen=True):
    """A pronoun as subject."""

    english: str
    french: str
    person: Person
    feminine: bool = False

    def say(self, draft: Draft) -> None:
        """Append it on both sides."""
        draft.french(self.french, draft.english(self.english))


I = Pronoun("I", "je", Person.I)  # noqa: E741
YOU = Pronoun("you", "tu", Person.YOU)
HE = Pronoun("he", "il", Person.IT)
SHE = Pronoun("she", "elle", Person.IT, feminine=True)
WE = Pronoun("we", "nous", Person.WE)
THEY = Pronoun("they", "ils", Person.THEY)
WHO = Pronoun("who", "qui", Person.IT)
PRONOUNS = (I, YOU, HE, SHE, WE, THEY)

Subject = NounPhrase | Coordination | Pronoun


class _Said(Struct, frozen=True):
    """The places of the English words of a noun phrase."""

    noun: int
    adjectives: tuple[int, ...]
    determiner: tuple[int, ...] = ()
    conjunction: tuple[int, ...] = ()


def _say_english(phrase: NounPhrase, draft: Draft, *, possessive: str = "") -> _Said:
    english = phrase.determiner.english
    determiner = (draft.english(english),) if english else ()
    adjectives: list[int] = []
    conjunction: tuple[int, ...] = ()
    for adjective in phrase.adjectives:
        if adjectives and phrase.conjoined:
            conjunction = (draft.english("and"),)
        adjectives.append(draft.english(adjective.english.lemma))
    noun = phrase.noun.english
    return _Said(
        draft.english((noun.plural if phrase.plural else noun.lemma) + possessive),
        tuple(adjectives),
        determiner,
        conjunction,
    )


def _say_french(phrase: NounPhrase, draft: Draft, said: _Said) -> None:
    noun = phrase.noun.plural if phrase.plural else phrase.noun.singular
    before = [pair for pair in zip(phrase.adjectives, said.adjectives, strict=True) if pair[0].before_noun]
    after = [pair for pair in zip(phrase.adjectives, said.adjectives, strict=True) if not pair[0].before_noun]
    for word in _determiner(phrase, bool(before)):
        draft.french(word, *said.determiner)
    for adjective, source in before:
        draft.french(_prenominal(adjective, phrase, noun), source, content=True)
    draft.french(noun, said.noun, content=True)
    for place, (adjective, source) in enumerate(after):
        if place:
            draft.french("et", *said.conjunction)
        form = adjective.form(feminine=phrase.feminine, plural=phrase.plural)
        draft.french(form, source, content=True)


def _determiner(phrase: NounPhrase, has_prenominal: bool) -> tuple[str, ...]:
    """*Des* is *de* before an adjective."""
    if phrase.determiner is BARE and phrase.plural and has_prenominal:
        return ("de",)
    return phrase.determiner.french(feminine=phrase.feminine, plural=phrase.plural)


def _prenominal(adjective: Adjective, phrase: NounPhrase, following: str) -> str:
    if not phrase.feminine and not phrase.plural and starts_with_vowel(following):
        return adjective.prevocalic
    return adjective.form(feminine=phrase.feminine, plural=phrase.plural)


def _say_possessed(phrase: NounPhrase, possessor: NounPhrase, draft: Draft) -> None:
    """*Mary's red hat* is *le chapeau rouge de Mary*."""
    owner = _say_english(possessor, draft, possessive="'s")
    _say_french(phrase, draft, _say_english(phrase, draft))
    draft.french("de")
    _say_french(possessor, draft, owner)


def say_preposition(preposition: str, draft: Draft) -> None:
    """Append a preposition on both sides; *in front of* has one French word."""
    sources = [draft.english(word) for word in preposition.split()]
    for word in PREPOSITIONS[preposition]:
        draft.french(word, *sources)
