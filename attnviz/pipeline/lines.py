"""Lines of a file or a pipe, as they come; of one that is too long to be read, hardly anything is kept."""

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BufferedReader
from itertools import count

LONGEST_TEXT = 2_000_000
"""How many bytes a line of text may have: more than any model reads."""

LONGEST_RECORD = 2**31
"""How many bytes a line may have that begins like a JSON object, as saved weights do."""

_PIECE = 2**16  # bytes that are read at a time: as many as a pipe holds
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end, and its number from 1 on.

    `whole` says that it was not too long; `more` that the next one, if any, need not be waited for.
    """

    number: int
    raw: bytes
    whole: bool
    more: bool = True

    @property
    def blank(self) -> bool:
        """Whether there is nothing on it, in any script; looked through only where it begins with blanks."""
        begins = self.raw[:256].decode(errors="ignore")
        return not begins.strip() and not self.raw.decode(errors="replace").strip()


def lines_of(stream: BufferedReader) -> Iterator[Line]:
    """The lines of a stream that are not blank; of a pipe, each as soon as it is there."""
    waits = _waits(stream)
    for ended in _ended(stream):
        lines = [line for line in ended if not line.blank]
        for index, line in enumerate(lines, 1):
            yield replace(line, more=index < len(lines)) if waits else line


def _waits(stream: BufferedReader) -> bool:
    """Whether what a stream has not given yet may be long in coming: neither in a file nor in memory."""
    try:
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except io.UnsupportedOperation:
        return False


def _ended(stream: BufferedReader) -> Iterator[list[Line]]:
    """The lines that end in each piece of a stream."""
    numbers, growing = count(1), _Growing()
    while piece := stream.read1(_PIECE):
        *ends, rest = piece.split(b"\n")
        lines = []
        for end in ends:
            growing.add(end)
            lines.append(growing.line(next(numbers)))
            growing = _Growing()
        growing.add(rest)
        yield lines
    yield [growing.line(next(numbers))]


class _Growing:
    """A line that has not ended yet: its pieces, or only the first of them once it is too long."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Takes what comes next."""
        self._pieces.append(piece)
        self._size += len(piece)
        if not self._whole:
            del self._pieces[1:]

    def line(self, number: int) -> Line:
        """The line itself, now that it has ended."""
        raw = b"".join(self._pieces).rstrip(b"\r")
        return Line(number, raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw, self._whole)

    @property
    def _whole(self) -> bool:
        return self._size <= LONGEST_TEXT or (self._size <= LONGEST_RECORD and self._like_a_record)

    @property
    def _like_a_record(self) -> bool:
        begins = b"".join(piece[:99] for piece in self._pieces[:3])
        return begins.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{")
