"""A lesson: steps, each with a formula, a reason and its arrays; and the same as data."""

import math
from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from typing import Any, Self

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import UnfitTextError
from attnviz.formats.writing import json_line
from attnviz.reference.arrays import Array
from attnviz.reference.head_steps import entropy


class Axis(Enum):
    """The things that an axis of a quantity runs over."""

    KEYS = "keys"
    HEADS = "heads"
    DIMENSIONS = "dimensions"
    TOP_KEYS = "top keys"
    TILES = "tiles"
    PARTS = "parts"
    QUERIES = "queries"
    OUTPUTS = "outputs"
    INPUTS = "inputs"


DIMENSIONS = (Axis.DIMENSIONS,)
BY_KEY = (Axis.KEYS,)
TOP_BY_DIMENSION = Axis.TOP_KEYS, Axis.DIMENSIONS
MATRIX = Axis.OUTPUTS, Axis.INPUTS


class Quantity(Struct, frozen=True, eq=False):
    """An array with a name (unique in a lesson), words for a reader, and its axes.

    `rows` names the entries of the first axis where they are neither keys nor heads. A quantity that is not `shown` is
    in the data only. One with `decimals` is written with at least so many, never as weights. Of a `whole` one, readers
    need all numbers, and are told how to get them where there is no room.
    """

    name: str
    words: str
    array: Array
    axes: tuple[Axis, ...] = ()
    rows: tuple[str, ...] = ()
    shown: bool = True
    decimals: int = 0
    whole: bool = False


class Step(Struct, frozen=True, eq=False):
    """One step: its title, its formula on one line, a few sentences on why, and the quantities that it computes."""

    title: str
    formula: str
    why: str
    quantities: tuple[Quantity, ...]


class Lesson(Struct, frozen=True, eq=False, kw_only=True):
    """A walk through one head for one query, from top to bottom.

    `subject` names the model, `keys` the tokens that can be looked at, and `query` the token that looks, at `position`
    among the queries; `predicts` is the next token of the target. `notes` says what could not be shown. The first
    `walked` steps are the walk, the others comparisons; `numbers` are those of the steps where some are left out.
    """

    subject: str
    query: str
    position: int
    predicts: str | None = None
    keys: tuple[str, ...]
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    walked: int = 0
    numbers: tuple[int, ...] = ()

    def numbered(self) -> Iterator[tuple[int, Step]]:
        """Yield the steps with their numbers, from 1."""
        return zip(self.numbers or range(1, len(self.steps) + 1), self.steps, strict=True)

    def take(self, numbers: Collection[int]) -> Self:
        """Return the lesson with only the steps of these numbers, in their order.

        Raises:
            UnfitTextError: there is no such step.
        """
        if missing := sorted(set(numbers) - set(range(1, len(self.steps) + 1))):
            raise UnfitTextError(f"There is no step {missing[-1]}: this lesson has steps 1 to {len(self.steps)}.")
        kept = [(number, step) for number, step in self.numbered() if number in numbers]
        return replace(self, numbers=tuple(number for number, _ in kept), steps=tuple(step for _, step in kept))

    def quantities(self) -> Iterator[Quantity]:
        """Yield the quantities of all steps."""
        for step in self.steps:
            yield from step.quantities


def count(number: int, noun: str) -> str:
    """Write a count: `1 key`, `2 keys`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def count_decimals(largest: float) -> int:
    """Return how many decimals show numbers, the largest of which is this: two, or more if it is small.

    The terminal writes numbers that need more than five, or are a million and more, with an exponent instead.
    """
    return max(2, 1 - math.floor(math.log10(largest))) if largest else 2


def side_by_side(
    name: str, words: str, weights: Mapping[str, Array], partial: Collection[str] = ()
) -> Iterator[Quantity]:
    """Yield rows of weights [keys] with their names, then the sum and the entropy of each row.

    The entropy of a `partial` row, from which weights were taken, is NaN: it is no distribution.
    """
    rows = tuple(weights)
    together = np.array(list(weights.values()))
    yield Quantity(name, words, together, (Axis.PARTS, Axis.KEYS), rows)
    yield Quantity(f"{name}_sums", "sum of the weights", together.sum(-1), (Axis.PARTS,), rows)
    entropies = np.array([math.nan if row in partial else entropy(each) for row, each in weights.items()])
    yield Quantity(f"{name}_entropies", "entropy of the weights in bits", entropies, (Axis.PARTS,), rows)


def encode_lesson(lesson: Lesson, head: Mapping[str, Any]) -> bytes:
    """Return a lesson as one line of JSON: `head`, the query, the keys, the steps, and every array by its name.

    A step lists the names of its arrays. An array has the names of its axes, its shape, and its values as nested lists;
    null stands for what JSON has no number for, such as the -∞ of a hidden score or an entropy that does not exist.
    """
    record = {
        **head,
        "query": {"token": lesson.query, "position": lesson.position, "predicts": lesson.predicts},
        "key_tokens": lesson.keys,
        "notes": lesson.notes,
        "steps": [
            {
                "number": number,
                "title": step.title,
                "formula": step.formula,
                "why": step.why,
                "arrays": [q.name for q in step.quantities],
            }
            for number, step in lesson.numbered()
        ],
        "arrays": {quantity.name: _fields(quantity) for quantity in lesson.quantities()},
    }
    return json_line(record)


def _fields(quantity: Quantity) -> dict[str, Any]:
    array = np.asarray(quantity.array)
    return {
        "words": quantity.words,
        "axes": [axis.value for axis in quantity.axes],
        "shape": array.shape,
        **({"rows": quantity.rows} if quantity.rows else {}),
        "values": np.ascontiguousarray(array) if array.ndim else array[()],
    }
