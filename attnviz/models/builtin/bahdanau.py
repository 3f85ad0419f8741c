"""The built-in recurrent translator: the encoder-decoder in which attention began (Bahdanau et al. 2015)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from attnviz.models.base import Card, Part, Runner
from attnviz.models.builtin.encoder_decoder import TranslationReader, stack_targets
from attnviz.models.builtin.package import Package
from attnviz.models.model import Model
from attnviz.models.passages import Reading
from attnviz.models.stack_runner import stack_ids, watch_only
from attnviz.records import Each
from attnviz.reference import recurrent
from attnviz.reference.arrays import Array
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Trace
from attnviz.vocabulary import Kind


@dataclass(frozen=True)
class RecurrentRunner(Runner):
    """Gated recurrent units, and one head of additive attention between them."""

    card: Card
    parameters: Parameters

    def run(self, readings: Sequence[Reading], parts: Sequence[Part], each: Each) -> None:
        """See `Runner.run`."""
        with np.errstate(all="ignore"):  # a record of weights that are no numbers is refused
            encoded = recurrent.encode(stack_ids(readings), self.parameters)
            recurrent.decode(stack_targets(readings), encoded, self.parameters, watch=watch_only(parts, each))

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """See `Runner.trace`; the query is the state of the decoder before it reads the token of that row."""
        noted: dict[str, Array] = {}
        encoded = recurrent.encode(np.asarray(reading.ids), self.parameters)
        recurrent.decode(stack_targets([reading])[0], encoded, self.parameters, note=noted.__setitem__)
        return Trace(
            position=query,
            query=noted["attention.query"][None, query],
            keys=encoded[None],
            values=encoded[None],
            score="additive",
            score_parameters=self.parameters.within("attention"),
            mixed=noted["attention.mixed"][None, query],
        )

    def untrain(self, seed: int) -> Self:
        """See `Runner.untrain`."""
        return replace(self, parameters=self.parameters.untrain(seed))


def load(folder: Path) -> Model:
    """Return the recurrent translator in a folder."""
    package = Package.of(folder)
    runner = RecurrentRunner(package.card, package.parameters)
    return Model(package.card, TranslationReader(package, recurrent), runner)
