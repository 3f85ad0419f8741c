"""From examples to what a step of training reads: padded ids, what was masked, and whom each pronoun stands for."""

import random
from collections.abc import Iterator
from itertools import islice

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from attnviz.text import Span
from attnviz.training.corpus import Example, Link, Relation
from attnviz.training.tokenizer import MASK, PAD, SPECIAL

Integers = NDArray[np.int64]

TEXTS = 128
_POOL = 16  # so many batches are drawn at a time and sorted by length, so that little is padded
_LONG_SHARE = 1 / 16
_LONG_TEXTS = 6
_LONG_CHARACTERS = 1600  # some 350 tokens
_MASKED_SHARE = 0.15


class Places(Struct, frozen=True):
    """Positions in a batch, and the token id that stood at each: three arrays of one length."""

    rows: Integers
    columns: Integers
    ids: Integers


class Pronouns(Struct, frozen=True):
    """The position in a batch of each pronoun, and in the same text (row) those of its antecedent's pieces.

    `starts` is the first of them, `ends` one beyond the last.
    """

    rows: Integers
    columns: Integers
    starts: Integers
    ends: Integers


class Batch(Struct, frozen=True):
    """`ids` [texts, tokens] as the model reads them; `lengths` [texts] without padding."""

    ids: Integers
    lengths: Integers
    masked: Places
    pronouns: Pronouns


def batches(examples: Iterator[Example], tokenizer: Tokenizer, seed: int) -> Iterator[Batch]:
    """Batches without end: texts of like length together, and now and then a few long ones."""
    chance, noise = random.Random(seed), np.random.default_rng(seed)
    while True:
        pool = sorted(islice(examples, TEXTS * _POOL), key=lambda example: len(example.text))
        drawn = [pool[first : first + TEXTS] for first in range(0, len(pool), TEXTS)]
        drawn += [[joined(examples) for _ in range(_LONG_TEXTS)] for _ in range(round(_POOL * _LONG_SHARE))]
        chance.shuffle(drawn)
        for texts in drawn:
            yield masked(padded(texts, tokenizer), tokenizer, noise)


def joined(examples: Iterator[Example]) -> Example:
    """Several examples one after the other, as one long text."""
    text, links = "", list[Link]()
    while len(text) < _LONG_CHARACTERS:
        example = next(examples)
        start = len(text) + 1
        text += " " + example.text
        links += [
            replace(link, source=_moved(link.source, start), target=_moved(link.target, start))
            for link in example.links
        ]
    return Example(text, tuple(links), "joined")


def _moved(span: Span, by: int) -> Span:
    return span[0] + by, span[1] + by


def padded(examples: list[Example], tokenizer: Tokenizer) -> Batch:
    """Return the texts as ids, none masked yet, and where each pronoun and its antecedent stand."""
    encodings = tokenizer.encode_batch([example.text for example in examples])
    lengths = np.array([len(encoding) for encoding in encodings])
    ids = np.full((len(examples), lengths.max()), SPECIAL.index(PAD))
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding)] = encoding.ids
    links = [
        (
            row,
            _piece(encoding, link.source[0]),
            _piece(encoding, link.target[0]),
            _piece(encoding, link.target[1] - 1) + 1,
        )
        for row, (example, encoding) in enumerate(zip(examples, encodings, strict=True))
        for link in example.links
        if link.relation is Relation.PRONOUN_ANTECEDENT
    ]
    nothing = np.zeros(0, np.int64)
    pronouns = Pronouns(*np.array(links, np.int64).reshape(-1, 4).T)
    return Batch(ids, lengths, Places(nothing, nothing, nothing), pronouns)


def _piece(encoding: Encoding, character: int) -> int:
    piece = encoding.char_to_token(character)
    assert piece is not None, "no character of a word is without a token"
    return piece


def masked(batch: Batch, tokenizer: Tokenizer, noise: np.random.Generator) -> Batch:
    """Hides 15% of the pieces: 80% of these behind [MASK], 10% behind any other, 10% not (Devlin et al. 2019, 3.1).

    A pronoun is not asked for its antecedent if it, or the first piece of that, was hidden.
    """
    chosen = (noise.random(batch.ids.shape) < _MASKED_SHARE) & (batch.ids >= len(SPECIAL))
    rows, columns = np.nonzero(chosen)
    hidden = batch.ids[rows, columns]
    fate = noise.random(len(rows))
    other = noise.integers(len(SPECIAL), tokenizer.get_vocab_size(), len(rows))
    ids = batch.ids.copy()
    ids[rows, columns] = np.where(fate < 0.8, SPECIAL.index(MASK), np.where(fate < 0.9, other, hidden))
    asked = batch.pronouns
    seen = ~(chosen[asked.rows, asked.columns] | chosen[asked.rows, asked.starts])
    pronouns = Pronouns(asked.rows[seen], asked.columns[seen], asked.starts[seen], asked.ends[seen])
    return replace(batch, ids=ids, masked=Places(rows, columns, hidden), pronouns=pronouns)
