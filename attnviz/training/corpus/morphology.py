"""Inflection of English words by rule; the lexicon lists the exceptions."""

from __future__ import annotations

from functools import cache

_VOWELS = "aeiou"
_SIBILANTS = ("s", "x", "z", "ch", "sh")
_SILENT_H = ("hour", "honest", "honor")
_CONSONANT_SOUNDS = ("uni", "use", "eu", "one", "once")
_O_PLURALS_IN_ES = frozenset({"potato", "tomato", "hero", "echo", "volcano", "mosquito", "mango"})
# Of several syllables, the last stressed: the final consonant doubles as in a word of one syllable.
_STRESSED_LAST = frozenset({"begin", "forget", "prefer", "admit", "forbid", "regret"})


def _add_s(lemma: str) -> str:
    if lemma.endswith(_SIBILANTS) or lemma in _O_PLURALS_IN_ES:
        return lemma + "es"
    if lemma.endswith("y") and lemma[-2] not in _VOWELS:
        return lemma[:-1] + "ies"
    return lemma + "s"


def plural(noun: str) -> str:
    """Return the regular plural of a noun."""
    return _add_s(noun)


def third_person(verb: str) -> str:
    """Return the third person singular of the simple present."""
    return {"be": "is", "have": "has", "go": "goes", "do": "does"}.get(verb) or _add_s(verb)


def _doubles(lemma: str) -> bool:
    if len(lemma) < 3 or lemma[-1] in _VOWELS + "wxy" or lemma[-2] not in _VOWELS or lemma[-3] in _VOWELS:
        return False
    return lemma in _STRESSED_LAST or sum(letter in _VOWELS for letter in lemma) == 1


def past(verb: str) -> str:
    """Return the regular past tense, which is also the regular past participle."""
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in _VOWELS:
        return verb[:-1] + "ied"
    return verb + (verb[-1] if _doubles(verb) else "") + "ed"


def gerund(verb: str) -> str:
    """Return the form in -ing."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith("ee") and verb != "be":
        return verb[:-1] + "ing"
    return verb + (verb[-1] if _doubles(verb) else "") + "ing"


def comparative(adjective: str) -> str | None:
    """Return the comparative in -er, or None for an adjective that takes *more*."""
    irregular = {"good": "better", "bad": "worse"}
    if adjective in irregular:
        return irregular[adjective]
    if adjective.endswith("y") and len(adjective) < 7:
        return adjective[:-1] + "ier"
    groups = sum(a in _VOWELS and b not in _VOWELS for a, b in zip(adjective, adjective[1:] + ".", strict=True))
    if groups > 1 + adjective.endswith("e") or adjective.endswith("ed"):
        return None
    if adjective.endswith("e"):
        return adjective + "r"
    return adjective + (adjective[-1] if _doubles(adjective) else "") + "er"


@cache
def takes_an(word: str) -> bool:
    """Return whether the indefinite article before this word is *an*."""
    lowered = word.lower()
    if lowered.startswith(_SILENT_H):
        return True
    return lowered[0] in _VOWELS and not lowered.startswith(_CONSONANT_SOUNDS)
