"""Links between words: the strongest ones, and those that tell most."""

import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain, product

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import checked, require
from attnviz.measures.function_words import is_function_word, is_pronoun
from attnviz.measures.reducers import make_grouper
from attnviz.records import Attention, Axes, Block, HeadMatrix, Link, Weights, Word, require_record
from attnviz.text import By, Token, group_tokens

_HeadWeights = tuple[tuple[int, int], Weights]
"""A head, by its layer and its number in it, and its weights [queries, keys]."""

_HEADS = 3
"""How many heads speak for a link: those in which it says most."""

_FUNCTION = 0.1
"""How much a function word counts at either end of a link, where another word counts for 1."""

_ASKING, _ASKING_AHEAD, _ANSWERING = 2.0, 1.0, 0.2
"""How much a pronoun counts as the query, as a query that looks at a later word, and as the key.

It stands for another word, which as a rule was said before it.
"""

_SEEN = 0.005
"""The least weight of a link: what is less is written as 0.00."""


@checked()
def strongest(attention: HeadMatrix, top: int = 5) -> list[Link]:
    """Return the `top` links of largest weight between two different words that are not special tokens.

    Weights of a word in several pieces are those of `attend(…, by="word")`: to it their sum, from it their mean.

    Example:
        >>> (attention,) = attnviz.load("builtin").attend("The big fluffy dog chased the cat")
        >>> (link,) = attnviz.strongest(attention, 1)
        >>> link.layer, link.head, link.query.text, link.key.text
        (3, 5, 'chased', 'dog')
    """
    require(attention, HeadMatrix, "attend returns a list, of which model.attend(text)[0] is one record.")
    return list_links(attention, _list_heads(attention), top)[:top]


def list_links(axes: Axes, heads: Iterable[_HeadWeights], top: int) -> list[Link]:
    """Return the `top` strongest links of each of these heads, all in the order of their weights."""
    words = _find_words(axes)
    content = _find_content(words)
    grouped = _group_heads(axes, words, heads)
    found = [link for head, weights in grouped for link in _find_largest(words, head, weights, content, top)]
    return sorted(found, key=lambda link: -abs(link.weight))


@checked()
def telling(attention: Attention, word: Word | None = None) -> Link | None:
    """Return the link that tells most of what the heads are for, or None where no two words are linked.

    It is the first of `find_telling`. If a `word` is given, only its own links count.

    Example:
        >>> text = "The animal didn't cross the street because it was too tired"
        >>> (attention,) = attnviz.load("builtin").attend(text)
        >>> link = attnviz.telling(attention)
        >>> link.layer, link.head, link.query.text, link.key.text
        (3, 1, 'it', 'animal')
    """
    return next(iter(find_telling(attention, 1, word)), None)


def find_telling(attention: Attention, top: int, word: Word | None = None) -> list[Link]:
    """Return the links that tell most of what the heads are for, the most telling first, no two of the same words.

    The two words are those whose links, in the three heads where they say most, add up to most; the head is the first
    of these. If a `word` is given, only its own links count.

    Example:
        >>> (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
        >>> [(link.query.text, link.key.text) for link in find_telling(attention, 2)]
        [('her', 'Mary'), ('keys', 'lost')]
    """
    if word is not None:
        require(word, Word, 'give one as in attention.words("her")[0].')
    words = _find_words(require_record(attention))
    counted = _find_content(words)  # [queries, keys]
    if word:
        number = group_tokens(attention.query_tokens, By.WORD).index
        counted[list(set(number) - {number[query] for query in word.queries})] = False
    exceed = _Excess(words, counted)
    best = np.zeros(counted.shape, np.int32)  # which head says most, by its place among all, [queries, keys]
    most = np.zeros((_HEADS, *counted.shape))  # what each of the heads says that say most, largest first
    shown = np.zeros(counted.shape, np.float32)  # the weight in the first of them
    for index, (_, weights) in enumerate(_group_heads(attention, words, _list_heads(attention))):
        value = exceed.of(weights)
        first = value > most[0]
        best[first], shown[first] = index, weights[first]
        _insert(value, most)
        del value, first  # before the next ones are made
    together = most.sum(0)  # [queries, keys]
    heads, found = [*product(words.layers, words.heads)], []
    for query, key in zip(*_find_first(together, top), strict=True):
        weight = float(shown[query, key])
        if together[query, key] > 0 and weight >= _SEEN:
            tokens = words.query_tokens[query], words.key_tokens[key]
            found.append(Link(*heads[int(best[query, key])], *tokens, weight))
    return found


