"""Saved records as a model: its reading is the stored tokens, its blocks are the stored weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.errors import TextError, UsageError
from attnviz.formats.stored import Saved, StoredMatrix
from attnviz.models.base import Card, Part, Runner, Stack
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading
from attnviz.models.token_names import Vocabulary
from attnviz.records import Axes, Each, to_array
from attnviz.vocabulary import Kind


@dataclass(frozen=True)
class SavedRunner(Runner):
    """The records of one text that are there already, each of which holds layers of its own."""

    card: Card
    records: Sequence[StoredMatrix]

    def read(self, passage: Passage) -> Reading:
        """See `Reader.read`; nothing can be read but what was."""
        raise TextError(f"The weights of {self.card.name} are saved ones, of one text: take the model to read another.")

    def vocabulary(self) -> Vocabulary:
        """See `Reader.vocabulary`; nothing can be read but what was."""
        raise UsageError(f"The weights of {self.card.name} are saved ones, of one text: take the model to probe it.")

    def run(self, readings: Sequence[Reading], parts: Sequence[Part], each: Each) -> None:
        """See `Runner.run`."""
        for part in parts:
            for block in self._record(part).blocks(sorted(part.layers), part.heads):
                each(replace(block, weights=block.weights[None]))  # [texts, heads, rows, keys]

    def axes(self, reading: Reading, part: Part) -> Axes:
        """See `Runner.axes`; they are those of the record, with whatever was said of it when it was made."""
        record = self._record(part)
        axes = record.of_tokens(record.query_tokens, record.key_tokens)
        return replace(axes, layers=part.layers, heads=part.heads)

    def _record(self, part: Part) -> StoredMatrix:
        """Return the record that holds the layers of a part."""
        return next(one for one in self.records if one.kind is part.kind and {*part.layers} <= {*one.layers})


def restore(saved: Saved) -> tuple[Model, Reading]:
    """Return a model that is what was saved, and the one text that it has read."""
    records, result = saved.records, saved.result
    card = Card(
        name=records[0].model,
        purpose="saved weights",
        stacks={kind: _make_stack([one for one in records if one.kind is kind]) for kind in _list_kinds(records)},
        parameters=0,
        positions=None,
        config={},
    )
    passage = Passage(
        text=result.text, pair=result.pair, target=result.target, written=result.written, ended=result.ended
    )
    runner = SavedRunner(card, records)
    reading = Reading(passage=passage, ids=(), tokens=(), warnings=result.warnings, seen=_find_seen(records))
    return Model(card, runner, runner), reading


def _find_seen(records: Sequence[StoredMatrix]) -> NDArray[np.bool_] | None:
    """Return which keys were read with which queries, if a text was read in windows: [queries, keys].

    Softmax gives every key that is read some weight, however little, so keys without any in all saved heads count as
    those that were in no window with the query.
    """
    if all(token.window is None for record in records for token in record.key_tokens):
        return None
    seen = np.zeros(records[0].shape[2:], bool)
    for record in records:
        for block in record.blocks(record.layers, record.heads):
            seen[to_array(block.rows)] |= block.weights.any(0)
    queries, keys = seen.shape
    return seen | seen.T if queries == keys else seen  # a decoder does not look ahead at what it reads


def _list_kinds(records: Sequence[StoredMatrix]) -> list[Kind]:
    return list(dict.fromkeys(record.kind for record in records))


def _make_stack(records: Sequence[StoredMatrix]) -> Stack:
    counts = {layer: len(record.heads) for record in records for layer in record.layers}
    return replace(Stack.of(counts), numbered=tuple((record.layers, record.heads) for record in records))
