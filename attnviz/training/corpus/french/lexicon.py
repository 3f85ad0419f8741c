"""The bilingual lexicon: which of the shared lexicon's words have a French, read from tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from attnviz.training.corpus import lexicon as english
from attnviz.training.corpus.french import inflection
from attnviz.training.corpus.french.conjugation import Conjugation, regular
from attnviz.training.corpus.french.words import PREPOSITIONS, Adjective, Adverb, Frame, Noun, Verb

_DATA = Path(__file__).parent / "data"
_OWNABLE = frozenset({"pet", "relative", "clothing", "vehicle", "furniture", "goods", "reading", "toy", "bodypart"})
_COMMON_WEIGHT = 4


def table(name: str) -> list[dict[str, str]]:
    """Return the rows of one of the data files, by column name; missing cells are empty."""
    with (_DATA / f"{name}.tsv").open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quotechar="\0", restval="")
        return [{key: value or "" for key, value in row.items()} for row in rows]


class Lexicon:
    """All words that have a French."""

    def __init__(self) -> None:
        self._shared = english.lexicon()
        self.nouns = {row["lemma"]: self._noun(row) for row in table("nouns")}
        self.adjectives = {row["lemma"]: self._adjective(row) for row in table("adjectives")}
        self.adverbs = {
            row["lemma"]: Adverb(row["lemma"], row["french"], row["kind"] == "frequency") for row in table("adverbs")
        }
        self._irregular = {row["infinitive"]: _irregular(row) for row in table("irregular_verbs")}
        self.names = tuple(_name(name) for name in self._shared.names if self._is_plain(name.lemma))
        self.verbs = {row["lemma"]: self._verb(row) for row in table("verbs")}
        self.locations = tuple(
            Frame(self.members(row["thing"]), (), row["preposition"], self.members(row["place"]))
            for row in table("locations")
        )
        self._bearing: dict[str, tuple[Adjective, ...]] = {}

    def bearing(self, noun: Noun) -> tuple[Adjective, ...]:
        """Return the adjectives that can describe a noun, to draw from: the common ones are repeated."""
        lemma = noun.english.lemma
        if lemma not in self._bearing:
            labels = {*self._shared.ancestry(noun.english.classes), lemma}
            bearing = (a for a in self.adjectives.values() if labels.intersection(a.english.classes))
            self._bearing[lemma] = _weighted(bearing)
        return self._bearing[lemma]

    def members(self, labels: str) -> tuple[Noun, ...]:
        """Return the nouns of any of the classes, which commas separate, to draw from: the common ones are repeated."""
        found: dict[str, Noun] = {}
        for label in labels.split(","):
            for noun in self._shared.members(label):
                if noun.lemma in self.nouns:
                    found[noun.lemma] = self.nouns[noun.lemma]
        return _weighted(found.values())

    def verb(self, lemma: str) -> Conjugation:
        """Return the conjugation of a French verb."""
        return self._irregular.get(lemma) or regular(lemma)

    def _noun(self, row: dict[str, str]) -> Noun:
        shared = self._shared.nouns[row["lemma"]]
        countable = shared.countability == "count" and shared.plural != shared.lemma and row["number"] != "singular"
        plural = row["plural"] or inflection.plural(row["french"])
        ancestry = frozenset(self._shared.ancestry(shared.classes))
        return Noun(
            shared,
            row["french"],
            plural,
            row["gender"] == "f",
            countable,
            bool(row["common"]),
            is_person="person" in ancestry,
            is_ownable=not ancestry.isdisjoint(_OWNABLE),
        )

    def _adjective(self, row: dict[str, str]) -> Adjective:
        shared, masculine = self._shared.adjectives[row["lemma"]], row["french"]
        classes = tuple(row["classes"].removeprefix("+").split(","))
        if row["classes"].startswith("+") or not row["classes"]:
            classes += shared.classes
        feminine = row["feminine"] or inflection.feminine(masculine)
        return Adjective(
            replace(shared, classes=classes),
            masculine,
            feminine,
            row["plural"] or inflection.plural(masculine),
            row["feminine plural"] or inflection.plural(feminine),
            row["prevocalic"] or masculine,
            row["place"] == "before",
            row["sensation"],
            bool(row["common"]),
        )

    def _verb(self, row: dict[str, str]) -> Verb:
        shared = self._shared.verbs[row["lemma"]]
        patterns = row["patterns"].split(";") if row["patterns"] else shared.patterns
        swallowed = row["english preposition"]
        frames = (self._frame(pattern, swallowed) for pattern in patterns)
        return Verb(
            shared,
            self.verb(row["french"]),
            swallowed,
            row["french preposition"],
            row["past"] == "avoir" and shared.past != shared.lemma,
            row["past"] == "liking",
            tuple(frame for frame in frames if frame is not None),
        )

    def _frame(self, pattern: str, swallowed: str = "") -> Frame | None:
        """One pattern in the shared lexicon's notation, or None if it needs what has no French here."""
        subjects, _, rest = pattern.partition(">")
        objects, *tail = rest.split() or [""]
        preposition = " ".join(tail[:-1])
        if objects == "-" and preposition == swallowed and swallowed:
            objects, tail, preposition = tail[-1], [], ""
        elif swallowed:
            return None
        if preposition == "into":
            preposition = "in"
        if tail and (preposition not in PREPOSITIONS or (preposition == "to" and objects == "-")):
            return None
        frame = Frame(
            self.members(subjects.strip()),
            self.members(objects) if objects not in ("", "-") else (),
            preposition,
            self.members(tail[-1]) if tail else (),
        )
        complete = frame.subjects and (frame.objects or objects in ("", "-")) and (frame.places or not tail)
        return frame if complete else None

    def _is_plain(self, name: str) -> bool:
        """Return whether the name is a word of no other kind, and starts with a letter that tells whether it elides."""
        word = name.lower()
        shared = self._shared
        taken = word in shared.nouns or word in shared.verbs or word in shared.adjectives or word == "will"
        return not taken and word[0] not in "hy"


def _name(name: english.Noun) -> Noun:
    return Noun(name, name.lemma, name.lemma, name.gender == "f", False, common=False, is_person=True, is_ownable=False)


def _irregular(row: dict[str, str]) -> Conjugation:
    present = tuple(row[person] for person in ("je", "tu", "il", "nous", "ils"))
    return Conjugation(row["infinitive"], present, row["participle"])


_Word = TypeVar("_Word", Noun, Adjective)


def _weighted(words: Iterable[_Word]) -> tuple[_Word, ...]:
    return tuple(word for word in words for _ in range(_COMMON_WEIGHT if word.common else 1))


@cache
def lexicon() -> Lexicon:
    """Return the bilingual lexicon, read once."""
    return Lexicon()


def lemmas() -> dict[str, int]:
    """Return how many English lemmas have a French, by part of speech and in all."""
    words = lexicon()
    sizes = {
        "noun": len(words.nouns),
        "verb": len(words.verbs),
        "adjective": len(words.adjectives),
        "adverb": len(words.adverbs),
        "name": len(words.names),
    }
    return {**sizes, "total": sum(sizes.values())}
