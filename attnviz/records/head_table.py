"""Numbers for each head: what statistics of one text, or of many, come to."""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any, Self

import numpy as np
from msgspec import Struct, field
from msgspec.structs import force_setattr, replace
from numpy.typing import NDArray

from attnviz.display import Displayed
from attnviz.errors import RecordError, UsageError, checked
from attnviz.records.arrays import freeze
from attnviz.records.axes import Axes
from attnviz.text import By, Grouping
from attnviz.vocabulary import Kind

Reals = NDArray[np.float64]

Head = tuple[int, int]
"""A head, by its layer and its number in it."""


class Column(Struct, frozen=True, eq=False):
    """A number for each layer and head, [layers, heads]: its mean over texts, NaN where no text has one.

    `counts` says how many texts have it, `errors` is the standard error of the mean (NaN for fewer than two texts).
    A number that only several texts have is made of the weights between the first tokens of each, its `corner`
    [layers, heads, queries, keys].
    """

    means: Reals
    counts: NDArray[np.int64]
    errors: Reals
    definition: str
    corner: NDArray[np.float32] | None = None

    @classmethod
    def of_one_text(cls, values: Reals, definition: str, corner: NDArray[np.float32] | None = None) -> Self:
        """Return the column of the values of a single text, NaN where it has none."""
        return cls(values, np.isfinite(values).astype(np.int64), np.full(values.shape, np.nan), definition, corner)

    def __getitem__(self, order: Any) -> "Column":
        """Return some layers and heads, [layers, heads], in another order."""
        corner = None if self.corner is None else self.corner[order]
        return Column(self.means[order], self.counts[order], self.errors[order], self.definition, corner)

    def frozen(self) -> Self:
        """Return the same column with arrays that nobody can change."""
        means, counts, errors = (freeze(array, array.dtype) for array in (self.means, self.counts, self.errors))
        return type(self)(means, counts, errors, self.definition, self.corner)


class Judgement(Struct, frozen=True):
    """A word for what a head does, the rule that it goes by, and the head's number in that rule."""

    name: str
    rule: str
    number: float


