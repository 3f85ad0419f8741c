"""The evaluation of a built-in translator on pairs that it was not trained on, from its shipped weights."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from msgspec import Struct

from attnviz.models.builtin.encoder_decoder import END, START, TranslationReader
from attnviz.models.model import Model
from attnviz.models.passages import Passage
from attnviz.training.corpus import Split
from attnviz.training.corpus.french import Pair, pairs
from attnviz.training.encoder.roles import Shares
from attnviz.training.translation.batches import Integers, alike, encoded, padded
from attnviz.training.translation.roles import CONTENT, RoleTally
from attnviz.vocabulary import Kind

EXAMPLES = ("The red car.", "Two small dogs.", "The big dog sees the white cat.")
_SEED = 2
_TOGETHER = 100
_LONGEST = 64


class Figures(Struct, frozen=True, kw_only=True):
    """The measurements on held-out pairs; all shares are between 0 and 1.

    `roles` says how often each head of each kind fills each role, `content_words` at how many words of the targets that
    is known for words with a meaning, and `content_baseline` how often the word at a fixed offset is the right one for
    these; `examples` are English texts with what the model writes.
    """

    texts: int
    content_words: int
    content_baseline: float
    exact: float
    roles: dict[Kind, dict[str, Shares]]
    examples: tuple[tuple[str, str], ...]


def evaluate(model: Model, texts: int) -> Figures:
    """Return all figures of a built-in translator, on the first `texts` held-out pairs."""
    assert isinstance(model.reader, TranslationReader)
    held_out = list(islice(pairs(Split.TEST, _SEED), texts))
    tally = RoleTally()
    for pair in held_out:
        tally.add(pair, model.attend(pair.english, target=pair.french))
    return Figures(
        texts=texts,
        content_words=tally.chances(Kind.CROSS, CONTENT),
        content_baseline=tally.content_baseline(),
        exact=float(np.mean([right(pair, written) for pair, written in translated(model.reader, held_out)])),
        roles=tally.shares(),
        examples=tuple((text, model.read(Passage(text=text)).passage.target or "") for text in EXAMPLES),
    )


def right(pair: Pair, written: str) -> bool:
    """Return whether what was written is the French, letter case aside."""
    french: str = pair.french.lower()
    return written == french


def translated(reader: TranslationReader, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, str]]:
    """Yield each pair with what the model writes for its English, many at a time."""
    for together in alike(pairs, _TOGETHER):
        batch = padded(*encoded(together, reader.package.text.tokenizer))
        yield from zip(together, _written(reader, batch.sources, batch.lengths), strict=True)


def _written(reader: TranslationReader, sources: Integers, lengths: Integers) -> list[str]:
    """Return the likeliest next piece of each target, again and again, until all have ended."""
    network, parameters, tokenizer = reader.network, reader.package.parameters, reader.package.text.tokenizer
    encoded = network.encode(sources, parameters, lengths)
    ids = np.full((len(sources), 1), START)
    while ids.shape[1] <= _LONGEST and not (ids == END).any(1).all():
        logits = network.decode(ids, encoded, parameters, lengths)  # [texts, pieces, vocabulary]
        ids = np.concat((ids, logits[:, -1:].argmax(-1)), axis=1)
    return [tokenizer.decode(_until_end(row)).strip() for row in ids[:, 1:].tolist()]


def _until_end(ids: list[int]) -> list[int]:
    return ids[: ids.index(END)] if END in ids else ids
