"""From texts to what a step of training reads: rows of ids, and which of these the model is asked to foretell."""

import math
from collections.abc import Callable, Iterator
from random import Random

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from tokenizers import Tokenizer

from attnviz.models.builtin.stack import START
from attnviz.training.corpus import Split
from attnviz.training.decoder.repetition import Teller, lemmas, succession
from attnviz.training.tokenizer import SPOKEN

TOKENS = 2048
"""How many tokens a batch has."""

LENGTHS, _HOW_OFTEN = (32, 64, 128, 256, 512), (4, 6, 3, 1, 2)
ROWS = 32
"""How many rows a batch has on average, these lengths being drawn so often."""

_SHORTEST, _LONGEST = 3, 50  # of what is said again
_TEXTS_AT_FIRST, _TEXTS = 0.02, 0.6  # the share of rows of texts
REPEATING = 0.2  # the share of the steps that begin with repetition
_WORDS = 0.6  # of what repeats: the rest are pieces of words


class Stretch(Struct, frozen=True):
    """Ids, and of each whether it is `asked` for: what only chance could foretell is not."""

    ids: list[int]
    asked: list[bool]

    def __add__(self, other: "Stretch") -> "Stretch":
        return Stretch(self.ids + other.ids, self.asked + other.asked)


class Batch(Struct, frozen=True):
    """`ids` [rows, tokens], and which of those after the first are `asked` for, [rows, tokens - 1]."""

    ids: NDArray[np.int64]
    asked: NDArray[np.bool_]


class Rows:
    """Draws rows of training texts, from one source of chance."""

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self._tokenizer = tokenizer
        self._rng = Random(f"rows/{seed}")
        self._teller = Teller(Split.TRAIN, seed)
        self._lemmas = lemmas()
        self._pieces = range(len(SPOKEN), tokenizer.get_vocab_size())

    def batch(self, telling: float) -> Batch:
        """Rows of one length: this share of them of texts, the others of what is said again and again."""
        length = self._rng.choices(LENGTHS, _HOW_OFTEN)[0]
        drawn = [self._told if self._rng.random() < telling else self._repeated for _ in range(TOKENS // length)]
        rows = [self._row(length, draw) for draw in drawn]
        return Batch(np.array([row.ids for row in rows]), np.array([row.asked[1:] for row in rows]))

    def _row(self, length: int, draw: Callable[[int], Stretch]) -> Stretch:
        row = Stretch([START], [False])
        while len(row.ids) < length:
            row += draw(length)
        return Stretch(row.ids[:length], row.asked[:length])

    def _told(self, _: int) -> Stretch:
        ids = self._tokenizer.encode(self._teller.text()).ids
        return Stretch(ids, [True] * len(ids))

    def _repeated(self, length: int) -> Stretch:
        """Words or pieces that chance has strung together, two to four times: asked for from the second time on."""
        most = min(_LONGEST, length // 2)
        count = round(math.exp(self._rng.uniform(math.log(_SHORTEST), math.log(most))))  # so there are more short ones
        ids, times = self._strung(count), self._rng.randint(2, 4)
        return Stretch(ids * times, [False] * (len(ids) + 1) + [True] * ((times - 1) * len(ids) - 1))

    def _strung(self, count: int) -> list[int]:
        if self._rng.random() < _WORDS:
            words = succession(self._lemmas, count, self._rng, Split.TRAIN)
            ids: list[int] = self._tokenizer.encode(" ".join(words)).ids
            return ids
        return succession(self._pieces, count, self._rng, Split.TRAIN)


def repeated_rows() -> float:
    """Return the share of all rows of the training that hold what is said again, and no text."""
    return REPEATING * (1 - _TEXTS_AT_FIRST) + (1 - REPEATING) * (1 - _TEXTS)


def batches(tokenizer: Tokenizer, seed: int, first: int) -> Iterator[Batch]:
    """Batches without end: the `first` so many hold little but repetition, for what copies is soonest learned there."""
    rows = Rows(tokenizer, seed)
    for _ in range(first):
        yield rows.batch(_TEXTS_AT_FIRST)
    while True:
        yield rows.batch(_TEXTS)
