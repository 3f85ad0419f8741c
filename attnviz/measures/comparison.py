"""Comparison of two records: the divergence of each head's rows, and the difference of the weights."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Self

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import TextError
from attnviz.measures.assignment import assign
from attnviz.records import Attention, Axes, Column, HeadMatrix, HeadTable, Judgement, require_record
from attnviz.text import Token
from attnviz.vocabulary import DIFFERENCE

Reals = NDArray[np.float64]

_SMOOTHING = 1e-3
"""The share of a row that Clark et al. spread evenly over its keys before they take the divergence."""

_LISTED = 8
"""How many tokens that are left out are named."""

_NOTHING = 1e-6  # of a row, in float32

_DIVERGENCE = (
    "Jensen-Shannon divergence of two rows in nats, mean over rows (the source takes their sum), after each weight a "
    "is replaced by 0.999 a + 0.001 / keys (Clark et al. 2019, What Does BERT Look At?, section 6)"
)

_MATCHED = "its partner in the second, paired so that the heads differ least in total"


@dataclass(frozen=True, slots=True)
class Alignment:
    """Tokens of two sequences that are the same, by their places in either, in order."""

    first: tuple[int, ...]
    second: tuple[int, ...]

    @classmethod
    def of(cls, first: Sequence[Token], second: Sequence[Token]) -> Self:
        """Return the alignment that difflib finds: the longest stretch of equal tokens, and so on before and after it.

        Example:
            >>> from attnviz.text import make_tokens
            >>> Alignment.of(make_tokens(["too", "wide"]), make_tokens(["much", "too", "tall"]))
            Alignment(first=(0,), second=(1,))
        """
        names, others = ([(token.special, token.text) for token in tokens] for tokens in (first, second))
        blocks = SequenceMatcher(None, names, others, autojunk=False).get_matching_blocks()
        pairs = [(a + i, b + i) for a, b, size in blocks for i in range(size)]
        return cls(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What differs between two records: a table of the `divergence` of each head, and the `difference` of the weights.

    The difference [layers, heads, queries, keys] is that of the second record less that of the first, between the
    tokens that both have, each row rescaled to them.
    """

    table: HeadTable
    difference: HeadMatrix


def compare(first: Attention, second: Attention) -> Comparison:
    """Return what differs between the heads of two records, on the tokens that both have.

    Heads are compared with those of the same layer and number. Where the records have other layers or heads, each head
    of the first is compared with the one that an assignment of least total divergence gives it, which is its label.

    Raises:
        TextError: they have not two tokens in common.

    Example:
        >>> model = attnviz.load("builtin")
        >>> (first,), (second,) = (model.attend(f"It was too {word}") for word in ("tired", "wide"))
        >>> found = attnviz.compare(first, second)
        >>> found.difference
        HeadMatrix(builtin/encoder, encoder, 4 layers × 6 heads, 5 queries × 5 keys)
        >>> found.table["divergence"].shape  # [layers, heads]
        (4, 6)
    """
    first, second = require_record(first), require_record(second)
    queries = Alignment.of(first.query_tokens, second.query_tokens)
    keys = Alignment.of(first.key_tokens, second.key_tokens)
    if all(first.key_tokens[key].special for key in keys.first) or not queries.first or len(keys.first) < 2:
        raise TextError("The two have too few words in common to be compared: take texts that share some.")
    p = _rescale(first, queries.first, keys.first)  # [heads, queries, keys]
    q = _rescale(second, queries.second, keys.second)
    same = {*first.layers} == {*second.layers} and {*first.heads} == {*second.heads}
    ours, theirs = _match_by_number(first, second) if same else _match_by_divergence(p, q)
    divergences, differences = np.full(len(p), np.nan), np.zeros_like(p)
    for head, other in zip(ours, theirs, strict=True):
        divergences[head] = _average(diverge(p[head], q[other]))
        differences[head] = np.nan_to_num(q[other] - p[head])
    axes = _find_axes(first, second, queries, keys, () if same else ("heads paired so that they differ least",))
    table = HeadTable(
        model=axes.model,
        kind=axes.kind,
        by=axes.by,
        layers=axes.layers,
        heads=axes.heads,
        texts=1,
        columns={"divergence": Column.of_one_text(divergences.reshape(axes.shape[:2]), _DIVERGENCE)},
        labels={} if same else _label_pairs(first, second, zip(ours, theirs, strict=True), divergences),
        ranked_by=("divergence",),
    )
    return Comparison(table, HeadMatrix.on(axes, differences.reshape(axes.shape).astype(np.float32)))


