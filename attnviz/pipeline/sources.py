"""The sources of texts, or of records in their place: the arguments, a file, or standard input."""

import io
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader
from itertools import count
from math import inf
from pathlib import Path

from attnviz.errors import HOW_TO_CUT, InputError, RecordError, TextError, UsageError, require
from attnviz.formats.archive import array_bytes
from attnviz.pipeline.arguments import SAVED, check_arguments, like_saved, names_saved
from attnviz.vocabulary import Unit

STANDARD_INPUT = "-"

FAILURES = TextError, RecordError
"""What may be wrong with one text, or record, that is no reason not to do the others."""

LONGEST_TEXT = 2_000_000
"""How many bytes a text may have that is read whole, and at once: more than any model reads."""

LONGEST_LONG_TEXT = 2**28
"""How many bytes it may have if it is cut, or read in windows."""

LONGEST_RECORD = 2**31
"""How many bytes a line may have that begins like a JSON object, as saved weights do."""

_PIECE = 2**16  # bytes that are read at a time: as many as a pipe holds
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

AT_A_TIME = 8
"""How many texts a process is given at a time: some that may be equally long, but few enough to share them out."""

_TOGETHER = 64
"""How many texts are handed over together at most."""

_BYTES_TOGETHER = 2**22
"""How many bytes they have, unless one has more: saved records are long."""

_KEY = re.compile(rb'"attention"\s*:')
_BEGINNING = 256  # bytes of a stream by which it is known
_SPREAD = re.compile(rb"(?:\xef\xbb\xbf)?\s*[\[{]\s*\n\s*[\"\[{]")
"""How JSON begins that is spread over several lines."""
_ARRAYS = {b"PK\x03\x04": "npz", b"\x93NUMPY": "npy"}
"""What a file holds that begins like this, and not like any text; see `READERS`."""


@dataclass(frozen=True, slots=True)
class Division:
    """The division of a stream into texts: the `unit` that is one, and how many bytes it has at most."""

    unit: Unit = Unit.LINE
    longest: int = LONGEST_TEXT


def divide(unit: Unit = Unit.LINE, *, long: bool) -> Division:
    """Return the division into units, which may be `long` where only a part of them is read at once."""
    return Division(unit, LONGEST_LONG_TEXT if long else LONGEST_TEXT)


_LINES = Division()


@dataclass(frozen=True, slots=True)
class Source:
    """One text, not decoded yet, and its number; `place` says where it stands, None if it is the only one.

    Or the record that was `saved` of one, in that format. `whole` says that it was not too long to be kept, `more` that
    the next one, if any, need not be waited for. The `division` says what one text is, and how long at most.
    """

    raw: bytes
    place: str | None = None
    whole: bool = True
    saved: str | None = None
    more: bool = True
    index: int = 0
    division: Division = _LINES

    def text(self) -> str:
        """Return the text itself.

        Raises:
            TextError: it is not valid UTF-8, too long to have been read whole, or no text but a saved record.
        """
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

    def record(self) -> bytes:
        """Return the saved record, as it was read.

        Raises:
            RecordError: it is too long to have been read whole.
        """
        if not self.whole:
            raise RecordError(f"The line is longer than {LONGEST_RECORD:,} bytes: save a record of that size as npz.")
        return self.raw


def sources(
    texts: Sequence[str],
    file: Path | None = None,
    standard_input: BufferedReader | None = None,
    note: Callable[[str], None] = lambda note: None,
    division: Division = _LINES,
) -> Iterator[Source]:
    """Return the texts and saved records that were asked for, in order.

    Standard input is read where it is named, or where nothing else is; None stands for one that nobody has piped
    anything into. `note` is told of what may not have been meant.

    Raises:
        UsageError: no text was given, or both texts and a file, or a text that looks like the name of a file.
        InputError: the file cannot be read, or there is no such file of saved records.
    """
    if file and texts:
        raise UsageError("Texts", hint="and {file} were given: give one or the other.")
    if file and str(file) != STANDARD_INPUT:
        found = _of_file(file, division)
    elif file or not texts or list(texts) == [STANDARD_INPUT]:
        found = _of_standard_input(standard_input, division)
    else:
        found = _of_arguments(texts, note)
    return (replace(source, index=index, division=division) for index, source in enumerate(found))


