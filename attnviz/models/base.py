"""What a model is, to the rest of the house."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from attnviz.attention import Attention, Axes, Kind, Selection
from attnviz.errors import UsageError
from attnviz.folds import Block, Collect
from attnviz.text import Token

ALL = Selection()


@dataclass(frozen=True, slots=True)
class Stack:
    """How many layers attend, and with how many heads each."""

    layers: int
    heads: int


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


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as a model reads it: one id and one token a position."""

    ids: tuple[int, ...]
    tokens: tuple[Token, ...]


class Model(ABC):
    """Turns text into tokens, and tokens into blocks of attention weights."""

    card: Card

    @abstractmethod
    def read(self, text: str) -> Reading:
        """The tokens of a text.

        Raises:
            TextError: the text is empty, not valid Unicode, or longer than the model's positions.
        """

    @abstractmethod
    def run(self, reading: Reading, select: Selection, each: Callable[[Block], None]) -> None:
        """Computes the wanted weights and no more, handing over each block of query rows as soon as it is there."""

    def attend(
        self, text: str, pair: str | None = None, target: str | None = None, select: Selection = ALL
    ) -> list[Attention]:
        """The attention weights of a text, one record a kind.

        Raises:
            UsageError: the model takes no second text, no target, or has no such layer, head or kind.
            TextError: as in `read`.
        """
        if pair is not None or target is not None:
            unwanted = "no second text" if pair is not None else "no target: it has no decoder"
            raise UsageError(f"{self.card.name} takes {unwanted}.")
        reading = self.read(text)
        folds = {axes.kind: Collect(axes) for axes in self.axes(reading, select)}
        self.run(reading, select, lambda block: folds[block.kind].update(block))
        return [fold.result() for fold in folds.values()]

    def axes(self, reading: Reading, select: Selection) -> list[Axes]:
        """The axes of each kind of weights that is wanted.

        Raises:
            UsageError: the model has no such layer, head or kind.
        """
        kinds = select.kinds or tuple(self.card.stacks)
        for kind in kinds:
            if kind not in self.card.stacks:
                there = ", ".join(kind.value for kind in self.card.stacks)
                raise UsageError(f"{self.card.name} has no {kind.value} attention, only: {there}.")
        return [
            Axes(
                kind=kind,
                layers=select.layers_of(self.card.stacks[kind].layers, self.card.name),
                heads=select.heads_of(self.card.stacks[kind].heads, self.card.name),
                query_tokens=reading.tokens,
                key_tokens=reading.tokens,
                model=self.card.name,
            )
            for kind in kinds
        ]
