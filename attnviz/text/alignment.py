"""The alignment of pieces with their text, for tokenizers that do not say where they stand."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate, groupby
from operator import and_, not_
from unicodedata import category, normalize

from attnviz.text.boundaries import Span, trim

_REACH = 3
"""The number of letters that the search for a piece may skip, for each of its letters and each piece lost before it."""

_UNSEEN = ("Mn", "Mc", "Me", "Cc", "Cf")  # marks, control and format characters


def align_pieces(text: str, pieces: Sequence[str | bytes | None]) -> list[Span]:
    """Return the span of each piece, in their order; neither starts nor ends ever decrease.

    Pieces may differ from the text in case, accents, blanks and compatibility forms. Bytes, of UTF-8, have the span of
    the character that they are part of. An unknown piece (None) gets what lies between its neighbours; one that is
    blank, or cannot be found, an empty span.
    """
    walk = _Walk(text)
    spans: list[Span] = []
    lost: list[str | None] = []  # the pieces since the last one found
    letters = list(_decode_letters(pieces))
    for piece, _ in letters:
        end = walk.end
        span = walk.to(piece, lost) if piece else None
        if span is None:
            lost.append(piece)
        else:
            spans += [*_fill_gap(text, lost, trim(text, (end, span[0]))), span]
            lost.clear()
    spans += _fill_gap(text, lost, trim(text, (walk.end, len(text))))
    ordered = accumulate(spans, _keep_order)
    return [span for span, (_, count) in zip(ordered, letters, strict=True) for _ in range(count)]


def _decode_letters(pieces: Sequence[str | bytes | None]) -> Iterator[tuple[str | None, int]]:
    """Yield characters or pieces, each with how many pieces it comes from: bytes make characters, None if broken."""
    for in_bytes, run in groupby(pieces, lambda piece: isinstance(piece, bytes)):
        if not in_bytes:
            yield from ((piece, 1) for piece in run if not isinstance(piece, bytes))
            continue
        data = b"".join(piece for piece in run if isinstance(piece, bytes))
        for char in data.decode(errors="surrogateescape"):
            broken = "\udc80" <= char <= "\udcff"
            yield (None, 1) if broken else (char, len(char.encode()))


def _fill_gap(text: str, lost: Sequence[str | None], gap: Span) -> Iterator[Span]:
    """Yield where lost pieces stand: the unknown ones share the gap, a word each where blanks part them."""
    start, end = gap
    unknown = [place for place, piece in enumerate(lost) if piece is None]
    if not unknown:
        yield from [(start, start)] * len(lost)
        return
    first, last = unknown[0], unknown[-1] + 1
    blank = [piece is not None and not piece.strip() for piece in lost[first:last]]
    runs = list(accumulate(map(and_, blank, [False, *map(not_, blank)])))  # blanks so far
    words = _split_gap(text, gap, 1 + runs[-1])
    yield from [(start, start)] * first
    for is_blank, run in zip(blank, runs, strict=True):
        begin, stop = words[run]
        yield begin, begin if is_blank else stop
    yield from [(end, end)] * (len(lost) - last)


def _split_gap(text: str, gap: Span, count: int) -> list[Span]:
    """Split a gap into `count` stretches of a word each, the last with the rest; the last are empty if it is short."""
    _, end = gap
    words = [match.span() for match in re.compile(r"\S+").finditer(text, *gap)][:count]
    *whole, (start, _) = [*words, *[(end, end)] * (count - len(words))]
    return [*whole, (start, end)]


def _keep_order(previous: Span, span: Span) -> Span:
    return max(previous[0], span[0]), max(previous[1], span[1])


class _Walk:
    """A walk through a text from piece to piece.

    The text is searched as it is, from `end`, and folded, from `place`. A character may fold into several letters, of
    which each piece has some ("½" into 1, ⁄ and 2), or into none.
    """

    def __init__(self, text: str) -> None:
        folded = [(letter, offset) for offset, char in enumerate(text) for letter in _fold(char)]
        self.text = text
        self.letters = "".join(letter for letter, _ in folded)
        self.offsets = [*(offset for _, offset in folded), len(text)]  # of each letter in the text
        self.end = self.place = 0

    def to(self, piece: str, lost: Sequence[str | None]) -> Span | None:
        """Return where the next piece is, beyond those lost; None if it is not near, or blank and not the very next."""
        if piece.isspace():
            return None if lost else self._exactly(piece)
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
        letters = "".join(map(_fold, piece))
        found = self.letters.find(letters, first, first + (1 + reach) * len(letters))
        if found < 0 or not letters:
            return None
        self.place = found + len(letters)
        start, last = self.offsets[found], self.offsets[self.place - 1]
        start, self.end = trim(self.text, (start, max(last + 1, self.offsets[self.place])))  # marks on it included
        return start, self.end


@cache
def _fold(char: str) -> str:
    """Return a character without case, marks and compatibility form; nothing of blanks, and of what cannot be seen."""
    parts = normalize("NFKD", char)
    return "".join(part for part in parts if not part.isspace() and category(part) not in _UNSEEN).casefold()
