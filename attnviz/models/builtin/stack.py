"""The built-in models of one stack of layers: an encoder reads single texts, a decoder goes on with them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from attnviz.errors import UsageError
from attnviz.models.builtin.package import Package, write_greedily
from attnviz.models.lengths import fit_length
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading
from attnviz.models.stack_runner import StackRunner
from attnviz.models.token_names import Vocabulary
from attnviz.reference.arrays import Array
from attnviz.reference.layers import linear
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import transformer

START = 0
"""The id that stands before every text of the decoder, so that its first word is foretold from something."""


def score_next(vectors: Array, parameters: Parameters) -> Array:
    """Return how likely each token of the vocabulary comes next: [..., width] -> [..., vocabulary].

    The embeddings serve here again (Press and Wolf 2017), after a linear map: without one, a vector that tells what its
    own token is would foretell that very token.
    """
    return linear(linear(vectors, parameters.within("next")), parameters.within("embedding"))


class StackReader(Struct, frozen=True):
    """A reader of texts for the built-in encoder, or for the decoder, which can continue them."""

    package: Package
    stack: StackRunner

    def read(self, passage: Passage) -> Reading:
        """See `Reader.read`."""
        card, text = self.package.card, self.package.text
        self.package.accept(passage)
        if passage.pair is not None:
            raise UsageError(f"{card.name} takes no second text: it was trained on single ones.")
        reading = text.read(passage, card)
        if card.only_decodes and (passage.added_tokens or passage.bos):
            reading = reading.begin_with(text.vocabulary.added(START, 0))
        reading = fit_length(reading, card, more=passage.generate)
        return self._continue(reading) if passage.generate else reading

    def vocabulary(self) -> Vocabulary:
        """See `Reader.vocabulary`."""
        return self.package.text.vocabulary

    def _continue(self, reading: Reading) -> Reading:
        """Return the reading of a text and of what the model writes after it, which has no end of its own."""
        ids, _ = write_greedily(self._following, reading.ids, reading.passage.generate, end=None)
        return reading.continue_with(ids, *self.package.text.written(ids, len(reading.ids)))

    def _following(self, ids: Sequence[int]) -> int:
        vectors = transformer(np.asarray(ids), self.stack.parameters, self.stack.shape)  # [tokens, width]
        return int(score_next(vectors[-1], self.stack.parameters).argmax())


def load(folder: Path) -> Model:
    """Return the encoder, or the decoder, in a folder."""
    package = Package.of(folder)
    stack = package.stack
    return Model(package.card, StackReader(package, stack), stack)
