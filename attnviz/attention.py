"""The one record that everything speaks: attention weights, with the names of their axes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import RecordError, UsageError
from attnviz.text import By, Grouping, Occurrence, Token, not_found, occurrences, rows_named, unnamed

Weights = NDArray[np.float32]

AVERAGE = -1
"""The index of a layer or head that is the average of several."""

_ROW_SUM_TOLERANCE = {"float64": 1e-6, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}

PRECISIONS = tuple(_ROW_SUM_TOLERANCE)
"""The dtypes in which weights are computed."""


class Kind(Enum):
    """Which tokens look at which: encoder and decoder tokens at their own kind, or decoder tokens at the encoder's."""

    ENCODER = "encoder"
    DECODER = "decoder"
    CROSS = "cross"

    @property
    def crosses(self) -> bool:
        """Whether queries and keys are two different sequences, whose positions have nothing to do with each other."""
        return self is Kind.CROSS


class Engine(Enum):
    """What computes the weights: the reference transformer, the transformers library, or what nobody has said."""

    REFERENCE = "reference"
    TRANSFORMERS = "transformers"
    UNKNOWN = "unknown"


class Place(Enum):
    """Which token a key is to the query that looks at it."""

    PREVIOUS = "previous"
    NEXT = "next"
    SAME = "same"
    SPECIAL = "special"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which kinds, layers, heads and query rows are wanted, 0-based; None stands for all of them.

    Rows are named: by position (`3`), range (`3-9`), or the word that stands there.
    """

    kinds: tuple[Kind, ...] | None = None
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    rows: tuple[str, ...] | None = None

    def check(self, by: Grouping) -> None:
        """Refuses what cannot be had together.

        Raises:
            UsageError: single rows are wanted, and groups of tokens.
        """
        if self.rows is not None and by is not By.TOKEN:
            raise UsageError("Single rows are shown with all their keys: group tokens, or choose rows, but not both.")

    def kinds_of(self, there: Sequence[Kind], model: str) -> tuple[Kind, ...]:
        """The wanted kinds of a model that has these.

        Raises:
            UsageError: it has not one of them.
        """
        for kind in self.kinds or ():
            if kind not in there:
                listed = ", ".join(kind.value for kind in there)
                raise UsageError(f"{model} has no {kind.value} attention, only: {listed}.")
        return self.kinds or tuple(there)

    def layers_of(self, there: Sequence[int], model: str) -> tuple[int, ...]:
        """The wanted layers of a model in which these attend.

        Raises:
            UsageError: one does not.
        """
        return _among(self.layers, there, "layer", model)

    def heads_of(self, there: Sequence[int], model: str) -> tuple[int, ...]:
        """The wanted heads of a model that has these in a layer.

        Raises:
            UsageError: it has not one of them.
        """
        return _among(self.heads, there, "head", model)

    def rows_of(self, queries: Sequence[Token]) -> tuple[int, ...]:
        """The indices of the wanted rows, in order; none if this text has none of them."""
        return tuple(range(len(queries))) if self.rows is None else rows_named(queries, self.rows)

    def check_rows(self, there: Sequence[Sequence[Token]]) -> None:
        """Whether each of the rows is wanted of one of these sequences of queries at least.

        Raises:
            TextError: one stands for no token in any of them.
        """
        if (missing := unnamed(there, self.rows or ())) is not None:
            raise not_found(list(dict.fromkeys(token for queries in there for token in queries)), missing)


def _among(wanted: tuple[int, ...] | None, there: Sequence[int], axis: str, model: str) -> tuple[int, ...]:
    if wanted is None:
        return tuple(there)
    for index in wanted:
        if index not in there:
            only = f"only {axis} {there[0]}" if there[0] != AVERAGE else f"only the average of its {axis}s"
            has = f"{axis}s {_listed(there)}" if len(there) > 1 else only
            raise UsageError(f"There is no {axis} {index}: {model} has {has}.")
    return tuple(dict.fromkeys(wanted))


def _listed(indices: Sequence[int]) -> str:
    """What there is: `0 to 11`, or `4,12` where some are left out."""
    first, last = indices[0], indices[-1]
    return f"{first} to {last}" if len(indices) == last - first + 1 else ranges(indices)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axes:
    """What the axes of attention weights stand for, before or beside the weights themselves.

    `layers` and `heads` are original indices (`AVERAGE` for an average). `sink` says that rows may sum to less than 1,
    because the rest of their weight lies on nothing that is shown. `by` is what the tokens are, if not tokens but
    groups of them. `engine` is what computed the weights, `precision` the dtype in which it did; `notes` says what was
    done to them since.
    """

    kind: Kind
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    query_tokens: tuple[Token, ...]
    key_tokens: tuple[Token, ...]
    model: str
    by: Grouping = By.TOKEN
    engine: Engine = Engine.REFERENCE
    sink: bool = False
    precision: str = "float32"
    notes: tuple[str, ...] = ()

    def distances(self) -> NDArray[np.int64] | None:
        """How many tokens, or groups, each key stands after each query, [queries, keys]; None between two sequences."""
        if self.kind.crosses:
            return None
        tokens = (*self.query_tokens, *self.key_tokens)
        # positions of groups leave some out, and special tokens round windows stand between neighbours
        counted = sorted({token.position for token in tokens if not (token.added and token.window is not None)})
        ranks = np.searchsorted(counted, [token.position for token in tokens])
        count = len(self.query_tokens)
        distances: NDArray[np.int64] = ranks[None, count:] - ranks[:count, None]
        return distances

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape [layers, heads, queries, keys] of weights that fit these axes."""
        return len(self.layers), len(self.heads), len(self.query_tokens), len(self.key_tokens)

    def filled(self, weights: Weights) -> "Attention":
        """The record of these weights on these axes."""
        return Attention(weights=weights, **self._fields())

    def of_tokens(self, queries: tuple[Token, ...], keys: tuple[Token, ...]) -> "Axes":
        """The same axes, without weights, for other tokens."""
        return Axes(**self._fields() | {"query_tokens": queries, "key_tokens": keys})

    def _fields(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(Axes)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attention(Axes):
    """Attention weights of one text and one kind: `weights[layer, head, query, key]`, read-only, rows summing to 1.

    Raises:
        RecordError: shapes that do not fit, weights that are not finite or are negative, rows that do not sum to 1.
    """

    weights: Weights  # [layers, heads, queries, keys]

    def __post_init__(self) -> None:
        if self.weights.shape != self.shape:
            raise RecordError(f"The weights have the shape {self.weights.shape}, but the axes name {self.shape}.")
        self._check_rows()
        if self.weights.dtype != np.float32 or self.weights.flags.writeable:  # else whoever holds it can change it
            weights = np.array(self.weights, np.float32)
            weights.flags.writeable = False
            object.__setattr__(self, "weights", weights)

    def _check_rows(self) -> None:
        sums = self.weights.sum(-1, dtype=np.float64)  # [layers, heads, queries]
        if (tolerance := _ROW_SUM_TOLERANCE.get(self.precision)) is None:
            raise RecordError(f"No weights are computed in {self.precision!r}, only in {', '.join(PRECISIONS)}.")
        wrong = ~np.isfinite(sums) | (sums > 1 + tolerance) | (sums < (0 if self.sink else 1 - tolerance))
        wrong |= self.weights.min(-1, initial=0) < 0
        if wrong.any():
            layer, head, query = (int(index) for index in np.argwhere(wrong)[0])
            raise RecordError(
                f"The {self.kind.value} weights of {self.model} are no attention weights: layer {self.layers[layer]} "
                f"head {self.heads[head]}, row {query} ({self.query_tokens[query].text}) sums to "
                f"{sums[layer, head, query]:.6g}, smallest {self.weights[layer, head, query].min(initial=0):.6g}."
            )

    def head(self, layer: int, head: int) -> Weights:
        """The weights [queries, keys] of one head, by its original indices.

        Raises:
            UsageError: the record does not hold it.
        """
        weights: Weights = self.select([layer], [head]).weights[0, 0]
        return weights

    def select(self, layers: Sequence[int], heads: Sequence[int]) -> "Attention":
        """Only these layers and heads, by their original indices, in this order.

        Raises:
            UsageError: the record does not hold one of them.
        """
        rows, columns = _places(layers, self.layers, "layer"), _places(heads, self.heads, "head")
        return replace(self, weights=self.weights[np.ix_(rows, columns)], layers=tuple(layers), heads=tuple(heads))

    def words(self, wanted: str) -> list["Word"]:
        """Every place where a word, or the token at a position, stands among the queries or the keys."""
        queries = occurrences(self.query_tokens, wanted)
        if not self.kind.crosses:
            return [Word(found.text, found.indices, self._as_keys(found)) for found in queries]
        keys = occurrences(self.key_tokens, wanted)
        return [Word(found.text, found.indices, ()) for found in queries] + [
            Word(found.text, (), found.indices) for found in keys
        ]

    def _as_keys(self, occurrence: Occurrence) -> tuple[int, ...]:
        """Where the pieces of a word among the queries stand among the keys; nowhere if some do not."""
        pieces = {self.query_tokens[index] for index in occurrence.indices}
        indices = tuple(index for index, token in enumerate(self.key_tokens) if token in pieces)
        return indices if len(indices) == len(pieces) else ()

    def pieces(self, word: "Word") -> tuple[Token, ...]:
        """The tokens of a word."""
        tokens, indices = (self.query_tokens, word.queries) if word.queries else (self.key_tokens, word.keys)
        return tuple(tokens[index] for index in indices)

    def looks_at(self, word: "Word") -> Weights:
        """What a word among the queries looks at: the mean of its pieces' rows, [layers, heads, keys]."""
        mean: Weights = self.weights[:, :, list(word.queries)].mean(2)
        return mean

    def looked_at_by(self, word: "Word") -> Weights:
        """Who looks at a word among the keys: the sum of its pieces' columns, [layers, heads, queries]."""
        total: Weights = self.weights[..., list(word.keys)].sum(-1)
        return total

    def rows(self, queries: Sequence[int]) -> "Attention":
        """Only these rows, by their place among the queries held."""
        tokens = tuple(self.query_tokens[i] for i in queries)
        return replace(self, weights=self.weights[:, :, list(queries)], query_tokens=tokens)

    def mean(self) -> "Attention":
        """The average over all layers and heads held, which it may be already."""
        if self.layers == self.heads == (AVERAGE,):
            return self
        averaged = f"mean over layers {ranges(self.layers)}, heads {ranges(self.heads)}"
        return replace(
            self,
            weights=self.weights.mean((0, 1), keepdims=True, dtype=np.float32),
            layers=(AVERAGE,),
            heads=(AVERAGE,),
            notes=(*self.notes, averaged),
        )

    def without_special(self) -> "Attention":
        """Special tokens dropped from both axes and each row divided by what is left of it, so that it sums to 1.

        Raises:
            UsageError: nothing else is there.
        """
        queries = [i for i, token in enumerate(self.query_tokens) if not token.special]
        keys = [i for i, token in enumerate(self.key_tokens) if not token.special]
        if (len(queries), len(keys)) == self.shape[2:]:
            return self
        if not queries or not keys:
            raise UsageError("Without the special tokens nothing is left of this text.")
        kept = self.weights[:, :, queries][..., keys]
        left = kept.sum(-1, keepdims=True)
        return replace(
            self,
            weights=np.divide(kept, left, out=np.zeros_like(kept), where=left > 0),
            query_tokens=tuple(self.query_tokens[i] for i in queries),
            key_tokens=tuple(self.key_tokens[i] for i in keys),
            sink=self.sink or not left.all(),
            notes=(*self.notes, "special tokens dropped, rows renormalised"),
        )


def _places(wanted: Sequence[int], held: Sequence[int], axis: str) -> list[int]:
    for index in wanted:
        if index not in held:
            raise UsageError(f"There is no {axis} {index} here, only {ranges(held)}.")
    return [held.index(index) for index in wanted]


@dataclass(frozen=True, slots=True)
class Word:
    """A place where a word stands: the indices of its pieces among the queries and the keys; one may be empty."""

    text: str
    queries: tuple[int, ...]
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """The weight from one token, or word, to another in one head, named by its original indices."""

    layer: int
    head: int
    query: Token
    key: Token
    weight: float


def ranges(indices: Iterable[int]) -> str:
    """Indices as people write them: `0-3,5`."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
