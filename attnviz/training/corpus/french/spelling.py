"""From words to text on both sides: elision, contraction, capitals, the final mark, and the spans of aligned words."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from msgspec import Struct

from attnviz.text import Span
from attnviz.training.corpus.morphology import takes_an

_VOWELS = frozenset("aeiouyhàâéèêëîïôûœ")
_H_ASPIRE = frozenset(
    {"hache", "haie", "haine", "hall", "hamac", "hamster", "hanche", "hareng", "haricot", "harpe", "haut", "haute"}
    | {"hérisson", "héron", "héros", "hêtre", "hibou", "hippie", "hockey", "homard", "honte", "honteux", "honteuse"}
    | {"housse", "huit", "hutte", "hurlement", "handicapé", "hangar", "yacht", "yaourt", "onze"}
)
_BEFORE_VOWEL = {
    "le": "l'", "la": "l'", "de": "d'", "que": "qu'", "ne": "n'", "je": "j'",
    "ma": "mon", "ta": "ton", "sa": "son", "ce": "cet",
}  # fmt: skip
_CONTRACTIONS = {("à", "le"): "au", ("à", "les"): "aux", ("de", "le"): "du", ("de", "les"): "des"}


class Alignment(Struct, frozen=True):
    """One English word and the French word that says the same, by their character spans.

    ``content`` is true of nouns, adjectives, verbs, adverbs and names.
    """

    source: Span
    target: Span
    content: bool


class Pair(Struct, frozen=True):
    """An English text, its French, and which word says which.

    A word ends at a blank; a French word also after an apostrophe (``l'`` and ``homme``). A French word without a
    counterpart, as *ne* or an auxiliary, is in no alignment.
    """

    english: str
    french: str
    alignment: tuple[Alignment, ...]


@cache
def starts_with_vowel(word: str) -> bool:
    """Return whether French words are elided before this one: it starts with a vowel or a silent *h*."""
    lowered = word.lower()
    if lowered[0] not in _VOWELS:
        return False
    return lowered not in _H_ASPIRE and lowered.removesuffix("s") not in _H_ASPIRE


_FrenchWord = tuple[str, tuple[int, ...], bool]


class Draft:
    """The words of both sides as the grammar says them, before elision and contraction."""

    __slots__ = ("_english", "_french")

    def __init__(self) -> None:
        self._english: list[str] = []
        self._french: list[_FrenchWord] = []

    def __len__(self) -> int:
        """Return the number of English words."""
        return len(self._english)

    def english(self, word: str) -> int:
        """Append an English word; its index."""
        self._english.append(word)
        return len(self._english) - 1

    def french(self, word: str, *sources: int, content: bool = False) -> None:
        """Append a French word, with the indices of the English words that it says."""
        self._french.append((word, sources, content))

    def finish(self, *, capital: bool, mark: str = "") -> Pair:
        """Return the spelled texts; both begin with a capital if asked to, or if the English does (a name, *I*)."""
        capital = capital or self._english[0][0].isupper()
        english, english_spans = _joined(_with_an(self._english), capital, mark)
        words = _adjusted(self._french)
        french, french_spans = _joined((word for word, _, _ in words), capital, mark)
        alignment = tuple(
            [
                Alignment(english_spans[source], span, content)
                for (_, sources, content), span in zip(words, french_spans, strict=True)
                for source in sources
            ]
        )
        return Pair(english, french, alignment)


def _with_an(words: list[str]) -> list[str]:
    return ["an" if word == "a" and takes_an(words[index + 1]) else word for index, word in enumerate(words)]


def _adjusted(words: list[_FrenchWord]) -> list[_FrenchWord]:
    """Elide and contract, from the end, so that *de le homme* has become *de l'homme* before *de le* is looked at."""
    adjusted: list[_FrenchWord] = []
    following = ""
    for word, sources, content in reversed(words):
        if word in _BEFORE_VOWEL and following and starts_with_vowel(following):
            word = _BEFORE_VOWEL[word]
        elif (word, following) in _CONTRACTIONS:
            word = _CONTRACTIONS[word, following]
            sources += adjusted.pop()[1]
        adjusted.append((word, sources, content))
        following = word
    adjusted.reverse()
    return adjusted


def _joined(words: Iterable[str], capital: bool, mark: str) -> tuple[str, list[Span]]:
    text = ""
    spans: list[Span] = []
    for word in words:
        if text and not text.endswith("'"):
            text += " "
        spans.append((len(text), len(text) + len(word)))
        text += word
    if capital:
        text = text[0].upper() + text[1:]
    return text + mark, spans
