"""Drawing clauses: verbs with what they select, things with what can be said of them, in some tense."""

from __future__ import annotations

from random import Random

from attnviz.training.corpus.french.choosing import Chooser, Role
from attnviz.training.corpus.french.clauses import Action, Command, Existence, Predication
from attnviz.training.corpus.french.finite import Modal, Negation, Tense
from attnviz.training.corpus.french.lexicon import lexicon
from attnviz.training.corpus.french.phrases import Coordination, NounPhrase, Subject
from attnviz.training.corpus.french.words import Frame, Noun, Verb

_NEGATIONS = (Negation.NONE,) * 12 + (Negation.FULL, Negation.CONTRACTED)
_TENSES = (Tense.PRESENT,) * 5 + (Tense.PROGRESSIVE,) * 2 + (Tense.PAST,) * 4
_COPULA_TENSES = (Tense.PRESENT,) * 3 + (Tense.PAST,)
_MODALS = (Modal.CAN, Modal.CAN, Modal.MUST, Modal.WANT, Modal.WANT)


class Clauses:
    """Draws clauses from one source of chance."""

    def __init__(self, rng: Random, chooser: Chooser) -> None:
        self._rng = rng
        self._chooser = chooser
        self._words = lexicon()
        self._persons = self._words.members("person")
        self._described = tuple(noun for noun in self._words.members("entity") if self._words.bearing(noun))
        self._choices = {
            (past, personal): self._choosable(past, personal) for past in (False, True) for personal in (False, True)
        }
        frequent = [adverb for adverb in self._words.adverbs.values() if adverb.is_frequency]
        self._adverbs = (*self._words.adverbs.values(), *frequent * 2)

    def _choosable(self, past: bool, personal: bool) -> tuple[tuple[Verb, tuple[Frame, ...]], ...]:
        """Return the verbs that have a past, if one is wanted, with their frames, only those for persons if wanted."""
        choices: list[tuple[Verb, tuple[Frame, ...]]] = []
        for verb in self._words.verbs.values():
            frames = tuple(frame for frame in verb.frames if not personal or frame.subjects[0].is_person)
            if frames and (verb.has_past or not past):
                choices.append((verb, frames))
        return tuple(choices)

    def tense(self) -> Tense:
        """Return a tense for an action."""
        return self._rng.choice(_TENSES)

    def copula_tense(self) -> Tense:
        """Return a tense for *be*."""
        return self._rng.choice(_COPULA_TENSES)

    def action(self, tense: Tense, subject: Subject | None = None) -> Action:
        """Return an action; a subject that is given is some person."""
        rng = self._rng
        verb, frames = rng.choice(self._choices[tense is Tense.PAST, subject is not None])
        frame = rng.choice(frames)
        if tense is Tense.PROGRESSIVE and verb.english.stative:
            tense = Tense.PRESENT
        negation = rng.choice(_NEGATIONS)
        if subject is None:
            general = tense is not Tense.PAST and negation is Negation.NONE
            subject = self._chooser.subject(frame.subjects, Role.SUBJECT if general else Role.PAST_SUBJECT)
            self.meet_subject(subject, verb)
        modal, adverb = None, None
        if tense is Tense.PRESENT and not verb.english.stative and rng.random() < 0.15:
            modal = rng.choice(_MODALS)
        elif negation is Negation.NONE and not verb.english.stative and rng.random() < 0.1:
            adverb = rng.choice(self._adverbs)
        thing, place = self._arguments(verb, frame, _object_role(verb, negation))
        return Action(subject, verb, thing, frame.preposition, place, tense, negation, modal, adverb)

    def predication(self, tense: Tense, subject: Subject | None = None) -> Predication:
        """Something said of a thing or a person; a subject that is given is some person."""
        rng = self._rng
        negation = rng.choice(_NEGATIONS)
        general = tense is not Tense.PAST and negation is Negation.NONE
        role = Role.SUBJECT if general else Role.PAST_SUBJECT
        if subject is None and rng.random() < 0.4:
            subject = self._chooser.subject(self._persons, role, adjectives=0.0)
        elif subject is None:
            subject = self._chooser.phrase(self._described, role, adjectives=0.05)
        noun = subject.noun if isinstance(subject, NounPhrase) and not subject.noun.is_name else None
        adjectives = self._chooser.predicates(noun)
        very = adjectives[0].english.gradable and rng.random() < 0.15
        return Predication(subject, adjectives, very, tense=tense, negation=negation)

    def location(self) -> Predication:
        """Return a clause on where something or somebody is."""
        tense, negation = self.copula_tense(), self._rng.choice(_NEGATIONS)
        frame = self._rng.choice(self._words.locations)
        subject = self._chooser.subject(frame.subjects, Role.PAST_SUBJECT)
        place = self.place(frame.places)
        return Predication(subject, (), False, frame.preposition, place, tense, negation)

    def existence(self) -> Existence:
        """Return a clause on what there is somewhere."""
        tense = self.copula_tense()
        frame = self._rng.choice(self._words.locations)
        thing = self._chooser.phrase(frame.subjects, Role.EXISTING)
        return Existence(thing, frame.preposition, self.place(frame.places), tense)

    def command(self) -> Command:
        """Return an order, never of one word: *cook* would be a noun as well."""
        while True:
            verb, frames = self._rng.choice(self._choices[False, True])
            frame = self._rng.choice(frames)
            if not verb.english.stative and (frame.objects or frame.places):
                break
        thing, place = self._arguments(verb, frame, Role.DEFINITE)
        return Command(verb, thing, frame.preposition, place, self._rng.choice(_NEGATIONS))

    def place(self, places: tuple[Noun, ...]) -> NounPhrase:
        """Return a place, or company."""
        if places[0].is_person and self._rng.random() < 0.4:
            return self._chooser.name()
        return self._chooser.phrase(places, Role.PLACE, adjectives=0.15)

    def _arguments(self, verb: Verb, frame: Frame, role: Role) -> tuple[NounPhrase | None, NounPhrase | None]:
        thing = place = None
        if frame.objects and frame.objects[0].is_person and self._rng.random() < 0.25:
            thing = self._chooser.name()
        elif frame.objects:
            thing = self._chooser.phrase(frame.objects, role)
            self._chooser.meet(verb.english.lemma, thing.noun.english.lemma)
        if frame.places:
            place = self.place(frame.places)
        return thing, place

    def meet_subject(self, subject: Subject, verb: Verb) -> None:
        """Note which nouns do what the verb says."""
        phrases = (subject.first, subject.second) if isinstance(subject, Coordination) else (subject,)
        for phrase in phrases:
            if isinstance(phrase, NounPhrase) and not phrase.noun.is_name:
                self._chooser.meet(phrase.noun.english.lemma, verb.english.lemma)


def _object_role(verb: Verb, negation: Negation) -> Role:
    """No *a* after *pas*, which would want *de*; nor after a verb of liking."""
    if verb.is_generic:
        return Role.LIKED
    if verb.french_preposition:
        return Role.PLACE
    return Role.OBJECT if negation is Negation.NONE else Role.DEFINITE
