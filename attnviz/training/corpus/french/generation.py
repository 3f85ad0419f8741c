"""The parallel corpus: an endless, reproducible stream of English texts, each with its French."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from attnviz.training.corpus.examples import Split
from attnviz.training.corpus.french.sentences import Sentences
from attnviz.training.corpus.french.spelling import Draft, Pair

LONGEST = 15
"""The most words an English text has."""

_STOP_SHARE, _QUESTION_MARK_SHARE = 0.45, 0.9
_CAPITAL_SHARE = 0.7


def pairs(split: Split, seed: int) -> Iterator[Pair]:
    """Yield pairs without end, the same for the same seed in every process.

    Each test text, and no training text, puts words together that are held out.
    """
    rng = Random(f"french/{split.value}/{seed}")
    sentences = Sentences(rng)
    wants_held_out = split is Split.TEST
    while True:
        draft = Draft()
        asks = sentences.say(draft)
        if sentences.shows_held_out is wants_held_out and len(draft) <= LONGEST:
            mark = "?" if asks else "."
            share = _QUESTION_MARK_SHARE if asks else _STOP_SHARE
            ends = rng.random() < share
            yield draft.finish(capital=rng.random() < _CAPITAL_SHARE, mark=mark if ends else "")
