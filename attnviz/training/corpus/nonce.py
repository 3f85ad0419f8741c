"""Invented nouns, so that a model learns to read a word's role from its place."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

_ONSETS = ("b", "bl", "br", "d", "dr", "f", "fl", "g", "gl", "gr", "k", "kl", "l", "m", "n", "p", "pl", "sn", "t", "z")
_NUCLEI = ("a", "e", "i", "o", "u", "oo", "ee")
_CODAS = ("b", "ck", "d", "g", "l", "m", "n", "p", "rg", "rk", "rp", "t", "x", "zz")
_ENDINGS = ("", "", "", "et", "le", "er", "ix", "o")


def nonce(rng: Random, words: Collection[str]) -> str:
    """Return a pronounceable noun that is not one of the given words."""
    while True:
        word = rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS) + rng.choice(_ENDINGS)
        if word not in words:
            return word
