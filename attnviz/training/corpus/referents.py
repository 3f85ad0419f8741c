"""Referents that a text talks about, and the slots that choose a noun or a name for each."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from msgspec import Struct

from attnviz.training.corpus.lexicon import Adjective, Lexicon, Noun
from attnviz.training.corpus.morphology import plural as plural_of
from attnviz.training.corpus.patterns import Clause

_PERSONS = frozenset({"person", "infant"})
_OWNABLE = frozenset({"relative", "pet", "thing"})
# In a text with a pronoun, an adjective on a noun must not bear on who is meant.
_NEUTRAL_KINDS = frozenset({"colour", "look", "material"})


class Modifier(Struct, frozen=True):
    """A modifier after a noun: a prepositional phrase or a relative clause over further slots."""

    clause: Clause | None = None
    object_gap: bool = False
    preposition: str = ""
    slot: str = ""


class Referent(Struct):
    """A thing or a person in a text, and where it was last named."""

    noun: Noun
    plural: bool
    gender: str
    determiner: str
    adjectives: tuple[str, ...] = ()
    head: int = -1
    modifier: Modifier | None = None

    @property
    def number(self) -> str:
        """Return the number its verb agrees with."""
        return "plural" if self.plural else "singular"


class Pool(Struct, frozen=True):
    """The nouns and names a slot may take; the names are apart, for they would outnumber the nouns."""

    nouns: tuple[Noun, ...]
    names: tuple[Noun, ...]

    def choose(self, rng: Random) -> Noun:
        """One of them."""
        if self.names and (not self.nouns or rng.random() < 0.5):
            return self.names[int(rng.random() * len(self.names))]
        return self.nouns[int(rng.random() * len(self.nouns))]

    def without(self, excluded: Callable[[Noun], bool]) -> Pool:
        """Return the pool less some nouns."""
        nouns = tuple(noun for noun in self.nouns if not excluded(noun))
        return Pool(nouns, self.names)


class Slot(Struct, frozen=True):
    """A place for a noun phrase: its letter, the classes it accepts, its gender and its number."""

    letter: str
    classes: tuple[str, ...]
    flags: frozenset[str]
    pool: Pool
    gendered_pools: tuple[Pool, Pool]


def _pool(words: Lexicon, classes: tuple[str, ...], flags: frozenset[str], gender: str) -> Pool:
    wanted = [label for label in classes if not label.startswith("-")]
    unwanted = {noun for label in classes if label.startswith("-") for noun in words.members(label[1:])}
    nouns = dict.fromkeys(noun for label in wanted for noun in words.members(label) if noun not in unwanted)
    gendered = [noun for noun in nouns if noun.gender == gender]
    # Where no noun has the gender, as among doctors and nurses, the gender is given to whichever is chosen.
    fits = gendered if gender and (gendered or "person" in wanted) else list(nouns)
    if "pl" in flags:
        fits = [noun for noun in fits if noun.countability != "mass"]
    elif "any" not in flags:
        fits = [noun for noun in fits if noun.countability != "plural"]
    takes_names = "person" in wanted and "pl" not in flags
    names = tuple(name for name in words.names if not gender or name.gender == gender) if takes_names else ()
    return Pool(tuple(fits), names)


def parse_slot(letter: str, notation: str, words: Lexicon) -> Slot:
    """Return a slot from ``class,class,-excluded.flag.flag``; flags: m, f, x and y (opposite genders), pl, any, the."""
    head, *tail = notation.split(".")
    classes, flags = tuple(head.split(",")), frozenset(tail)
    fixed = next((gender for gender in "mf" if gender in flags), "")
    pool = _pool(words, classes, flags, fixed)
    if "x" in flags or "y" in flags:
        return Slot(
            letter, classes, flags, pool, (_pool(words, classes, flags, "m"), _pool(words, classes, flags, "f"))
        )
    return Slot(letter, classes, flags, pool, (pool, pool))


def parse_slots(notation: str, words: Lexicon) -> tuple[Slot, ...]:
    """Return the slots of a pattern from ``A=animal B=street,path.pl``."""
    pairs = (part.split("=", 1) for part in notation.split())
    return tuple(parse_slot(letter, spelled, words) for letter, spelled in pairs)


class Chooser:
    """Turns slots into referents; a vocabulary decides which nouns it may use."""

    def __init__(
        self, rng: Random, words: Lexicon, excluded: Callable[[Noun], bool], invent: Callable[[], str]
    ) -> None:
        self._rng = rng
        self._words = words
        self._excluded = excluded
        self._invent = invent
        self._pools: dict[int, Pool] = {}
        self.nonce_rate = 0.0

    def cast(self, slots: tuple[Slot, ...], *, plain: bool) -> dict[str, Referent]:
        """Return a referent for each slot, no two of one noun; ``plain`` keeps adjectives out of pronouns' way."""
        rng = self._rng
        swap = rng.random() < 0.5
        chosen: dict[str, Referent] = {}
        for slot in slots:
            for _ in range(8):
                noun, gender = self._noun(slot, swap)
                if all(noun.lemma != other.noun.lemma for other in chosen.values()):
                    break
            else:
                chosen[slot.letter] = self._another(noun, gender)
                continue
            chosen[slot.letter] = self._referent(slot, noun, gender, plain)
        return chosen

    def _another(self, noun: Noun, gender: str) -> Referent:
        return Referent(noun, False, gender if self._is_person(noun) else "n", "another")

    def _is_person(self, noun: Noun) -> bool:
        return noun.is_name or not _PERSONS.isdisjoint(self._words.ancestry(noun.classes))

    def _noun(self, slot: Slot, swap: bool) -> tuple[Noun, str]:
        pool, gender = slot.pool, ""
        if "x" in slot.flags or "y" in slot.flags:
            gender = "m" if swap == ("x" in slot.flags) else "f"
            pool = slot.gendered_pools[gender == "f"]
        key = id(pool)
        if key not in self._pools:
            self._pools[key] = pool.without(self._excluded)
        noun = self._pools[key].choose(self._rng)
        return noun, gender or noun.gender or ("m" if self._rng.random() < 0.5 else "f")

    def _referent(self, slot: Slot, noun: Noun, gender: str, plain: bool) -> Referent:
        rng = self._rng
        plural = noun.countability == "plural" or (
            noun.countability == "count"
            and not noun.is_name
            and ("pl" in slot.flags or ("any" in slot.flags and rng.random() < 0.3))
        )
        person = self._is_person(noun)
        adjectives: tuple[str, ...] = ()
        if not noun.is_name and rng.random() < (0.16 if plain else 0.3):
            adjectives = self._adjectives(noun, plain)
        if self._may_be_invented(slot, noun) and rng.random() < self.nonce_rate:
            lemma = self._invent()
            noun = Noun(lemma, plural_of(lemma), noun.classes, noun.gender, "count", is_nonce=True)
        determiner = "" if noun.is_name else self._determiner(slot, noun, plural, plain)
        return Referent(noun, plural, gender if person else "n", determiner, adjectives)

    def _may_be_invented(self, slot: Slot, noun: Noun) -> bool:
        # Where gender decides, the noun must tell it.
        return noun.countability == "count" and not noun.is_name and slot.flags.isdisjoint("xymf")

    def _adjectives(self, noun: Noun, plain: bool) -> tuple[str, ...]:
        options = [
            adjective
            for adjective in self._words.bearing(noun)
            if (adjective.kind in _NEUTRAL_KINDS if plain else adjective.kind != "predicative")
        ]
        if not options:
            return ()
        first = self._rng.choice(options)
        if plain or self._rng.random() < 0.75:
            return (first.lemma,)
        second = self._rng.choice(options)
        return _ordered(first, second)

    def _determiner(self, slot: Slot, noun: Noun, plural: bool, plain: bool) -> str:
        rng, draw = self._rng, self._rng.random()
        if "bare" in slot.flags:
            return ""
        if noun.countability == "unique":
            return "the"
        if not plain and (noun.countability == "mass" or plural) and rng.random() < 0.3:
            return ""
        if draw < (0.74 if plain else 0.6) or "the" in slot.flags:
            return "the"
        if noun.countability == "mass":
            return "some" if draw > 0.9 else "the"
        if draw < 0.84 and not _OWNABLE.isdisjoint(self._words.ancestry(noun.classes)):
            return rng.choice(("my", "our", "my", "your"))
        if plural:
            return rng.choice(("the", "these", "two", "three", "some", "those", "many"))
        return "a" if draw < 0.94 else rng.choice(("this", "that"))


_ORDER = ("quality", "size", "state", "look", "age", "colour", "material")


def _ordered(first: Adjective, second: Adjective) -> tuple[str, ...]:
    """Two adjectives in the order English wants; of one kind, only the first."""
    if first.kind == second.kind:
        return (first.lemma,)
    pair = sorted((first, second), key=lambda adjective: _ORDER.index(adjective.kind))
    return tuple(adjective.lemma for adjective in pair)
