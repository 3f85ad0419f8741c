"""The engine that runs a pretrained model: the one that was asked for, else the one that is faster for each text."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from attnviz.measures.reducers import Make, Result
from attnviz.models.base import Each, Model, Wanted
from attnviz.models.checkpoint.model import CheckpointModel
from attnviz.models.configuration import UnsupportedError
from attnviz.models.hub import weight_files
from attnviz.models.loading import Loading
from attnviz.models.reading import Passage, Reading
from attnviz.records import Axes, Selection
from attnviz.reference.trace import Trace
from attnviz.vocabulary import Engine, Kind

MUCH_WORK = 2e11
"""From how many parameters times tokens on transformers is faster, though it must be imported and loaded first.

Measured on 2 cores, start to end: the two took the same 4.5 s at 1.3e11 with a checkpoint of 0.12 billion parameters,
and 8.5 s at 5e11 with one of 1.24 billion, NumPy with a twenty-eighth of the memory.
"""


def load(name: str, folder: Path, loading: Loading) -> Model:
    """The model in a folder, on the engine that was asked for; else on the reference transformer where it knows it.

    Raises:
        UnsupportedError: the reference engine was asked for, and does not know such a model.
        ModelError: the files are damaged, or do not fit each other.
    """

    def on_transformers() -> Model:
        from attnviz.models import pretrained  # torch and transformers

        return pretrained.load(name, folder, loading)

    if loading.engine is Engine.TRANSFORMERS or loading.beyond_reference:
        return on_transformers()
    try:
        reference = CheckpointModel(name, folder, weight_files(folder))
    except UnsupportedError:
        if loading.engine is Engine.REFERENCE:
            raise
        return on_transformers()
    return reference if loading.engine is Engine.REFERENCE else Automatic(reference, on_transformers)


class Automatic(Model):
    """A checkpoint that both engines run; transformers is imported only for a text that is worth it."""

    def __init__(self, reference: CheckpointModel, load: Callable[[], Model]) -> None:
        self.card = reference.card
        self._reference = reference
        self._load = load

    @cached_property
    def _transformers(self) -> Model:
        return self._load()

    def read(self, passage: Passage) -> Reading:
        """See `Model.read`; what a decoder is to write, transformers writes."""
        writes = passage.generate and self._reference.kind is Kind.DECODER
        return (self._transformers if writes else self._reference).read(passage)

    def reduce(self, readings: Sequence[Reading], select: Selection, make: Make[Result]) -> list[list[Result]]:
        """See `Model.reduce`."""
        return self._runner(readings).reduce(readings, select, make)

    def run(self, readings: Sequence[Reading], select: Selection, each: Each) -> None:
        """See `Model.run`."""
        self._runner(readings).run(readings, select, each)

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """See `Model.trace`; the reference transformer shows all of it."""
        return self._reference.trace(reading, kind, layer, query)

    def without(self, *, positions: bool = False, mask: bool = False) -> Model:
        """See `Model.without`."""
        return self._reference.without(positions=positions, mask=mask)

    def _axes(self, reading: Reading, select: Selection, wanted: Wanted) -> Axes:
        return replace(super()._axes(reading, select, wanted), engine=self._engine([reading]))

    def _runner(self, readings: Sequence[Reading]) -> Model:
        return self._transformers if self._engine(readings) is Engine.TRANSFORMERS else self._reference

    def _engine(self, readings: Sequence[Reading]) -> Engine:
        """What runs these: transformers if it is loaded anyway, since it has written some of it, or is the faster."""
        written = any(reading.written_from is not None for reading in readings)
        work = self.card.parameters * max(len(reading.ids) for reading in readings)
        return Engine.TRANSFORMERS if written or work >= MUCH_WORK else Engine.REFERENCE
