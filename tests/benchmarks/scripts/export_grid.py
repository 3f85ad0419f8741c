"""`attnviz export` of a grid of heads, from a model whose weights are ready made: the rest is as a user gets it."""

import sys
from collections.abc import Sequence

from attnviz.cli.app import app
from attnviz.models import registry
from attnviz.models.base import Card, Part, Runner, Stack
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading
from attnviz.records import Block, Each
from attnviz.text import Segment, align_pieces, make_special_token
from attnviz.vocabulary import Kind
from tests.benchmarks.scripts.example import HEADS, LAYERS, SENTENCE, TOKENS, weights


class ReadyMade(Runner):
    """What reads one sentence, and computes nothing."""

    card = Card(
        name="12x12",
        purpose="measuring",
        stacks={Kind.ENCODER: Stack(tuple(range(LAYERS)), HEADS)},
        parameters=0,
        positions=None,
        config={},
    )

    def read(self, passage: Passage) -> Reading:
        """See `Reader.read`."""
        segment, end = Segment(passage.text), len(TOKENS) - 1
        spans = align_pieces(passage.text, TOKENS[1:end])
        words = (segment.token(span, position) for position, span in enumerate(spans, 1))
        tokens = (make_special_token(TOKENS[0], 0), *words, make_special_token(TOKENS[end], end))
        return Reading(passage=passage, ids=tuple(range(len(tokens))), tokens=tokens)

    def run(self, readings: Sequence[Reading], parts: Sequence[Part], each: Each) -> None:
        """See `Runner.run`."""
        for layer, heads in enumerate(weights()):
            each(Block.starting(Kind.ENCODER, layer, tuple(range(HEADS)), 0, heads[None]))


READY_MADE = ReadyMade()
registry.load = lambda name, loading: Model(READY_MADE.card, READY_MADE, READY_MADE)
app(["export", SENTENCE, "--layout", "grid", "-o", sys.argv[1]])
