"""Where the pieces of a text stand in it, for tokenizers that do not say."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from unicodedata import category, normalize

from attnviz.text.boundaries import Span, trimmed

_REACH = 3
"""How many letters may be passed over to come to a piece, for each of its own and each piece lost before it."""

_UNSEEN = ("Mn", "Mc", "Me", "Cc", "Cf")  # marks, control and format characters


def spans_of_pieces(text: str, pieces: Sequence[str | None]) -> list[Span]:
    """The span of each piece, in their order; neither starts nor ends ever decrease.

    Pieces may differ from the text in case, accents, blanks and compatibility forms. An unknown piece (None) gets what
    lies between its neighbours; one that is blank, or cannot be found, an empty span.
    """
    walk = _Walk(text)
    spans: list[Span] = []
    lost: list[str | None] = []  # the pieces since the last one found
    for piece in pieces:
        end = walk.end
        span = walk.to(piece, lost) if piece and not piece.isspace() else None
        if span is None:
            lost.append(piece)
        else:
            spans += [*_in_gap(lost, trimmed(text, (end, span[0]))), span]
            lost.clear()
    spans += _in_gap(lost, trimmed(text, (walk.end, len(text))))
    return list(accumulate(spans, _not_before))


def _in_gap(lost: Sequence[str | None], gap: Span) -> list[Span]:
    """Where pieces that were not found stand: the unknown ones share the gap, with what is between them."""
    start, end = gap
    places = range(len(lost))
    unknown = [place for place in places if lost[place] is None] or [len(lost)]
    return [(start if place <= unknown[-1] else end, end if place >= unknown[0] else start) for place in places]


def _not_before(previous: Span, span: Span) -> Span:
    return max(previous[0], span[0]), max(previous[1], span[1])


class _Walk:
    """A walk through a text from piece to piece.

    The text is searched as it is, from `end`, and folded, from `place`. A character may fold into several letters, of
    which each piece has some ("½" into 1, ⁄ and 2), or into none.
    """

    def __init__(self, text: str) -> None:
        folded = [(letter, offset) for offset, char in enumerate(text) for letter in _folded(char)]
        self.text = text
        self.letters = "".join(letter for letter, _ in folded)
        self.offsets = [*(offset for _, offset in folded), len(text)]  # of each letter in the text
        self.end = self.place = 0

    def to(self, piece: str, lost: Sequence[str | None]) -> Span | None:
        """Where the next piece is, beyond those lost; None if it is not near."""
        while self.text[self.end : self.end + 1].isspace():
            self.end += 1
        if None not in lost:
            return self._exactly(piece.strip()) or self._loosely(piece, self.place, _REACH * (1 + len(lost)))
        skipped = self.end < self.offsets[self.place]  # by folding: an unknown piece is this, or else some letter
        return self._loosely(piece, self.place if skipped else self.place + 1, len(self.letters))

    def _exactly(self, piece: str) -> Span | None:
        if not self.text.startswith(piece, start := self.end):
            return None
        self.end += len(piece)
        self.place = bisect_left(self.offsets, self.end)
        return start, self.end

    def _loosely(self, piece: str, first: int, reach: int) -> Span | None:
        letters = "".join(map(_folded, piece))
        found = self.letters.find(letters, first, first + (1 + reach) * len(letters)) if letters else -1
        if found < 0:
            return None
        self.place = found + len(letters)
        start, last = self.offsets[found], self.offsets[self.place - 1]
        start, self.end = trimmed(self.text, (start, max(last + 1, self.offsets[self.place])))  # marks on it included
        return start, self.end


@cache
def _folded(char: str) -> str:
    """A character without case, marks and compatibility form; nothing of blanks, and of what cannot be seen."""
    parts = normalize("NFKD", char)
    return "".join(part for part in parts if not part.isspace() and category(part) not in _UNSEEN).casefold()
