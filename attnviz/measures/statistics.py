"""Statistics: a number for each head of a text, from its attention weights, a block of rows at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import UsageError, require
from attnviz.records import Axes, Block, Column, HeadTable, to_numpy
from attnviz.text import Token
from attnviz.vocabulary import Kind

Reals = NDArray[np.float64]

_SMOOTHING = 1e-4
"""The share of a row that Clark et al. spread evenly over its keys before they take the entropy."""

_SINK = 0.3
"""The mean weight on the first token from which on Gu et al. call it a sink."""

_NOWHERE = np.iinfo(np.int64).max
"""The distance of what stands neither before nor after a token."""

_STOPS = {".", ","}
"""The punctuation that Clark et al. look at."""


class Keys:
    """The keys of a text by type, each an array [keys] with 1.0 for the keys of that type and 0.0 for the others."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.first = np.array([token.position == 0 for token in tokens], float)
        self.special = np.array([token.special for token in tokens], float)
        self.stops = np.array([token.text in _STOPS for token in tokens], float)
        self.last = np.zeros(len(tokens))
        self.last[-1:] = self.special[-1:]  # the special token that ends the text, if one does

    def __len__(self) -> int:
        """Return how many keys the text has."""
        return len(self.first)


class Rows:
    """Some query rows of the heads of a layer, as a statistic sees them.

    `weights` is [heads, rows, keys], and `here` says which of all `keys` of the text these are; the others have no
    weight. `distances` [rows, keys] says how many tokens each key stands after its query, None between two sequences.
    Where the rows are `causal`, a query sees no key after it.
    """

    def __init__(
        self, weights: Reals, keys: Keys, here: Any, distances: NDArray[np.int64] | None, *, causal: bool
    ) -> None:
        self.weights, self.keys = weights, keys
        self._here, self._distances, self._causal = here, distances, causal

    @property
    def distances(self) -> NDArray[np.int64]:
        """Return how many tokens each key stands after each query: [rows, keys]."""
        assert self._distances is not None  # no statistic that takes order is asked for between two sequences
        return self._distances

    @property
    def visible(self) -> NDArray[np.int64]:
        """Return how many keys each query can see: [rows]."""
        rows = self.weights.shape[1]
        return (self.distances <= 0).sum(-1) if self._causal else np.full(rows, len(self.keys))

    @cached_property
    def entropies(self) -> Reals:
        """Return the entropy of each smoothed row in nats: [heads, rows]."""
        least = _SMOOTHING / len(self.keys)  # what is left of a weight of 0
        smooth = self.weights * (1 - _SMOOTHING) + least
        unseen = len(self.keys) - self.weights.shape[-1]
        entropies: Reals = -np.einsum("hrk,hrk->hr", smooth, np.log(smooth)) - unseen * least * np.log(least)
        return entropies

    @cached_property
    def leaps(self) -> NDArray[np.int64]:
        """Return how many tokens after its query the key of the largest weight stands: [heads, rows]."""
        rows = np.arange(self.weights.shape[1])
        leaps: NDArray[np.int64] = self.distances[rows, self.weights.argmax(-1)]
        return leaps

    def at_distance(self, distance: int) -> Reals:
        """Return the weight of each key that stands so far after its query: [heads, such keys]."""
        rows, keys = np.nonzero(self.distances == distance)
        found: Reals = self.weights[:, rows, keys]
        return found

    def of(self, keys: Reals) -> Reals:
        """Return the numbers of the keys here, out of those of all keys of the text: [keys]."""
        here: Reals = keys[self._here]
        return here


def _alone(mean: Reals) -> Reals:
    return mean


@dataclass(frozen=True, slots=True)
class Statistic:
    """A number for each head of a text.

    `of_rows` gives numbers [heads, any] for some rows, which are added up over all of them and divided by the number of
    queries; or [parts, heads, any], of which `combine` makes one: [parts, layers, heads] -> [layers, heads]. NaN is
    undefined. So is one that `takes_order` between two sequences, where no key stands before or after a query; one that
    `takes_whole` where a text was read in windows; one that `takes_first` there, and where its first key is missing.
    `source` says who defines it, `extent` how small and large it can be, `high` what a head does for which it is high.
    """

    definition: str
    source: str
    of_rows: Callable[[Rows], Reals]
    combine: Callable[[Reals], Reals] = _alone
    takes_order: bool = False
    takes_whole: bool = False
    takes_first: bool = False
    formula: str = ""
    extent: str = ""
    high: str = ""

    def is_defined(self, axes: Axes) -> bool:
        """Return whether a text with these axes has such a number."""
        windowed = any(token.window is not None for token in axes.key_tokens)
        begun = any(token.position == 0 for token in axes.key_tokens[:1])
        return not (
            (self.takes_order and axes.kind.crosses)
            or (self.takes_whole and windowed)
            or (self.takes_first and (windowed or not begun))
        )


