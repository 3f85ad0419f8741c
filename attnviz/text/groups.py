"""Tokens that belong together: the pieces of a word, a sentence, a segment."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from attnviz.text.safety import JOINERS, visible
from attnviz.text.tokens import Token, predicting


class By(Enum):
    """What to group tokens by."""

    TOKEN = "token"
    WORD = "word"
    SENTENCE = "sentence"
    SEGMENT = "segment"


@dataclass(frozen=True, slots=True)
class Groups:
    """A partition of a sequence: `tokens`, one a group, and for each token of the sequence the `index` of its group."""

    tokens: tuple[Token, ...]
    index: tuple[int, ...]


_PARTS: dict[By, Callable[[Token], int | None]] = {
    By.TOKEN: lambda token: None,
    By.WORD: lambda token: token.word,
    By.SENTENCE: lambda token: token.sentence,
    By.SEGMENT: lambda token: None if token.special else 0,
}
"""The index, within its segment, of the group that a token belongs to; None where it is a group of its own."""

_JOINERS = {visible(joiner): joiner for joiner in JOINERS}


def grouped(tokens: Sequence[Token], by: By) -> Groups:
    """The pieces of each word, sentence or segment together; special tokens, and blanks between, each on their own.

    A group shows the whole of its text, with single blanks; its position is that of its first token.
    """
    keys = [_key(token, by) for token in tokens]
    members: dict[object, list[Token]] = {}
    for token, key in zip(tokens, keys, strict=True):
        members.setdefault(key, []).append(token)
    number = {key: index for index, key in enumerate(members)}
    groups = tuple(map(_merged, members.values()))
    predicted = [index for index, group in enumerate(groups) if group.predicts]
    told = predicting(groups, predicted[0]) if predicted else groups  # a group predicts a group, not a token
    return Groups(told, tuple(number[key] for key in keys))


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
