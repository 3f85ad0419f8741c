"""The roles of heads: how often each head's strongest weight goes where a role says."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.records import Attention
from attnviz.text import By, Groups, group_tokens
from attnviz.training.corpus import Example, Relation
from attnviz.training.course import table

Shares = NDArray[np.float64]
"""How often, from 0 to 1, for each head: [layers, heads]."""

_TELLING = 0.5  # what a head does less often than that is not called its role
_FARTHEST = 8  # words away: no fixed offset beyond does anything often

POSITIONS = {"previous token": -1, "same token": 0, "next token": 1}
PRONOUN = Relation.PRONOUN_ANTECEDENT.value


class Baseline(Struct, frozen=True):
    """A baseline without a model: how often the word at the best fixed offset fills a role, of n words."""

    n: int
    offset: int
    share: float


def strongest(shares: Shares) -> dict[str, int]:
    """Return the head that does it most."""
    layer, head = np.unravel_index(shares.argmax(), shares.shape)
    return {"layer": int(layer), "head": int(head)}


def share_at(shares: Shares, head: Mapping[str, int]) -> float:
    """Return the share of one head, as cards have it."""
    return round(float(shares[head["layer"], head["head"]]), 4)


def telling(
    roles: Mapping[str, Shares], head: Mapping[str, int], baselines: Mapping[str, Baseline] = MappingProxyType({})
) -> dict[str, float]:
    """Return what a head does more often than not, and than a fixed offset does, most often first."""
    shares = {role: share_at(share, head) for role, share in roles.items()}
    often = (item for item in shares.items() if item[1] > _TELLING and beats(item[1], baselines.get(item[0])))
    return dict(sorted(often, key=lambda item: -item[1]))


def beats(share: float, baseline: Baseline | None) -> bool:
    """Return whether a share is larger than that of the best fixed offset; a role that is a place has no such."""
    return baseline is None or share > baseline.share


def list_best(roles: Mapping[str, Shares], baselines: Mapping[str, Baseline]) -> list[dict[str, Any]]:
    """Return for each role between words the head that fills it most often, beside the best fixed offset."""
    return [
        {"role": role, "n": baseline.n, "head": (head := strongest(roles[role])), "share": share_at(roles[role], head)}
        | {"offset": baseline.offset, "baseline": round(baseline.share, 4)}
        for role, baseline in baselines.items()
    ]


def write_best(best: Iterable[Mapping[str, Any]]) -> str:
    """Return a table of what heads do more often than a fixed offset, and a sentence on what they do not."""
    told, untold = list[tuple[object, ...]](), list[str]()
    for each in sorted(best, key=lambda each: each["baseline"] - each["share"]):
        share, baseline = f"{each['share']:.1%}", f"{each['baseline']:.1%}"
        if each["share"] > each["baseline"]:
            head = f"layer {each['head']['layer']} head {each['head']['head']}"
            told.append((each["role"], f"{each['n']:,}", head, share, f"{baseline} ({each['offset']:+d})"))
        elif each["share"] > _TELLING:
            untold.append(f"{each['role']} ({share}; {baseline} at {each['offset']:+d})")
    header = "what", "n", "the head that does it most often", "how often", "the word at the best fixed offset"
    rest = f"\n\nHeads do these too, but not more often than a fixed offset: {', '.join(untold)}." if untold else ""
    return table(header, told) + rest


class RoleTally:
    """Counts, over texts, how often each head fills each role.

    A positional role is counted at every token, by its strongest token of all. A role between words is counted at every
    word that has the relation, by its strongest non-special word, the weight of a word being the sum over its pieces.
    """

    def __init__(self) -> None:
        self._hits: dict[str, Shares | int] = defaultdict(int)
        self._chances: dict[str, int] = defaultdict(int)
        self._offsets: dict[str, Counter[int]] = defaultdict(Counter)

    def add(self, example: Example, attention: Attention) -> None:
        """Count one text."""
        self._add_positions(attention)
        self._add_relations(example, attention)

    def shares(self) -> dict[str, Shares]:
        """Return how often each head filled each role when it could."""
        return {role: np.asarray(hits / self._chances[role]) for role, hits in self._hits.items()}

    def baselines(self) -> dict[str, Baseline]:
        """Return the baseline of each role between words."""
        best = {role: counted.most_common(1)[0] for role, counted in self._offsets.items()}
        return {
            role: Baseline(n=self._chances[role], offset=offset, share=hits / self._chances[role])
            for role, (offset, hits) in best.items()
        }

    def _add_positions(self, attention: Attention) -> None:
        strongest = attention.weights.argmax(-1)  # [layers, heads, queries]
        queries = np.array([i for i, token in enumerate(attention.query_tokens) if not token.special])
        for role, offset in POSITIONS.items():
            self._count(role, strongest[..., queries] == queries + offset)
        for i, token in enumerate(attention.key_tokens):
            if token.special:
                self._count(token.text, strongest[..., queries] == i)

    def _add_relations(self, example: Example, attention: Attention) -> None:
        words = group_tokens(attention.key_tokens, By.WORD)
        at = {token.span[0]: index for index, token in enumerate(words.tokens) if token.span}
        special = [token.special for token in words.tokens]
        strongest = np.where(special, 0, _between(attention, words)).argmax(-1)  # [layers, heads, words]
        for (role, source), targets in _ends(example, at).items():
            self._count(role, (strongest[..., [source], None] == np.array(targets)).any(-1))
            self._offsets[role].update({target - source for target in targets if abs(target - source) <= _FARTHEST})

    def _count(self, role: str, hits: NDArray[np.bool_]) -> None:
        """Add hits [layers, heads, chances]."""
        self._hits[role] += hits.sum(-1)
        self._chances[role] += hits.shape[-1]


def _between(attention: Attention, words: Groups) -> NDArray[np.floating]:
    """Return weights between words, [layers, heads, words, words]: to one the sum over its pieces, from it the mean."""
    starts = np.searchsorted(words.index, range(len(words.tokens)))
    sums = np.add.reduceat(np.add.reduceat(attention.weights, starts, -1), starts, -2)
    means: NDArray[np.floating] = sums / np.bincount(words.index)[:, None]
    return means


def _ends(example: Example, at: dict[int, int]) -> dict[tuple[str, int], list[int]]:
    """For each role and source word the words it may mean: each relation is read in both directions."""
    ends: dict[tuple[str, int], list[int]] = defaultdict(list)
    for link in example.links:
        source, target = at[link.source[0]], at[link.target[0]]
        ends[link.relation.value, source].append(target)
        ends[" to ".join(reversed(link.relation.value.split(" to "))), target].append(source)
    return ends
