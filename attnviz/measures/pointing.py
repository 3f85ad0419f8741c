"""Pointing: which word a word looks at most, and which looks at it most, in each head."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.records import Axes, Block, Word, invert, to_array, to_numpy
from attnviz.text import By, Token, group_tokens

Reals = NDArray[np.float64]


class Question(Struct, frozen=True):
    """A word, and the words that would be right for it to point at."""

    word: Word
    answers: tuple[Word, ...]


class Pointed(Struct, frozen=True, eq=False):
    """The answers of all heads to some questions, in one direction; both are [questions, layers, heads].

    `weights` is the mean over the right words of the weight to them, NaN where none can have any. `right` is 1 where
    the word of the largest weight is one of them and else 0: the most attended other word, special tokens and blanks
    left out (Clark et al. 2019, "What Does BERT Look At?", section 4).
    """

    weights: Reals
    right: Reals

    @classmethod
    def unanswered(cls, shape: tuple[int, ...], defined: Sequence[bool]) -> "Pointed":
        """Return arrays of 0, and of NaN for questions that are not defined."""
        blank = np.where(np.reshape(defined, (-1, 1, 1)), np.zeros(shape), np.nan)
        return cls(blank, blank.copy())


class _Rows:
    """The mean rows of groups of queries, each handed over as soon as all of its queries have come."""

    def __init__(self, groups: Sequence[Sequence[int]], keys: int) -> None:
        self.groups, self.keys = groups, keys
        self._pieces = np.array([piece for group in groups for piece in group], np.intp)
        self._owners = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        self._begun: dict[tuple[int, tuple[int, ...], int], tuple[int, Reals]] = {}

    def of(self, block: Block, queries: int) -> Iterator[tuple[int, Reals]]:
        """Yield the number of each group that this block completes, and its mean row [heads, keys]."""
        place = invert(block.rows, queries)
        here = place[self._pieces] >= 0
        owners, starts, counts = np.unique(self._owners[here], return_index=True, return_counts=True)
        pieces = to_numpy(block.weights[:, place[self._pieces[here]]]).astype(float)  # [heads, pieces, keys here]
        sums = np.zeros((len(owners), len(block.heads), self.keys))
        sums[..., to_array(block.keys)] = np.add.reduceat(pieces, starts, 1).swapaxes(0, 1)
        for owner, count, row in zip(owners.tolist(), counts.tolist(), sums, strict=True):
            key, size = (block.layer, block.heads, owner), len(self.groups[owner])
            seen, before = self._begun.pop(key, (0, np.zeros(())))
            if seen + count == size:
                yield owner, (before + row) / size
            else:
                self._begun[key] = seen + count, before + row


class Pointing:
    """The reducer that asks each head some questions; it holds one row of each word at a time.

    `query_words` and `key_words` have the number of the word that each token is part of, -1 if it is part of none.
    """

    def __init__(
        self, axes: Axes, questions: Sequence[Question], query_words: Sequence[int], key_words: Sequence[int]
    ) -> None:
        self._axes, self._questions = axes, questions
        self._words = np.asarray(key_words)
        self._order = np.argsort(self._words, kind="stable")[np.count_nonzero(self._words < 0) :]
        self._numbers, self._starts = np.unique(self._words[self._order], return_index=True)
        units = [np.flatnonzero(np.asarray(query_words) == number).tolist() for number in {*query_words} - {-1}]
        answers = [(one, answer) for one, each in enumerate(questions) for answer in each.answers]
        self._givers = [(one, answer) for one, answer in answers if answer.queries]
        self._forth = _Rows([one.word.queries for one in questions], len(key_words))
        self._back = _Rows([answer.queries for _, answer in self._givers], len(key_words))
        self._all = _Rows(units, len(key_words))
        shape = len(questions), *axes.shape[:2]
        self._there = Pointed.unanswered(shape, [any(answer.keys for answer in one.answers) for one in questions])
        seen = [bool(one.word.keys) and any(answer.queries for answer in one.answers) for one in questions]
        self._seen_by = Pointed.unanswered(shape, seen)
        self._seen = [one for one, known in enumerate(seen) if known]  # questions whose word is a key
        words = [questions[one].word for one in self._seen]
        self._pieces = np.array([key for word in words for key in word.keys], np.intp)
        self._firsts = np.cumsum([0, *(len(word.keys) for word in words)])[:-1]
        self._others = np.array([[{*unit}.isdisjoint(word.queries) for word in words] for unit in units])
        right = [{query for answer in questions[one].answers for query in answer.queries} for one in self._seen]
        self._right = np.array([[not each.isdisjoint(unit) for each in right] for unit in units])
        self._most = np.zeros(shape)  # the largest weight that a word has given each of these so far

    def update(self, block: Block) -> None:
        """Take in the rows of a block."""
        layer, heads = self._axes.layers.index(block.layer), [self._axes.heads.index(head) for head in block.heads]
        queries = len(self._axes.query_tokens)
        for one, row in self._forth.of(block, queries):
            self._look(one, (one, layer, heads), row)
        for number, row in self._back.of(block, queries):
            one, _ = self._givers[number]
            self._seen_by.weights[one, layer, heads] += row[:, list(self._questions[one].word.keys)].sum(-1)
        if self._seen:
            place = np.ix_(np.array(self._seen), np.array([layer]), np.array(heads))
            for unit, row in self._all.of(block, queries):
                self._compare(unit, place, row)

    def result(self) -> tuple[Pointed, Pointed]:
        """Return what each word looks at, and what looks at it."""
        givers = np.bincount([one for one, _ in self._givers], minlength=len(self._questions))
        mean = self._seen_by.weights / givers[:, None, None]  # NaN where there is none
        return self._there, replace(self._seen_by, weights=mean)

    def _look(self, one: int, place: tuple[int, int, list[int]], row: Reals) -> None:
        """Take down what a word looks at in some heads, whose weights from it are `row` [heads, keys]."""
        word = self._questions[one].word
        answers = [answer.keys for answer in self._questions[one].answers if answer.keys]
        if not answers or not self._numbers.size:
            return
        self._there.weights[place] = np.mean([row[:, list(keys)].sum(-1) for keys in answers], 0)
        words = np.add.reduceat(row[:, self._order], self._starts, -1)  # [heads, words]
        words[:, np.isin(self._numbers, self._words[list(word.keys)])] = 0
        right = np.isin(self._numbers, self._words[[key for keys in answers for key in keys]])
        answered = right[words.argmax(-1)] & (words.max(-1) > 0)
        self._there.right[place] = answered if right.any() else np.nan  # special tokens are left out

    def _compare(self, unit: int, place: Any, row: Reals) -> None:
        """Take down which words a word looks at more than any word before it did, from its `row` [heads, keys]."""
        weights = np.add.reduceat(row[:, self._pieces], self._firsts, -1).T[:, None]  # [questions, 1, heads]
        most, right = self._most[place], self._seen_by.right[place]
        more = (weights > most) & self._others[unit][:, None, None]
        self._most[place] = np.where(more, weights, most)
        self._seen_by.right[place] = np.where(more, self._right[unit][:, None, None], right)


def number_words(tokens: Sequence[Token]) -> list[int]:
    """Return the number of the word that each token is part of, from 0 in their order; -1 for special ones and blanks.

    Example:
        >>> (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
        >>> number_words(attention.key_tokens)
        [-1, 0, 1, 2, 3, -1]
    """
    numbers: dict[int, int] = {}
    return [
        -1 if token.special or token.word is None else numbers.setdefault(group, len(numbers))
        for token, group in zip(tokens, group_tokens(tokens, By.WORD).index, strict=True)
    ]
