"""Builders of what most tests are about: tokens, axes, weights, and records of attention.

Left alone, the axes of a record have sizes that are different primes, and its layers and heads are not in ascending
order: a test does not pass by accident where two axes, or an index and a place, are taken for each other.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.records import Attention, Axes
from attnviz.text import Token
from attnviz.vocabulary import Kind

LAYERS, HEADS, QUERIES, KEYS = (4, 1), (0, 7, 5), 5, 7
"""The axes of a record: the original indices of layers and heads, and the numbers of queries and keys."""

Names = int | Sequence[str] | Sequence[Token]
"""Tokens, their names, or how many there are."""


def tokens(
    names: Names,
    *,
    letter: str = "t",
    special: Collection[int] = (),
    words: Sequence[int] | None = None,
    first: int = 0,
) -> tuple[Token, ...]:
    """Return tokens with these names, which stand one blank apart in a text; tokens are returned as they are.

    Args:
        names: the names; a number stands for that many names, such as t0, t1, t2.
        letter: what such names begin with.
        special: the indices of tokens that stand nowhere in the text, beside those whose names are in brackets.
        words: the word that each token is a piece of; pieces of one word stand side by side. By default each is a word.
        first: the position of the first token.
    """
    if isinstance(names, int):
        names = [f"{letter}{index}" for index in range(names)]
    made: list[Token] = []
    end = 0  # of the text so far
    before = None  # the word that the text ends with
    for index, name in enumerate(names):
        if isinstance(name, Token):
            made.append(name)
        elif index in special or name.startswith("["):
            made.append(Token(name, first + index, special=True))
        else:
            word = words[index] if words else index
            start = end + (before is not None and word != before)
            end, before = start + len(name), word
            made.append(Token(name, first + index, (start, end), word=word))
    return tuple(made)


def distributions(*shape: int, seed: int = 5) -> NDArray[np.float32]:
    """Return random weights of this shape, of all magnitudes: along the last axis they sum to 1."""
    drawn = np.random.default_rng(seed).random(shape) ** 4
    weights: NDArray[np.float32] = (drawn / drawn.sum(-1, keepdims=True)).astype(np.float32)
    return weights


def looking_at(strongest: Sequence[int], keys: int | None = None, weight: float = 0.8) -> NDArray[np.float32]:
    """Return the weights of one head, [queries, keys]: each query gives `weight` to one key, the rest evenly to all."""
    count = keys or len(strongest)
    weights = np.full((len(strongest), count), (1 - weight) / count, np.float32)
    weights[range(len(strongest)), list(strongest)] += weight
    return weights


def axes(
    kind: Kind | None = None,
    *,
    layers: int | Sequence[int] = LAYERS,
    heads: int | Sequence[int] = HEADS,
    queries: Names = QUERIES,
    keys: Names = KEYS,
    names: Names | None = None,
    model: str = "some/model",
    **fields: Any,
) -> Axes:
    """Return the axes of a record; a number of layers or heads stands for as many, from 0 on.

    They are those of an encoder if queries and keys have the same `names`, else of cross-attention, by default.
    """
    return Axes(
        kind=kind or (Kind.CROSS if names is None else Kind.ENCODER),
        layers=tuple(range(layers) if isinstance(layers, int) else layers),
        heads=tuple(range(heads) if isinstance(heads, int) else heads),
        query_tokens=tokens(queries, letter="q") if names is None else tokens(names),
        key_tokens=tokens(keys, letter="k") if names is None else tokens(names),
        model=model,
        **fields,
    )


def record(kind: Kind | None = None, *, weights: Any = None, seed: int = 5, **fields: Any) -> Attention:
    """Return a record of attention: the axes that `axes` makes of `fields`, and weights, random ones by default.

    Fewer than four axes of weights are those of one head, or of the heads of one layer.
    """
    if weights is not None:
        weights = np.asarray(weights, np.float32)
        weights = weights.reshape((1,) * (4 - weights.ndim) + weights.shape)  # [layers, heads, queries, keys]
        sizes = dict(zip(("layers", "heads", "queries", "keys"), weights.shape, strict=True))
        if "names" in fields:
            del sizes["queries"], sizes["keys"]
        fields = sizes | fields
    made = axes(kind, **fields)
    return Attention.on(made, distributions(*made.shape, seed=seed) if weights is None else weights)
