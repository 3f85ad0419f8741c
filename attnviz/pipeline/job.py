"""A job: what is done with each text, by which model, and what is kept of the weights in which form."""

from collections.abc import Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import RecordError, UsageError, WriteOption, write_in_python, write_options
from attnviz.formats.reading import OPENERS
from attnviz.models.loading import DEFAULT, Loading
from attnviz.models.model import ALL, Model
from attnviz.models.passages import Passage, Reading
from attnviz.models.registry import load, locate
from attnviz.models.saved import restore
from attnviz.pipeline.streams import Source
from attnviz.records import Attention, HeadMatrix, Selection, average
from attnviz.text import Grouping

MEMORY = 10**9
"""How many bytes the weights of a text may take, unless told otherwise."""

_BARE = Passage(text="")


class Job(Struct, frozen=True, kw_only=True, dict=True):
    """The work on each text.

    `passage` is what is read along with it. A model that is `ready` stands for the name. The selected weights are kept
    between what `by` says, or if nothing is said between tokens, or stretches of the text where that would take more
    than `memory` bytes, of which what is made of them takes `copies` of their size. `option` writes the options that
    are named in what is kept: in the notes of records, and in the manifest of a batch.
    """

    model: str = "builtin"
    loading: Loading = DEFAULT
    ready: Model | None = None
    passage: Passage = _BARE
    select: Selection = ALL
    by: Grouping | None = None
    memory: int = MEMORY
    copies: int = 1
    mean: bool = False
    no_special: bool = False
    option: WriteOption = write_in_python

    @cached_property
    def loaded(self) -> Model:
        """The model itself, which is loaded when the first text comes unless it is there."""
        return load(self.model, self.loading) if self.ready is None else self.ready

    @cached_property
    def fingerprint(self) -> str:
        """A digest that changes when the model's files do.

        Raises:
            ModelError: there is no such model.
        """
        from attnviz.models.fingerprint import compute_fingerprint  # with OpenSSL, which each start would wait for

        return compute_fingerprint(locate(self.model, self.loading))

    def check(self, source: Source) -> None:
        """Load the model that a text needs, and refuse what is asked for of a text, and not of what is saved.

        Raises:
            ModelError: it cannot be loaded, which no other text would change.
            UsageError: what is saved is to be read along with something.
        """
        if not source.saved:
            _ = self.loaded
        elif self.passage != _BARE:
            raise UsageError(
                f"{source.place} holds saved weights, so no model reads a text:",
                hint="leave {pair}, {target}, {truncate}, {window}, {added_tokens:False}, {bos}, {generate} and "
                "{max_new_tokens} out.",
            )

    def open(self, source: Source) -> tuple[Model, Reading]:
        """Read a text, and return the model that does and its reading; what is saved is a model of its own.

        Raises:
            TextError: the model cannot read it.
            RecordError: what is saved cannot be read, or breaks a promise.
        """
        if source.saved is None:
            reading = self.loaded.read(replace(self.passage, text=source.text()))
            warnings = tuple(write_options(warning, self.option) for warning in reading.warnings)
            return self.loaded, replace(reading, warnings=warnings)
        return restore(OPENERS[source.saved](source.record(), self.memory))

    def formed(self, found: Sequence[HeadMatrix]) -> Sequence[HeadMatrix]:
        """Return the records in the form that was asked for."""
        if self.no_special:
            found = [_drop_special(record) for record in found]
        if not self.mean:
            return found
        kinds = dict.fromkeys(attention.kind for attention in found)
        return [average([attention for attention in found if attention.kind is kind]) for kind in kinds]


def _drop_special(record: HeadMatrix) -> Attention:
    """Return weights without special tokens; raise RecordError if they are no weights, whose rows could be rescaled."""
    if not isinstance(record, Attention):
        raise RecordError(f"Rows of the measure {record.measure!r} do not sum to 1:", hint="leave {no_special} out.")
    return record.without_special()
