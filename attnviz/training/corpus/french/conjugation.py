"""French verbs: the present, the past participle and the infinitive, by rule from a list of irregular verbs."""

from __future__ import annotations

import re
from enum import IntEnum

from msgspec import Struct


class Person(IntEnum):
    """Who does it, as the verb sees it: the order of the columns in which forms are listed."""

    I = 0  # noqa: E741
    YOU = 1
    IT = 2
    WE = 3
    THEY = 4


class Conjugation(Struct, frozen=True):
    """The forms of one verb: the present in the order of `Person`, the past participle in the masculine singular."""

    infinitive: str
    present: tuple[str, ...]
    participle: str


_ENDINGS_ER = ("e", "es", "e", "ons", "ent")
_ENDINGS_IR = ("is", "is", "it", "issons", "issent")
_ENDINGS_RE = ("s", "s", "", "ons", "ent")
# These double their consonant where the others of their ending take a grave accent.
_DOUBLING = frozenset({"appeler", "jeter"})
_WEAK_VOWEL = re.compile(r"[eé]([bcçdfghjklmnpqrstvz]|ch|[bcdfgpt][lr])$")


def regular(infinitive: str) -> Conjugation:
    """Return the conjugation of a verb in *-er*, of the second group in *-ir*, or like *vendre*."""
    stem, ending = infinitive[:-2], infinitive[-2:]
    if ending == "er":
        return Conjugation(infinitive, _present_er(infinitive, stem), stem + "é")
    if ending == "ir":
        return Conjugation(infinitive, tuple(stem + end for end in _ENDINGS_IR), stem + "i")
    return Conjugation(infinitive, tuple(stem + end for end in _ENDINGS_RE), stem + "u")


def _present_er(infinitive: str, stem: str) -> tuple[str, ...]:
    strong = _strong(infinitive, stem)
    weak = stem[:-1] + "ç" if stem.endswith("c") else stem + "e" if stem.endswith("g") else stem
    return tuple((weak if end == "ons" else strong) + end for end in _ENDINGS_ER)


def _strong(infinitive: str, stem: str) -> str:
    """Return the stem under stress, before a silent ending: *achèt-*, *nettoi-*, *appell-*."""
    if infinitive in _DOUBLING:
        return stem + stem[-1]
    if stem.endswith(("ay", "oy", "uy")):
        return stem[:-1] + "i"
    return _WEAK_VOWEL.sub(r"è\1", stem)
