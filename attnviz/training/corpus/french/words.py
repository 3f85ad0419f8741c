"""Words on both sides: an English lemma with the French that says it."""

from __future__ import annotations

from msgspec import Struct

from attnviz.training.corpus import lexicon as english
from attnviz.training.corpus.french.conjugation import Conjugation


class Noun(Struct, frozen=True):
    """A noun on both sides. ``has_plural`` is false of mass nouns and where the English plural tells nothing."""

    english: english.Noun
    singular: str
    plural: str
    feminine: bool
    has_plural: bool
    common: bool
    is_person: bool
    is_ownable: bool

    @property
    def is_unique(self) -> bool:
        """Return whether there is only one, such as the sun."""
        return self.english.countability == "unique"

    @property
    def is_mass(self) -> bool:
        """Return whether it is said of stuff: *some water*, *de l'eau*."""
        return self.english.countability == "mass"

    @property
    def is_name(self) -> bool:
        """Return whether it is a person's name, which needs no determiner and stays as it is."""
        return self.english.is_name


class Adjective(Struct, frozen=True):
    """An adjective on both sides.

    ``prevocalic`` is its masculine before a vowel: *bel*. What one is in English, one may have in French: ``sensation``
    is the noun for it, so that *she is hungry* is *elle a faim*.
    """

    english: english.Adjective
    masculine: str
    feminine: str
    plural: str
    feminine_plural: str
    prevocalic: str
    before_noun: bool
    sensation: str
    common: bool

    def form(self, *, feminine: bool, plural: bool) -> str:
        """Return the form that agrees."""
        if feminine:
            return self.feminine_plural if plural else self.feminine
        return self.plural if plural else self.masculine


class Frame(Struct, frozen=True):
    """The frame of a verb: nouns as subjects, as objects (none if it takes none), and after a preposition."""

    subjects: tuple[Noun, ...]
    objects: tuple[Noun, ...] = ()
    preposition: str = ""
    places: tuple[Noun, ...] = ()


class Verb(Struct, frozen=True):
    """A verb on both sides, each with the preposition that stands before its object.

    ``has_past`` is false of verbs whose past takes *être* or describes a state, and of those whose English past is
    their base form. ``is_generic`` is true of verbs of liking: *I like dogs* is *j'aime les chiens*.
    """

    english: english.Verb
    french: Conjugation
    english_preposition: str
    french_preposition: str
    has_past: bool
    is_generic: bool
    frames: tuple[Frame, ...] = ()


class Adverb(Struct, frozen=True):
    """An adverb on both sides; one of frequency stands before the English verb."""

    english: str
    french: str
    is_frequency: bool


# French and English agree on where these stand and on what follows them.
PREPOSITIONS: dict[str, tuple[str, ...]] = {
    "in": ("dans",),
    "on": ("sur",),
    "under": ("sous",),
    "behind": ("derrière",),
    "in front of": ("devant",),
    "with": ("avec",),
    "for": ("pour",),
    "near": ("près", "de"),
    "to": ("à",),
}
