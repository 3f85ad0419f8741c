"""Links between words: the strongest ones, and the one that tells most."""

import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import checked, require
from attnviz.measures.reducers import group_record, make_grouper
from attnviz.records import Attention, Link, Weights, Word, require_record
from attnviz.text import By, Token, group_tokens


@checked()
def strongest(attention: Attention, top: int = 5) -> list[Link]:
    """Return the `top` links of largest weight between two different words that are not special tokens.

    Weights of a word in several pieces are those of `attend(…, by="word")`: to it their sum, from it their mean.

    Example:
        >>> (attention,) = attnviz.load("builtin").attend("The big fluffy dog chased the cat")
        >>> (link,) = attnviz.strongest(attention, 1)
        >>> link.layer, link.head, link.query.text, link.key.text
        (3, 5, 'chased', 'dog')
    """
    words = _group_words(attention)
    return list(_find_largest(words, np.where(_find_content(words), words.weights, 0), top))


def telling(attention: Attention, word: Word | None = None) -> Link | None:
    """Return the link that tells most of what the heads are for, or None where no two words are linked.

    The two words are those whose links, over all heads together, most exceed habit; the head is that of the largest.
    If a `word` is given, only its own links count.

    Example:
        >>> text = "The animal didn't cross the street because it was too tired"
        >>> (attention,) = attnviz.load("builtin").attend(text)
        >>> link = attnviz.telling(attention)
        >>> link.layer, link.head, link.query.text, link.key.text
        (3, 1, 'it', 'animal')
    """
    if word is not None:
        require(word, Word, 'give one as in attention.words("her")[0].')
    words = _group_words(attention)
    counted = _find_content(words)  # [queries, keys]
    if word:
        number = group_tokens(attention.query_tokens, By.WORD).index
        counted[list(set(number) - {number[query] for query in word.queries})] = False
    exceed = _Excess(words, counted)
    heads = list(np.ndindex(*words.shape[:2]))  # one by one, since all of them together are large
    together: Any = sum(map(exceed.of, heads))  # [queries, keys]
    if not together.max() > 0:
        return None
    queries, keys = np.nonzero(together == together.max())
    values = [exceed.of(head)[queries, keys] for head in heads]  # [heads][links]
    best, place = np.unravel_index(np.argmax(values), (len(heads), len(queries)))
    layer, head = heads[best]
    weight = float(words.weights[layer, head, queries[place], keys[place]])
    tokens = words.query_tokens[queries[place]], words.key_tokens[keys[place]]
    return Link(words.layers[layer], words.heads[head], *tokens, weight)


class _Excess:
    """How much each link says, head by head; 0 for those that are not `counted`.

    A link counts for as much as its weight exceeds what habit explains: the mean weight at the same distance (a
    positional pattern) and the mean weight of the same key (a token that everything looks at). It counts for more the
    further apart its words are, (1 - 1/distance), since neighbours look at each other in most heads.
    """

    def __init__(self, words: Attention, counted: NDArray[np.bool_]) -> None:
        self._weights, self._counted = words.weights, counted
        distance = words.distances()
        self._index = None if distance is None else distance - distance.min()  # [queries, keys]
        self._reach = 1.0 if distance is None else 1 - 1 / np.maximum(np.abs(distance), 1)

    def of(self, head: tuple[int, ...]) -> NDArray[np.floating]:
        """Return how much each link of one head says: [queries, keys]."""
        weights = self._weights[head]
        habit: NDArray[np.floating] = weights.mean(-2, keepdims=True)
        if self._index is not None:
            habit = np.maximum(habit, _average_diagonals(weights, self._index))
        return np.where(self._counted, np.maximum(weights - habit, 0) * self._reach, 0)


def _group_words(attention: Attention) -> Attention:
    """Return the record between words; where each token is one, it shares the weights, which are large."""
    words = make_grouper(require_record(attention), By.WORD).axes
    return (
        Attention.on(words, attention.weights) if words.shape == attention.shape else group_record(attention, By.WORD)
    )


def _find_content(words: Attention) -> NDArray[np.bool_]:
    """Return where two words differ, neither a special token, blank nor punctuation: [queries, keys]."""
    queries = np.array([_is_content(token) for token in words.query_tokens])
    keys = np.array([_is_content(token) for token in words.key_tokens])
    both: NDArray[np.bool_] = queries[:, None] & keys[None, :]
    distance = words.distances()
    return both if distance is None else np.logical_and(both, distance != 0)


def _is_content(token: Token) -> bool:
    if token.special or token.word is None:  # no word at all: blanks
        return False
    return any(unicodedata.category(char)[0] != "P" for char in token.text)


def _average_diagonals(weights: Weights, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean weight of all links of the same distance, for each link: [queries, keys]."""
    counts = np.bincount(index.ravel())
    means = np.bincount(index.ravel(), weights.ravel()) / np.maximum(counts, 1)  # [distances]
    averaged: NDArray[np.float64] = means[index]
    return averaged


def _find_largest(words: Attention, value: NDArray[np.floating], top: int) -> Iterator[Link]:
    """Yield the links of largest positive value, largest first."""
    flat = -value.ravel()
    least = np.partition(flat, min(top, flat.size) - 1)[min(top, flat.size) - 1]  # sorting all of them would be slow
    candidates = np.flatnonzero(flat <= least)
    for place in candidates[np.argsort(flat[candidates], kind="stable")][:top]:
        layer, head, query, key = np.unravel_index(place, value.shape)
        if value[layer, head, query, key] > 0:
            weight = float(words.weights[layer, head, query, key])
            tokens = words.query_tokens[query], words.key_tokens[key]
            yield Link(words.layers[layer], words.heads[head], *tokens, weight)
