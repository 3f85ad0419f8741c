"""Tokens, the words they belong to, and text that is safe to put on a terminal."""

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from attnviz.errors import TextError

Span = tuple[int, int]
"""Character offsets of a stretch of text, the end not included."""

_APOSTROPHES = "'’"
_JOINERS = "\u200c\u200d"
_INNER = _JOINERS + "\u00ad"  # what a word may hold between its letters without being seen: joiners, soft hyphen
_SKIN_TONES = "".join(map(chr, range(0x1F3FB, 0x1F400)))
_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))  # a flag is two of them
_NAMED_WHITESPACE = {" ": "␣", "\t": "⇥", "\n": "⏎", "\r": "␍", "\x7f": "␡"}


@dataclass(frozen=True, slots=True)
class Token:
    """One position of a sequence that a model reads, or a group of them.

    `text` is what to display, already safe; `position` its index in the whole sequence, or that of the first token of a
    group; `span` the characters of the input that it stands for (None for special tokens); `word` the index of the word
    that it belongs to.
    """

    text: str
    position: int
    span: Span | None = None
    special: bool = False
    word: int | None = None


@dataclass(frozen=True, slots=True)
class Groups:
    """A partition of a sequence: `tokens`, one a group, and for each token of the sequence the `index` of its group."""

    tokens: tuple[Token, ...]
    index: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One place where a word, or a token, stands: the indices of its pieces among the tokens searched."""

    text: str
    indices: tuple[int, ...]


def visible(text: str) -> str:
    """The text with every character that a terminal would obey, or not show, replaced by one that can be seen."""
    if text.isprintable():
        return text
    kept = _JOINERS if text.strip(_JOINERS) else ""  # between other characters they join; alone they would not be seen
    return "".join(char if char.isprintable() or char in kept else _picture(char) for char in text)


def _picture(char: str) -> str:
    if char in _NAMED_WHITESPACE:
        return _NAMED_WHITESPACE[char]
    if ord(char) < 0x20:
        return chr(0x2400 + ord(char))  # the block of control pictures follows the order of the control characters
    return f"<U+{ord(char):04X}>"


def checked(text: str) -> str:
    """The text itself, if a model can read it.

    Raises:
        TextError: it is blank, or holds half of a surrogate pair.
    """
    if not text.strip():
        raise TextError("The text is empty: give at least one word.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TextError(
                f"The text is not valid Unicode: character {error.start} is half of a surrogate pair "
                f"(U+{ord(text[error.start]):04X}). Save it as UTF-8 and try again."
            ) from None
    return text


def token_of(text: str, span: Span, position: int, words: Sequence[Span]) -> Token:
    """The token that stands for `text[span]`, blanks at its edges left out (byte-level tokenizers count them in)."""
    start, end = span
    piece = text[start:end]
    if trimmed := piece.strip():
        start += len(piece) - len(piece.lstrip())
        end = start + len(trimmed)
    shown = visible(trimmed) if trimmed else "".join(_picture(char) for char in piece)
    return Token(shown, position, (start, end), False, word_at(words, start))


def special_token(text: str, position: int) -> Token:
    """A token that stands for nothing in the input, such as `[CLS]`."""
    return Token(visible(text), position, None, True, None)


def word_spans(text: str) -> list[Span]:
    """Where the words are, for every model alike.

    Runs of letters, digits and marks are words, apostrophes within included; each other character that is not a blank
    is a word of its own, with whatever modifies it (emoji sequences).
    """
    spans: list[Span] = []
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or not _joined(text, end):
            if not text[start].isspace():
                spans.append((start, end))
            start = end
    return spans


def _joined(text: str, at: int) -> bool:
    """Whether the characters before and after this offset belong to one word."""
    before, after = text[at - 1], text[at]
    if before.isspace() or after.isspace():
        return False
    if _modifies(after):
        return True
    if _in_word(after):
        return _ends_word(text, at) or (before in _APOSTROPHES and _ends_word(text, at - 1))
    if after in _APOSTROPHES:
        return _ends_word(text, at) and at + 1 < len(text) and _in_word(text[at + 1])
    return before == "\u200d" or (after in _FLAG_LETTERS and _flag_letters_before(text, at) % 2 == 1)


def _in_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _modifies(char: str) -> bool:
    return unicodedata.category(char) in ("Cf", "Mn", "Mc", "Me") or char in _SKIN_TONES


def _ends_word(text: str, at: int) -> bool:
    """Whether a letter or digit stands before this offset, whatever modifies it left aside."""
    while at and (unicodedata.category(text[at - 1])[0] == "M" or text[at - 1] in _INNER):
        at -= 1
    return at > 0 and _in_word(text[at - 1])


def _flag_letters_before(text: str, at: int) -> int:
    return at - len(text[:at].rstrip(_FLAG_LETTERS))


def word_at(words: Sequence[Span], offset: int) -> int | None:
    """The index of the word that covers a character, or None between words."""
    index = bisect_right(words, offset, key=lambda span: span[0]) - 1
    return index if index >= 0 and offset < words[index][1] else None


def find(tokens: Sequence[Token], wanted: str) -> list[Occurrence]:
    """The token at a position, if a number is given; else every occurrence of a word, or of a token, whatever its case.

    Raises:
        TextError: there is none; the message says what there is.
    """
    found = [Occurrence(t.text, (i,)) for i, t in enumerate(tokens) if str(t.position) == wanted]
    found = found or _named(tokens, wanted.casefold())
    if not found:
        there = ", ".join(f"{token.position} {token.text}" for token in tokens[:40])
        more = ", …" if len(tokens) > 40 else ""
        raise TextError(f"There is no token {visible(wanted)!r} in this text. Its tokens are: {there}{more}.")
    return found


def _named(tokens: Sequence[Token], wanted: str) -> list[Occurrence]:
    groups = by_word(tokens)
    found = [
        Occurrence(group.text, tuple(i for i, of in enumerate(groups.index) if of == g))
        for g, group in enumerate(groups.tokens)
        if group.text.casefold() == wanted
    ]
    return found or [Occurrence(t.text, (i,)) for i, t in enumerate(tokens) if t.text.casefold() == wanted]


def by_word(tokens: Sequence[Token]) -> Groups:
    """Pieces of a word together; special tokens each on their own."""
    return _grouped(tokens, [("word", t.word) if t.word is not None else ("token", t.position) for t in tokens])


def _grouped(tokens: Sequence[Token], keys: Sequence[tuple[str, int | None]]) -> Groups:
    """Groups the tokens of equal key, in the order in which the keys come up."""
    members: dict[tuple[str, int | None], list[Token]] = {}
    for token, key in zip(tokens, keys, strict=True):
        members.setdefault(key, []).append(token)
    number = {key: index for index, key in enumerate(members)}
    return Groups(tuple(map(_merged, members.values())), tuple(number[key] for key in keys))


def _merged(pieces: Sequence[Token]) -> Token:
    first, last = pieces[0], pieces[-1]
    if first.span is None or last.span is None:
        return first
    text, end = first.text, first.span[1]
    for piece in pieces[1:]:
        if piece.span and piece.span[1] > end:  # the bytes of one character share their span, and show once
            text += " " * (piece.span[0] > end) + piece.text[max(0, end - piece.span[0]) :]
            end = piece.span[1]
    return Token(text, first.position, (first.span[0], end), False, first.word)
