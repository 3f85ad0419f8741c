"""Words and tokens by name."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Protocol, TypeVar
from unicodedata import category, normalize

from msgspec import Struct

from attnviz.errors import TextError
from attnviz.text.grouping import group_tokens
from attnviz.text.safety import visible
from attnviz.text.tokens import Token
from attnviz.vocabulary import By


class Occurrence(Struct, frozen=True):
    """One place where a word, or a token, stands: the indices of its pieces among the tokens searched."""

    text: str
    indices: tuple[int, ...]


def find_occurrences(tokens: Sequence[Token], wanted: str) -> list[Occurrence]:
    """Find the token at a position if `wanted` is a number, else every place of a word, words in a row, or a token.

    Case, and whether characters are composed (NFC) or not (NFD), make no difference.
    """
    found = [Occurrence(t.text, (i,)) for i, t in enumerate(tokens) if str(t.position) == wanted]
    return found or _find_named(tokens, wanted)


class _Named(Protocol):
    @property
    def text(self) -> str: ...


Found = TypeVar("Found", bound=_Named)


def choose_spelled(found: Sequence[Found], wanted: str) -> Found:
    """Return the first of the places found that is spelled as wanted, case included; the first of all if none is."""
    return next((each for each in found if each.text == wanted), found[0])


def find_rows(tokens: Sequence[Token], wanted: Sequence[str]) -> tuple[int, ...]:
    """Return the indices, in order, of the tokens named: by position (`3`), range (`3-9`), word, or list (`it,3-9`)."""
    named = (index for name in wanted for index in _find_whole(tokens, name) or _find_in_list(tokens, name))
    return tuple(sorted(set(named)))


def find_unnamed(sequences: Sequence[Sequence[Token]], wanted: Sequence[str]) -> str | None:
    """Return the first of these names, or of the names in a list, that stands for no token of any sequence."""
    for name in wanted:
        if not any(_find_whole(tokens, name) for tokens in sequences):
            for part in name.split(","):
                if not any(_find_whole(tokens, part) for tokens in sequences):
                    return part
    return None


def _find_in_list(tokens: Sequence[Token], name: str) -> list[int]:
    return [index for part in name.split(",") for index in _find_whole(tokens, part)]


def _find_whole(tokens: Sequence[Token], name: str) -> list[int]:
    """Return the tokens at one position or in one range; if there are none, those of a word."""
    name = name.strip()
    if _RANGE.fullmatch(name):
        first, _, last = name.partition("-")
        there = range(int(first), int(last or first) + 1)
        if found := [index for index, token in enumerate(tokens) if token.position in there]:
            return found
    return [index for occurrence in find_occurrences(tokens, name) for index in occurrence.indices]


_RANGE = re.compile(r"\d{1,9}(-\d{1,9})?", re.ASCII)


def not_found(tokens: Sequence[Token], wanted: str) -> TextError:
    """Return the error for a word that is not found, which lists the tokens that there are."""
    there = ", ".join(f"{token.position} {token.label}" for token in tokens[:40])
    more = ", …" if len(tokens) > 40 else ""
    return TextError(f"There is no token {visible(wanted)!r} in this text. Its tokens are: {there}{more}.")


def _find_named(tokens: Sequence[Token], wanted: str) -> list[Occurrence]:
    """Return every place of a word or of several in a row; if there is none, of a token, by its text or its name."""
    groups, name = group_tokens(tokens, By.WORD), fold(wanted)
    members: list[list[int]] = [[] for _ in groups.tokens]
    for index, group in enumerate(groups.index):
        members[group].append(index)
    found = []
    for first, last in _find_stretches(groups.tokens, name):
        whole = [own for own in members[first : last + 1] if first == last or not tokens[own[0]].special]
        found.append(Occurrence(_show(groups.tokens[first], groups.tokens[last]), tuple(sorted(chain(*whole)))))
    return found or [
        Occurrence(token.text, (index,))
        for index, token in enumerate(tokens)
        if name in (*_list_names(token), fold(token.piece or token.text))
    ]


def _find_stretches(words: Sequence[Token], name: str) -> Iterator[tuple[int, int]]:
    """Yield the first and the last word of each stretch of a text that reads like this."""
    for first, word in enumerate(words):
        if name in _list_names(word):
            yield first, first
        elif word.word is not None and name.startswith(fold(_cut_text(word, word))):
            for last in range(first + 1, len(words)):
                if words[last].word is None:
                    continue
                said = fold(_cut_text(word, words[last])) if words[last].segment == word.segment else ""
                if said == name:
                    yield first, last
                if not said or said == name or not name.startswith(said):
                    break


def _show(first: Token, last: Token) -> str:
    """Return what a word shows, or the text from one word to another."""
    return first.text if first is last else visible(" ".join(_cut_text(first, last).split()))


def _list_names(token: Token) -> tuple[str, str]:
    """Return what a token, or a word, may be called: as it is shown, and as it stands in its text."""
    return fold(token.text), fold(_cut_text(token, token))


def _cut_text(first: Token, last: Token) -> str:
    """Return the text from one word to another of the same text, as it is."""
    if first.source is None or first.span is None or last.span is None:
        return first.text if first is last else ""
    return first.source.text[first.span[0] : last.span[1]]


def fold(text: str) -> str:
    """Return a text without case, in one composition, and without joiners, so that two spellings compare as equal.

    Case is folded as Unicode has it for canonical caseless matching (The Unicode Standard, section 3.13, D145).
    """
    text = " ".join(text.split())
    if text.isascii():
        return text.casefold()
    seen = "".join(char for char in text if category(char) != "Cf")
    return normalize("NFD", normalize("NFD", seen or text).casefold())
