"""Where texts come from: the arguments, a file, or standard input; a line a text, read as they come."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import BinaryIO

from attnviz.cli.output import complain
from attnviz.errors import HOW_TO_CUT, InputError, TextError, UsageError

STANDARD_INPUT = "-"
_LONGEST = 2_000_000  # bytes of a line that are read; what is longer than any model reads need not fill the memory


@dataclass(frozen=True, slots=True)
class Source:
    """One text, not decoded yet, and its number; `place` says where it stands, None if it is the only one."""

    index: int
    raw: bytes
    place: str | None = None
    whole: bool = True

    def text(self) -> str:
        """The text itself.

        Raises:
            TextError: it is not valid UTF-8, or too long to have been read whole.
        """
        if not self.whole:
            raise TextError(f"The line is longer than {_LONGEST:,} bytes. {HOW_TO_CUT}")
        try:
            return self.raw.decode()
        except UnicodeDecodeError as error:
            byte = f"byte {error.start + 1} (0x{self.raw[error.start]:02x})"
            raise TextError(f"The text is not valid UTF-8 at {byte}. Save it as UTF-8 and try again.") from None


def sources(texts: Sequence[str], file: Path | None) -> Iterator[Source]:
    """The texts that were asked for, in order.

    Raises:
        UsageError: no text was given, or both texts and a file.
        InputError: the file cannot be read.
    """
    if file and texts:
        raise UsageError("Texts and --file were given: give one or the other.")
    if file and str(file) != STANDARD_INPUT:
        return _lines_of_file(file)
    if file or not texts or list(texts) == [STANDARD_INPUT]:
        return _lines_of_standard_input(asked_for=bool(file or texts))
    raws = [text.encode("utf-8", "surrogateescape") for text in texts]  # how Python keeps arguments that are not UTF-8
    if len(raws) == 1:
        return iter([Source(0, raws[0])])
    return (Source(index, raw, f"text {index + 1}") for index, raw in enumerate(raws))


def _lines_of_file(file: Path) -> Iterator[Source]:
    try:
        with file.open("rb") as lines:
            yield from _lines(lines, f" of {file}")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error


def _lines_of_standard_input(asked_for: bool) -> Iterator[Source]:
    if sys.stdin is None or (sys.stdin.isatty() and not asked_for):
        raise UsageError('There is no text. Give one, as in: attnviz show "The big fluffy dog", or pipe lines in.')
    try:
        yield from _lines(sys.stdin.buffer, "")
    except OSError as error:
        raise InputError(f"Standard input cannot be read: {error.strerror}.") from error


def _lines(lines: BinaryIO, whose: str) -> Iterator[Source]:
    """The lines that are not blank; none is read before it is wanted, so that a pipe is answered line by line."""
    index = 0
    for number in count(1):
        line = lines.readline(_LONGEST)
        if not line:
            return
        whole = len(line) < _LONGEST or line.endswith(b"\n") or _skip_rest(lines)
        raw = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if raw.decode(errors="replace").strip():
            yield Source(index, raw.rstrip(b"\r\n"), f"line {number}{whose}", whole)
            index += 1


def _skip_rest(lines: BinaryIO) -> bool:
    """Reads on to the end of the line; whether it had ended already."""
    skipped = rest = lines.readline(_LONGEST)
    while rest and not rest.endswith(b"\n"):
        rest = lines.readline(_LONGEST)
    return not skipped


def for_each_text(found: Iterable[Source], work: Callable[[int, str], None]) -> bool:
    """Does the work for each text, with its index; whether all were done. One that fails is reported and passed over.

    Raises:
        TextError: the only text failed.
    """
    failed = False
    for source in found:
        try:
            work(source.index, source.text())
        except TextError as error:
            report(source, error)
            failed = True
    return not failed


def report(source: Source, error: TextError) -> None:
    """Says what is wrong with one of several texts.

    Raises:
        TextError: it is the only one.
    """
    if source.place is None:
        raise error
    complain(f"Error in {source.place}: {error}")


def chunks(found: Iterable[Source]) -> Iterator[Sequence[Source]]:
    """Some texts at a time."""
    left = iter(found)
    while chunk := list(islice(left, 1)):
        yield chunk