def _insert(numbers: NDArray[np.floating], largest: NDArray[np.floating]) -> None:
    """Put numbers among the largest so far [count, …], largest first; they do not survive it."""
    for held in largest:
        more = np.maximum(held, numbers)
        np.minimum(held, numbers, out=numbers)
        held[:] = more


class _Excess:
    """The excess of each link over habit, head by head; 0 for those that are not `counted`.

    A link counts for as much as its weight exceeds what habit explains: the mean weight at the same distance (a
    positional pattern) and the mean weight of the same key (a token that everything looks at). That counts for more or
    less by which words they are.
    """

    def __init__(self, words: Axes, counted: NDArray[np.bool_]) -> None:
        distance = words.distances()
        self._rate = _rate_words(words, distance) * counted
        self._index = None if distance is None else distance - distance.min()  # [queries, keys]

    def of(self, weights: Weights) -> NDArray[np.floating]:
        """Return how much each link of one head says, below 0 where habit explains more than it: [queries, keys]."""
        habit: NDArray[np.floating] = weights.mean(-2)  # of each key
        if self._index is not None:
            habit = np.maximum(habit, _average_diagonals(weights, self._index))
        excess: NDArray[np.floating] = np.subtract(weights, habit, dtype=float)
        excess *= self._rate
        return excess


def _rate_words(words: Axes, distance: NDArray[np.int64] | None) -> NDArray[np.floating]:
    """Return how much each link counts by its words, [queries, keys]: a rule of ours, for English and French."""
    asks = np.array([is_pronoun(token.text) for token in words.query_tokens])[:, None]
    ahead = np.zeros(1, np.bool_) if distance is None else distance > 0
    queries, keys = (
        np.array([_FUNCTION if is_function_word(token.text) else 1.0 for token in tokens])
        for tokens in (words.query_tokens, words.key_tokens)
    )
    answers = np.array([_ANSWERING if is_pronoun(token.text) else 1.0 for token in words.key_tokens])
    pronouns = np.where(asks, np.where(ahead, _ASKING_AHEAD, _ASKING), 1.0)
    return np.asarray(queries[:, None] * keys * answers * pronouns)


def _find_words(axes: Axes) -> Axes:
    """Return the axes of a record between words."""
    return make_grouper(axes, By.WORD).axes


def _list_heads(attention: HeadMatrix) -> Iterator[_HeadWeights]:
    """Yield each head and its weights."""
    return zip(product(attention.layers, attention.heads), chain(*attention.weights), strict=True)


def _group_heads(axes: Axes, words: Axes, heads: Iterable[_HeadWeights]) -> Iterator[_HeadWeights]:
    """Yield each head and its weights between words, one by one, since all together are large."""
    grouper = None if words.shape == axes.shape else make_grouper(axes, By.WORD)
    for (layer, head), weights in heads:
        if grouper is not None:
            _, (weights,) = grouper.group(Block.starting(axes.kind, layer, (head,), 0, weights[None]))
        yield (layer, head), weights


def _find_content(words: Axes) -> NDArray[np.bool_]:
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


def _find_largest(
    words: Axes, head: tuple[int, int], weights: Weights, content: NDArray[np.bool_], top: int
) -> Iterator[Link]:
    """Yield the links of a head that are `content` and whose weight is furthest from 0."""
    for query, key in zip(*_find_first(np.where(content, abs(weights), 0), top), strict=True):
        weight = float(weights[query, key])
        if content[query, key] and abs(weight) >= _SEEN:
            tokens = words.query_tokens[query], words.key_tokens[key]
            yield Link(*head, *tokens, weight)


def _find_first(numbers: NDArray[np.floating], top: int) -> tuple[NDArray[np.intp], ...]:
    """Return the places of the largest numbers, largest first; of equal ones, those that come first."""
    flat = -numbers.ravel()
    least = np.partition(flat, min(top, flat.size) - 1)[min(top, flat.size) - 1]  # sorting all of them would be slow
    candidates = np.flatnonzero(flat <= least)
    return np.unravel_index(candidates[np.argsort(flat[candidates], kind="stable")][:top], numbers.shape)