_CLARK = "Clark et al. 2019, What Does BERT Look At?"
_VIG = "Vig and Belinkov 2019, Analyzing the Structure of Attention in a Transformer Language Model"
_VOITA = "Voita et al. 2019, Analyzing Multi-Head Self-Attention"
_GU = "Gu et al. 2025, When Attention Sink Emerges in Language Models"


def _share_at(distance: int, key: str) -> Statistic:
    return Statistic(
        f"mean weight of {key}, over all queries; a query that has no such key counts as 0",
        f"{_CLARK}, section 3.1",
        lambda rows: rows.at_distance(distance),
        takes_order=True,
        formula=f"Σᵢ a[i, i{f' {distance:+d}'.replace('+', '+ ').replace('-', '− ') if distance else ''}] / n",
        extent="0 to 1",
        high=f"looks at {key}",
    )


def _share_of(keys: str, source: str, chosen: Callable[[Keys], Reals], *, takes_first: bool = False) -> Statistic:
    return Statistic(
        f"mean weight of {keys}, over all queries",
        source,
        lambda rows: rows.weights @ rows.of(chosen(rows.keys)),
        takes_first=takes_first,
        formula="Σᵢⱼ a[i, j] / n, over such keys j",
        extent="0 to 1",
        high=f"looks at {keys}",
    )


def _evenness(rows: Rows) -> Reals:
    """Return how even each row is, from 0 to 1, and whether that can be told of it."""
    told = rows.visible > 1
    even = np.minimum(rows.entropies / np.log(np.where(told, rows.visible, 2)), 1)
    return np.stack([np.where(told, even, 0), np.broadcast_to(told, even.shape)])


def _lengths_and_weights(rows: Rows) -> Reals:
    """Return Σ weight · distance and Σ weight of each row, both without the first key: [2, heads, rows]."""
    counted = rows.weights * (1 - rows.of(rows.keys.first))  # [heads, rows, keys]
    return np.stack([np.einsum("hrk,rk->hr", counted, np.abs(rows.distances)), counted.sum(-1)])


def _ratio(means: Reals) -> Reals:
    """Return the first of two means divided by the second, NaN where that is 0."""
    upper, lower = means
    ratio: Reals = np.divide(upper, lower, out=np.full_like(lower, np.nan), where=lower > 0)
    return ratio


STATISTICS: dict[str, Statistic] = {
    "entropy": Statistic(
        "mean entropy of a row in nats, after each weight a is replaced by 0.9999 a + 0.0001 / keys",
        f"{_CLARK}, section 3.3",
        lambda rows: rows.entropies,
        formula="−Σᵢⱼ a′[i, j] ln a′[i, j] / n",
        extent="0 to ln keys",
        high="spreads its weight over many keys; the longer the text, the higher it can be",
    ),
    "normalized_entropy": Statistic(
        "mean entropy of a row divided by the logarithm of the number of keys that it can see: 0 if one of several has "
        "all weight, 1 if all have the same; rows that see one key do not count",
        "ours",
        _evenness,
        _ratio,
        takes_whole=True,
        formula="mean over i of min(−Σⱼ a′[i, j] ln a′[i, j] / ln keysᵢ, 1), over keysᵢ > 1",
        extent="0 to 1",
        high="spreads its weight over all keys, whatever the length of the text",
    ),
    "confidence": Statistic(
        "mean over all queries of the largest weight of a key other than a special token at the end",
        f"{_VOITA}, section 4.1",
        lambda rows: (rows.weights * (1 - rows.of(rows.keys.last))).max(-1),
        formula="Σᵢ maxⱼ a[i, j] / n",
        extent="0 to 1, in text at least 1 / keys",
        high="gives most of its weight to one key",
    ),
    "distance": Statistic(
        "mean distance in tokens from query to key, weighted, without the first key; for encoders, which look both "
        "ways, the definition is ours",
        f"{_VIG}, equation 6",
        _lengths_and_weights,
        _ratio,
        takes_order=True,
        takes_first=True,
        formula="Σᵢⱼ a[i, j] |i − j| / Σᵢⱼ a[i, j], over j > 0",
        extent="0 to keys − 1",
        high="looks far away",
    ),
    "previous": _share_at(-1, "the key before the query"),
    "next": _share_at(1, "the key after the query"),
    "same": _share_at(0, "the query's own token"),
    "first": _share_of("the first key", f"{_GU}, section 2", lambda keys: keys.first, takes_first=True),
    "special": _share_of("special tokens", f"{_CLARK}, section 3.2", lambda keys: keys.special),
    "punctuation": _share_of("full stops and commas", f"{_CLARK}, section 3.2", lambda keys: keys.stops),
    "sink": Statistic(
        "1 if the mean weight of the first key over all queries is above 0.3, else 0; over texts the share of 1",
        f"{_GU}, section 2",
        lambda rows: rows.weights @ rows.of(rows.keys.first),
        lambda first: (first > _SINK).astype(float),
        takes_first=True,
        formula="[Σᵢ a[i, 0] / n > 0.3]",
        extent="0 or 1, over texts 0 to 1",
        high="leaves its weight on the first token, whatever it is",
    ),
    "positional": Statistic(
        "share of queries whose largest weight is on the key before, or on the key after: the larger of the two",
        f"{_VOITA}, section 5.1, who call a head positional from 0.9 on",
        lambda rows: np.stack([rows.leaps == -1, rows.leaps == 1]),
        lambda shares: shares.max(0),
        takes_order=True,
        formula="max(Σᵢ [argmaxⱼ a[i, j] = i − 1], Σᵢ [argmaxⱼ a[i, j] = i + 1]) / n",
        extent="0 to 1",
        high="looks at a neighbour, whatever the words",
    ),
}
"""The statistics that can be computed for each head, by the name that `--stat` and the data formats know them by.

One of your own is a line more, in Python too. Worker processes (`--jobs`) start anew: they know it if the script that
is run registers it at its top.

Example:
    >>> STATISTICS["largest"] = Statistic("mean of the largest weight", "ours", lambda rows: rows.weights.max(-1))
    >>> find_statistics(["largest"])["largest"].source
    'ours'
    >>> del STATISTICS["largest"]
"""


