"""Query rows as statistics see them: each pass over weights is made once, in float32."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnviz.records import Axes, Indices, invert, to_array
from attnviz.vocabulary import Kind

Numbers = NDArray[np.floating]
Keys = Sequence[int] | NDArray[np.intp]

_SMOOTHING = 1e-4
"""The share of a row that Clark et al. spread evenly over its keys before they take the entropy."""

_STOPS = {".", ","}
"""The punctuation that Clark et al. look at."""

_IN_CACHE = 2**15
"""How many weights are worked on at a time where several passes are made over them."""

_NONE = -1  # instead of the index of a key


class TextPlaces:
    """The places of a text: where its queries and keys stand, and which keys are of which type, by their indices."""

    def __init__(self, axes: Axes) -> None:
        tokens = axes.key_tokens
        self.queries, self.keys = len(axes.query_tokens), len(tokens)
        self.first = np.flatnonzero([token.position == 0 for token in tokens])
        self.special = np.flatnonzero([token.special for token in tokens])
        self.separators = np.flatnonzero([token.special and token.position != 0 for token in tokens])
        self.stops = np.flatnonzero([token.text in _STOPS for token in tokens])
        self.end = self.keys - 1 if tokens and tokens[-1].special else _NONE  # the special token that ends the text
        self._ranks = axes.ranks()
        self._causal = axes.kind is Kind.DECODER
        self._near: dict[int, NDArray[np.intp]] = {}
        self._round_windows = [  # special tokens that stand round a window are no neighbours of any token
            np.array([token.added and token.window is not None for token in side], bool)
            for side in (axes.query_tokens, tokens)
        ]

    @property
    def ranks(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the place of each query and key in their sequence."""
        assert self._ranks is not None  # no statistic that takes order is asked for between two sequences
        return self._ranks

    @cached_property
    def visible(self) -> NDArray[np.intp]:
        """Return how many keys each query can see: [queries]."""
        if not self._causal:
            return np.full(self.queries, self.keys)
        queries, keys = self.ranks
        visible: NDArray[np.intp] = np.searchsorted(np.sort(keys[~self._round_windows[1]]), queries, "right")
        return visible

    def near(self, distance: int) -> NDArray[np.intp]:
        """Return the key that stands so far after each query, none being -1: [queries]."""
        if distance not in self._near:
            queries, keys = self.ranks
            aside_query, aside_key = self._round_windows
            last = max(queries.max(initial=0), keys.max(initial=0)) + abs(distance)
            at = np.full(last + 1, _NONE)
            at[keys[~aside_key]] = np.flatnonzero(~aside_key)
            found = np.where(queries + distance < 0, _NONE, at[np.maximum(queries + distance, 0)])
            self._near[distance] = np.where(aside_query, _NONE, found)
        return self._near[distance]

    def distances(self, rows: Indices, keys: Indices) -> NDArray[np.float64]:
        """Return how many tokens each of these keys stands after each of these queries: [rows, keys].

        It is NaN, which is neither before nor after, for special tokens that stand round a window.
        """
        queries, others = (
            np.where(aside, np.nan, ranks)[np.asarray(some)]
            for aside, ranks, some in zip(self._round_windows, self.ranks, (rows, keys), strict=True)
        )
        distances: NDArray[np.float64] = others - queries[:, None]
        return distances


