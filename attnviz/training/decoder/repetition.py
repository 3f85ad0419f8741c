"""Texts in which something comes again: sentences, names, lists, and words that only chance has strung together."""

import zlib
from collections.abc import Sequence
from itertools import islice
from random import Random
from typing import TypeVar

from attnviz.training.corpus import Split, examples
from attnviz.training.corpus.lexicon import lexicon

Item = TypeVar("Item", str, int)

_HELD_OUT_PERCENT = 12


def lemmas() -> tuple[str, ...]:
    """All words of the lexicon, each as a dictionary has it."""
    words = lexicon()
    return (*words.nouns, *(name.lemma for name in words.names), *words.verbs, *words.adjectives, *words.adverbs)


def succession(pool: Sequence[Item], count: int, rng: Random, split: Split) -> list[Item]:
    """So many different items in an order of chance, to be said again and again.

    No two that meet in it, the last and the first among them, ever meet in a succession of the other split.
    """
    while True:
        drawn = [rng.choice(pool)]
        while len(drawn) < count:
            item = rng.choice(pool)
            if _meet(drawn[-1], item, split) and item not in drawn:
                drawn.append(item)
        if _meet(drawn[-1], drawn[0], split):
            return drawn


def _meet(first: Item, second: Item, split: Split) -> bool:
    held_out = zlib.crc32(f"{first} {second}".encode()) % 100 < _HELD_OUT_PERCENT
    return held_out is (split is Split.TEST)


class Teller:
    """Tells texts of one split, from one source of chance."""

    def __init__(self, split: Split, seed: int) -> None:
        self._rng = Random(f"teller/{split.value}/{seed}")
        self._examples = examples(split, seed)
        words = lexicon()
        self._names = [name.lemma for name in words.names]
        self._nouns = list(words.nouns.values())
        self._pasts = [verb.past for verb in words.verbs.values()]

    def text(self) -> str:
        """One that the grammar has made, or several: said once, said twice, or of people who come again."""
        if self._rng.random() < 0.2:
            return self._of_people()
        said = [example.text for example in islice(self._examples, self._rng.randint(1, 3))]
        return " ".join(said * self._rng.choice((1, 1, 2)))

    def _of_people(self) -> str:
        """Sentences about one or two people, whose full names come again, and so does a list of things."""
        rng = self._rng
        people = [
            f"{rng.choice(self._names)} {rng.choice(self._nouns).lemma.title()}" for _ in range(rng.randint(1, 2))
        ]
        things = self._list(rng.randint(2, 5))
        objects = (things, f"the {rng.choice(self._nouns).lemma}", f"the {rng.choice(self._nouns).lemma}")
        said = (
            f"{rng.choice(people)} {rng.choice(self._pasts)} {rng.choice(objects)}." for _ in range(rng.randint(2, 6))
        )
        return " ".join(said)

    def _list(self, count: int) -> str:
        *first, last = (noun.plural for noun in self._rng.sample(self._nouns, count))
        return f"{', '.join(first)} and {last}"