def find_statistics(names: str | Sequence[str]) -> dict[str, Statistic]:
    """Return the statistics of these names, in this order; all of them where none is named.

    Raises:
        UsageError: there is no such statistic.
    """
    names = (names,) if isinstance(names, str) else names
    require(names, Sequence, f"name statistics as in ({', '.join(map(repr, STATISTICS))}).")
    for name in names:
        if not isinstance(name, str) or name not in STATISTICS:
            raise UsageError(f"There is no statistic {name!r}: choose {', '.join(STATISTICS)}.")
    return {name: STATISTICS[name] for name in names or STATISTICS}


class Statistics:
    """The reducer that computes statistics of one text: a `HeadTable`, in ascending order of layers and heads."""

    def __init__(self, axes: Axes, wanted: Mapping[str, Statistic]) -> None:
        self._axes, self._wanted = axes, wanted
        self._defined = {name: statistic for name, statistic in wanted.items() if statistic.is_defined(axes)}
        self._ranks, self._keys = axes.ranks(), Keys(axes.key_tokens)
        self._round_windows = [  # special tokens that stand round a window are no neighbours of any token
            np.array([token.added and token.window is not None for token in tokens])
            for tokens in (axes.query_tokens, axes.key_tokens)
        ]
        self._sums: dict[str, Reals] = {}  # [layers, heads], or [parts, layers, heads]

    def update(self, block: Block) -> None:
        """Add the rows of a block."""
        layer = self._axes.layers.index(block.layer)
        heads = [self._axes.heads.index(head) for head in block.heads]
        weights, keys = to_numpy(block.weights).astype(float), np.asarray(block.keys)
        causal = self._axes.kind is Kind.DECODER
        rows = Rows(weights, self._keys, keys, self._distances(block), causal=causal)
        for name, statistic in self._defined.items():
            found = statistic.of_rows(rows).sum(-1)  # [heads], or [parts, heads]
            sums = self._sums.setdefault(name, np.zeros((*found.shape[:-1], *self._axes.shape[:2])))
            sums[..., layer, heads] += found

    def result(self) -> HeadTable:
        """Return the table of this one text."""
        axes = self._axes
        order = np.ix_(np.argsort(axes.layers), np.argsort(axes.heads))
        columns = {
            name: Column.of_one_text(
                self._values(name, statistic)[order], f"{statistic.definition} ({statistic.source})"
            )
            for name, statistic in self._wanted.items()
        }
        return HeadTable(
            model=axes.model,
            kind=axes.kind,
            by=axes.by,
            layers=tuple(sorted(axes.layers)),
            heads=tuple(sorted(axes.heads)),
            texts=1,
            columns=columns,
        )

    def _values(self, name: str, statistic: Statistic) -> Reals:
        """Return the number of each head, [layers, heads], NaN where it is undefined."""
        if name not in self._sums:
            return np.full(self._axes.shape[:2], np.nan)
        return statistic.combine(self._sums[name] / len(self._axes.query_tokens))

    def _distances(self, block: Block) -> NDArray[np.int64] | None:
        """Return how many tokens each key of a block stands after each query: [rows, keys]."""
        if self._ranks is None:
            return None
        rows, columns = np.asarray(block.rows), np.asarray(block.keys)
        queries, keys = self._ranks
        distances: NDArray[np.int64] = keys[columns] - queries[rows][:, None]
        distances[self._round_windows[0][rows]] = _NOWHERE
        distances[:, self._round_windows[1][columns]] = _NOWHERE
        return distances
