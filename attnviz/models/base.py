"""What a model is, to the rest of the house."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attnviz.attention import Attention, Axes, Engine, Kind, Selection
from attnviz.errors import UsageError
from attnviz.folds import Block, Collect, Group
from attnviz.models.reading import Passage, Reading, Window
from attnviz.reference.trace import Trace
from attnviz.text import By, Grouping, grouped

ALL = Selection()

Each = Callable[[Block], None]
"""What is done with each block of query rows."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Which layers attend, by their own numbers in the model, and with how many heads each."""

    layers: tuple[int, ...]
    heads: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which layers and heads are wanted of one kind of attention, by their own numbers."""

    kind: Kind
    layers: tuple[int, ...]
    heads: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What can be said of a model without running it.

    `positions` is how many tokens it can read (None without limit), `config` its shape as its own files have it.
    """

    name: str
    purpose: str
    stacks: Mapping[Kind, Stack]
    parameters: int
    positions: int | None
    config: Mapping[str, Any]


class Model(ABC):
    """Turns text into tokens, and tokens into blocks of attention weights.

    `engine` is what computes them, `precision` the dtype in which it does, and `sink` says that rows may sum to less
    than 1 because part of their weight goes to an attention sink outside the keys. No more than `tokens_at_once` are
    run together, unless one reading has more: with NumPy, more than a few short texts gain nothing by it.
    """

    card: Card
    engine = Engine.REFERENCE
    precision = "float32"
    sink = False
    tokens_at_once = 2**10

    @abstractmethod
    def read(self, passage: Passage) -> Reading:
        """The tokens of a passage, those included that the model is to write itself.

        Raises:
            TextError: a text is empty, not valid Unicode, or longer than the model's positions.
            UsageError: the model takes no second text, or no target, or writes nothing.
        """

    def accept(self, passage: Passage) -> None:
        """Refuses what a model with such stacks of layers cannot read or write.

        Raises:
            UsageError: the model takes no second text, or no target, or does not continue a text.
        """
        name, translates = self.card.name, Kind.CROSS in self.card.stacks
        only_decodes = Kind.ENCODER not in self.card.stacks
        if passage.target is not None and not translates:
            raise UsageError(f"{name} takes no target: it has no decoder beside an encoder.")
        if passage.generate and not only_decodes:
            instead = (
                "give it a target, or leave the target to it" if translates else "it is an encoder, and only reads"
            )
            raise UsageError(f"{name} does not continue a text: {instead}.")
        if passage.pair is not None and only_decodes:
            raise UsageError(f"{name} takes no second text: it is a decoder. Put both into one text.")
        if passage.chat and passage.pair is not None:
            raise UsageError("A chat is one text: leave --pair out, or --chat.")

    @abstractmethod
    def run(self, readings: Sequence[Reading], select: Selection, each: Each) -> None:
        """Computes the wanted weights and no more, handing over each block of query rows as soon as it is there.

        The readings are all of one `size`, and read together where that is faster. Rows that are not wanted may be
        among those that are handed over.
        """

    def attend(
        self,
        text: str,
        pair: str | None = None,
        target: str | None = None,
        *,
        generate: int = 0,
        chat: bool = False,
        added_tokens: bool = True,
        bos: bool = False,
        select: Selection = ALL,
        by: Grouping = By.TOKEN,
    ) -> list[Attention]:
        """The attention weights of a text, one record a kind; for what may be asked of the text, see `Passage`.

        Raises:
            UsageError: the model takes no second text, no target, or has no such layer, head or kind.
            TextError: as in `read`.
        """
        passage = Passage(
            text=text, pair=pair, target=target, generate=generate, chat=chat, added_tokens=added_tokens, bos=bos
        )
        return self.weights(self.read(passage), select, by)

    def weights(self, reading: Reading, select: Selection = ALL, by: Grouping = By.TOKEN) -> list[Attention]:
        """The attention weights of what was read, one record a kind, between tokens or groups of them.

        Raises:
            UsageError: the model has no such layer, head or kind.
            TextError: the text has none of the rows.
        """
        (found,) = self.weights_of([reading], select, by)
        return found

    def weights_of(
        self, readings: Sequence[Reading], select: Selection = ALL, by: Grouping = By.TOKEN
    ) -> list[list[Attention]]:
        """The same for several readings of one `size`, which are run together."""
        folds = [self._folds(reading, select, by) for reading in readings]
        parts = [(text, part) for text, reading in enumerate(readings) for part in reading.parts]
        at_once = max(self.tokens_at_once // max(len(parts[0][1].reading.ids), 1), 1)
        for first in range(0, len(parts), at_once):
            self._fold(parts[first : first + at_once], select, folds)
        return [[fold.result() for fold in own.values()] for own in folds]

    def _fold(
        self, parts: Sequence[tuple[int, Window]], select: Selection, folds: Sequence[Mapping[Kind, Collect | Group]]
    ) -> None:
        """Runs parts of readings, whose numbers are given, and folds what comes of them."""

        def update(block: Block) -> None:
            text, part = parts[block.text]
            if (fold := folds[text].get(block.kind)) is not None:  # a text has none where it lacks the rows
                fold.update(part.placed(block, text))

        wanted = select if parts[0][1].own is None else replace(select, rows=None)  # rows are counted in the whole
        self.run([part.reading for _, part in parts], wanted, update)

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """What one layer computes for one query, the index of which is that among the queries of this kind.

        Raises:
            UsageError: the model shows nothing but its weights.
        """
        raise UsageError(f"{self.card.name} shows its weights only, and not what they are computed from.")

    def without(self, *, positions: bool = False, mask: bool = False) -> "Model":
        """The same model without its positions, or without the mask that hides what comes after a token.

        Raises:
            UsageError: that part of it cannot be left out.
        """
        part = "positions" if positions else "mask"
        raise UsageError(
            f"{self.card.name} cannot be run without its {part}: that takes a transformer on our own engine."
        )

    def axes(self, reading: Reading, select: Selection) -> list[Axes]:
        """The axes of each kind of weights that is wanted; where rows are named, of those kinds that have such rows.

        Raises:
            UsageError: the model has no such layer, head or kind.
            TextError: the text has none of the rows.
        """
        wanted = self.wanted(select).values()
        select.check_rows([reading.axes(own.kind)[0] for own in wanted])
        return [axes for own in wanted if (axes := self._axes(reading, select, own)).query_tokens]

    def wanted(self, select: Selection) -> dict[Kind, Wanted]:
        """The layers and heads that are wanted of each kind.

        Raises:
            UsageError: the model has no such layer, head or kind.
        """
        name, stacks = self.card.name, {kind: self.card.stacks[kind] for kind in self.kinds(select)}
        return {
            kind: Wanted(kind, select.layers_of(stack.layers, name), select.heads_of(range(stack.heads), name))
            for kind, stack in stacks.items()
        }

    def kinds(self, select: Selection) -> tuple[Kind, ...]:
        """The kinds of attention that are wanted.

        Raises:
            UsageError: the model has no such kind.
        """
        return select.kinds_of(tuple(self.card.stacks), self.card.name)

    def _axes(self, reading: Reading, select: Selection, wanted: Wanted) -> Axes:
        queries, keys = reading.axes(wanted.kind)
        return Axes(
            kind=wanted.kind,
            layers=wanted.layers,
            heads=wanted.heads,
            query_tokens=tuple(queries[row] for row in select.rows_of(queries)),
            key_tokens=keys,
            model=self.card.name,
            engine=self.engine,
            sink=self.sink,
            precision=self.precision,
            notes=(*reading.warnings, *reading.notes, *(reading.target.notes if reading.target else ())),
        )

    def _folds(self, reading: Reading, select: Selection, by: Grouping) -> dict[Kind, Collect | Group]:
        """For each kind the fold that keeps every weight of the wanted rows, or the weights between groups."""
        select.check(by)
        folds: dict[Kind, Collect | Group] = {}
        for axes in self.axes(reading, select):
            if by is By.TOKEN:
                rows = None if select.rows is None else select.rows_of(reading.axes(axes.kind)[0])
                folds[axes.kind] = Collect(axes, rows)
            else:
                queries, keys = (grouped(tokens, by) for tokens in (axes.query_tokens, axes.key_tokens))
                folds[axes.kind] = Group(axes, queries, keys)
        return folds
