"""The finite verb: tense, negation and what governs it, and how both languages say that."""

from __future__ import annotations

from enum import Enum

from attnviz.training.corpus.conjugation import BE, verb_group
from attnviz.training.corpus.french.conjugation import Person
from attnviz.training.corpus.french.lexicon import lexicon
from attnviz.training.corpus.french.phrases import Subject
from attnviz.training.corpus.french.spelling import Draft
from attnviz.training.corpus.french.words import Verb

IMPERFECT = {
    "être": ("étais", "étais", "était", "étions", "étaient"),
    "avoir": ("avais", "avais", "avait", "avions", "avaient"),
}
_ENGLISH_NUMBER = {Person.I: "first", Person.YOU: "plural", Person.IT: "singular"}


class Tense(Enum):
    """The tense of a clause, by its English name; the two presents are one in French."""

    PRESENT = "present"
    PROGRESSIVE = "progressive"
    PAST = "past"


class Negation(Enum):
    """The negation of a clause, if any, and whether English contracts it: *does not*, *doesn't*."""

    NONE = "none"
    FULL = "full"
    CONTRACTED = "contracted"


class Modal(Enum):
    """A modal that governs an infinitive, by its English and French verb."""

    CAN = ("can", "pouvoir")
    MUST = ("must", "devoir")
    WANT = ("want", "vouloir")


Said = tuple[tuple[str, int], ...]
"""English words that have been said, with their indices."""


def number(subject: Subject) -> str:
    """Return the number of a subject as the English verb sees it."""
    return _ENGLISH_NUMBER.get(subject.person, "plural")


def finite_group(
    verb: Verb | None, number: str, tense: Tense, negation: Negation, modal: Modal | None = None, *, inverted: bool
) -> tuple[str, ...]:
    """Return the English words of a finite verb, which is *be* if none is given."""
    main = verb.english if verb else BE
    governs = modal is Modal.WANT
    marks = {
        *(("prog",) if tense is Tense.PROGRESSIVE else ()),
        *(("not",) if negation is not Negation.NONE else ()),
        *((modal.value[0],) if modal and not governs else ()),
    }
    group = verb_group(
        lexicon().verbs["want"].english if governs else main,
        "past" if tense is Tense.PAST else "present",
        number,
        frozenset(marks),
        contracted=negation is Negation.CONTRACTED,
        inverted=inverted,
    )
    return (*group, "to", main.lemma) if governs else group


def source_of(said: Said, *endings: str) -> tuple[int, ...]:
    """Return the index of the first word with such an ending, if there is one."""
    return tuple(index for word, index in said if word.endswith(endings))[:1]


def say_words(words: tuple[str, ...], draft: Draft) -> Said:
    """Append English words."""
    return tuple([(word, draft.english(word)) for word in words])


def say_finite(
    form: str, draft: Draft, said: Said, source: tuple[int, ...], negation: Negation, *, content: bool = False
) -> None:
    """Append the French finite verb, between *ne* and *pas* if it is negated."""
    if negation is not Negation.NONE:
        draft.french("ne")
    draft.french(form, *source, content=content)
    if negation is not Negation.NONE:
        draft.french("pas", *source_of(said, "not", "n't"))
