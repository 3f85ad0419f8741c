"""The roles of heads: how often each head's strongest weight goes where a role says."""

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from attnviz.records import Attention
from attnviz.text import By, Groups, Token, group_tokens
from attnviz.training.corpus.french import Pair
from attnviz.training.encoder.roles import POSITIONS, Shares
from attnviz.vocabulary import Kind

CONTENT, FUNCTION, READ = "aligned content word", "aligned function word", "word just translated"


class RoleTally:
    """Counts, over pairs, how often each head of each kind fills each role.

    In the self-attention of an encoder or a decoder a role is a place, counted at every token. Between the two it is a
    word of the source, its weight being the sum over its pieces; what ends the source competes as a word of its own.
    """

    def __init__(self) -> None:
        self._hits: dict[tuple[Kind, str], Shares | int] = defaultdict(int)
        self._chances: dict[tuple[Kind, str], int] = defaultdict(int)
        self._offsets: Counter[int] = Counter()

    def add(self, pair: Pair, records: Iterable[Attention]) -> None:
        """Count one pair."""
        for attention in records:
            if attention.kind.crosses:
                self._add_words(pair, attention)
            else:
                self._add_places(attention)

    def shares(self) -> dict[Kind, dict[str, Shares]]:
        """Return how often each head filled each role when it could."""
        shares: dict[Kind, dict[str, Shares]] = defaultdict(dict)
        for (kind, role), hits in self._hits.items():
            shares[kind][role] = np.asarray(hits / self._chances[kind, role])
        return shares

    def chances(self, kind: Kind, role: str) -> int:
        """Return how often a role could be filled."""
        return self._chances[kind, role]

    def content_baseline(self) -> float:
        """Return how often the source word at one fixed offset from the target's is right, at the best such offset."""
        return max(self._offsets.values()) / self._offsets.total()

    def _add_places(self, attention: Attention) -> None:
        strongest = attention.weights.argmax(-1)  # [layers, heads, queries]
        queries = np.array([i for i, token in enumerate(attention.query_tokens) if not token.special])
        for role, offset in POSITIONS.items():
            self._count(attention.kind, role, strongest[..., queries] == queries + offset)
        self._add_special(attention, strongest[..., queries], attention.key_tokens)

    def _add_words(self, pair: Pair, attention: Attention) -> None:
        words = group_tokens(attention.key_tokens, By.WORD)
        starts = np.searchsorted(words.index, range(len(words.tokens)))
        strongest = np.add.reduceat(attention.weights, starts, -1).argmax(-1)  # [layers, heads, queries]
        for (role, row), right in _expected(pair, attention, words).items():
            self._count(attention.kind, role, np.isin(strongest[..., [row]], right))
        self._add_special(attention, strongest, words.tokens)
        self._offsets.update(_offset_content(pair, words, group_tokens(attention.query_tokens, By.WORD)))

    def _add_special(self, attention: Attention, strongest: NDArray[np.int64], keys: tuple[Token, ...]) -> None:
        for index, token in enumerate(keys):
            if token.special:
                self._count(attention.kind, token.text, strongest == index)

    def _count(self, kind: Kind, role: str, hits: NDArray[np.bool_]) -> None:
        """Add hits [layers, heads, chances]."""
        self._hits[kind, role] += hits.sum(-1)
        self._chances[kind, role] += hits.shape[-1]


def _offset_content(pair: Pair, sources: Groups, targets: Groups) -> Iterator[int]:
    """Yield for each word with a meaning how many words further on in the source the word stands that it translates."""
    starts = [[token.span[0] for token in group.tokens if token.span] for group in (sources, targets)]
    for alignment in pair.alignment:
        if alignment.content:  # of a word like l'arbre, whose parts are one group, the group counts
            source, target = map(bisect, starts, (alignment.source[0], alignment.target[0]))
            yield source - target


def _expected(pair: Pair, attention: Attention, words: Groups) -> dict[tuple[str, int], list[int]]:
    """For each role and row the words that it may mean.

    The row that predicts the first piece of a word is to look at what the word translates; the one that reads its last
    piece may look back at that.
    """
    word = {token.span[0]: index for index, token in enumerate(words.tokens) if token.span}
    first = {token.span[0]: row - 1 for row, token in reversed([*enumerate(attention.query_tokens)]) if token.span}
    last = {token.span[1]: row for row, token in enumerate(attention.query_tokens) if token.span}
    expected: dict[tuple[str, int], list[int]] = defaultdict(list)
    for alignment in pair.alignment:
        (start, end), source = alignment.target, word[alignment.source[0]]
        expected[CONTENT if alignment.content else FUNCTION, first[start]].append(source)
        if alignment.content:
            expected[READ, last[end]].append(source)
    return expected
