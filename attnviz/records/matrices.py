"""Numbers for each layer, head, query and key, with the names of their axes; attention weights are such."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import RecordError, UsageError, require
from attnviz.records.selection import format_ranges
from attnviz.text import By, Grouping, Occurrence, Token, find_occurrences, make_tokens
from attnviz.vocabulary import AVERAGE, PRECISIONS, Engine, Kind

Weights = NDArray[np.float32]

_ROW_SUM_TOLERANCE = {"float64": 1e-6, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axes:
    """The axes of attention weights, before or beside the weights themselves: layers, heads, queries and keys.

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
        """Return how many tokens, or groups, each key stands after each query; None between two sequences.

        Example:
            >>> attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"]).distances()  # [queries, keys]
            array([[ 0,  1],
                   [-1,  0]])
        """
        if (ranks := self.ranks()) is None:
            return None
        queries, keys = ranks
        distances: NDArray[np.int64] = keys[None] - queries[:, None]
        return distances

    def ranks(self) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
        """Return the place of each query and of each key in their sequence, counted from 0; None if these are two.

        Example:
            >>> attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"]).ranks()
            (array([0, 1]), array([0, 1]))
        """
        if self.kind.crosses:
            return None
        tokens = (*self.query_tokens, *self.key_tokens)
        # positions of groups leave some out, and special tokens round windows stand between neighbours
        counted = sorted({token.position for token in tokens if not (token.added and token.window is not None)})
        ranks = np.searchsorted(counted, [token.position for token in tokens])
        count = len(self.query_tokens)
        return ranks[:count], ranks[count:]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return the shape [layers, heads, queries, keys] of weights that fit these axes."""
        return len(self.layers), len(self.heads), len(self.query_tokens), len(self.key_tokens)

    def filled(self, weights: Weights) -> "Attention":
        """Return the record of these weights [layers, heads, queries, keys] on these axes.

        Raises:
            RecordError: shapes that do not fit, or rows that are no distributions.

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> attention.filled(attention.weights[..., ::-1]).head(0, 0)
            array([[0.  , 1.  ],
                   [0.75, 0.25]], dtype=float32)
        """
        return Attention(weights=weights, **self._fields())

    def of_tokens(self, queries: tuple[Token, ...], keys: tuple[Token, ...]) -> "Axes":
        """Return the same axes, without weights, for other tokens.

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> attention.of_tokens(attention.query_tokens[1:], attention.key_tokens).shape
            (1, 1, 1, 2)
        """
        return Axes(**self._fields() | {"query_tokens": queries, "key_tokens": keys})

    def _fields(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(Axes)}

    def words(self, wanted: str) -> list["Word"]:
        """Return every place where a word, or the token at a position, stands among the queries or the keys.

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> attention.words("cat")
            [Word(text='cat', queries=(1,), keys=(1,))]
        """
        queries = find_occurrences(self.query_tokens, wanted)
        if not self.kind.crosses:
            return [Word(found.text, found.indices, self._as_keys(found)) for found in queries]
        keys = find_occurrences(self.key_tokens, wanted)
        return [Word(found.text, found.indices, ()) for found in queries] + [
            Word(found.text, (), found.indices) for found in keys
        ]

    def _as_keys(self, occurrence: Occurrence) -> tuple[int, ...]:
        """Return where the pieces of a word among the queries stand among the keys; nowhere if some do not."""
        pieces = {self.query_tokens[index] for index in occurrence.indices}
        indices = tuple(index for index, token in enumerate(self.key_tokens) if token in pieces)
        return indices if len(indices) == len(pieces) else ()

    def pieces(self, word: "Word") -> tuple[Token, ...]:
        """Return the tokens of a word.

        Example:
            >>> (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
            >>> [token.text for token in attention.pieces(attention.words("keys")[0])]
            ['keys']
        """
        tokens, indices = (self.query_tokens, word.queries) if word.queries else (self.key_tokens, word.keys)
        return tuple(tokens[index] for index in indices)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class HeadMatrix(Axes):
    """A number for each layer, head, query and key of one text and one kind of attention, read-only.

    It may be negative: a difference, a gradient.

    Raises:
        RecordError: shapes that do not fit, or numbers that are not finite.
    """

    weights: Weights  # [layers, heads, queries, keys]

    def __post_init__(self) -> None:
        if self.weights.shape != self.shape:
            raise RecordError(f"The weights have the shape {self.weights.shape}, but the axes name {self.shape}.")
        self._check()
        if self.weights.dtype != np.float32 or self.weights.flags.writeable:  # else whoever holds it can change it
            weights = np.array(self.weights, np.float32)
            weights.flags.writeable = False
            object.__setattr__(self, "weights", weights)

    def __repr__(self) -> str:
        """Return what the numbers are of, without the numbers."""
        layers, heads, queries, keys = self.shape
        size = f"{layers} layers × {heads} heads, {queries} queries × {keys} keys"
        return f"{type(self).__name__}({self.model}, {self.kind.value}, {size})"

    def _check(self) -> None:
        """Refuse numbers that this is no record of."""
        if not np.isfinite(self.weights).all():
            raise RecordError(f"The {self.kind.value} numbers of {self.model} are not all finite.")

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

    def looks_at(self, word: "Word") -> Weights:
        """Return what a word among the queries looks at: the mean of its pieces' rows, [layers, heads, keys].

        Example:
            >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
            >>> attention.looks_at(attention.words("cat")[0])
            array([[[0.25, 0.75]]], dtype=float32)
        """
        mean: Weights = self.weights[:, :, list(word.queries)].mean(2)
        return mean

    def looked_at_by(self, word: "Word") -> Weights:
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
        if self.layers == self.heads == (AVERAGE,):
            return self
        averaged = f"mean over layers {format_ranges(self.layers)}, heads {format_ranges(self.heads)}"
        return replace(
            self,
            weights=self.weights.mean((0, 1), keepdims=True, dtype=np.float32),
            layers=(AVERAGE,),
            heads=(AVERAGE,),
            notes=(*self.notes, averaged),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Attention(HeadMatrix):
    """Attention weights of one text and one kind: `weights[layer, head, query, key]`, read-only, rows summing to 1.

    Raises:
        RecordError: shapes that do not fit, weights that are not finite or are negative, rows that do not sum to 1.
    """

    def _check(self) -> None:
        """Refuse rows that are no distributions."""
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

    @classmethod
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
        array = _gather(weights)
        given = weights[0] if isinstance(weights, tuple) else weights
        precision = str(getattr(given, "dtype", "float32")).removeprefix("torch.")
        kind = kind or guess_kind(tuple(tokens), tuple(tokens if keys is None else keys), array)
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
            UsageError: nothing else is there.

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


def require_record(given: object) -> Attention:
    """Return a record as it is.

    Raises:
        UsageError: it is something else, such as the list that `attend` returns.
    """
    require(given, Attention, "attend returns a list, of which model.attend(text)[0] is one record.")
    assert isinstance(given, Attention)
    return given


def average(records: Sequence[Attention]) -> Attention:
    """Return the average over all layers and heads of some records of one kind, each of layers of its own."""
    if len(records) == 1:
        return records[0].mean()
    counts = [len(one.layers) * len(one.heads) for one in records]
    means = [one.mean().weights for one in records]  # [1, 1, queries, keys] each
    averaged = "; ".join(f"layers {format_ranges(one.layers)}, heads {format_ranges(one.heads)}" for one in records)
    return replace(
        records[0],
        weights=np.average(means, axis=0, weights=counts).astype(np.float32),
        layers=(AVERAGE,),
        heads=(AVERAGE,),
        notes=(*records[0].notes, f"mean over {averaged}"),
    )


def guess_kind(queries: Sequence[str], keys: Sequence[str], weights: NDArray[Any]) -> Kind:
    """Return the kind that weights [..., queries, keys] are, if nobody says so."""
    if queries != keys:
        return Kind.CROSS
    looks_ahead = np.triu(weights, 1).any()
    return Kind.ENCODER if looks_ahead or len(keys) == 1 else Kind.DECODER


def to_numpy(weights: Any) -> NDArray[Any]:
    """Return the numbers as a NumPy array; torch has dtypes, devices and gradients that NumPy has not."""
    return np.asarray(weights.detach().float().cpu() if is_of_torch(weights) else weights)


def is_of_torch(array: Any) -> bool:
    """Return whether an array is a tensor of torch, which is not imported for the question."""
    return hasattr(array, "detach")


def _gather(weights: Any) -> NDArray[Any]:
    """Return weights as [layers, heads, queries, keys].

    Raises:
        RecordError: they have other axes.
    """
    if isinstance(weights, tuple):
        layers = [to_numpy(layer) for layer in weights]
        if {layer.shape[:1] for layer in layers} != {(1,)} or len({layer.shape for layer in layers}) > 1:
            raise RecordError("A tuple has [1, heads, queries, keys] for each layer: take one text, and equal layers.")
        return np.concatenate(layers)
    try:
        array = to_numpy(weights).astype(np.float32)
    except (TypeError, ValueError) as error:
        raise RecordError("Weights are numbers in rows of one length: give an array of them.") from error
    return array.reshape(expand_shape(array.shape))


def expand_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape [layers, heads, queries, keys] of weights that may lack the first of these axes, or two.

    Raises:
        RecordError: they have other axes.
    """
    if not 2 <= len(shape) <= 4:
        how = ": take one text of a batch" if len(shape) > 4 else ""
        raise RecordError(f"Weights have 2 to 4 axes, [layers, heads, queries, keys], not the shape {shape}{how}.")
    return (1,) * (4 - len(shape)) + shape


def _find_places(wanted: Sequence[int], held: Sequence[int], axis: str) -> list[int]:
    for index in wanted:
        if index not in held:
            raise UsageError(f"There is no {axis} {index} here, only {format_ranges(held)}.")
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
