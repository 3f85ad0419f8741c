"""The parts of a model: a card, a reader and a runner."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from attnviz.errors import UsageError
from attnviz.measures.circuits import Reals, ValueCircuit
from attnviz.models.passages import Passage, Reading
from attnviz.models.token_names import Vocabulary
from attnviz.records import Axes, Each, LayerGroup, Selection, format_ranges
from attnviz.reference.trace import Trace
from attnviz.vocabulary import Engine, Kind


class Stack(Struct, frozen=True):
    """The layers that attend in one way, by their own numbers in the model, and how many heads each has.

    `heads` is the largest number of heads in a layer; `fewer` has the number of each layer that has fewer. The heads of
    a layer are counted from 0, unless `numbered` groups of layers name their own.
    """

    layers: tuple[int, ...]
    heads: int
    fewer: Mapping[int, int] = field(default_factory=dict)
    numbered: tuple[LayerGroup, ...] = ()

    @classmethod
    def of(cls, heads: Mapping[int, int]) -> "Stack":
        """Return the stack of layers with these numbers of heads."""
        most = max(heads.values())
        return cls(tuple(heads), most, {layer: count for layer, count in heads.items() if count < most})

    @property
    def counts(self) -> tuple[int, ...]:
        """Return how many heads each of the layers has."""
        return tuple(self.fewer.get(layer, self.heads) for layer in self.layers)

    @property
    def groups(self) -> list[LayerGroup]:
        """Return groups of layers that have the same heads, with these heads, in the order of their first layers."""
        if self.numbered:
            return list(self.numbered)
        found: dict[int, list[int]] = {}
        for layer, heads in zip(self.layers, self.counts, strict=True):
            found.setdefault(heads, []).append(layer)
        return [(tuple(layers), tuple(range(heads))) for heads, layers in found.items()]


class Withheld(Struct, frozen=True):
    """Layers of one kind that attend, but not in a way that could be shown, and why not."""

    kind: Kind
    layers: tuple[int, ...]
    reason: str

    def __str__(self) -> str:
        some = f"layer {self.layers[0]} is" if len(self.layers) == 1 else f"layers {format_ranges(self.layers)} are"
        return f"{self.kind.value} {some} not shown: what the model returns there {self.reason}"


class Part(Struct, frozen=True):
    """A part of one kind of attention: some layers that have the same heads, and some of these heads.

    `rows` are stretches of query rows, in order.
    """

    kind: Kind
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    rows: tuple[range, ...] = ()

    def share(self, heads: int, queries: int) -> float:
        """Return how much of a layer with so many heads and queries the part is."""
        return len(self.heads) * sum(map(len, self.rows)) / (heads * queries)


class Card(Struct, frozen=True, kw_only=True):
    """A description of a model that needs no run of it.

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
        """Return the kinds of attention that the model has, shown or withheld."""
        return frozenset((*self.stacks, *(one.kind for one in self.withheld)))

    @property
    def translates(self) -> bool:
        """Return whether the model has a decoder that looks at an encoder's output, and can show some of it."""
        return Kind.CROSS in self.kinds and self.stacks.keys() != {Kind.ENCODER}

    @property
    def only_decodes(self) -> bool:
        """Return whether every token looks only at itself and at those before it."""
        return self.kinds == {Kind.DECODER}

    def check(self, select: Selection) -> None:
        """Raise UsageError if a kind, or a layer, that is withheld is asked for by name."""
        for one in self.withheld:
            named = one.kind in (select.kinds or ())
            asked = any(layer in one.layers for layer in select.layers or ()) and (named or select.kinds is None)
            if asked if one.kind in self.stacks else named:
                there = "; ".join(
                    f"{kind.value} layers {format_ranges(stack.layers)}" for kind, stack in self.stacks.items()
                )
                raise UsageError(f"{self.name} cannot show that: {one}. Choose from {there}.")

    def select_parts(self, select: Selection) -> list[Part]:
        """Return what is wanted of each kind, those layers together that have the same heads.

        Raises:
            UsageError: the model has no such layer, head or kind.
        """
        self.check(select)
        return [
            Part(kind, layers, heads)
            for kind in select.kinds_of(tuple(self.stacks), self.name)
            for layers, heads in select.groups_of(self.stacks[kind].groups, self.name)
        ]

    def accept(self, passage: Passage) -> None:
        """Refuse what a model with such stacks of layers cannot read or write.

        Raises:
            UsageError: the model takes no second text, or no target, or does not continue a text.
        """
        if passage.target is not None and not self.translates:
            without = (
                "what its decoder looks at cannot be shown" if self.withheld else "it is not an encoder-decoder model"
            )
            raise UsageError(f"{self.name} takes no target: {without}.")
        if passage.generate and not self.only_decodes:
            instead = (
                "give it a target, or let it write one" if self.translates else "it is an encoder, which only reads"
            )
            raise UsageError(f"{self.name} does not continue a text: {instead}.")
        if passage.pair is not None and self.only_decodes:
            raise UsageError(f"{self.name} takes no second text: it is a decoder. Put both into one text.")
        if passage.chat and passage.pair is not None:
            raise UsageError("A chat is one text:", hint="leave {pair} out, or {chat}.")


