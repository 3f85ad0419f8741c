"""Clauses: what they hold, and how both languages say them."""

from __future__ import annotations

from msgspec import Struct

from attnviz.training.corpus.french.conjugation import Person
from attnviz.training.corpus.french.finite import (
    IMPERFECT,
    Modal,
    Negation,
    Said,
    Tense,
    finite_group,
    number,
    say_finite,
    say_words,
    source_of,
)
from attnviz.training.corpus.french.lexicon import lexicon
from attnviz.training.corpus.french.phrases import NounPhrase, Subject, say_preposition
from attnviz.training.corpus.french.spelling import Draft
from attnviz.training.corpus.french.words import Adjective, Adverb, Verb


def _say_est_ce_que(draft: Draft) -> None:
    draft.french("est-ce")
    draft.french("que")


class Action(Struct, frozen=True):
    """A clause with a full verb: who does what to whom, and where.

    No modal stands in the past or the progressive, and no adverb beside a modal or a negation.
    """

    subject: Subject
    verb: Verb
    object: NounPhrase | None = None
    preposition: str = ""
    place: NounPhrase | None = None
    tense: Tense = Tense.PRESENT
    negation: Negation = Negation.NONE
    modal: Modal | None = None
    adverb: Adverb | None = None

    def say(self, draft: Draft) -> None:
        """Append it as a statement."""
        self.subject.say(draft)
        self._say_predicate(draft, self._english(inverted=False), ())

    def ask(self, draft: Draft) -> None:
        """Append it as a question for yes or no: *does he eat*, *est-ce qu'il mange*."""
        auxiliary, *rest = self._english(inverted=True)
        said = say_words((auxiliary,), draft)
        _say_est_ce_que(draft)
        self.subject.say(draft)
        self._say_predicate(draft, tuple(rest), said)

    def _english(self, *, inverted: bool) -> tuple[str, ...]:
        return finite_group(self.verb, number(self.subject), self.tense, self.negation, self.modal, inverted=inverted)

    def _say_predicate(self, draft: Draft, group: tuple[str, ...], said: Said) -> None:
        said += say_words(group[:-1], draft)
        adverb = self.adverb
        leads = adverb is not None and (adverb.is_frequency or self.object is not None)
        before = (draft.english(adverb.english),) if adverb and leads else ()
        main = draft.english(group[-1])
        after = (draft.english(adverb.english),) if adverb and not leads else ()
        self._say_french(draft, said, main, before + after)
        _say_rest(self.verb, self.object, self.preposition, self.place, draft)

    def _say_french(self, draft: Draft, said: Said, main: int, adverb: tuple[int, ...]) -> None:
        person, french = self.subject.person, self.verb.french
        often = self.adverb is not None and self.adverb.is_frequency
        if self.modal:
            form = lexicon().verb(self.modal.value[1]).present[person]
            governing = source_of(said, "want", "wants") if self.modal is Modal.WANT else _first(said)
            say_finite(form, draft, said, governing, self.negation, content=self.modal is Modal.WANT)
            draft.french(french.infinitive, main, content=True)
        elif self.tense is Tense.PAST:
            say_finite(lexicon().verb("avoir").present[person], draft, said, (), self.negation)
            self._say_adverb(draft, adverb, when=often)
            draft.french(french.participle, main, content=True)
            self._say_adverb(draft, adverb, when=not often)
        else:
            say_finite(french.present[person], draft, said, (main,), self.negation, content=True)
            self._say_adverb(draft, adverb, when=True)

    def _say_adverb(self, draft: Draft, sources: tuple[int, ...], *, when: bool) -> None:
        if self.adverb is not None and when:
            draft.french(self.adverb.french, *sources, content=True)


def _first(said: Said) -> tuple[int, ...]:
    return (said[0][1],)


def _say_rest(verb: Verb, thing: NounPhrase | None, preposition: str, place: NounPhrase | None, draft: Draft) -> None:
    if thing is not None:
        sources = [draft.english(word) for word in verb.english_preposition.split()]
        if verb.french_preposition:
            draft.french(verb.french_preposition, *sources)
        thing.say(draft)
    _say_place(preposition, place, draft)


