"""From texts to ids and tokens, with a tokenizer of the tokenizers library."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.errors import HOW_TO_CUT, ModelError, TextError
from attnviz.models.base import Card, Passage, Reading
from attnviz.text import Segment, Token, checked, special_token

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


class TextReader:
    """A tokenizer.json, read when the first text comes.

    Where a text names a special token, such as `[MASK]`, that token is meant, unless `literal` says that it is text.
    """

    def __init__(self, path: Path, *, literal: bool = False) -> None:
        self._path = path
        self._literal = literal

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer itself, which neither truncates nor pads, whatever was stored with it.

        Raises:
            ModelError: the file is no tokenizer.
        """
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self._path))
        except Exception as error:  # the library raises nothing more special
            raise ModelError(f"{self._path} cannot be read as a tokenizer: {error}.") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = self._literal
        return tokenizer

    def read(self, passage: Passage, card: Card) -> Reading:
        """The ids and tokens of a text, or of the two of a pair, special tokens included.

        Raises:
            TextError: a text is empty, not valid Unicode, or has more tokens than the model has positions.
            ModelError: the tokenizer fails.
        """
        read = segments(passage.text, passage.pair)
        encoding = self._encoding([segment.text for segment in read], card)
        check_length(len(encoding), card)
        tokens = tuple(_tokens(encoding, read))
        return Reading(passage=passage, ids=tuple(encoding.ids), tokens=tokens, types=tuple(encoding.type_ids))

    def _encoding(self, texts: list[str], card: Card) -> "Encoding":
        first, second = texts[0], texts[1] if len(texts) > 1 else None
        try:
            return self.tokenizer.encode(first, second)
        except Exception as error:  # as of one that knows no token for what it does not know
            raise ModelError(f"The tokenizer of {card.name} cannot read this text: {error}.") from error


def segments(text: str, pair: str | None) -> list[Segment]:
    """The text, or the two of a pair, if a model can read them.

    Raises:
        TextError: one is empty, or not valid Unicode.
    """
    first = Segment(checked(text))
    return [first] if pair is None else [first, Segment(checked(pair, "The second text"), 1)]


def check_length(tokens: int, card: Card, what: str = "The text", more: int = 0) -> None:
    """Refuses what is too long for a model, or nothing, before more is done with it; `more` are still to be written.

    Raises:
        TextError: there are no tokens, or more than the model has positions.
    """
    if not tokens:
        raise TextError(f"{what} is nothing to the tokenizer of {card.name}: give a word that can be seen.")
    if card.positions is None or tokens + more <= card.positions:
        return
    if tokens < card.positions:
        left = f"that leaves room for {card.positions - tokens:,} new ones, and {more:,} were asked for"
        raise TextError(f"{what} is {tokens:,} tokens long, of {card.positions:,} that {card.name} reads: {left}.")
    raise TextError(f"{what} is {tokens:,} tokens long, and {card.name} reads at most {card.positions:,}. {HOW_TO_CUT}")


def _tokens(encoding: "Encoding", segments: list[Segment]) -> Iterator[Token]:
    parts = zip(encoding.tokens, encoding.offsets, encoding.sequence_ids, strict=True)
    for position, (name, span, number) in enumerate(parts):
        yield special_token(name, position) if number is None else segments[number].token(span, position)
