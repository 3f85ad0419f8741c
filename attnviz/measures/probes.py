"""Probes: a number for each head of a generated text, random tokens that are said several times."""

from collections.abc import Callable, Mapping

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.records import Axes, Block, Column, Described, HeadTable, invert, to_numpy
from attnviz.vocabulary import Kind

Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Queries, and the key of each, by their positions; a query may stand there several times."""

TOKENS = 25
"""How many random tokens are said, unless told otherwise (Olsson et al. 2022)."""

SEEDS = 10
"""How many texts are generated, one for each seed: so many examples Olsson et al. average over."""


class Repeated(Struct, frozen=True):
    """A text of random tokens that is said several times: `tokens` of them, after `before` special ones.

    `after` is how many special tokens end it. If it is read `both_ways`, queries see later keys too.
    """

    tokens: int
    copies: int
    before: int = 0
    after: int = 0
    both_ways: bool = False

    @property
    def length(self) -> int:
        """Return how many tokens there are in all."""
        return self.before + self.tokens * self.copies + self.after

    def diagonal(self, offset: int) -> Pairs:
        """Return every query, special ones too, that has a key so far after it, and that key.

        Published figures that are means of whole diagonals take them so.
        """
        queries = np.arange(self.length)
        queries = queries[(queries + offset >= 0) & (queries + offset < self.length)]
        return queries, queries + offset

    def stripes(self, shift: int) -> Pairs:
        """Return each query with the keys that stand `shift` after the same token in another copy, not special ones.

        Of a text that is not read both ways only earlier copies count.
        """
        said = np.arange(self.tokens * self.copies)
        queries, keys = np.repeat(said, self.copies), np.tile(np.arange(self.copies), len(said))
        keys = keys * self.tokens + queries % self.tokens
        seen = keys + shift  # by the query
        there = (keys != queries) & (seen >= 0) & (seen < len(said))
        there &= ((keys < queries) & (seen <= queries)) | self.both_ways
        return queries[there] + self.before, seen[there] + self.before

    def neighbours(self, offset: int) -> Pairs:
        """Return each query with the key so far after it, special tokens left out."""
        queries, keys = replace(self, before=0, after=0).diagonal(offset)
        return queries + self.before, keys + self.before


class Probe(Described, frozen=True):
    """A number for each head: the mean of its weights at certain `pairs` of a text that is said in so many `copies`."""

    copies: int
    pairs: Callable[[Repeated], Pairs]


_TRANSFORMER_LENS = "TransformerLens, Exploratory_Analysis_Demo; in encoders ours"
_BOTH = "; in encoders, of both copies"

PROBES: dict[str, Probe] = {
    "previous_token": Probe(
        "mean weight of the key before the query in random tokens that are said twice, special tokens left out",
        _TRANSFORMER_LENS,
        2,
        lambda said: said.neighbours(-1),
        formula="mean of a[i, i − 1]",
        extent="0 to 1",
        high="looks at the token before, whatever the words",
    ),
    "duplicate_token": Probe(
        f"mean weight of the same token where it was said before, in random tokens that are said twice{_BOTH}",
        _TRANSFORMER_LENS,
        2,
        lambda said: said.stripes(0),
        formula="mean of a[i, i − t], of t tokens said twice",
        extent="0 to 1",
        high="finds where the same token stood before",
    ),
    "induction": Probe(
        "mean weight of the key that followed the same token where it was said before, in random tokens that are said "
        f"twice{_BOTH}",
        _TRANSFORMER_LENS,
        2,
        lambda said: said.stripes(1),
        formula="mean of a[i, i − t + 1], of t tokens said twice",
        extent="0 to 1",
        high="finds what came after the same token before, and so what comes next",
    ),
    "prefix_matching": Probe(
        "mean of all weights from a token to keys that followed the same one in earlier copies, in random tokens that "
        "are said four times; in encoders, in all other copies",
        "Olsson et al. 2022, In-context Learning and Induction Heads, Head activation evaluators; in encoders ours",
        4,
        lambda said: said.stripes(1),
        formula="mean of a[i, j + 1], over j < i where the same token stands",
        extent="0 to 1/2, since the later copies share their weight among several keys",
        high="finds what came after the same token before",
    ),
}
"""The probes, by the name that `--probe` and the data formats know them by; one of your own is a line more."""


class Probed:
    """The reducer that computes probes of one generated text: a `HeadTable`; it keeps a sum for each head.

    Definitions say how many tokens were said, and of which `sample` of texts that is one, if that is told.
    """

    def __init__(self, axes: Axes, wanted: Mapping[str, Probe], tokens: int, sample: str = "") -> None:
        said = [position for position, token in enumerate(axes.query_tokens) if not token.added]
        before, after = said[0], len(axes.query_tokens) - said[-1] - 1
        both_ways = axes.kind is Kind.ENCODER
        self._axes, self._wanted = axes, wanted
        self._text = f"{tokens} tokens" + (f", {sample}" if sample else "")
        self._said = Repeated(tokens, len(said) // tokens, before, after, both_ways)
        self._pairs = {name: probe.pairs(self._said) for name, probe in wanted.items()}
        self._sums = {name: np.zeros(axes.shape[:2]) for name in wanted}

    def update(self, block: Block) -> None:
        """Add the weights of those pairs that a block has."""
        layer = self._axes.layers.index(block.layer)
        heads = [self._axes.heads.index(head) for head in block.heads]
        row_of, column_of = (invert(indices, self._said.length) for indices in (block.rows, block.keys))
        for name, (queries, keys) in self._pairs.items():
            rows, columns = row_of[queries], column_of[keys]
            there = (rows >= 0) & (columns >= 0)
            found = to_numpy(block.weights[:, rows[there], columns[there]])  # [heads, pairs]
            self._sums[name][layer, heads] += found.sum(-1, dtype=np.float64)

    def result(self) -> HeadTable:
        """Return the table of this one text, in ascending order of layers and heads."""
        columns = {}
        for name, probe in self._wanted.items():
            count = len(self._pairs[name][0])
            means = self._sums[name] / count if count else np.full(self._axes.shape[:2], np.nan)
            columns[name] = Column.of_one_text(means, f"{probe.definition}; {self._text} ({probe.source})")
        return HeadTable.of_text(self._axes, columns)