class HeadTable(Struct, Displayed, frozen=True, kw_only=True, eq=False):
    """Named numbers for each head of one kind of attention, over so many texts, or over the one `text` of an index.

    `labels` says, by layer and head, what those heads do of which the numbers tell it. Heads are listed by layer, then
    head; or the best first by the numbers that they are `ranked_by`: the first of them, where that is equal the next.
    `asked` is what heads were searched for: a link, or the file of many. `notes` say what was left out of a comparison
    and what was done to the rest. `partners` says with which head of another model each is compared, where the two have
    other layers or heads.

    Raises:
        RecordError: a column has another shape than [layers, heads].
    """

    model: str
    kind: Kind
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    texts: int
    by: Grouping = By.TOKEN
    columns: Mapping[str, Column]
    labels: Mapping[Head, Judgement] = field(default_factory=dict)
    partners: Mapping[Head, Head] = field(default_factory=dict)
    text_index: int | None = None
    text: str = ""
    ranked_by: tuple[str, ...] = ()
    asked: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        force_setattr(self, "columns", {name: column.frozen() for name, column in self.columns.items()})
        shape = len(self.layers), len(self.heads)
        for name, column in self.columns.items():
            if {column.means.shape, column.counts.shape, column.errors.shape} != {shape}:
                raise RecordError(f"The column {name} has the shape {column.means.shape}, but the axes name {shape}.")

    @classmethod
    def of_text(cls, axes: Axes, columns: Mapping[str, Column]) -> Self:
        """Return the table of one text, in ascending order of layers and heads, from columns in the order of the axes.

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> attnviz.HeadTable.of_text(attention, {})
            HeadTable(unknown model, decoder, 1 layers × 1 heads, 1 texts: )
        """
        layers, heads = tuple(sorted(axes.layers)), tuple(sorted(axes.heads))
        if (layers, heads) != (axes.layers, axes.heads):
            order = np.ix_(np.argsort(axes.layers), np.argsort(axes.heads))
            columns = {name: column[order] for name, column in columns.items()}
        return cls(model=axes.model, kind=axes.kind, by=axes.by, layers=layers, heads=heads, texts=1, columns=columns)

    @checked()
    def __getitem__(self, name: str) -> Reals:
        """Return the numbers of this name: their means over texts, [layers, heads], NaN where no text has one.

        Raises:
            UsageError: the table has no numbers of this name.

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> (table,) = attnviz.statistics(attention, ["previous", "same"])
            >>> table["previous"]  # the first token has none before it, and counts as 0
            array([[0.125]])
        """
        if name not in self.columns:
            raise UsageError(f"The table has no numbers {name!r}, only: {', '.join(self.columns)}.")
        return self.columns[name].means

    @property
    def axes(self) -> tuple[str, Kind, tuple[int, ...], tuple[int, ...]]:
        """Return whose numbers these are: the model, the kind, the layers and the heads."""
        return self.model, self.kind, self.layers, self.heads

    def join(self, others: Iterable["HeadTable"]) -> "HeadTable":
        """Return the table with the columns of others beside its own, NaN where they are of other heads.

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> (same,), (first,) = (attnviz.statistics(attention, name) for name in ("same", "first"))
            >>> same.join([first])
            HeadTable(unknown model, decoder, 1 layers × 1 heads, 1 texts: same, first)
        """
        columns = dict(self.columns)
        for other in others:
            for name, column in other.columns.items():
                if other.axes == self.axes:
                    columns[name] = column
                elif name not in columns:
                    nothing = np.full((len(self.layers), len(self.heads)), np.nan)
                    columns[name] = Column.of_one_text(nothing, column.definition)
        return replace(self, columns=columns)

    @property
    def definitions(self) -> dict[str, str]:
        """Return what each number means, by its name."""
        return {name: column.definition for name, column in self.columns.items()}

    def places(self) -> Iterator[tuple[int, int]]:
        """Yield the row and the column of each head, in the order in which they are listed, undefined ones last.

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> list(attnviz.statistics(attention, "same")[0].places())
            [(0, 0)]
        """

        def rank(place: tuple[int, int]) -> list[float]:
            numbers = (float(self[name][place]) for name in self.ranked_by)
            return [-number if math.isfinite(number) else math.inf for number in numbers]

        yield from sorted(product(range(len(self.layers)), range(len(self.heads))), key=rank)

    def listed(self) -> list[tuple[int, int]]:
        """Return the layer and the head of each head, in the order in which they are listed.

        Example:
            >>> table, = attnviz.find(attnviz.load("builtin"), "her -> Mary", "Mary lost her keys")
            >>> table.listed()[0]
            (3, 1)
        """
        return [(self.layers[row], self.heads[column]) for row, column in self.places()]

    @checked()
    def highest(self, name: str, count: int | None = 5) -> list[tuple[int, int, float]]:
        """Return the heads with the largest numbers of this name, largest first: layer, head and number of each.

        All of them are returned if `count` is None.

        Raises:
            UsageError: the table has no numbers of this name.

        Example:
            >>> (table,) = attnviz.statistics(attnviz.load("builtin").attend("Mary lost her keys"), "previous")
            >>> [(layer, head) for layer, head, _ in table.highest("previous", 2)]
            [(2, 2), (3, 5)]
        """
        values = self[name]
        defined = np.argwhere(np.isfinite(values))  # of NaN there is no order
        order = np.argsort(-values[np.isfinite(values)], kind="stable")[:count]
        return [(self.layers[row], self.heads[place], float(values[row, place])) for row, place in defined[order]]

    def __repr__(self) -> str:
        """Return what the table is of, without its numbers."""
        size = f"{len(self.layers)} layers × {len(self.heads)} heads, {self.texts} texts"
        return f"HeadTable({self.model}, {self.kind.value}, {size}: {', '.join(self.columns)})"
