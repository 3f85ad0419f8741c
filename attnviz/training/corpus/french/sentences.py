"""Drawing sentences: what is said how often, short and common things oftener than long and rare ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from random import Random

from msgspec.structs import replace

from attnviz.training.corpus.french.choosing import Chooser, Role
from attnviz.training.corpus.french.clauses import Action, Predication, Statement, say_joined
from attnviz.training.corpus.french.drawing import Clauses
from attnviz.training.corpus.french.finite import Negation, Tense
from attnviz.training.corpus.french.lexicon import lexicon
from attnviz.training.corpus.french.phrases import HE, SHE, THEY, WHO, Coordination, NounPhrase, Pronoun, Subject
from attnviz.training.corpus.french.spelling import Draft

_CONNECTIVES = ("and", "and", "but", "because", "when")
_FORMS = {
    "phrase": 30,
    "word": 3,
    "action": 26,
    "predication": 14,
    "location": 6,
    "existence": 4,
    "command": 3,
    "question": 6,
    "who": 2,
    "where": 2,
    "joined": 8,
    "thought": 2,
}


class Sentences:
    """Says sentences drawn from one source of chance."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._chooser = Chooser(rng)
        self._clauses = Clauses(rng, self._chooser)
        words = lexicon()
        self._nouns = words.members("entity")
        self._persons = words.members("person")
        self._movable = words.members("thing,person,pet,building")
        self._locations = words.locations
        self._adjectives = tuple(words.adjectives.values())
        self._thinking = tuple(words.verbs[lemma] for lemma in ("think", "say", "believe"))
        self._weights = tuple(accumulate(_FORMS.values()))
        self._makers: tuple[Callable[[Draft], bool], ...] = (
            self._phrase, self._word, self._action, self._predication, self._location, self._existence,
            self._command, self._question, self._who, self._where, self._joined, self._thought,
        )  # fmt: skip

    @property
    def shows_held_out(self) -> bool:
        """Return whether the latest sentence puts words together that training never shows."""
        return self._chooser.shows_held_out

    def say(self, draft: Draft) -> bool:
        """Say one sentence; whether it asks."""
        self._chooser.shows_held_out = False
        return self._rng.choices(self._makers, cum_weights=self._weights)[0](draft)

    def _phrase(self, draft: Draft) -> bool:
        draw = self._rng.random()
        if draw < 0.12:
            frame = self._rng.choice(self._locations)
            thing = self._chooser.phrase(frame.subjects, Role.DEFINITE)
            replace(thing, preposition=frame.preposition, complement=self._clauses.place(frame.places)).say(draft)
        elif draw < 0.2:
            first = self._chooser.phrase(self._nouns, Role.DEFINITE)
            Coordination(first, self._chooser.phrase(self._nouns, Role.DEFINITE)).say(draft)
        else:
            self._chooser.phrase(self._nouns, Role.ALONE, adjectives=0.6).say(draft)
        return False

    def _word(self, draft: Draft) -> bool:
        """Return a word by itself, as one looks it up: a name, an adjective in the masculine."""
        if self._rng.random() < 0.4:
            self._chooser.name().say(draft)
        else:
            adjective = self._rng.choice(self._adjectives)
            draft.french(adjective.masculine, draft.english(adjective.english.lemma), content=True)
        return False

    def _action(self, draft: Draft) -> bool:
        self._clauses.action(self._clauses.tense()).say(draft)
        return False

    def _predication(self, draft: Draft) -> bool:
        self._clauses.predication(self._clauses.copula_tense()).say(draft)
        return False

    def _location(self, draft: Draft) -> bool:
        self._clauses.location().say(draft)
        return False

    def _existence(self, draft: Draft) -> bool:
        existence = self._clauses.existence()
        asks = self._rng.random() < 0.2
        (existence.ask if asks else existence.say)(draft)
        return asks

    def _command(self, draft: Draft) -> bool:
        self._clauses.command().say(draft)
        return False

    def _question(self, draft: Draft) -> bool:
        if self._rng.random() < 0.5:
            predication = self._clauses.predication(self._clauses.copula_tense())
            replace(predication, negation=Negation.NONE).ask(draft)
        else:
            action = self._clauses.action(self._clauses.tense())
            replace(action, negation=Negation.NONE).ask(draft)
        return True

    def _who(self, draft: Draft) -> bool:
        self._clauses.action(self._clauses.tense(), WHO).say(draft)
        return True

    def _where(self, draft: Draft) -> bool:
        tense = self._clauses.copula_tense()
        Predication(self._chooser.phrase(self._movable, Role.DEFINITE), tense=tense).ask_where(draft)
        return True

    def _joined(self, draft: Draft) -> bool:
        """Two clauses; half of the second ones are about the same person, if there is one."""
        tense = self._rng.choice((Tense.PRESENT, Tense.PAST))
        first = self._clauses.action(tense)
        again = _pronoun(first.subject) if self._rng.random() < 0.5 else None
        of_state = self._rng.random() < 0.4
        second = self._clauses.predication(tense, again) if of_state else self._clauses.action(tense, again)
        say_joined(first, self._rng.choice(_CONNECTIVES), second, draft)
        return False

    def _thought(self, draft: Draft) -> bool:
        subject = self._chooser.subject(self._persons, Role.SUBJECT, adjectives=0.1)
        thinking = Action(subject, self._rng.choice(self._thinking))
        self._clauses.meet_subject(subject, thinking.verb)
        content: Statement
        if self._rng.random() < 0.5:
            content = self._clauses.action(Tense.PRESENT)
        else:
            content = self._clauses.predication(Tense.PRESENT)
        say_joined(thinking, "that", content, draft)
        return False


def _pronoun(subject: Subject) -> Pronoun | None:
    """Return the pronoun for a person already named; none for several women, as *they* is always *ils*."""
    if not isinstance(subject, NounPhrase) or not subject.noun.is_person:
        return None
    if subject.plural:
        return None if subject.feminine else THEY
    return SHE if subject.feminine else HE
