"""Where a long text is cut into stretches of neighbouring tokens, so that all of it can be seen at once."""

from collections.abc import Sequence
from itertools import groupby

from attnviz.text.tokens import Token


def bins_of(tokens: Sequence[Token], count: int) -> list[int]:
    """Return the number of the bin that each token belongs to, of at most `count` bins that are all about equally long.

    Special tokens, on which weight pools, have bins of their own where they take no more than half of the bins, and no
    bin reaches from one text of a pair into the other, as long as there are enough for that.
    """
    apart = 2 * sum(token.special for token in tokens) <= count
    runs = [list(run) for _, run in groupby(tokens, lambda token: (token.segment, apart and token.special))]
    shares = _shares(runs, count, apart)
    if sum(shares) > count:
        runs, shares = [list(tokens)], [min(count, len(tokens))]
    numbers: list[int] = []
    for run, share in zip(runs, shares, strict=True):
        before = numbers[-1] + 1 if numbers else 0
        numbers += [before + place * share // len(run) for place in range(len(run))]
    return numbers


def _shares(runs: Sequence[Sequence[Token]], count: int, apart: bool) -> list[int]:
    """Return how many bins each run of tokens gets: a special token one, others of the rest by their length."""
    alone = [apart and run[0].special for run in runs]
    left = count - sum(len(run) for run, special in zip(runs, alone, strict=True) if special)
    long = sum(len(run) for run, special in zip(runs, alone, strict=True) if not special)
    return [
        len(run) if special else min(len(run), max(1, left * len(run) // long))
        for run, special in zip(runs, alone, strict=True)
    ]