class Command(Struct, frozen=True):
    """An order to one who is called *tu*: *open the door*."""

    verb: Verb
    object: NounPhrase | None = None
    preposition: str = ""
    place: NounPhrase | None = None
    negation: Negation = Negation.NONE

    def say(self, draft: Draft) -> None:
        """Append it on both sides."""
        group = finite_group(self.verb, "plural", Tense.PRESENT, self.negation, inverted=False)
        said = say_words(group, draft)
        form = self.verb.french.present[Person.YOU]
        if form.endswith(("es", "as")):
            form = form[:-1]
        say_finite(form, draft, said, (said[-1][1],), self.negation, content=True)
        _say_rest(self.verb, self.object, self.preposition, self.place, draft)


class Predication(Struct, frozen=True):
    """A clause on what something is, by one or two adjectives, or where it is; in the present or the past."""

    subject: Subject
    adjectives: tuple[Adjective, ...] = ()
    very: bool = False
    preposition: str = ""
    place: NounPhrase | None = None
    tense: Tense = Tense.PRESENT
    negation: Negation = Negation.NONE

    def say(self, draft: Draft) -> None:
        """Append it as a statement."""
        self.subject.say(draft)
        said = say_words(self._english(), draft)
        self._say_french(draft, said)
        self._say_complement(draft)

    def ask(self, draft: Draft) -> None:
        """Append it as a question for yes or no: *is the car red*, *est-ce que la voiture est rouge*."""
        said = say_words(self._english(), draft)
        _say_est_ce_que(draft)
        self.subject.say(draft)
        self._say_french(draft, said)
        self._say_complement(draft)

    def ask_where(self, draft: Draft) -> None:
        """Append the question for the place: *where is the car*, *où est la voiture*."""
        draft.french("où", draft.english("where"))
        self._say_french(draft, say_words(self._english(), draft))
        self.subject.say(draft)

    def _english(self) -> tuple[str, ...]:
        return finite_group(None, number(self.subject), self.tense, self.negation, inverted=False)

    def _say_french(self, draft: Draft, said: Said) -> None:
        has = bool(self.adjectives) and bool(self.adjectives[0].sensation)
        verb = "avoir" if has else "être"
        forms = IMPERFECT[verb] if self.tense is Tense.PAST else lexicon().verb(verb).present
        say_finite(forms[self.subject.person], draft, said, _first(said), self.negation)

    def _say_complement(self, draft: Draft) -> None:
        subject = self.subject
        plural = subject.person in (Person.WE, Person.THEY)
        for place, adjective in enumerate(self.adjectives):
            if place:
                draft.french("et", draft.english("and"))
            elif self.very:
                draft.french("très", draft.english("very"))
            form = adjective.sensation or adjective.form(feminine=subject.feminine, plural=plural)
            draft.french(form, draft.english(adjective.english.lemma), content=True)
        _say_place(self.preposition, self.place, draft)


class Existence(Struct, frozen=True):
    """A clause on what there is somewhere, in the present or the past: *there is a dog in the garden*."""

    thing: NounPhrase
    preposition: str = ""
    place: NounPhrase | None = None
    tense: Tense = Tense.PRESENT

    def say(self, draft: Draft) -> None:
        """Append it as a statement."""
        there = draft.english("there")
        self._say(draft, there, draft.english(self._english()))

    def ask(self, draft: Draft) -> None:
        """Append it as a question: *is there a dog*, *est-ce qu'il y a un chien*."""
        be = draft.english(self._english())
        _say_est_ce_que(draft)
        self._say(draft, draft.english("there"), be)

    def _english(self) -> str:
        return finite_group(None, number(self.thing), self.tense, Negation.NONE, inverted=False)[0]

    def _say(self, draft: Draft, there: int, be: int) -> None:
        draft.french("il")
        draft.french("y", there)
        forms = IMPERFECT["avoir"] if self.tense is Tense.PAST else lexicon().verb("avoir").present
        draft.french(forms[Person.IT], be)
        self.thing.say(draft)
        _say_place(self.preposition, self.place, draft)


def _say_place(preposition: str, place: NounPhrase | None, draft: Draft) -> None:
    if place is not None:
        say_preposition(preposition, draft)
        place.say(draft)


CONNECTIVES: dict[str, tuple[str, ...]] = {
    "and": ("et",),
    "but": ("mais",),
    "because": ("parce", "que"),
    "when": ("quand",),
    "that": ("que",),
}

Statement = Action | Predication | Existence


def say_joined(first: Statement, connective: str, second: Statement, draft: Draft) -> None:
    """Append two statements with a conjunction between them."""
    first.say(draft)
    source = draft.english(connective)
    for word in CONNECTIVES[connective]:
        draft.french(word, source)
    second.say(draft)
