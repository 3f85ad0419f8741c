"""The built-in encoder."""

from pathlib import Path

from attnviz.errors import UsageError
from attnviz.models.builtin.packaged import PackagedModel
from attnviz.models.lengths import fitted
from attnviz.models.on_reference import ReferenceModel
from attnviz.models.reading import Passage, Reading
from attnviz.models.shapes import read_shape


class BuiltinEncoder(PackagedModel, ReferenceModel):
    """An encoder of ours."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.shape = read_shape(self.card.config)

    def read(self, passage: Passage) -> Reading:
        """See `Model.read`."""
        self.accept(passage)
        if passage.pair is not None:
            raise UsageError(f"{self.card.name} takes no second text: it was trained on single ones.")
        return fitted(self._reader.read(passage, self.card), self.card)
