"""The texts of a stream, and the saved records in their place: a line each, a paragraph, or all of it."""

import io
import os
import re
import stat
from collections.abc import Iterator
from functools import partial
from io import BufferedReader
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import HOW_TO_CUT, InputError, RecordError, TextError
from attnviz.formats.archive import Data, array_bytes, read_limited
from attnviz.formats.stored import HOW_TO_FIT, MOST_BYTES
from attnviz.vocabulary import Unit

LONGEST_TEXT = 2_000_000
"""How many bytes a text may have that is read whole, and at once: more than any model reads."""

LONGEST_LONG_TEXT = 2**28
"""How many bytes it may have if it is cut, or read in windows."""

LONGEST_LINE = 2**31
"""How many bytes a line may have at all: what has no end is no file of lines."""

_PIECE = 2**16  # bytes that are read at a time: as many as a pipe holds
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_KEY = re.compile(rb'"attention"\s*:')
_BEGINNING = 256  # bytes of a stream by which it is known
_SHOWN = 2**12  # bytes of a file of arrays, of which a manifest has some
_SPREAD = re.compile(rb"(?:\xef\xbb\xbf)?\s*[\[{]\s*\n\s*[\"\[{]")
"""How JSON begins that is spread over several lines."""
_ROWS = re.compile(rb"(?:\xef\xbb\xbf)?(?:text_index[,\t])?kind[,\t]layer[,\t]head[,\t]")
"""How the rows begin that are saved as CSV and TSV."""
NOT_READ_BACK = "holds weights or numbers saved as CSV, which attnviz cannot read back: save them as .npz or .json"
_ARRAYS = {b"PK\x03\x04": "npz", b"\x93NUMPY": "npy"}
"""What a file holds that begins like this, and not like any text; see `OPENERS`."""


class Division(Struct, frozen=True):
    """The division of a stream into texts: the `unit` that is one, which may be `long` if only parts are read at once.

    A saved record that stands in place of a text has at most `memory` bytes.
    """

    unit: Unit = Unit.LINE
    long: bool = False
    memory: int = MOST_BYTES

    @property
    def longest(self) -> int:
        """Return how many bytes a text has at most."""
        return LONGEST_LONG_TEXT if self.long else LONGEST_TEXT


LINES = Division()


class Source(Struct, frozen=True):
    """One text, not decoded yet, and its number; `place` says where it stands, None if it is the only one.

    Or the record that was `saved` of one, in that format; of a `path` that holds it there is only the beginning here,
    since it is read in pieces. `whole` says that it was not too long to be kept, `more` that
    the next one, if any, need not be waited for. The `division` says what one text is, and how long at most.
    `asked` is what is asked of this text and of no other, if anything is; `wrong` why there is no text at all.
    """

    raw: bytes
    place: str | None = None
    whole: bool = True
    saved: str | None = None
    path: Path | None = None
    more: bool = True
    index: int = 0
    division: Division = LINES
    asked: Any = None
    wrong: RecordError | None = None

    def text(self) -> str:
        """Return the text itself.

        Raises:
            TextError: it is not valid UTF-8, too long to have been read whole, or no text but a saved record.
            RecordError: something is wrong where it should stand.
        """
        if self.wrong:
            raise self.wrong
        if self.saved:
            raise TextError(
                "This is a saved record, but this command needs a model that reads a text: give the text itself."
            )
        unit, longest = self.division.unit.value, self.division.longest
        if not self.whole or len(self.raw) > longest:
            other = (
                "Or read all of it with {window}, or its beginning with {truncate}." if longest == LONGEST_TEXT else ""
            )
            raise TextError(f"The {unit} is longer than {longest:,} bytes. {HOW_TO_CUT}", hint=other)
        try:
            return self.raw.decode()
        except UnicodeDecodeError as error:
            byte = f"byte {error.start + 1} (0x{self.raw[error.start]:02x})"
            raise TextError(f"The text is not valid UTF-8 at {byte}. Save it as UTF-8 and try again.") from None

    @property
    def in_memory(self) -> bool:
        """Return whether there are weights in memory before any are asked for."""
        return self.saved is not None and self.path is None

    def record(self) -> Data:
        """Return the saved record, as it was read, or the file that holds it.

        Raises:
            RecordError: it is too long to have been read whole.
        """
        if not self.whole:
            raise RecordError("This record is longer than the memory that it may take:", hint=HOW_TO_FIT)
        return self.path or self.raw

    def pieces(self) -> Iterator[bytes]:
        """Yield all bytes of the text, or of the record."""
        if self.path is None:
            yield self.raw
            return
        with self.path.open("rb") as file:
            yield from iter(partial(file.read, _PIECE), b"")


