"""The notation in which the data files write clauses, and its parser.

A clause is ``A +not cross B in the morning``: capital letters are slots for noun phrases, ``A&B`` two joined by *and*,
``@A`` a pronoun for one, ``A's`` and ``@A's`` possessors, ``@A-self`` a reflexive; ``+not``, ``+can``, ``+perf``,
``+prog`` mark the verb, which is a lemma; ``>sleep`` is an infinitive, ``&sleep`` a gerund, ``=rain`` a bare noun,
``~up`` any other word, its underscores spaces. A clause without a subject shares the one before it, or is an
imperative. ``?`` or ``?why`` at its start asks. Square brackets join clauses: ``[because]``, ``[and]``, ``[.]``.
"""

from __future__ import annotations

import re

from msgspec import Struct, field

from attnviz.training.corpus.conjugation import BE
from attnviz.training.corpus.lexicon import Lexicon, Noun, Verb, table


def _function_words(label: str) -> frozenset[str]:
    return frozenset(row["word"] for row in table("function_words") if row["class"] == label)


PLURAL_DETERMINERS = _function_words("plural determiner")
DETERMINERS = _function_words("determiner") | PLURAL_DETERMINERS
PREPOSITIONS = _function_words("preposition")
DEGREES = frozenset({"too", "so", "very", "really", "quite", "rather", "extremely", "more", "much"})
COPULAS = frozenset({"be", "become", "feel", "look", "seem", "get", "taste", "smell", "sound", "stay"})


class Mention(Struct, frozen=True):
    """A slot said as a full noun phrase."""

    slot: str
    possessor: str = ""


class Pronoun(Struct, frozen=True):
    """A slot said as a personal or reflexive pronoun."""

    slot: str
    reflexive: bool = False


class Literal(Struct, frozen=True):
    """A noun phrase spelled out in the pattern; the possessor, if any, is a slot (``@`` for a pronoun)."""

    determiner: str
    adjectives: tuple[str, ...]
    noun: Noun
    plural: bool
    possessor: str = ""


class Deictic(Struct, frozen=True):
    """A pronoun of the first or second person, or *someone*; it has no antecedent."""

    form: str
    plural: bool = False


class Pair(Struct, frozen=True):
    """Two slots joined by *and*."""

    first: str
    second: str


class Preposition(Struct, frozen=True):
    """A preposition; its object is the next noun phrase."""

    form: str


class Predicate(Struct, frozen=True):
    """An adjective said of the subject, with the degree words before it."""

    degrees: tuple[str, ...]
    adjective: str


class Adverb(Struct, frozen=True):
    """An adverb that modifies the verb."""

    form: str


class Particle(Struct, frozen=True):
    """A word that enters no link."""

    form: str


class NonFinite(Struct, frozen=True):
    """An infinitive or a gerund; what follows depends on it."""

    verb: Verb
    gerund: bool


NounPhrase = Mention | Pronoun | Literal | Deictic | Pair
Item = NounPhrase | Preposition | Predicate | Adverb | Particle | NonFinite


class Clause(Struct, frozen=True):
    """One finite clause: the connective before it, its subject, its verb with marks, and the rest in order."""

    subject: NounPhrase | None
    verb: Verb
    marks: frozenset[str]
    items: tuple[Item, ...]
    connective: str = ""
    question: str = ""
    adverb: str = ""


DEICTICS = frozenset({"i", "you", "we", "someone", "everyone", "nobody", "everything"})
_SLOT = re.compile(r"(@?)([A-Z])('s|-self)?$")


class _Parser(Struct):
    words: Lexicon
    tokens: list[str]
    position: int = 0
    nouns: list[Noun] = field(default_factory=list)

    def _peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def _take(self) -> str:
        self.position += 1
        return self.tokens[self.position - 1]

    def _verb(self, lemma: str) -> Verb:
        if lemma == "be":
            return BE
        if lemma not in self.words.verbs:
            raise ValueError(f"no verb {lemma!r} in the lexicon: {' '.join(self.tokens)}")
        return self.words.verbs[lemma]

    def _find_noun(self, form: str) -> tuple[Noun, bool] | None:
        if form in self.words.nouns:
            noun = self.words.nouns[form]
            return noun, noun.countability == "plural"
        if form in self.words.plurals:
            return self.words.plurals[form], True
        return None

    def _literal(self, determiner: str, possessor: str = "") -> Literal:
        adjectives: list[str] = []
        while True:
            form = self._take()
            found = self._find_noun(form)
            following = self._peek()
            if found and not (form in self.words.adjectives and self._find_noun(following)):
                return Literal(determiner, tuple(adjectives), found[0], found[1], possessor)
            if form not in self.words.adjectives:
                raise ValueError(f"no noun or adjective {form!r} in the lexicon: {' '.join(self.tokens)}")
            adjectives.append(form)

    def noun_phrase(self) -> NounPhrase | None:
        token = self._peek()
        if token[1:2] == "&":
            return Pair(*self._take().split("&"))
        slot = _SLOT.match(token)
        if slot:
            self._take()
            pronoun, letter, suffix = slot.groups()
            if suffix == "'s":
                owner = pronoun + letter
                if _SLOT.match(self._peek()):
                    return Mention(self._take(), owner)
                return self._literal("", owner)
            return Pronoun(letter, suffix == "-self") if pronoun else Mention(letter)
        if token in DETERMINERS:
            return self._literal("a" if self._take() == "an" else token)
        if token.startswith("="):
            self.tokens[self.position] = token[1:]
            return self._literal("")
        return Deictic(self._take()) if token in DEICTICS else None

    def _item(self, *, predicative: bool) -> Item:
        phrase = self.noun_phrase()
        if phrase is not None:
            return phrase
        token = self._take()
        if token[0] in ">&":
            return NonFinite(self._verb(token[1:]), token[0] == "&")
        if token[0] == "~":
            return Particle(token[1:])
        if token in PREPOSITIONS:
            return Preposition(token)
        if token in self.words.adverbs and not (
            predicative and token in self.words.adjectives | dict.fromkeys(DEGREES)
        ):
            return Adverb(token)
        degrees: list[str] = []
        while token in DEGREES:
            degrees.append(token)
            token = self._take()
        if token in self.words.adjectives:
            return Predicate(tuple(degrees), token)
        raise ValueError(f"cannot read {token!r} in {' '.join(self.tokens)}")

    def clause(self, connective: str) -> Clause:
        question = self._take()[1:] or "yes-no" if self._peek().startswith("?") else ""
        subject = self.noun_phrase()
        marks: set[str] = set()
        while self._peek().startswith("+"):
            marks.add(self._take()[1:])
        adverb = self._take() if self._peek() in self.words.adverbs else ""
        lemma = self._take()
        verb = self._verb(lemma)
        items: list[Item] = []
        while self.position < len(self.tokens):
            items.append(self._item(predicative=lemma in COPULAS))
        return Clause(subject, verb, frozenset(marks), tuple(items), connective, question, adverb)


def parse(text: str, words: Lexicon) -> tuple[Clause, ...]:
    """Return the clauses of a pattern."""
    parts = re.split(r"\[(.*?)\]", text)
    bodies = [parts[0], *parts[2::2]]
    connectives = ["", *parts[1::2]]
    return tuple(
        _Parser(words, body.split()).clause(connective)
        for body, connective in zip(bodies, connectives, strict=True)
        if body.strip()
    )
