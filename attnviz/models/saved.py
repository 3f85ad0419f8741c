"""What is saved is a model too: its reading is the tokens that were stored, its blocks the stored weights."""

from collections.abc import Sequence

from attnviz.errors import TextError
from attnviz.formats.writing import Result as Saved
from attnviz.measures.reducers import Make, Result, blocks_of, reduced
from attnviz.models.base import Card, Each, Model, Stack
from attnviz.models.reading import Passage, Reading
from attnviz.records import Attention, Axes, Selection
from attnviz.vocabulary import Kind


class SavedModel(Model):
    """The records of one text that are there already, selected, grouped and reduced as those of any model.

    `reading` is the one text that it has read.
    """

    def __init__(self, saved: Saved) -> None:
        self._records = saved.attention
        passage = Passage(
            text=saved.text, pair=saved.pair, target=saved.target, written=saved.written, ended=saved.ended
        )
        self.reading = Reading(passage=passage, ids=(), tokens=(), warnings=saved.warnings)
        self.card = Card(
            name=saved.attention[0].model,
            purpose="saved weights",
            stacks={kind: self._stack(kind) for kind in dict.fromkeys(record.kind for record in self._records)},
            parameters=0,
            positions=None,
            config={},
        )

    def read(self, passage: Passage) -> Reading:
        """See `Model.read`; nothing can be read but what was."""
        raise TextError(f"The weights of {self.card.name} are saved ones, of one text: take the model to read another.")

    def run(self, readings: Sequence[Reading], select: Selection, each: Each) -> None:
        """See `Model.run`."""
        for record in self._wanted(select):
            for block in blocks_of(record):
                each(block)

    def axes(self, reading: Reading, select: Selection) -> list[Axes]:
        """See `Model.axes`; they are those of the records, with whatever was said of these when they were made."""
        return list(self._wanted(select))

    def reduce(self, readings: Sequence[Reading], select: Selection, make: Make[Result]) -> list[list[Result]]:
        """See `Model.reduce`."""
        return [[reduced(record, make(record)) for record in self._wanted(select)] for _ in readings]

    def _stack(self, kind: Kind) -> Stack:
        return Stack.of({layer: len(record.heads) for record in self._of(kind) for layer in record.layers})

    def _of(self, kind: Kind) -> list[Attention]:
        """Return the records of a kind, each of which holds layers of its own."""
        return [record for record in self._records if record.kind is kind]

    def _wanted(self, select: Selection) -> list[Attention]:
        """Return what is wanted of the records; where rows are named, of those that have such rows."""
        held = [part for kind in self.kinds(select) for part in _selected(self._of(kind), select)]
        select.check_rows([record.query_tokens for record in held])
        return [_rows(record, select) for record in held if select.rows_of(record.query_tokens)]


def _selected(records: Sequence[Attention], select: Selection) -> list[Attention]:
    """Return the wanted layers and heads of the records of one kind."""
    there = {layer: record for record in records for layer in record.layers}
    groups = select.groups_of([(record.layers, record.heads) for record in records], records[0].model)
    return [_part(there[layers[0]] if layers else records[0], layers, heads) for layers, heads in groups]


def _part(record: Attention, layers: Sequence[int], heads: Sequence[int]) -> Attention:
    whole = (tuple(layers), tuple(heads)) == (record.layers, record.heads)
    return record if whole else record.select(layers, heads)


def _rows(record: Attention, select: Selection) -> Attention:
    return record if select.rows is None else record.rows(select.rows_of(record.query_tokens))
