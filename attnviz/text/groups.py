"""Tokens that belong together: the pieces of a word, a sentence, a segment."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import groupby

from attnviz.errors import UsageError
from attnviz.text.bins import bins_of
from attnviz.text.safety import JOINERS, visible
from attnviz.text.tokens import Token, predicting


class By(Enum):
    """What to group tokens by."""

    TOKEN = "token"
    WORD = "word"
    SENTENCE = "sentence"
    SEGMENT = "segment"

    @property
    def unit(self) -> str:
        """What one of the groups is called."""
        return self.value


@dataclass(frozen=True, slots=True)
class Bins:
    """Stretches of neighbouring tokens, all about equally long: `count` of them, or fewer where the text is short."""

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"Tokens cannot be put into {self.count} bins: give at least 1.")

    @property
    def value(self) -> str:
        """How the command line and the data formats name it."""
        return f"{_BINS}{self.count}"

    @property
    def unit(self) -> str:
        """What one of the groups is called."""
        return "bin"


Grouping = By | Bins
"""What to group tokens by."""


def grouping(name: str) -> Grouping:
    """What is meant by `word`, or by `bins:256`.

    Raises:
        UsageError: nothing is.
    """
    if bins := re.fullmatch(rf"{_BINS}(\d{{1,9}})", name):
        return Bins(int(bins[1]))
    if name in (by.value for by in By):
        return By(name)
    raise UsageError(f"Nothing can be grouped by {name!r}: choose {', '.join(by.value for by in By)} or bins:256.")


@dataclass(frozen=True, slots=True)
class Groups:
    """A partition of a sequence: `tokens`, one a group, and for each token of the sequence the `index` of its group.

    `by` is what they are grouped by.
    """

    tokens: tuple[Token, ...]
    index: tuple[int, ...]
    by: Grouping = By.TOKEN


_PARTS: dict[By, Callable[[Token], int | None]] = {
    By.TOKEN: lambda token: None,
    By.WORD: lambda token: token.word,
    By.SENTENCE: lambda token: token.sentence,
    By.SEGMENT: lambda token: None if token.special else 0,
}
"""The index, within its segment, of the group that a token belongs to; None where it is a group of its own."""

_EDGE = 10
"""About how many characters of a bin are shown on either side."""

_BINS = "bins:"

_JOINERS = {visible(joiner): joiner for joiner in JOINERS}


def grouped(tokens: Sequence[Token], by: Grouping) -> Groups:
    """The pieces of each word, sentence or segment together; special tokens, and blanks between, each on their own.

    A group shows the whole of its text, with single blanks; its position is that of its first token. Of a bin, which is
    longer, the text shows the beginning and the end.
    """
    keys = _keys(tokens, by)
    members: dict[object, list[Token]] = {}
    for token, key in zip(tokens, keys, strict=True):
        members.setdefault(key, []).append(token)
    number = {key: index for index, key in enumerate(members)}
    groups = tuple(map(_stretch if isinstance(by, Bins) else _merged, members.values()))
    predicted = [index for index, group in enumerate(groups) if group.predicts]
    told = predicting(groups, predicted[0]) if predicted else groups  # a group predicts a group, not a token
    return Groups(told, tuple(number[key] for key in keys), by)


def _keys(tokens: Sequence[Token], by: Grouping) -> Sequence[object]:
    return bins_of(tokens, by.count) if isinstance(by, Bins) else [_key(token, by) for token in tokens]


def _key(token: Token, by: By) -> object:
    part = _PARTS[by](token)
    return token.position if part is None else (token.segment, part)


def _merged(pieces: Sequence[Token]) -> Token:
    seen = [piece for piece in pieces if piece.word is not None] or pieces  # blanks are seen by the gap they leave
    spans = [piece.span for piece in seen if piece.span]
    if len(pieces) == 1 or not spans:
        return pieces[0]
    return replace(
        seen[0],
        text=visible("".join(_running(seen))),
        position=pieces[0].position,
        span=(spans[0][0], max(end for _, end in spans)),
        predicts=pieces[-1].predicts,
    )


def _stretch(pieces: Sequence[Token]) -> Token:
    """A bin, which shows how it begins and how it ends: words of about `_EDGE` characters on either side."""
    whole = _merged(pieces)
    begins, ends = _edge(pieces), _edge(pieces[::-1])[::-1]
    if len(begins) + len(ends) >= len(pieces):
        return replace(whole, text=_said(pieces))
    return replace(whole, text=f"{_said(begins)} … {_said(ends)}")


def _said(pieces: Sequence[Token]) -> str:
    """The text of these pieces, special tokens among them."""
    runs = groupby(pieces, lambda piece: piece.special)
    return " ".join(_merged(list(run)).text if not special else " ".join(t.text for t in run) for special, run in runs)


def _edge(pieces: Sequence[Token]) -> list[Token]:
    """The first of these tokens up to the end of a word, as many as make `_EDGE` characters."""
    taken: list[Token] = []
    for piece in pieces:
        same_word = taken and piece.word is not None and piece.word == taken[-1].word
        if taken and not same_word and sum(len(one.text) for one in (*taken, piece)) > _EDGE:
            break
        taken.append(piece)
    return taken


def _running(pieces: Sequence[Token]) -> Iterator[str]:
    """What pieces show one after the other, a blank where they leave a gap between words."""
    end, word = (pieces[0].span or (0, 0))[0], None
    for piece in pieces:
        start, stop = piece.span or (end, end)
        if start > end and (word is None or piece.word != word):
            yield " "
        yield from _characters(piece)[max(0, end - start) :]  # bytes of one character share its span: it shows once
        end, word = max(end, stop), piece.word


def _characters(token: Token) -> list[str]:
    """What a token shows for each character of its span; joiners as such, for now they stand between others."""
    start, end = token.span or (0, 0)
    shown = re.findall(r"<U\+[0-9A-F]{4,6}>|.", token.text, re.DOTALL)
    if len(shown) != end - start:  # what looks like a picture is the text itself
        return list(token.text)
    return [_JOINERS.get(char, char) for char in shown]
