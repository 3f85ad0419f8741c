"""What a model is, to the rest of the house."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from attnviz.errors import UsageError, require
from attnviz.measures.reducers import Block, Make, OfRows, Reducer, Result, keep
from attnviz.models.reading import Passage, Reading, Window
from attnviz.records import Attention, Axes, LayerGroup, Selection, ranges
from attnviz.reference.trace import Trace
from attnviz.text import By, Grouping, grouping
from attnviz.vocabulary import Engine, Kind

ALL = Selection()

_ONE_TEXT = (
    "attend reads one text. For several write [model.attend(text) for text in texts], or attnviz.heads(model, texts) "
    "for numbers of each head."
)

Each = Callable[[Block], None]
"""What is done with each block of query rows."""

Where = tuple[Kind, int]
"""A kind of attention, and the number of one of its layers."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Which layers attend, by their own numbers in the model, and with how many heads each.

    `heads` is the most that a layer has, `fewer` how many those have that have less.
    """

    layers: tuple[int, ...]
    heads: int
    fewer: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, heads: Mapping[int, int]) -> "Stack":
        """Return the stack of layers with these numbers of heads."""
        most = max(heads.values())
        return cls(tuple(heads), most, {layer: count for layer, count in heads.items() if count < most})

    @property
    def counts(self) -> tuple[int, ...]:
        """How many heads each of the layers has."""
        return tuple(self.fewer.get(layer, self.heads) for layer in self.layers)

    @property
    def groups(self) -> list[LayerGroup]:
        """The layers that have the same heads, and these, in the order of the first layer of each."""
        found: dict[int, list[int]] = {}
        for layer, heads in zip(self.layers, self.counts, strict=True):
            found.setdefault(heads, []).append(layer)
        return [(tuple(layers), tuple(range(heads))) for heads, layers in found.items()]


@dataclass(frozen=True, slots=True)
class Withheld:
    """Layers of one kind that attend, but not in a way that could be shown, and why not."""

    kind: Kind
    layers: tuple[int, ...]
    reason: str

    def __str__(self) -> str:
        some = f"layer {self.layers[0]} is" if len(self.layers) == 1 else f"layers {ranges(self.layers)} are"
        return f"{self.kind.value} {some} not shown: what the model returns there {self.reason}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which layers and heads are wanted of one kind of attention, by their own numbers."""

    kind: Kind
    layers: tuple[int, ...]
    heads: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What can be said of a model without running it.

    `positions` is how many tokens it can read (None without limit), `config` its shape as its own files have it,
    `withheld` what attends too but is not shown. `notes` is what a user must be told of what was loaded, as sentences.
    """

    name: str
    purpose: str
    stacks: Mapping[Kind, Stack]
    parameters: int
    positions: int | None
    config: Mapping[str, Any]
    withheld: tuple[Withheld, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of attention that there are, whether they are shown or not."""
        return frozenset((*self.stacks, *(one.kind for one in self.withheld)))

    @property
    def translates(self) -> bool:
        """Whether there is a decoder that looks at what an encoder has made, and of which something can be shown."""
        return Kind.CROSS in self.kinds and self.stacks.keys() != {Kind.ENCODER}

    @property
    def only_decodes(self) -> bool:
        """Whether every token looks only at those before it."""
        return self.kinds == {Kind.DECODER}

    def check(self, select: Selection) -> None:
        """Refuse what is withheld, where it is asked for by name.

        Raises:
            UsageError: such a kind is asked for, or such a layer of a kind that is.
        """
        for one in self.withheld:
            named = one.kind in (select.kinds or ())
            asked = any(layer in one.layers for layer in select.layers or ()) and (named or select.kinds is None)
            if asked if one.kind in self.stacks else named:
                there = "; ".join(f"{kind.value} layers {ranges(stack.layers)}" for kind, stack in self.stacks.items())
                raise UsageError(f"Of {self.name}, {one}. What can be shown: {there}.")


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
        name, translates, only_decodes = self.card.name, self.card.translates, self.card.only_decodes
        if passage.target is not None and not translates:
            without = (
                "what its decoder looks at cannot be shown"
                if self.card.withheld
                else "it has no decoder beside an encoder"
            )
            raise UsageError(f"{name} takes no target: {without}.")
        if passage.generate and not only_decodes:
            instead = (
                "give it a target, or leave the target to it" if translates else "it is an encoder, and only reads"
            )
            raise UsageError(f"{name} does not continue a text: {instead}.")
        if passage.pair is not None and only_decodes:
            raise UsageError(f"{name} takes no second text: it is a decoder. Put both into one text.")
        if passage.chat and passage.pair is not None:
            raise UsageError("A chat is one text:", hint="leave {pair} out, or {chat}.")

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
        by: str | Grouping = By.TOKEN,
    ) -> list[Attention]:
        """Return the attention weights of a text, one record a kind; for what may be asked of the text, see `Passage`.

        `select` chooses kinds, layers, heads and rows; `by` groups tokens: "word", "sentence", "segment", "bins:256".

        Raises:
            UsageError: this is not one text, or the model takes no second one, no target, or has no such layer, head or
                kind.
            TextError: as in `read`.

        Example:
            >>> model = attnviz.load("builtin/translator")
            >>> encoder, decoder, cross = model.attend("The red car is fast", target="la voiture rouge est rapide")
            >>> cross
            Attention(builtin/translator, cross, 2 layers × 4 heads, 6 queries × 6 keys)
            >>> select = attnviz.Selection(layers=(3,), heads=(0, 5), rows=("her",))
            >>> attnviz.load("builtin").attend("Mary lost her keys", select=select)
            [Attention(builtin/encoder, encoder, 1 layers × 2 heads, 1 queries × 6 keys)]
        """
        for given in (text, *(one for one in (pair, target) if one is not None)):
            require(given, str, _ONE_TEXT)
        require(select, Selection, "choose as in attnviz.Selection(layers=(3,), heads=(0, 1)).")
        passage = Passage(
            text=text, pair=pair, target=target, generate=generate, chat=chat, added_tokens=added_tokens, bos=bos
        )
        return self.weights(self.read(passage), select, grouping(by))

    def weights(self, reading: Reading, select: Selection = ALL, by: Grouping = By.TOKEN) -> list[Attention]:
        """The attention weights of what was read, one record a kind, between tokens or groups of them.

        Raises:
            UsageError: the model has no such layer, head or kind.
            TextError: the text has none of the rows.
        """
        select.check(by)
        (found,) = self.weights_of([reading], select, by)
        return found

    def weights_of(
        self, readings: Sequence[Reading], select: Selection = ALL, by: Grouping = By.TOKEN
    ) -> list[list[Attention]]:
        """The same for several readings of one `size`, which are run together."""
        return self.reduce(readings, select, partial(keep, by=by))

    def reduce(self, readings: Sequence[Reading], select: Selection, make: Make[Result]) -> list[list[Result]]:
        """Run readings of one `size` together, and return for each what the reducers of its records come to.

        Raises:
            UsageError: the model has no such layer, head or kind.
            TextError: the text has none of the rows.
        """
        reducers = [self._reducers(reading, select, make) for reading in readings]
        parts = [(text, part) for text, reading in enumerate(readings) for part in reading.parts]
        at_once = max(self.tokens_at_once // max(len(parts[0][1].reading.ids), 1), 1)
        for first in range(0, len(parts), at_once):
            self._feed(parts[first : first + at_once], select, reducers)
        return [[reducer.result() for reducer in dict.fromkeys(own.values())] for own in reducers]

    def _reducers(self, reading: Reading, select: Selection, make: Make[Result]) -> dict[Where, Reducer[Result]]:
        """Make a reducer for each record, and return it for each of the layers that the record is to hold."""
        reducers: dict[Where, Reducer[Result]] = {}
        for axes in self.axes(reading, select):
            reducer = make(axes)
            if select.rows is not None:
                reducer = OfRows(reducer, select.rows_of(reading.axes(axes.kind)[0]))
            reducers |= {(axes.kind, layer): reducer for layer in axes.layers}
        return reducers

    def _feed(
        self, parts: Sequence[tuple[int, Window]], select: Selection, reducers: Sequence[Mapping[Where, Reducer[Any]]]
    ) -> None:
        """Run parts of readings, whose numbers are given, and let the reducers consume the blocks."""

        def update(block: Block) -> None:
            text, part = parts[block.text]
            reducer = reducers[text].get((block.kind, block.layer))
            if reducer is not None:  # a text has none where it lacks the rows
                reducer.update(part.placed(block, text))

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
        """The axes of each record that is wanted; where rows are named, of those kinds that have such rows.

        There is a record for each kind, or where the layers of a kind have different heads, for those with the same.

        Raises:
            UsageError: the model has no such layer, head or kind.
            TextError: the text has none of the rows.
        """
        wanted = self.wanted_groups(select)
        select.check_rows([reading.axes(own.kind)[0] for own in wanted])
        return [axes for own in wanted if (axes := self._axes(reading, select, own)).query_tokens]

    def wanted(self, select: Selection) -> dict[Kind, Wanted]:
        """The layers and heads that are wanted of each kind, of a model whose layers all have the same heads.

        Raises:
            UsageError: the model has no such layer, head or kind.
        """
        return {own.kind: own for own in self.wanted_groups(select)}

    def wanted_groups(self, select: Selection) -> list[Wanted]:
        """The layers and heads that are wanted of each kind, those layers together that have the same heads.

        Raises:
            UsageError: the model has no such layer, head or kind.
        """
        self.card.check(select)
        return [
            Wanted(kind, layers, heads)
            for kind in self.kinds(select)
            for layers, heads in select.groups_of(self.card.stacks[kind].groups, self.card.name)
        ]

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
            notes=(
                *map(str, self.card.withheld),
                *map(str, reading.warnings),
                *reading.notes,
                *(reading.target.notes if reading.target else ()),
            ),
        )