def _label_pairs(
    first: Attention, second: Attention, pairs: Iterable[tuple[int, int]], divergences: Reals
) -> dict[tuple[int, int], Judgement]:
    """Return, for each head of the first that has a partner, the name of that in the second."""
    labels = {}
    for head, other in pairs:
        layer, number = _name(second, other)
        labels[_name(first, head)] = Judgement(f"{layer}.{number}", _MATCHED, float(divergences[head]))
    return labels


def diverge(p: Reals, q: Reals) -> Reals:
    """Return the Jensen-Shannon divergence in nats of distributions along the last axis, once they are smoothed.

    Example:
        >>> p, q = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])
        >>> diverge(p, q).round(2)  # at most ln 2, were it not for the smoothing
        array([0.69, 0.  ])
    """
    p, q = (each * (1 - _SMOOTHING) + _SMOOTHING / each.shape[-1] for each in (p, q))
    return np.asarray(_entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2)


def _entropy(p: Reals) -> Reals:
    return np.asarray(-(p * np.log(p)).sum(-1))


def _average(values: Reals) -> float:
    """Return the mean of what is defined; NaN if nothing is."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else np.nan


def _rescale(record: Attention, queries: Sequence[int], keys: Sequence[int]) -> Reals:
    """Return rows of some keys, rescaled to sum to 1, NaN where nothing is left: [layers · heads, queries, keys]."""
    kept = record.weights[:, :, list(queries)][..., list(keys)].astype(float)
    kept = kept.reshape(-1, *kept.shape[2:])
    left = kept.sum(-1, keepdims=True)
    return np.asarray(np.divide(kept, left, out=np.full_like(kept, np.nan), where=left > _NOTHING))


def _match_by_number(first: Axes, second: Axes) -> tuple[list[int], list[int]]:
    """Return the places of the heads of the first, and of the same heads in the second."""
    heads = [_name(first, place) for place in range(len(first.layers) * len(first.heads))]
    theirs = [second.layers.index(layer) * len(second.heads) + second.heads.index(head) for layer, head in heads]
    return list(range(len(heads))), theirs


def _match_by_divergence(p: Reals, q: Reals) -> tuple[list[int], list[int]]:
    """Return the places of heads of the first and of the second that least differ, as pairs."""
    costs = np.array([[_average(diverge(ours, theirs)) for theirs in q] for ours in p])
    return assign(np.nan_to_num(costs, nan=np.log(2)))


def _name(axes: Axes, place: int) -> tuple[int, int]:
    """Return the layer and the number of the head at a place."""
    layer, head = divmod(place, len(axes.heads))
    return axes.layers[layer], axes.heads[head]


def _find_axes(first: Axes, second: Axes, queries: Alignment, keys: Alignment, more: tuple[str, ...]) -> Axes:
    """Return the axes of the difference: those of the first, with the tokens that both have."""
    axes = first.of_tokens(
        tuple(first.query_tokens[place] for place in queries.first),
        tuple(first.key_tokens[place] for place in keys.first),
    )
    names = list(dict.fromkeys((first.model, second.model)))
    sides = [_list_left_out(one.key_tokens, side) for one, side in ((first, keys.first), (second, keys.second))]
    left = [f"left out of the {which}: {said}" for which, said in zip(("first", "second"), sides, strict=True) if said]
    scaled = ["rows rescaled to the tokens that both have"] if left or first.sink or second.sink else []
    notes = ("the second minus the first", *left, *scaled, *more)
    return replace(axes, model=" → ".join(names), notes=(*axes.notes, *notes), measure=DIFFERENCE, sink=False)


def _list_left_out(tokens: Sequence[Token], kept: Sequence[int]) -> str:
    left = [token.text for place, token in enumerate(tokens) if place not in {*kept}]
    return " ".join(left[:_LISTED]) + (f" … ({len(left)} tokens)" if len(left) > _LISTED else "")
