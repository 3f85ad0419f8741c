"""The common part of the built-in translators: a source is read to its end, a target given or written."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import UsageError
from attnviz.models.builtin.package import Package, write_greedily
from attnviz.models.lengths import count_room, fit_length
from attnviz.models.passages import Passage, Reading
from attnviz.models.stack_runner import stack_ids
from attnviz.models.token_names import Vocabulary
from attnviz.records import Each, watch_nothing
from attnviz.reference.arrays import Array
from attnviz.reference.parameters import Parameters
from attnviz.text import Segment, Token, check_text

START, END = range(2)
"""The ids of what a target begins with, and of what both texts end with; the decoder does not read the end."""


class Network(Protocol):
    """An encoder, and a decoder that looks at what the encoder has made of a source; on NumPy and on torch alike."""

    def encode(self, ids: Array, parameters: Parameters, lengths: Array | None = None) -> Array:
        """Return vectors of a source: [..., sources] -> [..., sources, width]; from `lengths` [...] on is padding."""

    def decode(
        self,
        ids: Array,
        encoded: Array,
        parameters: Parameters,
        lengths: Array | None = None,
        *,
        watch: Each = watch_nothing,
    ) -> Array:
        """Return logits of what comes next in a target: [..., targets] -> [..., targets, vocabulary]."""


class TranslationReader(Struct, frozen=True):
    """A reader of sources for a built-in translator, which reads or writes their targets."""

    package: Package
    network: Network

    def read(self, passage: Passage) -> Reading:
        """See `Reader.read`."""
        card, text = self.package.card, self.package.text
        if passage.pair is not None or passage.generate:
            raise UsageError(f"{card.name} only translates one text:", hint="leave {pair} and {generate} out.")
        self.package.accept(passage)
        source = text.read(passage, card)
        reading = Reading(passage=passage, ids=source.ids, tokens=source.tokens)
        if passage.added_tokens:
            end = text.vocabulary.added(END, len(source.tokens))
            reading = replace(reading, ids=(*source.ids, END), tokens=(*source.tokens, end))
        reading = fit_length(reading, card)
        target = self._write_target(reading) if passage.target is None else self._read_target(passage, passage.target)
        return replace(reading, passage=target.passage, target=target)

    def vocabulary(self) -> Vocabulary:
        """See `Reader.vocabulary`."""
        return self.package.text.vocabulary

    def _read_target(self, passage: Passage, target: str) -> Reading:
        """Return what the decoder reads of a target, the end of which it is to find itself."""
        segment = Segment(check_text(target, "The target"), 1)
        pieces, known = self.package.text.tokenizer.encode(target), self.package.text.vocabulary
        parts = enumerate(zip(pieces.ids, pieces.offsets, strict=True), 1)
        tokens = [known.token(id_, segment, span, position) for position, (id_, span) in parts]
        return self._begin_target(passage, pieces.ids, tokens)

    def _write_target(self, reading: Reading) -> Reading:
        """Return what the decoder reads of a target that it writes itself."""
        parameters = self.package.parameters
        encoded = self.network.encode(np.asarray(reading.ids), parameters)

        def following(ids: Sequence[int]) -> int:
            logits = self.network.decode(np.asarray(ids), encoded, parameters)  # [targets, vocabulary]
            return int(logits[-1].argmax())

        room = count_room(reading.passage, self.package.card)
        ids, ended = write_greedily(following, [START], room, END)
        text, tokens = self.package.text.written(ids, 1)
        return self._begin_target(replace(reading.passage, target=text, written=True, ended=ended), ids, tokens)

    def _begin_target(self, passage: Passage, ids: Sequence[int], tokens: Sequence[Token]) -> Reading:
        """Return what the decoder reads: a start, then the pieces of the target."""
        start = self.package.text.vocabulary.added(START, 0)
        target = Reading(passage=passage, ids=(START, *ids), tokens=(start, *tokens))
        return fit_length(target, self.package.card, "The target")


def stack_targets(readings: Sequence[Reading]) -> Array:
    """Return what the decoder reads: [texts, targets]."""
    # every reading of a translator has one
    return stack_ids([reading.target for reading in readings if reading.target])
