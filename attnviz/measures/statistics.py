"""Statistics: the numbers that each head of a text has by its attention weights."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from attnviz.measures.rows import Numbers, Rows
from attnviz.measures.variability import CORNER, compute_variability
from attnviz.records import Axes, Described, find_named

Reals = NDArray[np.float64]

_SINK = 0.3
"""The mean weight on the first token from which on Gu et al. call it a sink."""


def _alone(mean: Reals) -> Reals:
    return mean


class Statistic(Described, frozen=True):
    """A number for each head of a text: the mean over its queries of numbers that are computed from their rows.

    Args:
        of_rows: Compute numbers [heads, any] from some rows. They are added up over all rows of the text, and divided
            by the number of queries. NaN is undefined.
        combine: Compute the number from several such means, where `of_rows` gives [parts, heads, any]:
            [parts, layers, heads] -> [layers, heads].
        takes_order: Leave it undefined between two sequences, where no key stands before or after a query.
        takes_whole: Leave it undefined for a text that is read in windows.
        takes_first: Leave it undefined there, and where the first key of the text is missing.
        takes_names: Leave it undefined where tokens are only numbered.
        over_texts: Compute the number from several texts, where one alone has none, from the weights between the first
            tokens of each: [texts, layers, heads, queries, keys] -> [layers, heads].
    """

    of_rows: Callable[[Rows], Numbers]
    combine: Callable[[Reals], Reals] = _alone
    takes_order: bool = False
    takes_whole: bool = False
    takes_first: bool = False
    takes_names: bool = False
    over_texts: Callable[[Reals], Reals] | None = None

    def is_defined(self, axes: Axes) -> bool:
        """Return whether a text with these axes has such a number."""
        if self.takes_order and axes.kind.crosses:
            return False
        if (self.takes_whole or self.takes_first) and any(token.window is not None for token in axes.key_tokens):
            return False
        if self.takes_first and [token.position for token in axes.key_tokens[:1]] != [0]:
            return False
        return axes.named or not self.takes_names


_CLARK = "Clark et al. 2019, What Does BERT Look At?"
_VIG = "Vig and Belinkov 2019, Analyzing the Structure of Attention in a Transformer Language Model"
_VOITA = "Voita et al. 2019, Analyzing Multi-Head Self-Attention"
_GU = "Gu et al. 2025, When Attention Sink Emerges in Language Models"


def _share_at(distance: int, key: str) -> Statistic:
    return Statistic(
        f"mean weight of {key}, over all queries; a query that has no such key counts as 0",
        f"{_CLARK}, section 3.1",
        lambda rows: rows.at(distance),
        takes_order=True,
        formula=f"Σᵢ a[i, i{f' {distance:+d}'.replace('+', '+ ').replace('-', '− ') if distance else ''}] / n",
        extent="0 to 1",
        high=f"looks at {key}",
    )


def _share_of(
    keys: str,
    source: str,
    weight: Callable[[Rows], Numbers],
    *,
    takes_first: bool = False,
    takes_names: bool = False,
) -> Statistic:
    return Statistic(
        f"mean weight of {keys}, over all queries",
        source,
        weight,
        takes_first=takes_first,
        takes_names=takes_names,
        formula="Σᵢⱼ a[i, j] / n, over such keys j",
        extent="0 to 1",
        high=f"looks at {keys}",
    )


def _evenness(rows: Rows) -> Numbers:
    """Return how even each row is, from 0 to 1, and whether that can be told of it."""
    told = rows.visible > 1
    even = np.minimum(rows.entropies / np.log(np.where(told, rows.visible, 2)), 1)
    return np.stack([np.where(told, even, 0), np.broadcast_to(told, even.shape)])


def _lengths_and_weights(rows: Rows) -> Numbers:
    """Return Σ weight · distance and Σ weight of each row, both without the first key: [2, heads, rows]."""
    return np.stack([rows.reach - rows.reach_to_first, rows.sums - rows.on_first])


def _ratio(means: Reals) -> Reals:
    """Return the first of two means divided by the second, NaN where nothing but rounding is left of that."""
    upper, lower = means
    ratio: Reals = np.divide(upper, lower, out=np.full_like(lower, np.nan), where=lower > _NOTHING)
    return ratio


_NOTHING = 1e-6  # of a row, in float32


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
        lambda rows: rows.largest_in_text,
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
    "first": _share_of("the first key", f"{_GU}, section 2", lambda rows: rows.on_first, takes_first=True),
    "special": _share_of(
        "special tokens", f"{_CLARK}, section 3.2", lambda rows: rows.on(rows.places.special), takes_names=True
    ),
    "separator": _share_of(
        "special tokens other than the first key, such as [SEP]",
        f"{_CLARK}, section 3.2",
        lambda rows: rows.on(rows.places.separators),
        takes_names=True,
    ),
    "punctuation": _share_of(
        "full stops and commas", f"{_CLARK}, section 3.2", lambda rows: rows.on(rows.places.stops), takes_names=True
    ),
    "sink": Statistic(
        "1 if the mean weight of the first key over all queries is above 0.3, else 0; over texts the share of 1",
        f"{_GU}, section 2",
        lambda rows: rows.on_first,
        lambda first: (first > _SINK).astype(float),
        takes_first=True,
        formula="[Σᵢ a[i, 0] / n > 0.3]",
        extent="0 or 1, over texts 0 to 1",
        high="leaves its weight on the first token, whatever it is",
    ),
    "positional": Statistic(
        "share of queries whose largest weight is on the key before, or on the key after: the larger of the two",
        f"{_VOITA}, section 5.1, who call a head positional from 0.9 on",
        lambda rows: np.stack([rows.peaks_at(-1), rows.peaks_at(1)]),
        lambda shares: shares.max(0),
        takes_order=True,
        formula="max(Σᵢ [argmaxⱼ a[i, j] = i − 1], Σᵢ [argmaxⱼ a[i, j] = i + 1]) / n",
        extent="0 to 1",
        high="looks at a neighbour, whatever the words",
    ),
    "variability": Statistic(
        f"how much the weights between the first {CORNER} tokens differ from text to text; undefined for a single one; "
        "for encoders, which look both ways, the definition is ours",
        f"{_VIG}, equation 5",
        lambda rows: np.zeros((rows.weights.shape[0], 0)),
        takes_order=True,
        takes_first=True,
        over_texts=compute_variability,
        formula=f"Σₓᵢⱼ |aₓ[i, j] − ā[i, j]| / 2 Σₓᵢⱼ aₓ[i, j], over texts x and i, j < {CORNER}",
        extent="0 to 1",
        high="looks where the words say, not where the positions do",
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
    return find_named(STATISTICS, names, "statistic")
