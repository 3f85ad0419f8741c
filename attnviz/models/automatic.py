"""The engine that runs a pretrained model: the one that was asked for, else the one that is faster for each text."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from attnviz.models.base import Runner
from attnviz.models.checkpoint.checkpoint_reader import load as load_checkpoint
from attnviz.models.configuration import UnsupportedError
from attnviz.models.hub import weight_files
from attnviz.models.loading import Loading
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading
from attnviz.models.token_names import Vocabulary
from attnviz.vocabulary import Engine

MUCH_WORK = 2e11
"""From how many parameters times tokens on transformers is faster, though it must be imported and loaded first.

Measured on 2 cores, start to end: the two took the same 4.5 s at 1.3e11 with a checkpoint of 0.12 billion parameters,
and 8.5 s at 5e11 with one of 1.24 billion, NumPy with a twenty-eighth of the memory.
"""


def load(name: str, folder: Path, loading: Loading) -> Model:
    """Return the model in a folder, on the engine that was asked for; else on the one that is faster for each text.

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
        reference = load_checkpoint(name, folder, weight_files(folder))
    except UnsupportedError:
        if loading.engine is Engine.REFERENCE:
            raise
        return on_transformers()
    return reference if loading.engine is Engine.REFERENCE else combine_engines(reference, on_transformers)


class WritingReader(Struct, frozen=True):
    """A reader that is the reference engine's, except for texts that a decoder continues: these transformers reads."""

    reference: Model
    transformers: Callable[[], Model]

    def vocabulary(self) -> Vocabulary:
        """See `Reader.vocabulary`."""
        return self.reference.reader.vocabulary()

    def read(self, passage: Passage) -> Reading:
        """See `Reader.read`."""
        writes = passage.generate and self.reference.card.only_decodes
        return (self.transformers() if writes else self.reference).read(passage)


def combine_engines(reference: Model, load: Callable[[], Model]) -> Model:
    """Return a checkpoint that both engines run; transformers is loaded only for a text that is worth it."""
    transformers = cache(load)

    def choose(readings: Sequence[Reading]) -> Runner:
        """Choose transformers if it is loaded anyway, since it has written some of a text, or is the faster."""
        written = any(reading.written_from is not None for reading in readings)
        work = reference.card.parameters * max(len(reading.ids) for reading in readings)
        return transformers().runner if written or work >= MUCH_WORK else reference.runner

    return replace(reference, reader=WritingReader(reference, transformers), choose=choose)
