"""The alignment of the tokens of two sequences, which are of two texts, or of one text as two tokenizers cut it."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Self

from msgspec import Struct

from attnviz.text import Token


class Alignment(Struct, frozen=True):
    """Tokens of two sequences that are the same, by their places in either, in order."""

    first: tuple[int, ...]
    second: tuple[int, ...]

    @classmethod
    def of(cls, first: Sequence[Token], second: Sequence[Token]) -> Self:
        """Return the alignment that difflib finds: the longest stretch of equal tokens, and so on before and after it.

        Tokens are equal that read the same or, of one text, stand for the same characters.

        Example:
            >>> from attnviz.text import make_tokens
            >>> Alignment.of(make_tokens(["too", "wide"]), make_tokens(["much", "too", "tall"]))
            Alignment(first=(0,), second=(1,))
        """
        texts = _list_texts(first)
        name = _name_span if texts and texts == _list_texts(second) else _name_text
        names, others = ([name(token) for token in tokens] for tokens in (first, second))
        blocks = SequenceMatcher(None, names, others, autojunk=False).get_matching_blocks()
        pairs = [(a + i, b + i) for a, b, size in blocks for i in range(size)]
        return cls(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))

    def parts(self, size: int) -> Iterator["Alignment"]:
        """Yield the alignment in parts of so many tokens, or fewer in the end."""
        for start in range(0, len(self.first), size):
            yield Alignment(self.first[start : start + size], self.second[start : start + size])


def _list_texts(tokens: Sequence[Token]) -> set[tuple[int, str]]:
    """Return the texts that tokens stand in, each with its number."""
    return {(token.source.number, token.source.text) for token in tokens if token.source}


def _name_text(token: Token) -> tuple[object, ...]:
    return token.special, token.text


def _name_span(token: Token) -> tuple[object, ...]:
    return _name_text(token) if token.special or token.span is None else (token.segment, token.span)
