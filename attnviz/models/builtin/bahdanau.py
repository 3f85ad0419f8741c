"""The built-in recurrent translator: the encoder-decoder in which attention began (Bahdanau et al. 2015)."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from attnviz.models.base import Each
from attnviz.models.builtin.encoder_decoder import EncoderDecoder, targets_of
from attnviz.models.on_reference import ids_of, watching
from attnviz.models.reading import Reading
from attnviz.records import Selection
from attnviz.reference import recurrent
from attnviz.reference.arrays import Array
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Note, Trace, silent
from attnviz.reference.transformer import WatchLayers, unwatched
from attnviz.vocabulary import Kind


class RecurrentNetwork:
    """Gated recurrent units, and one head of additive attention between them."""

    def encode(self, ids: Array, parameters: Parameters, lengths: Array | None = None) -> Array:
        """See `Network.encode`."""
        return recurrent.encode(ids, parameters, lengths)

    def decode(
        self,
        ids: Array,
        encoded: Array,
        parameters: Parameters,
        lengths: Array | None = None,
        *,
        watch_context: WatchLayers = unwatched,
        note: Note = silent,
    ) -> Array:
        """See `Network.decode`."""
        watch = partial(watch_context, 0)
        return recurrent.decode(ids, encoded, parameters, lengths, watch=watch, note=note)


class BuiltinBahdanau(EncoderDecoder):
    """A recurrent encoder-decoder of ours that translates."""

    network = RecurrentNetwork()

    def run(self, readings: Sequence[Reading], select: Selection, each: Each) -> None:
        """See `Model.run`."""
        (wanted,) = self.wanted(select).values()
        with np.errstate(all="ignore"):  # a record of weights that are no numbers is refused
            encoded = self.network.encode(ids_of(readings), self.parameters)
            self.network.decode(targets_of(readings), encoded, self.parameters, watch_context=watching(wanted, each))

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """See `Model.trace`; the query is the state of the decoder before it reads the token of that row."""
        noted: dict[str, Array] = {}
        encoded = self.network.encode(np.asarray(reading.ids), self.parameters)
        self.network.decode(targets_of([reading])[0], encoded, self.parameters, note=noted.__setitem__)
        return Trace(
            position=query,
            query=noted["attention.query"][None, query],
            keys=encoded[None],
            values=encoded[None],
            score="additive",
            score_parameters=self.parameters.within("attention"),
            mixed=noted["attention.mixed"][None, query],
        )
