"""Gender and number of French nouns and adjectives by rule; what follows no rule is listed here or in the tables."""

from __future__ import annotations

from functools import cache

_PLURALS_IN_ALS = frozenset({"bal", "carnaval", "festival", "récital", "naval", "banal", "final", "fatal", "glacial"})
_PLURALS_IN_OUX = frozenset({"bijou", "caillou", "chou", "genou", "hibou", "joujou", "pou"})
_PLURALS_IN_EUS = frozenset({"bleu", "pneu"})
_FEMININE_ENDINGS = (
    ("eux", "euse"),
    ("teur", "trice"),
    ("eur", "euse"),
    ("anc", "anche"),
    ("if", "ive"),
    ("er", "ère"),
    ("eau", "elle"),
    ("el", "elle"),
    ("eil", "eille"),
    ("ien", "ienne"),
    ("on", "onne"),
    ("et", "ette"),
)


@cache
def plural(word: str) -> str:
    """Return the regular plural of a noun, or of an adjective in either gender."""
    if word.endswith(("s", "x", "z")):
        return word
    if word.endswith("al") and word not in _PLURALS_IN_ALS:
        return word[:-1] + "ux"
    if word in _PLURALS_IN_OUX or (word.endswith(("au", "eu")) and word not in _PLURALS_IN_EUS):
        return word + "x"
    return word + "s"


@cache
def feminine(adjective: str) -> str:
    """Return the regular feminine of an adjective given in the masculine."""
    if adjective.endswith("e"):
        return adjective
    for ending, replacement in _FEMININE_ENDINGS:
        if adjective.endswith(ending):
            return adjective.removesuffix(ending) + replacement
    return adjective + "e"
