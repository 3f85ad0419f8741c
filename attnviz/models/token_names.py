"""The vocabulary of a tokenizer, and the tokens that its ids make of a text."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import INTERRUPTS, Advice
from attnviz.models.passages import Reading
from attnviz.text import Segment, Span, Token, make_special_token

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TextSpan = tuple[int, Span]
"""The number of a text, and a span in it."""

_BLANK = frozenset("▁ĠĊĉč")
"""The characters that vocabularies write for a blank, a line feed, a tab and a carriage return."""

_OF_NO_VOCABULARY = "\U0010ffff"  # never a character


class Vocabulary(Struct, frozen=True):
    """The vocabulary of a tokenizer: the name of each of `size` ids, the `special` ones, that of `unknown` text."""

    name_of: Callable[[int], str]
    special: Collection[int]
    unknown: int | None = None
    size: int = 0

    @property
    def ordinary(self) -> list[int]:
        """Return the ids that are neither special nor what unknown text is read as."""
        return [id_ for id_ in range(self.size) if id_ not in self.special and id_ != self.unknown]

    def tokens(self, ids: Sequence[int], places: Sequence[TextSpan | None], segments: Sequence[Segment]) -> list[Token]:
        """Return the token of each id, which stands at a place in one of the texts, or is added to them (None)."""
        return [
            self.added(id_, position) if place is None else self.token(id_, segments[place[0]], place[1], position)
            for position, (id_, place) in enumerate(zip(ids, places, strict=True))
        ]

    def added(self, id_: int, position: int) -> Token:
        """Return a special token that stands in no text."""
        name = self.name_of(id_)
        return replace(make_special_token(name, position), id=id_, piece=name)

    def token(self, id_: int, segment: Segment, span: Span, position: int) -> Token:
        """Return the token of an id that stands for a stretch of a text; special ones may be written there too."""
        name = self.name_of(id_)
        span = _find_own(segment.text, span, name)
        written = id_ != self.unknown or segment.text[slice(*span)].strip() == name
        if written and (id_ in self.special or id_ == self.unknown):
            token = segment.special_token(name, position)
        else:
            token = replace(segment.token(span, position), unknown=id_ == self.unknown)
        return replace(token, id=id_, piece=name)


def _find_own(text: str, span: Span, name: str) -> Span:
    """Return the span of a token, corrected where a piece that is only a blank claims the letter after it.

    The span is empty for a blank that the tokenizer itself has put before the text.
    """
    start, end = span
    claimed = text[start:end]
    if not (_BLANK.issuperset(name) or name == "</w>") or name in claimed:
        return span
    return start, start + len(claimed) - len(claimed.lstrip())


def find_unknown(tokenizer: "Tokenizer") -> int | None:
    """Return the id of what a tokenizer does not know; None if there is nothing that it cannot cut.

    Not all of its models say so: this is how each of them cuts a character that no vocabulary has.
    """
    try:
        cut = tokenizer.model.tokenize(_OF_NO_VOCABULARY)
    except INTERRUPTS:
        raise
    except BaseException:  # the library raises nothing more special; such a tokenizer fails on what it does not know
        return None
    return cut[0].id if len(cut) == 1 else None


def warn_doubled(reading: Reading) -> Reading:
    """Return the reading with a warning if a special token is written where the tokenizer adds the same one."""
    return replace(reading, warnings=(*reading.warnings, *_find_doubled(reading.tokens)))


def _find_doubled(tokens: Sequence[Token]) -> Iterator[str]:
    for end, (outer, inner) in (("beginning", tokens[:2]), ("end", tokens[:-3:-1])) if len(tokens) > 1 else ():
        if outer.added and inner.special and not inner.added and outer.id == inner.id:
            yield Advice(
                f"{outer.text} stands twice at the {end}: once in the text, and once added by the tokenizer",
                hint="({added_tokens:False} adds none)",
            )
