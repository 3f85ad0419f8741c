"""Numbers for each layer, head, query and key, with the names of their axes; attention weights are such."""

from collections.abc import Iterable, Sequence
from typing import Any, Self, TypeVar

import numpy as np
from msgspec import Struct
from msgspec.structs import force_setattr, replace
from numpy.typing import NDArray

from attnviz.display import Displayed
from attnviz.errors import RecordError, UnfitTextError, UsageError, checked, require
from attnviz.records.arrays import freeze, guess_kind, looks_ahead, read_weights
from attnviz.records.axes import Axes, Word
from attnviz.records.proofs import prove_numbers, prove_rows
from attnviz.records.selection import format_ranges
from attnviz.text import Token, make_tokens
from attnviz.vocabulary import AVERAGE, Engine, Kind

Weights = NDArray[np.float32]
Matrix = TypeVar("Matrix", bound="HeadMatrix")


class HeadMatrix(Axes, Displayed, frozen=True, kw_only=True, eq=False):
    """A number for each layer, head, query and key of one text and one kind of attention, read-only.

    It may be negative: a difference, a gradient. Its `measure` says which.

    Raises:
        RecordError: shapes that do not fit, or numbers that are not finite.
    """

    weights: Weights  # [layers, heads, queries, keys]

    def __post_init__(self) -> None:
        if self.weights.shape != self.shape:
            raise RecordError(f"The weights have the shape {self.weights.shape}, but the axes name {self.shape}.")
        self._check()
        force_setattr(self, "weights", freeze(self.weights, np.float32))

    def __repr__(self) -> str:
        """Return what the numbers are of, without the numbers."""
        layers, heads, queries, keys = self.shape
        size = f"{layers} layers × {heads} heads, {queries} queries × {keys} keys"
        return f"{type(self).__name__}({self.model}, {self.kind.value}, {size})"

    def _check(self) -> None:
        """Refuse numbers that this is no record of."""
        prove_numbers(self, self.weights)

    @classmethod
    def on(cls, axes: Axes, weights: Weights) -> Self:
        """Return the record of these weights [layers, heads, queries, keys] on these axes.

        Raises:
            RecordError: shapes that do not fit, or rows that are no distributions.

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> attnviz.Attention.on(attention, attention.weights[..., ::-1]).head(0, 0)
            array([[0.  , 1.  ],
                   [0.75, 0.25]], dtype=float32)
        """
        return cls(weights=weights, **axes._fields())

    @checked()
    def head(self, layer: int, head: int) -> Weights:
        """Return the weights [queries, keys] of one head, by its original indices.

        Raises:
            UsageError: the record does not hold it.

        Example:
            >>> (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
            >>> attention.head(3, 0).shape
            (6, 6)
        """
        weights: Weights = self.select([layer], [head]).weights[0, 0]
        return weights

    @checked()
    def select(self, layers: int | Sequence[int], heads: int | Sequence[int]) -> Self:
        """Return only these layers and heads, by their original indices, in this order.

        Raises:
            UsageError: the record does not hold one of them.

        Example:
            >>> (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
            >>> attention.select([3, 1], 0)
            Attention(builtin/encoder, encoder, 2 layers × 1 heads, 6 queries × 6 keys)
        """
        own, kept = (tuple(one) if isinstance(one, Iterable) else (one,) for one in (layers, heads))
        rows, columns = _find_places(own, self.layers, "layer"), _find_places(kept, self.heads, "head")
        return replace(self, weights=self.weights[np.ix_(rows, columns)], layers=own, heads=kept)

    def looks_at(self, word: Word) -> Weights:
        """Return what a word among the queries looks at: the mean of its pieces' rows, [layers, heads, keys].

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> attention.looks_at(attention.words("cat")[0])
            array([[[0.25, 0.75]]], dtype=float32)
        """
        mean: Weights = self.weights[:, :, list(word.queries)].mean(2)
        return mean

    def looked_at_by(self, word: Word) -> Weights:
        """Return who looks at a word among the keys: the sum of its pieces' columns, [layers, heads, queries].

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> attention.looked_at_by(attention.words("the")[0])
            array([[[1.  , 0.25]]], dtype=float32)
        """
        total: Weights = self.weights[..., list(word.keys)].sum(-1)
        return total

    def rows(self, queries: Sequence[int]) -> Self:
        """Return only these rows, by their place among the queries held.

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> attention.rows([1]).weights
            array([[[[0.25, 0.75]]]], dtype=float32)
        """
        tokens = tuple(self.query_tokens[i] for i in queries)
        return replace(self, weights=self.weights[:, :, list(queries)], query_tokens=tokens)

    def mean(self) -> Self:
        """Return the average over all layers and heads held, which it may be already.

        Example:
            >>> (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
            >>> attention.mean()
            Attention(builtin/encoder, encoder, 1 layers × 1 heads, 6 queries × 6 keys)
        """
        return average([self])


