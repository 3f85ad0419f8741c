"""The words the corpus is made of: nouns with semantic classes, verbs with what they select, adjectives, names."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from msgspec import Struct

from attnviz.training.corpus import morphology

_DATA = Path(__file__).parent / "data"


class Noun(Struct, frozen=True):
    """A noun lemma. Its first class is the primary one; a name is a noun that needs no determiner."""

    lemma: str
    plural: str
    classes: tuple[str, ...]
    gender: str
    countability: str
    is_name: bool = False
    is_nonce: bool = False


class Verb(Struct, frozen=True):
    """A verb lemma with its forms, and the clause patterns that say which classes it selects."""

    lemma: str
    past: str
    participle: str
    stative: bool = False
    patterns: tuple[str, ...] = ()


class Adjective(Struct, frozen=True):
    """An adjective, what kind of property it names, and the noun classes that can bear it."""

    lemma: str
    kind: str
    gradable: bool
    classes: tuple[str, ...]


def table(name: str) -> list[dict[str, str]]:
    """Return the rows of one of the data files, by column name; a line that starts with # is skipped."""
    with (_DATA / f"{name}.tsv").open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t", quotechar="\0")
        return [{key: value or "" for key, value in row.items()} for row in rows]


def _split(cell: str, separator: str = ",") -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(separator) if part.strip())


class Lexicon:
    """All words, indexed for the generator."""

    def __init__(self) -> None:
        self._parents = {row["class"]: row["parent"] for row in table("classes")}
        self.nouns = {row["lemma"]: _noun(row) for row in table("nouns")}
        self.names = tuple(
            Noun(row["name"], row["name"], ("person",), row["gender"], "count", is_name=True) for row in table("names")
        )
        self.verbs = {row["lemma"]: _verb(row) for row in table("verbs")}
        self.adjectives = {
            row["lemma"]: Adjective(row["lemma"], row["kind"], row["gradable"] == "yes", _split(row["classes"]))
            for row in table("adjectives")
        }
        self.adverbs = {row["lemma"]: row["kind"] for row in table("adverbs")}
        self.plurals = {noun.plural: noun for noun in self.nouns.values()}
        self._members = self._index()
        self._bearing: dict[tuple[str, ...], tuple[Adjective, ...]] = {}

    def _index(self) -> dict[str, list[Noun]]:
        members: dict[str, list[Noun]] = {}
        for noun in self.nouns.values():
            for label in self.ancestry(noun.classes):
                members.setdefault(label, []).append(noun)
            members.setdefault(noun.lemma, []).append(noun)
        return {label: list(dict.fromkeys(nouns)) for label, nouns in members.items()}

    def ancestry(self, classes: tuple[str, ...]) -> list[str]:
        """Return the classes with everything above them in the hierarchy."""
        above: list[str] = []
        for label in classes:
            step: str | None = label
            while step and step not in above:
                above.append(step)
                step = self._parents.get(step)
        return above

    def members(self, label: str) -> list[Noun]:
        """Return the nouns of a class; a noun's own lemma names a class of one."""
        return self._members[label]

    def bearing(self, noun: Noun) -> tuple[Adjective, ...]:
        """Return the adjectives that can describe a noun."""
        key = (*noun.classes, noun.lemma)
        if key not in self._bearing:
            labels = {*self.ancestry(noun.classes), noun.lemma}
            self._bearing[key] = tuple(a for a in self.adjectives.values() if labels.intersection(a.classes))
        return self._bearing[key]


def _noun(row: dict[str, str]) -> Noun:
    lemma, countability = row["lemma"], row["countability"]
    plural = lemma if countability == "plural" else row["plural"] or morphology.plural(lemma)
    return Noun(lemma, plural, _split(row["classes"]), row["gender"], countability)


def _verb(row: dict[str, str]) -> Verb:
    past = row["past"] or morphology.past(row["lemma"])
    return Verb(row["lemma"], past, row["participle"] or past, row["aspect"] == "stative", _split(row["patterns"], ";"))


@cache
def lexicon() -> Lexicon:
    """Return the lexicon, read once."""
    return Lexicon()