def holds_rows(path: Path) -> bool:
    """Return whether a file holds rows that `attnviz` has saved; no pipe is opened, which may be read once only."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _ROWS.match(file.read(_BEGINNING)) is not None


def read_stream(stream: BufferedReader, name: str | None, division: Division) -> Iterator[Source]:
    """Return what the lines, or other units, of a stream hold, or the arrays that it is.

    Raises:
        InputError: it holds rows that `attnviz` has saved, which are neither texts nor read back.
    """
    place, begins = name or "standard input", stream.peek(_BEGINNING)
    if _ROWS.match(begins):
        raise InputError(f"{name or 'Standard input'} {NOT_READ_BACK}.")
    saved = next((form for magic, form in _ARRAYS.items() if begins.startswith(magic)), None)
    if saved and name and not _waits(stream):
        yield hold_file(stream, name, saved)
    elif saved == "npy":
        yield Source(array_bytes(stream, division.memory), place, saved=saved)
    elif saved:
        yield read_record(stream, place, saved, division.memory)
    elif division.unit is not Unit.LINE:
        yield from _join_lines(stream, name, division)
    elif _SPREAD.match(begins):
        yield read_record(stream, place, "json", division.memory)
    else:
        for line in lines_of(stream, name, division):
            yield replace(line, saved="json") if _is_record(line.raw) else line


def hold_file(stream: BufferedReader, name: str, saved: str) -> Source:
    """Return the record that a file of this name holds, as one that is read in pieces."""
    return Source(stream.read(_SHOWN), name, saved=saved, path=Path(name))


def read_record(stream: BufferedReader, place: str, saved: str, memory: int) -> Source:
    """Return the record that a stream holds, unless it takes more than `memory` bytes."""
    raw, whole = read_limited(stream, memory)
    return Source(raw if whole else b"", place, whole, saved)


def _is_record(line: bytes) -> bool:
    """Return whether a line is a JSON object that has "attention", or a broken one: texts do not begin like that."""
    if not line[:99].lstrip().startswith(b"{") or not _KEY.search(line):
        return False
    if len(line) > LONGEST_TEXT:
        return True
    import orjson

    try:
        return "attention" in orjson.loads(line)
    except ValueError:
        return True


def lines_of(stream: BufferedReader, name: str | None = None, division: Division = LINES) -> Iterator[Source]:
    """Return the lines of a stream of this name that are not blank; of a pipe, each as soon as it is there.

    Of one that is too long to be read, hardly anything is kept; what begins like saved weights may take more.

    Raises:
        InputError: a line has no end.
    """
    waits, of = _waits(stream), f" of {name}" if name else ""
    for ended in _ended(stream, of, division):
        lines = [line for line in ended if not _is_blank(line.raw)]
        for index, line in enumerate(lines, 1):
            yield replace(line, more=index < len(lines)) if waits else line


def _join_lines(stream: BufferedReader, name: str | None, division: Division) -> Iterator[Source]:
    """Return the paragraphs of a stream, which blank lines part, or all of it as one text; lines end in a newline."""
    waits, of = _waits(stream), f" of {name}" if name else ""
    growing, first, whole = _Growing(division), 0, True

    def join(place: str | None) -> Source:
        joined = growing.line(first, "")
        return replace(joined, raw=joined.raw.rstrip(b"\n"), place=place, whole=whole and joined.whole, more=not waits)

    lines = (line for ended in _ended(stream, of, division) for line in ended)
    for number, line in enumerate(lines, 1):
        if not _is_blank(line.raw):
            first = first or number
        elif division.unit is Unit.PARAGRAPH and first:
            yield join(f"lines {first} to {number - 1}{of}")
            growing, first, whole = _Growing(division), 0, True
        if first:
            growing.add(line.raw + b"\n")
            whole = whole and line.whole
    if first:
        yield join(f"the lines from {first} on{of}" if division.unit is Unit.PARAGRAPH else None)


def _is_blank(raw: bytes) -> bool:
    """Return whether there is nothing on a line, in any script; it is looked through only if it begins with blanks."""
    begins = raw[:256].decode(errors="ignore")
    return not begins.strip() and not raw.decode(errors="replace").strip()


def _waits(stream: BufferedReader) -> bool:
    """Return whether what a stream has not given yet may be long in coming: neither in a file nor in memory."""
    try:
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except io.UnsupportedOperation:
        return False


def _ended(stream: BufferedReader, of: str, division: Division) -> Iterator[list[Source]]:
    """Return the lines that end in each piece of a stream, placed by their numbers from 1 on."""
    numbers, growing = count(1), _Growing(division)
    while piece := stream.read1(_PIECE):
        *ends, rest = piece.split(b"\n")
        lines = []
        for end in ends:
            growing.add(end)
            lines.append(growing.line(next(numbers), of))
            growing = _Growing(division)
        growing.add(rest)
        if growing.size > max(LONGEST_LINE, division.memory):
            line = f"Line {next(numbers)}{of}"
            raise InputError(f"{line} does not end within {growing.size:,} bytes: give a file of lines.")
        yield lines
    yield [growing.line(next(numbers), of)]


class _Growing:
    """A line that has not ended yet: its pieces, or only the first of them once it is too long."""

    def __init__(self, division: Division) -> None:
        self._held = io.BytesIO()
        self._division = division
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Take what comes next."""
        self.size += len(piece)
        if self._whole:
            self._held.write(piece)
        else:
            self._held = io.BytesIO(self._begins)

    def line(self, number: int, of: str) -> Source:
        """Return the line without its end, now that it has ended."""
        raw = self._held.getvalue().rstrip(b"\r")
        raw = raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw
        return Source(raw, f"line {number}{of}", self._whole)

    @property
    def _whole(self) -> bool:
        text, record = self._division.longest, self._division.memory
        return self.size <= text or (self.size <= record and self._like_a_record)

    @property
    def _begins(self) -> bytes:
        return bytes(self._held.getbuffer()[:_BEGINNING])

    @property
    def _like_a_record(self) -> bool:
        return self._begins.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{")