def sources_of(texts: str | Iterable[str], division: Division = _LINES) -> Iterator[Source]:
    """Return one text, or several, that are there as strings, as they come.

    Raises:
        UsageError: one is no string.
    """
    require(texts, Iterable, "give a text, or a list of texts.")
    if isinstance(texts, str):
        yield Source(texts.encode("utf-8", "surrogatepass"), division=division)
        return
    for index, text in enumerate(texts):
        require(text, str, f"give a list of texts: item [{index}] is not one.")
        yield Source(text.encode("utf-8", "surrogatepass"), f"text {index + 1}", index=index, division=division)


def _of_arguments(texts: Sequence[str], note: Callable[[str], None]) -> Iterator[Source]:
    """Return the texts that are arguments, and the records of the files that are named among them."""
    check_arguments(texts)  # all of them, before anything is done
    if len(texts) > 1 and not any(names_saved(text) or re.search(r"\s", text) for text in texts):
        note(
            f"Note: {len(texts)} texts are read, one for each argument. If they are one text, quote it: "
            f'"{" ".join(texts)}".'
        )
    return _read_arguments(texts)


def _read_arguments(texts: Sequence[str]) -> Iterator[Source]:
    for number, text in enumerate(texts, 1):
        if names_saved(text):
            yield from saved_in(Path(text))
        else:
            raw = text.encode("utf-8", "surrogateescape")  # how Python keeps arguments that are not UTF-8
            yield Source(raw, f"text {number}" if len(texts) > 1 else None)


def saved_in(path: Path) -> Iterator[Source]:
    """Return the records of a file; JSON is one a line, or one that is spread over many.

    Raises:
        UsageError: no file of records ends like that.
        InputError: the file cannot be read.
    """
    if not like_saved(str(path)):
        raise UsageError(f"{path} is not a file of records: their names end in {', '.join(SAVED)}.")
    suffix = path.suffix.lower()
    saved = SAVED[suffix]
    with _readable(path), path.open("rb") as file:
        if saved == "npy":
            yield Source(array_bytes(file), str(path), saved=saved)
        elif saved == "npz" or (suffix == ".json" and _is_spread(file)):
            yield Source(file.read(), str(path), saved=saved)
        else:
            yield from (replace(line, saved=saved) for line in lines_of(file, str(path)))


def _is_spread(file: BufferedReader) -> bool:
    first = file.readline(LONGEST_RECORD)
    file.seek(0)
    return not first.rstrip().endswith(b"}")


def _of_file(file: Path, division: Division) -> Iterator[Source]:
    with _readable(file), file.open("rb") as stream:
        yield from _of_stream(stream, str(file), division)


def _of_standard_input(stream: BufferedReader | None, division: Division) -> Iterator[Source]:
    if stream is None:
        raise UsageError('There is no text. Give one, as in: attnviz show "The big fluffy dog", or pipe lines in.')
    with _readable("Standard input"):
        yield from _of_stream(stream, None, division)


@contextmanager
def _readable(name: object) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}.") from error


def _of_stream(stream: BufferedReader, name: str | None, division: Division) -> Iterator[Source]:
    """Return what the lines, or other units, of a stream hold, or the arrays that it is."""
    place, begins = name or "standard input", stream.peek(_BEGINNING)
    saved = next((form for magic, form in _ARRAYS.items() if begins.startswith(magic)), None)
    if saved:
        yield Source(array_bytes(stream) if saved == "npy" else stream.read(), place, saved=saved)
    elif division.unit is not Unit.LINE:
        yield from _join_lines(stream, name, division)
    elif _SPREAD.match(begins):
        yield Source(stream.read(LONGEST_RECORD), place, saved="json")
    else:
        for line in lines_of(stream, name, division.longest):
            yield replace(line, saved="json") if _is_record(line.raw) else line


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


