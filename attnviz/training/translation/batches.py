"""From pairs of texts to what a network reads of them, and is to say: ids, filled up to one length."""

import random
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from attnviz.models.builtin.encoder_decoder import END, START
from attnviz.training.corpus.french import Pair

Integers = NDArray[np.int64]

PAIRS = 64
IGNORED = -100
"""What is wanted where there is only padding: nothing, as torch has it."""

_POOL = 16  # so many batches are drawn at a time and sorted by length, so that little is padded


class Batch(Struct, frozen=True):
    """Ids of sources [pairs, sources] with their `lengths` [pairs], and what the decoder reads and is to say.

    `targets` [pairs, targets] begin with START, `wanted` [pairs, targets] end with END; padding is IGNORED there.
    """

    sources: Integers
    lengths: Integers
    targets: Integers
    wanted: Integers


def batches(pairs: Iterator[Pair], tokenizer: Tokenizer, seed: int) -> Iterator[Batch]:
    """Batches without end, of pairs of like length."""
    chance = random.Random(seed)
    while True:
        drawn = list(alike(list(islice(pairs, PAIRS * _POOL)), PAIRS))
        chance.shuffle(drawn)
        for together in drawn:
            yield padded(*encoded(together, tokenizer))


def alike(pairs: Sequence[Pair], count: int) -> Iterator[list[Pair]]:
    """Return the pairs sorted by length, so many at a time."""
    by_length = sorted(pairs, key=lambda pair: (len(pair.french), len(pair.english)))
    return (by_length[first : first + count] for first in range(0, len(by_length), count))


def encoded(pairs: Sequence[Pair], tokenizer: Tokenizer) -> tuple[list[Encoding], list[Encoding]]:
    """Return the pieces of the sources and those of the targets."""
    sources: list[Encoding] = tokenizer.encode_batch([pair.english for pair in pairs])
    targets: list[Encoding] = tokenizer.encode_batch([pair.french for pair in pairs])
    return sources, targets


def padded(sources: Sequence[Encoding], targets: Sequence[Encoding]) -> Batch:
    """Return the ids of pairs of texts."""
    source_ids = [[*encoding.ids, END] for encoding in sources]
    return Batch(
        sources=_filled(source_ids, END),
        lengths=np.array([len(ids) for ids in source_ids]),
        targets=_filled([[START, *encoding.ids] for encoding in targets], END),
        wanted=_filled([[*encoding.ids, END] for encoding in targets], IGNORED),
    )


def _filled(rows: list[list[int]], padding: int) -> Integers:
    filled = np.full((len(rows), max(map(len, rows))), padding)
    for row, ids in enumerate(rows):
        filled[row, : len(ids)] = ids
    return filled
