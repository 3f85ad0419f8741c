"""From text to ids and tokens, with a tokenizer of the tokenizers library."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.errors import HOW_TO_CUT, TextError
from attnviz.models.base import Card, Reading
from attnviz.text import Token, checked, special_token, token_of, word_spans

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class TextReader:
    """A tokenizer.json, read when the first text comes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer itself; no word of a text is taken for one of its special tokens."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._path))
        tokenizer.encode_special_tokens = True
        return tokenizer

    def read(self, text: str, card: Card) -> Reading:
        """The ids and tokens of a text, special tokens included.

        Raises:
            TextError: the text is empty, not valid Unicode, or has more tokens than the model has positions.
        """
        encoding = self.tokenizer.encode(checked(text))
        if card.positions is not None and len(encoding) > card.positions:
            raise TextError(
                f"The text is {len(encoding):,} tokens long, and {card.name} reads at most {card.positions:,}. "
                f"{HOW_TO_CUT}"
            )
        words = word_spans(text)
        tokens: list[Token] = []
        for name, span, special in zip(encoding.tokens, encoding.offsets, encoding.special_tokens_mask, strict=True):
            position = len(tokens)
            tokens.append(special_token(name, position) if special else token_of(text, span, position, words))
        return Reading(tuple(encoding.ids), tuple(tokens))
