"""`attnviz export` of a grid of heads, from a model whose weights are ready made: the rest is as a user gets it."""

import sys
from collections.abc import Callable

from attnviz.attention import Kind, Selection
from attnviz.cli.app import app
from attnviz.folds import Block
from attnviz.models import registry
from attnviz.models.base import Card, Model, Reading, Stack
from attnviz.text import Token, special_token, token_of, word_spans
from tests.benchmarks.scripts.example import HEADS, LAYERS, SENTENCE, TOKENS, weights


class ReadyMade(Model):
    """A model that reads one sentence, and computes nothing."""

    card = Card(
        name="12x12",
        purpose="measuring",
        stacks={Kind.ENCODER: Stack(LAYERS, HEADS)},
        parameters=0,
        positions=None,
        config={},
    )

    def read(self, text: str) -> Reading:
        """See `Model.read`."""
        words, end, tokens = word_spans(text), 0, list[Token]()
        for position, piece in enumerate(TOKENS):
            if piece in (TOKENS[0], TOKENS[-1]):
                tokens.append(special_token(piece, position))
            else:
                start = text.index(piece, end)
                end = start + len(piece)
                tokens.append(token_of(text, (start, end), position, words))
        return Reading(tuple(range(len(tokens))), tuple(tokens))

    def run(self, reading: Reading, select: Selection, each: Callable[[Block], None]) -> None:
        """See `Model.run`."""
        for layer, heads in enumerate(weights()):
            each(Block(Kind.ENCODER, layer, tuple(range(HEADS)), 0, heads))


registry.load = lambda name: ReadyMade()
app(["export", SENTENCE, "--layout", "grid", "-o", sys.argv[1]])
