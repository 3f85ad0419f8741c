"""A hand-built model of two layers of attention and nothing else, whose induction is exact."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnviz.models.base import Card, Part, Runner, Stack
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading
from attnviz.models.token_names import Vocabulary
from attnviz.records import Block, Each
from attnviz.text import make_tokens
from attnviz.vocabulary import Kind

WORDS = 101
_SHARP = 200.0  # a score that leaves nothing to the keys that it is not given to

PREVIOUS, DUPLICATE, INDUCTION = (0, 0), (0, 1), (1, 0)
"""The heads, by layer and head: each looks where its name says, and at itself where there is no such key."""


def softmax_causal(scores: np.ndarray) -> np.ndarray:
    """Scores [queries, keys] -> weights, each query seeing itself and what is before it."""
    scores = np.where(np.tril(np.ones_like(scores)) > 0, scores, -np.inf)
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def weights_of(ids: Sequence[int]) -> np.ndarray:
    """The weights [layers, heads, queries, keys] of ids: vectors say which token each is, where it stands, and what
    head 0.0 has brought: the token before it, by which head 1.0 finds its keys."""
    count = len(ids)
    token, place = np.eye(WORDS)[list(ids)], np.eye(count)
    itself = np.eye(count) * _SHARP
    previous = softmax_causal(2 * _SHARP * place @ np.eye(count, k=-1) @ place.T + itself)
    same = token @ token.T
    duplicate = softmax_causal(2 * _SHARP * (same - np.eye(count)) + itself)
    before = previous @ token  # what head 0.0 writes: [tokens, words]
    before[0] = 0  # which has none
    induction = softmax_causal(2 * _SHARP * token @ before.T + itself)
    nothing = softmax_causal(np.zeros((count, count)))
    return np.stack([np.stack([previous, duplicate]), np.stack([induction, nothing])])


@dataclass(frozen=True)
class ExactRunner(Runner):
    """The runner of the model."""

    card: Card

    def run(self, readings: Sequence[Reading], parts: Sequence[Part], each: Each) -> None:
        all_weights = np.stack([weights_of(reading.ids) for reading in readings]).astype(np.float32)
        for part in parts:
            for layer in sorted(part.layers):
                block = Block.starting(part.kind, layer, (0, 1), 0, all_weights[:, layer])
                each(block.of_heads(part.heads))


class ExactReader:
    """A reader of words that are numbers, such as `7 3 7`."""

    def read(self, passage: Passage) -> Reading:
        words = passage.text.split() if passage.text != "a" else ["0"]
        return Reading(passage=passage, ids=tuple(map(int, words)), tokens=make_tokens(words))

    def vocabulary(self) -> Vocabulary:
        return Vocabulary(str, (), None, WORDS)


def exact_model(positions: int | None = None) -> Model:
    """The model, which reads so many tokens."""
    card = Card(
        name="exact",
        purpose="a test",
        stacks={Kind.DECODER: Stack((0, 1), 2)},
        parameters=0,
        positions=positions,
        config={},
    )
    return Model(card, ExactReader(), ExactRunner(card))
