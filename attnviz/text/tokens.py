"""Tokens, which a model reads position by position, and the texts that they are cut from."""

import reprlib
from collections.abc import Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import astuple, replace

from attnviz.text.boundaries import Span, find_covering, find_sentence_spans, find_word_spans, trim
from attnviz.text.safety import draw_character, visible


class Token(Struct, frozen=True, eq=False):
    """One position of a sequence that a model reads, or a group of them.

    `text` is what to display, already safe; `position` its index in the whole sequence, or that of the first token of a
    group; `span` the characters of its segment that it stands for (None for special tokens); `word` the index of the
    word that it belongs to, or begins with (None for blanks between them); `segment` the number of the text that it
    stands in, of those that a model reads; `predicts` what a decoder that reads it is to give next; `window` the number
    of the window that it was read in, where a long text is read in several. `id` is its number in the model's
    vocabulary and `piece` its name there, as it is; `unknown` says that the vocabulary has nothing for its text. A
    group of several tokens has neither. `source` is the text that it stands in, where that is known.
    """

    text: str
    position: int
    span: Span | None = None
    special: bool = False
    word: int | None = None
    segment: int = 0
    predicts: str | None = None
    window: int | None = None
    id: int | None = None
    piece: str | None = None
    unknown: bool = False
    source: "Segment | None" = None

    def __eq__(self, other: object) -> bool:
        """Return whether it is the same token, whatever text it stands in."""
        return isinstance(other, Token) and astuple(self)[:-1] == astuple(other)[:-1]

    def __hash__(self) -> int:
        return hash(astuple(self)[:-1])

    @property
    def label(self) -> str:
        """Return what to display; of an unknown token its text, after what the model reads in place of it."""
        return f"{visible(self.piece or _UNKNOWN)} {self.text}" if self.unknown else self.text

    @property
    def sentence(self) -> int | None:
        """Return the index of the sentence that it belongs to, or begins with; None for blanks between them."""
        return find_covering(self.source.sentences, self.span[0]) if self.source and self.span else None

    @property
    def added(self) -> bool:
        """Return whether it is a special token that stands nowhere in a text."""
        return self.special and self.source is None


_UNKNOWN = "[UNK]"


class Segment(Struct, frozen=True, dict=True):
    """One of the texts that a model reads: the first or second of a pair, a prompt or its continuation."""

    text: str
    number: int = 0

    def __repr__(self) -> str:
        return f"Segment({reprlib.repr(self.text)}, number={self.number})"

    @cached_property
    def words(self) -> list[Span]:
        """Return where its words are."""
        return find_word_spans(self.text)

    @cached_property
    def sentences(self) -> list[Span]:
        """Return where its sentences are."""
        return find_sentence_spans(self.text)

    def token(self, span: Span, position: int) -> Token:
        """Return the token that stands for a stretch, blanks at its edges left out (byte-level tokenizers count them).

        A stretch of blanks, or of nothing (the lone `▁` of some tokenizers), shows as blanks and belongs to no word.
        """
        start, end = trim(self.text, span)
        if start < end:
            shown, word = visible(self.text[start:end]), find_covering(self.words, start)
        else:
            start, end = span
            shown, word = "".join(map(draw_character, self.text[start:end] or " ")), None
        return Token(shown, position, (start, end), False, word, self.number, source=self)

    def special_token(self, text: str, position: int) -> Token:
        """Return a special token, such as `[MASK]`, that stands in it."""
        return replace(make_special_token(text, position), segment=self.number, source=self)


def add_predictions(tokens: Sequence[Token], since: int = 0) -> tuple[Token, ...]:
    """Return the tokens, those from `since` on with the label of the next one as what they predict."""
    after = [token.label for token in tokens[since + 1 :]]
    told = (replace(token, predicts=text) for token, text in zip(tokens[since:], after, strict=False))
    return (*tokens[:since], *told, *tokens[max(since, len(tokens) - 1) :])


def make_special_token(text: str, position: int) -> Token:
    """Return a token that stands for nothing in the input, such as `[CLS]`."""
    return Token(visible(text), position, special=True)


def make_tokens(names: Sequence[str], segment: int = 0) -> tuple[Token, ...]:
    """Return tokens of these names, cut from a text that has the names with blanks between."""
    text, start, tokens = Segment(" ".join(names), segment), 0, list[Token]()
    for position, name in enumerate(names):
        tokens.append(text.token((start, start + len(name)), position))
        start += len(name) + 1
    return tuple(tokens)
