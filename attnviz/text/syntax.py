"""The syntax of a text as somebody else has told it: its words, and the word that each depends on."""

from collections.abc import Sequence

from msgspec import Struct

from attnviz.text.boundaries import Span, find_covering
from attnviz.text.tokens import Token


class GoldWord(Struct, frozen=True):
    """A word of a treebank: where it stands, the relation to the word that it depends on, and the index of that word.

    The word that depends on no other, the root, has None.
    """

    span: Span
    relation: str
    governor: int | None


class ParsedText(Struct, frozen=True):
    """A text and its words, in order."""

    text: str
    words: Sequence[GoldWord]

    def align(self, tokens: Sequence[Token]) -> list[int]:
        """Return the index of the word that each token is part of: that in which it begins; -1 if there is none."""
        spans = [word.span for word in self.words]
        return [self._align_token(token, spans) for token in tokens]

    def _align_token(self, token: Token, spans: Sequence[Span]) -> int:
        if token.special or token.span is None or token.source is None or token.source.text != self.text:
            return -1
        index = find_covering(spans, token.span[0])
        return -1 if index is None else index
