"""Links between two named words: how much weight each head gives them, and whether it points from one to the other."""

import re
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.errors import TextError, UsageError
from attnviz.measures.pointing import Pointing, Question, number_words
from attnviz.measures.totals import SharedHeads
from attnviz.records import Axes, Column, HeadTable, Word
from attnviz.text import not_found, visible
from attnviz.vocabulary import Kind

OFFSETS = range(-3, 3)
"""The fixed distances in words that a baseline may have (Clark et al. 2019, section 4.2: "the best fixed offset")."""

_CLARK = "Clark et al. 2019, What Does BERT Look At?, section 4"
_DEFINITIONS = {
    "weight": "weight from the first word (mean of its pieces) to the second (sum of its pieces), mean over places",
    "accuracy": "how often the first word looks most at the second, of all words but itself and special tokens",
    "baseline": "how often one fixed distance hits the second word: the best distance from 3 words before to 2 after",
    "weight_back": "mean weight from the second word to the first",
    "accuracy_back": "how often no other word looks more at the first than the second does",
}
"""What the numbers mean, by their names in data."""


Sees = Callable[[Sequence[int], Sequence[int]], bool]
"""Return whether some keys are read together with each of some queries, which long texts in windows are not always."""

_ENDS = {
    Kind.ENCODER: "encoder attention links words of the text",
    Kind.CROSS: "cross-attention links a word of the target to one of the text",
    Kind.DECODER: "decoder attention links a word of the target to an earlier one",
}
"""What an encoder-decoder links."""


def see_all(queries: Sequence[int], keys: Sequence[int]) -> bool:
    """Return True: a text that is not read in windows is read together."""
    return True


class MissingLinkError(TextError):
    """A text in which one of the two words of a link does not stand."""


class DistantLinkError(MissingLinkError):
    """A text of which no window holds both words of a link."""


class WordLink(Struct, frozen=True):
    """A link from one word, the query, to another, the key; both are named as `--token` names them."""

    query: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the link that is written as `it -> animal`, or with an arrow `→`.

        Raises:
            UsageError: it is written in another way.

        Example:
            >>> WordLink.parse("it -> animal")
            WordLink(query='it', key='animal')
        """
        ends = [end.strip() for end in re.split("->|→", text)]
        if len(ends) != 2 or not all(ends):
            raise UsageError(f'A link is written as "it -> animal", not as {visible(text)!r}.')
        return cls(*ends)

    def __str__(self) -> str:
        """Write it with an arrow."""
        return f"{self.query} → {self.key}"

    def check(self, found: Sequence[Axes], sees: Sees = see_all, *, translated: bool = False) -> None:
        """Refuse a text that has no such link; `translated` says that a decoder reads a target beside it.

        Raises:
            MissingLinkError: one of the words stands in none of these, or they are one and the same.
            DistantLinkError: they are never read together.
        """
        if any(_ask(axes, self, sees) for axes in found):
            return
        if any(_ask(axes, self, see_all) for axes in found):
            raise DistantLinkError(
                f"No window holds both words of the link {visible(str(self))}:", hint="read larger ones with {window}."
            )
        ends = ", ".join(_ENDS[axes.kind] for axes in found) if translated else ""
        queries = {token: None for axes in found for token in axes.query_tokens}
        keys = {token: None for axes in found for token in axes.key_tokens}
        for tokens, word, axis in ((queries, self.query, "queries"), (keys, self.key, "keys")):
            if not any(getattr(one, axis) for axes in found for one in axes.words(word)):
                why = f" {ends[0].upper()}{ends[1:]}." if ends else ""
                raise MissingLinkError(not_found(list(tokens), word).advice + why)
        ahead = any(axes.kind is Kind.DECODER for axes in found)
        order = ", the second of them first, since a decoder does not look ahead" if ahead else ""
        there = f"here: {ends}" if ends else f"in this text: name two places in it{order}"
        raise MissingLinkError(f"There is no link {visible(str(self))} {there}.")


class LinkNumbers:
    """The reducer that computes the numbers of a link in one text: a `HeadTable`."""

    def __init__(self, axes: Axes, link: WordLink, sees: Sees = see_all) -> None:
        self._axes, self._questions, self._words = axes, _ask(axes, link, sees), number_words(axes.key_tokens)
        self._answered = [any(sees(answer.queries, one.word.keys) for answer in one.answers) for one in self._questions]
        self._pointing = Pointing(axes, self._questions, number_words(axes.query_tokens), self._words)
        self.update = self._pointing.update

    def result(self) -> HeadTable:
        """Return the table of this one text, with the share of each offset; where there is no link, it is empty."""
        there, back = self._pointing.result()
        axes, values = self._axes, dict[str, NDArray[np.float64]]()
        if self._questions:
            values = {"weight": there.weights.mean(0), "accuracy": there.right.mean(0)}
            answered = np.array(self._answered)
            for name, each in (("weight_back", back.weights), ("accuracy_back", back.right)):
                values[name] = each[answered].mean(0) if answered.any() else np.full(axes.shape[:2], np.nan)
        shares = zip(OFFSETS, follow_offsets(self._questions, self._words), strict=True)
        values |= {_offset_name(k): np.full(axes.shape[:2], share) for k, share in shares if self._questions}
        columns = {name: Column.of_one_text(value, "") for name, value in values.items()}
        return SharedHeads.of(axes).make_table(1, columns)


def rank_heads(table: HeadTable, *ranked_by: str) -> HeadTable:
    """Return the table of all texts with the best offset as the baseline, its heads ranked by these numbers."""
    offsets = [table.columns[_offset_name(k)] for k in OFFSETS]
    best = max(offsets, key=lambda column: np.nan_to_num(column.means.flat[0], nan=-1))
    found = {**table.columns, "baseline": best}
    columns = {name: replace(found[name], definition=f"{told} ({_CLARK})") for name, told in _DEFINITIONS.items()}
    return replace(table, columns=columns, ranked_by=ranked_by)


def follow_offsets(questions: Sequence[Question], words: Sequence[int]) -> NDArray[np.float64]:
    """Return the share of questions that each offset answers, [offsets], from the word that each key is part of.

    It is NaN between two sequences, where no word stands before or after another.
    """
    asked = [
        (words[one.word.keys[0]], {words[key] for answer in one.answers for key in answer.keys})
        for one in questions
        if one.word.keys
    ]
    right = [[number >= 0 and number + k in answers for k in OFFSETS] for number, answers in asked]
    return np.mean(right, 0) if right else np.full(len(OFFSETS), np.nan)


def _ask(axes: Axes, link: WordLink, sees: Sees) -> list[Question]:
    """Return a question for each place where the first word stands, whose answers are those of the second."""

    def can_answer(word: Word, target: Word) -> bool:
        return target != word and _can_see(axes, word, target) and sees(word.queries, target.keys)

    targets = axes.words(link.key)
    asked = ((word, tuple(target for target in targets if can_answer(word, target))) for word in axes.words(link.query))
    return [
        Question(word, answers) for word, answers in asked if word.queries and any(answer.keys for answer in answers)
    ]


def _can_see(axes: Axes, word: Word, target: Word) -> bool:
    """Return whether a word may look at another one: in a decoder only at what stands before it, or is part of it."""
    if axes.kind is not Kind.DECODER or not (word.queries and target.keys):
        return True
    last = max(axes.query_tokens[query].position for query in word.queries)
    return min(axes.key_tokens[key].position for key in target.keys) <= last


def _offset_name(offset: int) -> str:
    return f"offset {offset:+d}"
