"""Comparison of two records: the divergence of each head's rows, and the difference of the weights."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import product

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.errors import RecordError, TextError
from attnviz.measures.head_pairs import HeadPairs, Reals
from attnviz.measures.links import list_links
from attnviz.measures.token_alignment import Alignment
from attnviz.measures.totals import Summand
from attnviz.records import Attention, Axes, Column, HeadMatrix, HeadTable, Link, Weights, require_record
from attnviz.text import By, Token, find_occurrences, visible
from attnviz.vocabulary import DIFFERENCE

_SMOOTHING = 1e-3
"""The share of a row that Clark et al. spread evenly over its keys before they take the divergence."""

_LISTED = 8
"""How many tokens that are left out are named."""

_NOTHING = 1e-6  # of a row, in float32

_SAME = 1e-5
"""By how much weights may differ that are computed in another order."""

_AT_ONCE = 2**17
"""How many weights of each record are worked on at a time: what is computed from them takes several times as many."""

Numbers = NDArray[np.floating]


class Comparison(Struct, frozen=True, eq=False, dict=True):
    """A comparison of two records, between the tokens that both have; each part is computed when it is wanted.

    The `table` has the `divergence` of each head, best first. The `difference` [layers, heads, queries, keys] is the
    weights of the second record less those of the first, each row rescaled to the tokens that both have.
    """

    first: Attention
    second: Attention
    queries: Alignment
    keys: Alignment

    def __repr__(self) -> str:
        return f"Comparison(first={self.first!r}, second={self.second!r})"

    @cached_property
    def pairs(self) -> HeadPairs:
        """Return the heads that are compared: those of the same layer and number, or all with all others."""
        same = all({*getattr(self.first, axis)} == {*getattr(self.second, axis)} for axis in ("layers", "heads"))
        return HeadPairs(
            model=" → ".join(dict.fromkeys((self.first.model, self.second.model))),
            kind=self.first.kind,
            by=self.first.by,
            layers=self.first.layers,
            heads=self.first.heads,
            others=None if same else (self.second.layers, self.second.heads),
        )

    @cached_property
    def divergences(self) -> Column:
        """Return the divergence of each pair of heads."""
        return self.pairs.column(self._diverge_all() if self.pairs.others else self._diverge_by_number())

    @property
    def summand(self) -> Summand:
        """Return what the divergences add to those of many texts."""
        return self.pairs.add_up(self.divergences)

    @cached_property
    def table(self) -> HeadTable:
        """Return the divergence of each head, largest first."""
        return replace(self.pairs.pair(self.divergences, 1), notes=self.notes)

    @cached_property
    def axes(self) -> Axes:
        """Return the axes of the difference: those of the first record, with the tokens that both have."""
        axes = self.first.of_tokens(
            tuple(self.first.query_tokens[place] for place in self.queries.first),
            tuple(self.first.key_tokens[place] for place in self.keys.first),
        )
        notes = (*axes.notes, "the second minus the first", *self.notes)
        return replace(axes, model=self.pairs.model, notes=notes, measure=DIFFERENCE, sink=False)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Return what was left out of either record, and what was done to compare the rest."""
        sides = {
            "first": _list_left_out(self.first.key_tokens, self.keys.first),
            "second": _list_left_out(self.second.key_tokens, self.keys.second),
        }
        left = [f"left out of the {which}: {tokens}" for which, tokens in sides.items() if tokens]
        if left or self.first.sink or self.second.sink:
            left.append(f"rows rescaled to the {_name_groups(self.first)} that both have")
        return *left, *self._note_pairs()

    def _note_pairs(self) -> Iterator[str]:
        if self.pairs.others:
            yield "heads paired so that they differ least"
            heads, others = (one.shape[0] * one.shape[1] for one in (self.first, self.second))
            if heads > others:
                yield f"0 in {heads - others} heads that have no partner"

    @cached_property
    def difference(self) -> HeadMatrix:
        """Return the difference of all weights; that of a head without a partner is 0."""
        found = np.empty(self.axes.shape, np.float32)
        for layer, head in np.ndindex(*found.shape[:2]):  # one by one, since all of them together are large
            found[layer, head] = self._subtract(self.axes.layers[layer], self.axes.heads[head])
        found.flags.writeable = False  # the record has it from now on
        return HeadMatrix.on(self.axes, found)

    def difference_of(self, layer: int, head: int) -> HeadMatrix:
        """Return the difference of one head, by its original indices."""
        axes = replace(self.axes, layers=(layer,), heads=(head,))
        return HeadMatrix.on(axes, self._subtract(layer, head)[None, None])

    @cached_property
    def is_undefined(self) -> bool:
        """Return whether no head has a row in both that has weight on the tokens that both have."""
        return not np.isfinite(self.divergences.means).any()

    @cached_property
    def is_empty(self) -> bool:
        """Return whether no weight differs by more than the rounding of float32, where rows can be compared."""
        heads = product(self.axes.layers, self.axes.heads)
        return not self.pairs.others and all(abs(self._subtract(*head)).max() <= _SAME for head in heads)

    @cached_property
    def compared(self) -> list[tuple[int, int]]:
        """Return the heads that are compared, those that differ most first: those that have a partner."""
        return [head for head in self.table.listed() if head in self.table.partners or not self.table.partners]

    def find_largest(self, top: int) -> list[Link]:
        """Return the links that differ most, each in the head where it does, no two of the same words."""
        heads = ((head, self._subtract(*head)) for head in self.compared)
        largest: dict[tuple[Token, Token], Link] = {}
        for link in list_links(self.axes, heads, top):
            largest.setdefault((link.query, link.key), link)
        return list(largest.values())[:top]

    def _subtract(self, layer: int, head: int) -> Weights:
        """Return the difference of one head: [queries, keys]."""
        partner = self.table.partners.get((layer, head)) if self.pairs.others else (layer, head)
        if partner is None:
            return np.zeros(self.axes.shape[2:], np.float32)
        ours, theirs = _find_head(self.first, layer, head), _find_head(self.second, *partner)
        rows = [np.nan_to_num(q - p).astype(np.float32) for p, q in self._rescale_rows(ours, theirs, 1)]
        return np.concatenate(rows)

    def _diverge_by_number(self) -> Reals:
        """Return the divergence of each head from that of the same number, [layers, heads], layer by layer."""
        order = [self.second.heads.index(head) for head in self.first.heads]
        found = np.empty(self.first.shape[:2])
        for place, layer in enumerate(self.first.layers):
            ours, theirs = self.first.weights[place], self.second.weights[self.second.layers.index(layer)]
            rows = [diverge(p, q[order]) for p, q in self._rescale_rows(ours, theirs, len(order))]
            found[place] = _average(np.concatenate(rows, -1))
        return found

    def _diverge_all(self) -> Reals:
        """Return the divergence of each head from each of the other record, [heads, others], some rows at a time."""
        ours, theirs = (one.weights.reshape(-1, *one.shape[2:]) for one in (self.first, self.second))
        sums, counts = np.zeros((len(ours), len(theirs))), np.zeros((len(ours), len(theirs)))
        for p, q in self._rescale_rows(ours, theirs, len(theirs)):
            defined, other = (np.isfinite(each[..., 0]).astype(float) for each in (p, q))  # [heads, queries]
            divergences = diverge_pairs(*(np.nan_to_num(each, nan=1 / each.shape[-1]) for each in (p, q)))
            sums += np.einsum("hor,hr,or->ho", divergences, defined, other)
            counts += defined @ other.T
        return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)

    def _rescale_rows(self, ours: Weights, theirs: Weights, heads: int) -> Iterator[tuple[Reals, Reals]]:
        """Yield the rows of both on the tokens that both have, [..., queries, keys], some rows of so many heads."""
        for part in self.queries.parts(max(_AT_ONCE // (heads * len(self.keys.first)), 1)):
            yield _rescale(ours, part.first, self.keys.first), _rescale(theirs, part.second, self.keys.second)


def compare(first: Attention, second: Attention) -> Comparison:
    """Return what differs between the heads of two records, on the tokens that both have.

    Heads are compared with those of the same layer and number. Where the records have other layers or heads, each head
    of the first is compared with the one that an assignment of least total divergence gives it, its partner.

    Raises:
        TextError: they have not two tokens in common.
        RecordError: they are between other groups of tokens.

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
    if first.by != second.by:
        grouped = [one.by.value for one in (first, second) if one.by is not By.TOKEN]
        raise RecordError(
            f"The first is between {_name_groups(first)}, the second between {_name_groups(second)}:",
            hint=f"group both alike, with {{by:{grouped[0]}}}."
            if len(grouped) == 1
            else "save them again, grouped alike.",
        )
    queries = Alignment.of(first.query_tokens, second.query_tokens)
    keys = Alignment.of(first.key_tokens, second.key_tokens)
    if all(first.key_tokens[key].special for key in keys.first) or not queries.first or len(keys.first) < 2:
        pieces = "compare words ({by:word})" if first.by is By.TOKEN else "group them in smaller units with {by}"
        raise TextError(
            "The two have too few words in common to be compared: take texts that share some.",
            hint=f"Where only the pieces of words differ, {pieces}.",
        )
    return Comparison(first, second, queries, keys)


def _name_groups(axes: Axes) -> str:
    return f"{axes.by.unit}s"


def check_word(found: Sequence[Comparison], word: str) -> None:
    """Raise TextError if only one of the records has a word, or the token at a position."""
    if any(_has(one.axes, word) for one in found):
        return
    sides: dict[str, Callable[[Comparison], Axes]] = {"first": lambda one: one.first, "second": lambda one: one.second}
    for which, side in sides.items():
        if any(_has(side(one), word) for one in found):
            common = dict.fromkeys(token.text for one in found for token in one.axes.key_tokens)
            raise TextError(
                f"{visible(word)!r} is only in the {which} of the two, or has no equal in the other. Choose a token "
                f"that both have: {_list_some([*common])}."
            )


def _has(axes: Axes, word: str) -> bool:
    return any(find_occurrences(tokens, word) for tokens in (axes.query_tokens, axes.key_tokens))


def diverge(p: Numbers, q: Numbers) -> Numbers:
    """Return the Jensen-Shannon divergence in nats of distributions along the last axis, once they are smoothed.

    Example:
        >>> p, q = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])
        >>> diverge(p, q).round(2)  # at most ln 2, were it not for the smoothing
        array([0.69, 0.  ])
    """
    p, q = _smooth(p), _smooth(q)
    return np.asarray(np.maximum(_entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2, 0))  # but for rounding


def diverge_pairs(p: Numbers, q: Numbers) -> Numbers:
    """Return the divergence of each head's rows from those of each other, in float32, with no array of all keys.

    `p` is [heads, queries, keys], `q` is [others, queries, keys]; the result [heads, others, queries].
    """
    p, q = (_smooth(each).astype(np.float32) for each in (p, q))
    own, other = _entropy(p), _entropy(q)  # [heads, queries]
    half, mean, logs = q / 2, np.empty_like(q), np.empty_like(q)
    found = np.empty((len(p), *other.shape), np.float32)
    for head, weights in enumerate(p):
        np.add(half, weights / 2, out=mean)
        np.log(mean, out=logs)
        np.multiply(mean, logs, out=logs)
        found[head] = -logs.sum(-1) - (own[head] + other) / 2
    return np.asarray(np.maximum(found, 0))


def _smooth(p: Numbers) -> Numbers:
    return np.asarray(p * (1 - _SMOOTHING) + _SMOOTHING / p.shape[-1])


def _entropy(p: Numbers) -> Numbers:
    return np.asarray(-(p * np.log(p)).sum(-1))


def _average(values: Numbers) -> Reals:
    """Return the mean of what is defined along the last axis; NaN if nothing is."""
    there = np.isfinite(values)
    sums, counts = np.where(there, values, 0).sum(-1), there.sum(-1)
    return np.asarray(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0))


def _rescale(weights: Weights, queries: Sequence[int], keys: Sequence[int]) -> Reals:
    """Return rows of some keys, rescaled to sum to 1, NaN where nothing is left: [..., queries, keys]."""
    kept = weights[..., list(queries), :][..., list(keys)].astype(float)
    left = kept.sum(-1, keepdims=True)
    return np.asarray(np.divide(kept, left, out=np.full_like(kept, np.nan), where=left > _NOTHING))


def _find_head(record: Attention, layer: int, head: int) -> Weights:
    weights: Weights = record.weights[record.layers.index(layer), record.heads.index(head)]
    return weights


def _list_left_out(tokens: Sequence[Token], kept: Sequence[int]) -> str:
    there = {*kept}
    return _list_some([token.text for place, token in enumerate(tokens) if place not in there])


def _list_some(texts: Sequence[str]) -> str:
    return " ".join(texts[:_LISTED]) + (f" … ({len(texts)} tokens)" if len(texts) > _LISTED else "")