class Attention(HeadMatrix, frozen=True, kw_only=True, eq=False):
    """Attention weights of one text and one kind: `weights[layer, head, query, key]`, read-only, rows summing to 1.

    Raises:
        RecordError: shapes that do not fit, weights that are not finite or are negative, rows that do not sum to 1.
    """

    def _check(self) -> None:
        """Refuse rows that are no distributions."""
        prove_rows(self, self.weights)

    @classmethod
    @checked()
    def from_array(
        cls,
        weights: Any,
        tokens: Sequence[str],
        keys: Sequence[str] | None = None,
        *,
        kind: Kind | None = None,
        model: str = "unknown model",
        sink: bool = False,
    ) -> Self:
        """Return the record of weights that were computed elsewhere, of any array library.

        They are [queries, keys], [heads, queries, keys] or [layers, heads, queries, keys], or a tuple that has
        [1, heads, queries, keys] for each layer, as transformers returns it. `tokens` are the names of the queries, and
        of the keys too unless `keys` names these. Where no `kind` is told, it is cross if the names differ, decoder
        if no query looks at a later key, and else encoder.

        Raises:
            RecordError: shapes that do not fit, or rows that are no distributions.

        Example:
            >>> attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            Attention(unknown model, decoder, 1 layers × 1 heads, 2 queries × 2 keys)
        """
        require(kind or Kind.ENCODER, Kind, "give one as in attnviz.Kind.CROSS, or leave it out.")
        array = read_weights(weights)
        given = weights[0] if isinstance(weights, tuple) else weights
        precision = str(getattr(given, "dtype", "float32")).removeprefix("torch.")
        kind = kind or guess_kind(tuple(tokens), tuple(tokens if keys is None else keys), map(looks_ahead, array))
        layers, heads = (tuple(range(count)) for count in array.shape[:2])
        return cls(
            kind=kind,
            layers=layers,
            heads=heads,
            query_tokens=make_tokens(tokens, segment=int(kind.crosses)),
            key_tokens=make_tokens(tokens if keys is None else keys),
            model=model,
            engine=Engine.UNKNOWN,
            sink=sink,
            precision=precision if precision in ("float16", "bfloat16") else "float32",
            weights=array,
        )

    def without_special(self) -> "Attention":
        """Return the record without special tokens, each row divided by what is left of it, so that it sums to 1.

        Raises:
            UnfitTextError: nothing else is there.

        Example:
            >>> (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
            >>> [token.text for token in attention.without_special().key_tokens]
            ['Mary', 'lost', 'her', 'keys']
        """
        queries = [i for i, token in enumerate(self.query_tokens) if not token.special]
        keys = [i for i, token in enumerate(self.key_tokens) if not token.special]
        if (len(queries), len(keys)) == self.shape[2:]:
            return self
        if not queries or not keys:
            raise UnfitTextError("Without the special tokens nothing is left of this text.")
        kept = np.empty((*self.shape[:2], len(queries), len(keys)), np.float32)
        empty = False
        for layer, head in np.ndindex(*self.shape[:2]):  # one by one, since all of them together are large
            own = self.weights[layer, head][queries][..., keys]
            left = own.sum(-1, keepdims=True)
            kept[layer, head] = np.divide(own, left, out=np.zeros_like(own), where=left > 0)
            empty |= not left.all()
        kept.flags.writeable = False  # the record has it from now on
        return replace(
            self,
            weights=kept,
            query_tokens=tuple(self.query_tokens[i] for i in queries),
            key_tokens=tuple(self.key_tokens[i] for i in keys),
            sink=self.sink or empty,
            notes=(*self.notes, "special tokens dropped, rows renormalised"),
        )


def make_record(axes: Axes, weights: Weights) -> HeadMatrix:
    """Return the record of these numbers on their axes: an `Attention` if its rows are distributions.

    Raises:
        RecordError: shapes that do not fit, or rows that are not what they have to be.
    """
    return (Attention if axes.meaning.distributions else HeadMatrix).on(axes, weights)


def require_record(given: object) -> Attention:
    """Return a record as it is.

    Raises:
        UsageError: it is something else, such as the list that `attend` returns.
    """
    require(given, Attention, "attend returns a list, of which model.attend(text)[0] is one record.")
    assert isinstance(given, Attention)
    return given


def average(records: Sequence[Matrix]) -> Matrix:
    """Return the average over all layers and heads of some records of one kind, each of layers of its own."""
    first, *others = records
    if not others and first.layers == first.heads == (AVERAGE,):
        return first
    means = [one.weights.mean((0, 1), keepdims=True) for one in records]  # [1, 1, queries, keys] each
    counts = [len(one.layers) * len(one.heads) for one in records]
    return replace(
        first,
        weights=np.average(means, axis=0, weights=counts).astype(np.float32) if others else means[0],
        layers=(AVERAGE,),
        heads=(AVERAGE,),
        notes=(*first.notes, f"mean over {'; '.join(map(_name_all, records))}"),
    )


def _name_all(record: Axes) -> str:
    """Name the layers and heads of a record: `layer 3, heads 0-5`."""
    axes = {"layer": record.layers, "head": record.heads}
    return ", ".join(f"{axis}{'s' * (len(held) > 1)} {format_ranges(held)}" for axis, held in axes.items())


def _find_places(wanted: Sequence[int], held: Sequence[int], axis: str) -> list[int]:
    for index in wanted:
        if index not in held:
            raise UsageError(f"There is no {axis} {index} here, only {format_ranges(held)}.")
    return [held.index(index) for index in wanted]


class Link(Struct, frozen=True):
    """The weight from one token, or word, to another in one head, named by its original indices."""

    layer: int
    head: int
    query: Token
    key: Token
    weight: float
