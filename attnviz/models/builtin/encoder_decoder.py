"""What the built-in translators have in common: a source is read to its end, a target given or written."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from attnviz.errors import UsageError
from attnviz.models.builtin.packaged import PackagedModel
from attnviz.models.builtin.writing import greedy
from attnviz.models.lengths import fitted
from attnviz.models.on_reference import ids_of
from attnviz.models.reading import Passage, Reading
from attnviz.reference.arrays import Array
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import WatchLayers, unwatched
from attnviz.text import Segment, Token, checked

START, END = range(2)
"""The ids of what a target begins with, and of what both texts end with; the decoder does not read the end."""


class Network(Protocol):
    """An encoder, and a decoder that looks at what the encoder has made of a source; on NumPy and on torch alike."""

    def encode(self, ids: Array, parameters: Parameters, lengths: Array | None = None) -> Array:
        """The source's ids to vectors: [..., sources] -> [..., sources, width]; from `lengths` [...] on is padding."""

    def decode(
        self,
        ids: Array,
        encoded: Array,
        parameters: Parameters,
        lengths: Array | None = None,
        *,
        watch_context: WatchLayers = unwatched,
    ) -> Array:
        """The target's ids to logits of what comes next: [..., targets] -> [..., targets, vocabulary]."""


class EncoderDecoder(PackagedModel):
    """A translator of ours."""

    @property
    @abstractmethod
    def network(self) -> Network:
        """What computes."""

    def read(self, passage: Passage) -> Reading:
        """See `Model.read`."""
        if passage.pair is not None or passage.generate:
            raise UsageError(f"{self.card.name} translates one text: give it no second one, and none to continue.")
        self.accept(passage)
        source = self._reader.read(passage, self.card)
        reading = Reading(passage=passage, ids=source.ids, tokens=source.tokens)
        if passage.added_tokens:
            end = self._reader.vocabulary.added(END, len(source.tokens))
            reading = replace(reading, ids=(*source.ids, END), tokens=(*source.tokens, end))
        reading = fitted(reading, self.card)
        target = self._written(reading) if passage.target is None else self._given(passage, passage.target)
        return replace(reading, passage=target.passage, target=target)

    def _given(self, passage: Passage, target: str) -> Reading:
        """What the decoder reads of a target, the end of which it is to find itself."""
        segment = Segment(checked(target, "The target"), 1)
        pieces, known = self.tokenizer.encode(target), self._reader.vocabulary
        parts = enumerate(zip(pieces.ids, pieces.offsets, strict=True), 1)
        tokens = [known.token(id_, segment, span, position) for position, (id_, span) in parts]
        return self._started(passage, pieces.ids, tokens)

    def _written(self, reading: Reading) -> Reading:
        """What the decoder reads of a target that it writes itself."""
        encoded = self.network.encode(np.asarray(reading.ids), self.parameters)

        def following(ids: Sequence[int]) -> int:
            logits = self.network.decode(np.asarray(ids), encoded, self.parameters)  # [targets, vocabulary]
            return int(logits[-1].argmax())

        ids, ended = greedy(following, [START], self._room(reading.passage), END)
        text, tokens = self._reader.written(ids, 1)
        return self._started(replace(reading.passage, target=text, written=True, ended=ended), ids, tokens)

    def _room(self, passage: Passage) -> int:
        """How much there may be written."""
        positions = self.card.positions
        return passage.max_new_tokens if positions is None else min(passage.max_new_tokens, positions - 1)

    def _started(self, passage: Passage, ids: Sequence[int], tokens: Sequence[Token]) -> Reading:
        """What the decoder reads: a start, then the pieces of the target."""
        start = self._reader.vocabulary.added(START, 0)
        return fitted(Reading(passage=passage, ids=(START, *ids), tokens=(start, *tokens)), self.card, "The target")


def targets_of(readings: Sequence[Reading]) -> Array:
    """What the decoder reads: [texts, targets]."""
    return ids_of([reading.target for reading in readings if reading.target])  # every reading of a translator has one