class Reader(Protocol):
    """A reader that turns passages into tokens, for one model."""

    def read(self, passage: Passage) -> Reading:
        """Return the tokens of a passage, those included that the model is to write itself.

        Raises:
            TextError: a text is empty, not valid Unicode, or longer than the model's positions.
            UsageError: the model takes no second text, or no target, or writes nothing.
        """

    def vocabulary(self) -> Vocabulary:
        """Return the tokens that the model knows.

        Raises:
            UsageError: it is weights that were saved, and reads nothing.
        """


class Runner(ABC):
    """A runner that computes the weights of a model, or holds them.

    `precision` is the dtype in which the `engine` computes them, and `sink` says that rows may sum to less than 1
    because part of their weight goes to an attention sink outside the keys. No more than `tokens_at_once` are run
    together, unless one reading has more: with NumPy, more than a few short texts gain nothing by it.
    """

    card: Card
    engine = Engine.REFERENCE
    precision = "float32"
    sink = False
    tokens_at_once = 2**10

    @abstractmethod
    def run(self, readings: Sequence[Reading], parts: Sequence[Part], each: Each) -> None:
        """Compute the wanted weights and no more, and hand over each block as soon as it is there.

        The readings are all of one `size`, and run together: the weights of a block are [texts, heads, rows, keys]. Of
        each kind, layers come in ascending order; the rows of a layer in any order, each once, and others than those
        wanted may be among them. What scores are made of goes with them where the model hands it over; what else a
        reducer needs beside weights (values) would be asked for in a `Part`.
        """

    def axes(self, reading: Reading, part: Part) -> Axes:
        """Return what the axes of these layers and heads stand for, with all rows of a reading."""
        queries, keys = reading.axes(part.kind)
        return Axes(
            kind=part.kind,
            layers=part.layers,
            heads=part.heads,
            query_tokens=queries,
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

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """Return what one layer computes for one query, the index of which is that among the queries of this kind.

        Raises:
            UsageError: there is nothing but weights.
        """
        raise UsageError(
            f"{self.card.name} only shows its weights, and not what they are computed from: use attnviz show."
        )

    def circuit(self, kind: Kind, layer: int) -> ValueCircuit:
        """Return what each head of a layer moves from key to query, from the weights of the model alone.

        Raises:
            UsageError: that cannot be had.
        """
        raise UsageError(
            f"What the heads of {self.card.name} move cannot be read from its weights: that takes linear maps of "
            "values that are known to attnviz."
        )

    def join_words(self) -> Reals:
        """Return the map from what is written as words to what is read of words, W_U W_E: [width, width].

        Raises:
            UsageError: that cannot be had.
        """
        raise UsageError(f"{self.card.name} has no map to words that is known to attnviz.")

    def score_words(self, reading: Reading) -> NDArray[np.float32]:
        """Return the logits of what comes after each token of a reading: [tokens, words].

        Raises:
            UsageError: they cannot be had.
        """
        raise UsageError(
            f"{self.card.name} gives no logits: what makes words of its vectors is not in its files, or not known to "
            "attnviz."
        )

    def without(self, *, positions: bool = False, mask: bool = False) -> "Runner":
        """Return the same without positions, or without the mask that hides what comes after a token.

        Raises:
            UsageError: that part cannot be left out.
        """
        part = "positions" if positions else "mask"
        raise UsageError(f"{self.card.name} cannot run without its {part}: that needs a transformer on our own engine.")

    def untrain(self, seed: int) -> "Runner":
        """Return the same with arrays drawn at random, as before training.

        Raises:
            UsageError: its arrays cannot be replaced.
        """
        raise UsageError(f"{self.card.name} cannot run untrained: that needs a model on our own engine.")
