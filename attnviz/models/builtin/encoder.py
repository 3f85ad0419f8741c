"""The built-in encoder: it reads single texts."""

from pathlib import Path

from msgspec import Struct

from attnviz.errors import UsageError
from attnviz.models.builtin.package import Package
from attnviz.models.lengths import fit_length
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading
from attnviz.models.token_names import Vocabulary


class EncoderReader(Struct, frozen=True):
    """A reader of texts for the built-in encoder."""

    package: Package

    def read(self, passage: Passage) -> Reading:
        """See `Reader.read`."""
        card = self.package.card
        self.package.accept(passage)
        if passage.pair is not None:
            raise UsageError(f"{card.name} takes no second text: it was trained on single ones.")
        return fit_length(self.package.text.read(passage, card), card)

    def vocabulary(self) -> Vocabulary:
        """See `Reader.vocabulary`."""
        return self.package.text.vocabulary


def load(folder: Path) -> Model:
    """Return the encoder in a folder."""
    package = Package.of(folder)
    return Model(package.card, EncoderReader(package), package.stack)