def lines_of(stream: BufferedReader, name: str | None = None, longest: int = LONGEST_TEXT) -> Iterator[Source]:
    """Return the lines of a stream of this name that are not blank; of a pipe, each as soon as it is there.

    Of one that is too long to be read, hardly anything is kept.
    """
    waits, of = _waits(stream), f" of {name}" if name else ""
    for ended in _ended(stream, of, longest):
        lines = [line for line in ended if not _is_blank(line.raw)]
        for index, line in enumerate(lines, 1):
            yield replace(line, more=index < len(lines)) if waits else line


def _join_lines(stream: BufferedReader, name: str | None, division: Division) -> Iterator[Source]:
    """Return the paragraphs of a stream, which blank lines part, or all of it as one text; lines end in a newline."""
    waits, of = _waits(stream), f" of {name}" if name else ""
    growing, first, whole = _Growing(division.longest), 0, True

    def join(place: str | None) -> Source:
        joined = growing.line(first, "")
        return replace(joined, raw=joined.raw.rstrip(b"\n"), place=place, whole=whole and joined.whole, more=not waits)

    lines = (line for ended in _ended(stream, of, division.longest) for line in ended)
    for number, line in enumerate(lines, 1):
        if not _is_blank(line.raw):
            first = first or number
        elif division.unit is Unit.PARAGRAPH and first:
            yield join(f"lines {first} to {number - 1}{of}")
            growing, first, whole = _Growing(division.longest), 0, True
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


def _ended(stream: BufferedReader, of: str, longest: int) -> Iterator[list[Source]]:
    """Return the lines that end in each piece of a stream, placed by their numbers from 1 on."""
    numbers, growing = count(1), _Growing(longest)
    while piece := stream.read1(_PIECE):
        *ends, rest = piece.split(b"\n")
        lines = []
        for end in ends:
            growing.add(end)
            lines.append(growing.line(next(numbers), of))
            growing = _Growing(longest)
        growing.add(rest)
        yield lines
    yield [growing.line(next(numbers), of)]


class _Growing:
    """A line that has not ended yet: its pieces, or only the first of them once it is too long."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Take what comes next."""
        self._pieces.append(piece)
        self._size += len(piece)
        if not self._whole:
            del self._pieces[1:]

    def line(self, number: int, of: str) -> Source:
        """Return the line without its end, now that it has ended."""
        raw = b"".join(self._pieces).rstrip(b"\r")
        raw = raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw
        return Source(raw, f"line {number}{of}", self._whole)

    @property
    def _whole(self) -> bool:
        return self._size <= self._longest or (self._size <= LONGEST_RECORD and self._like_a_record)

    @property
    def _like_a_record(self) -> bool:
        begins = b"".join(piece[:99] for piece in self._pieces[:3])
        return begins.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{")


def chunks(found: Iterable[Source]) -> Iterator[list[Source]]:
    """Return those together that are there together, so that none waits for one that has yet to come."""
    return portions(found, _TOGETHER, _BYTES_TOGETHER)


def portions(
    found: Iterable[Source], most: int = AT_A_TIME, size: float = inf, *, whole: bool = False
) -> Iterator[list[Source]]:
    """Return the texts, some at a time: at most so many, or little more than `size` bytes.

    By default, that is as many as a process is given. They are no more than are there already, unless `whole`.
    """
    portion: list[Source] = []
    for source in found:
        portion.append(source)
        full = len(portion) == most or sum(len(one.raw) for one in portion) >= size
        if full or not (source.more or whole):
            yield portion
            portion = []
    if portion:
        yield portion