class Rows:
    """Some query rows of some heads, of one layer or several, as a statistic sees them.

    Its numbers are arrays of NumPy, [heads, rows], computed when they are first asked for. Keys that are not `here`
    have no weight; `places` says which keys are of which type.
    """

    def __init__(self, weights: NDArray[np.float32], places: TextPlaces, rows: Indices, here: Indices) -> None:
        self.weights, self.places = weights, places  # [heads, rows, keys]
        self._rows, self._here = to_array(rows), here

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """Return how many tokens each key stands after each query, NaN if that cannot be told: [rows, keys]."""
        return self.places.distances(self._rows, self._here)

    @property
    def visible(self) -> NDArray[np.intp]:
        """Return how many keys each query can see: [rows]."""
        visible: NDArray[np.intp] = self.places.visible[self._rows]
        return visible

    @cached_property
    def entropies(self) -> Numbers:
        """Return the entropy of each smoothed row in nats."""
        least = _SMOOTHING / self.places.keys  # what is left of a weight of 0
        unseen = self.places.keys - self.weights.shape[-1]
        entropies: Numbers = -_sum_smooth_logs(self.weights, 1 - _SMOOTHING, least) - unseen * least * np.log(least)
        return entropies

    @cached_property
    def sums(self) -> Numbers:
        """Return the sum of each row, which is 1 unless some of its weight is on a sink."""
        sums: Numbers = np.vecdot(self.weights, np.ones(self.weights.shape[-1], np.float32))  # faster than their sum
        return sums

    @cached_property
    def largest(self) -> Numbers:
        """Return the largest weight of each row."""
        return np.maximum(self.largest_in_text, self.on([self.places.end]))

    @cached_property
    def largest_in_text(self) -> Numbers:
        """Return the largest weight of each row but for that on a special token that ends the text."""
        end = self._columns[self.places.end]
        if end == _NONE:
            return _find_largest(self.weights)
        return np.maximum(_find_largest(self.weights[..., :end]), _find_largest(self.weights[..., end + 1 :]))

    @cached_property
    def on_first(self) -> Numbers:
        """Return the weight of the first key."""
        return self.on(self.places.first)

    def on(self, keys: Keys) -> Numbers:
        """Return the sum of the weights of these keys, by their index among all keys of the text."""
        columns = self._columns[np.asarray(keys, np.intp)]
        sums: Numbers = self.weights[..., columns[columns != _NONE]].sum(-1)
        return sums

    def at(self, distance: int) -> Numbers:
        """Return the weight of the key that stands so far after its query, 0 where there is none."""
        columns = self._columns[self.places.near(distance)[self._rows]]
        rows = np.flatnonzero(columns != _NONE)
        found = np.zeros(self.weights.shape[:2])
        found[:, rows] = self.weights[:, rows, columns[rows]]
        return found

    def peaks_at(self, distance: int) -> NDArray[np.bool_]:
        """Return whether the key of the largest weight, the first of several, stands so far after its query."""
        columns = self._columns[self.places.near(distance)[self._rows]]
        peaks: NDArray[np.bool_] = self.at(distance) == self.largest
        heads, rows = np.nonzero(peaks)  # of equal weights the first counts, so these rows must be searched
        peaks[heads, rows] = self.weights[heads, rows].argmax(-1) == columns[rows]
        return peaks

    @cached_property
    def reach(self) -> Numbers:
        """Return the sum of weight times distance, both ways."""
        queries, keys = self.places.ranks
        lengths = keys[to_array(self._here)].astype(np.float32) - queries[self._rows, None].astype(np.float32)
        reach: Numbers = np.vecdot(self.weights, np.abs(lengths, out=lengths))
        return reach

    @cached_property
    def reach_to_first(self) -> Numbers:
        """Return the weight of the first key, which stands at 0, times its distance."""
        queries, _ = self.places.ranks
        reach: Numbers = self.on_first * queries[self._rows]
        return reach

    @cached_property
    def _columns(self) -> NDArray[np.intp]:
        """Return where each key of the text stands among those here, -1 where it does not, and -1 for none at all."""
        return invert(self._here, self.places.keys + 1)


def _find_largest(weights: Numbers) -> Numbers:
    """Return the largest of each row, 0 where there is none: [heads, rows]."""
    largest: Numbers = weights.max(-1, initial=0)
    return largest


def _sum_smooth_logs(weights: Numbers, share: float, least: float) -> Numbers:
    """Return Σ s ln s over each row, with s = share · weight + least: [heads, rows].

    A few rows are looked at together, so that what is made of them stays in a processor's cache.
    """
    heads, rows, keys = weights.shape
    sums = np.empty((heads, rows))
    together = max(_IN_CACHE // max(keys, 1), 1)
    smooth, logs = (np.empty((min(together, rows), keys), np.float32) for _ in range(2))
    for head in range(heads):
        for first in range(0, rows, together):
            some = weights[head, first : first + together]
            s, log = smooth[: len(some)], logs[: len(some)]
            np.multiply(some, np.float32(share), out=s)
            np.add(s, np.float32(least), out=s)
            np.log(s, out=log)
            np.vecdot(s, log, out=sums[head, first : first + together], casting="same_kind")
    return sums
