"""The built-in decoder: it reads a text and goes on with it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from attnviz.models.builtin.packaged import PackagedModel
from attnviz.models.builtin.writing import greedy
from attnviz.models.lengths import fitted
from attnviz.models.on_reference import ReferenceModel
from attnviz.models.reading import Passage, Reading
from attnviz.models.shapes import read_shape
from attnviz.reference.arrays import Array
from attnviz.reference.layers import linear
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import transformer

START = 0
"""The id that stands before every text, so that its first word is foretold from something."""


def next_scores(vectors: Array, parameters: Parameters) -> Array:
    """How likely each token of the vocabulary comes next: [..., width] -> [..., vocabulary].

    The embeddings serve here again (Press and Wolf 2017), after a linear map: without one, a vector that tells what its
    own token is would foretell that very token.
    """
    return linear(linear(vectors, parameters.within("next")), parameters.within("embedding"))


class BuiltinDecoder(PackagedModel, ReferenceModel):
    """A causal language model of ours."""

    begins = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.shape = read_shape(self.card.config)

    def read(self, passage: Passage) -> Reading:
        """See `Model.read`."""
        self.accept(passage)
        reading = replace(self._reader.read(passage, self.card), types=())
        if passage.added_tokens or passage.bos:
            reading = reading.begun(self._reader.vocabulary.added(START, 0))
        reading = fitted(reading, self.card, more=passage.generate)
        return self._continued(reading) if passage.generate else reading

    def _continued(self, reading: Reading) -> Reading:
        """The reading of a text and of what the model writes after it, which has no end of its own."""
        since = len(reading.ids)
        ids, _ = greedy(self._following, reading.ids, reading.passage.generate, end=None)
        text, tokens = self._reader.written(ids, since)
        return replace(
            reading,
            passage=replace(reading.passage, target=text, written=True),
            ids=(*reading.ids, *ids),
            tokens=(*reading.tokens, *tokens),
            written_from=since,
        )

    def _following(self, ids: Sequence[int]) -> int:
        vectors = transformer(np.asarray(ids), self.parameters, self.shape)  # [tokens, width]
        return int(next_scores(vectors[-1], self.parameters).argmax())
