"""Short generated sentences: the same ones every time, and always some words that nobody has seen."""

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

_SEED = 12
_DETERMINERS = "the", "a", "every", "no", "her", "their"
_ADJECTIVES = "tired", "blue", "careful", "enormous", "quiet", "broken", "friendly", "wet"
_NOUNS = "animal", "street", "teacher", "suitcase", "river", "doctor", "window", "child", "letter", "garden", "horse"
_VERBS = "crossed", "watched", "painted", "forgot", "found", "carried", "liked", "followed"
_ADVERBS = "slowly", "again", "yesterday", "carefully", "outside"
_NAMES = "Mary", "Tom", "Aisha", "Kenji", "Olga"
_SYLLABLES = "bli", "cket", "dax", "fep", "gor", "lu", "mip", "no", "ren", "sti", "tu", "zan"

_PATTERNS: Sequence[Sequence[Sequence[str]]] = (
    (_NAMES, _VERBS, _DETERMINERS, _NOUNS),
    (_DETERMINERS, _NOUNS, _VERBS, _DETERMINERS, _NOUNS),
    (_NAMES, _VERBS, _DETERMINERS, _ADJECTIVES, _NOUNS, _ADVERBS),
    (_DETERMINERS, _ADJECTIVES, _NOUNS, _VERBS, _DETERMINERS, _NOUNS, _ADVERBS),
    (_DETERMINERS, _ADJECTIVES, _NOUNS, _VERBS, _DETERMINERS, _ADJECTIVES, _NOUNS, _ADVERBS),
)


def write_lines(path: Path, count: int) -> Path:
    """Writes so many sentences of 4 to 8 words, one a line, and gives back where."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{sentence}\n" for sentence in islice(_sentences(), count))
    return path


def write_mixed_lines(path: Path, count: int) -> Path:
    """Writes so many texts of 5 to 40 words, one a line, and gives back where."""
    chance, words = random.Random(_SEED), (word for sentence in _sentences() for word in sentence.split())
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{' '.join(islice(words, chance.randint(5, 40)))}\n" for _ in range(count))
    return path


def _sentences() -> Iterator[str]:
    chance = random.Random(_SEED)
    while True:
        words = [_word(choices, chance) for choices in chance.choice(_PATTERNS)]
        yield f"{' '.join(words).capitalize()}."


def _word(choices: Sequence[str], chance: random.Random) -> str:
    """One of the choices; every third noun is made up, so that the words never come to an end."""
    if choices is _NOUNS and chance.random() < 1 / 3:
        return "".join(chance.choices(_SYLLABLES, k=3))
    return chance.choice(choices)
