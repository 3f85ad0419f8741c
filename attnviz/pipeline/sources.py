"""The sources of texts, or of records in their place: the arguments, a file, or standard input."""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from msgspec.structs import replace

from attnviz.errors import InputError, MissingTextError, RecordError, TextError, UsageError, refused, require
from attnviz.formats.stored import MOST_BYTES
from attnviz.pipeline.arguments import ARRAYS, check_arguments, like_saved, names_saved
from attnviz.pipeline.streams import LINES, Division, Source, hold_file, lines_of, read_record, read_stream
from attnviz.text import quote_argument
from attnviz.vocabulary import SAVED

STANDARD_INPUT = "-"

NO_TEXT = "Note: no text was read."

FAILURES = TextError, RecordError
"""What may be wrong with one text, or record, that is no reason not to do the others."""


@contextmanager
def spare_memory() -> Iterator[None]:
    """Let a lack of memory be the error of the one text that takes too much, since the next may take less.

    Raises:
        TextError: there is too little.
    """
    try:
        yield
    except MemoryError as error:
        raise TextError(
            "There is too little memory for it:", hint="choose fewer with {layer}, {head} or {rows}, or a shorter text."
        ) from error


_A_PORTION = 8
"""How many texts a process is given at a time: some that may be equally long, but few enough to share them out."""

_TOGETHER = 64
"""How many texts are handed over together at most."""

_BYTES_TOGETHER = 2**22
"""How many bytes they have, unless one has more: saved records are long."""


def sources(
    texts: Sequence[str],
    file: Path | None = None,
    standard_input: BufferedReader | None = None,
    note: Callable[[str], None] = lambda note: None,
    division: Division = LINES,
) -> Iterator[Source]:
    """Return the texts and saved records that were asked for, in order.

    Standard input is read where it is named, or where nothing else is; None stands for one that nobody has piped
    anything into. `note` is told of what may not have been meant; the `division` says what one text of a stream is.

    Raises:
        MissingTextError: no text was given.
        UsageError: both texts and a file were given, or a text that names a file.
        InputError: the file cannot be read, or there is no such file of saved records.
    """
    if file and texts:
        raise UsageError("Texts", hint="and {file} were given: give one or the other.")
    if file and str(file) != STANDARD_INPUT:
        found = _of_file(file, division)
    elif file or not texts or list(texts) == [STANDARD_INPUT]:
        if standard_input is None:
            raise MissingTextError("There is no text.")
        found = _of_standard_input(standard_input, division)
    else:
        found = _of_arguments(texts, note, division.memory)
    return _number(found, division, note)


def _number(found: Iterable[Source], division: Division, note: Callable[[str], None]) -> Iterator[Source]:
    """Yield the texts and records that were found, numbered from 0; tell `note` if there are none."""
    index = -1
    for index, source in enumerate(found):
        yield replace(source, index=index, division=division)
    if index < 0:
        note(NO_TEXT)


def sources_of(texts: str | Iterable[str], division: Division = LINES) -> Iterator[Source]:
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


def _of_arguments(texts: Sequence[str], note: Callable[[str], None], memory: int) -> Iterator[Source]:
    """Return the texts that are arguments, and the records of the files that are named among them."""
    check_arguments(texts)  # all of them, before anything is done
    if len(texts) > 1 and not any(names_saved(text) or re.search(r"\s", text) for text in texts):
        note(
            f"Note: {len(texts)} texts are read, one for each argument. If they are one text, quote it: "
            f"{quote_argument(' '.join(texts))}."
        )
    return _read_arguments(texts, memory)


def _read_arguments(texts: Sequence[str], memory: int) -> Iterator[Source]:
    for number, text in enumerate(texts, 1):
        if names_saved(text):
            yield from saved_in(Path(text), memory)
        else:
            raw = text.encode("utf-8", "surrogateescape")  # how Python keeps arguments that are not UTF-8
            yield Source(raw, f"text {number}" if len(texts) > 1 else None)


def saved_in(path: Path, memory: int = MOST_BYTES) -> Iterator[Source]:
    """Return the records of a file, of each at most `memory` bytes; JSON is one a line, or one spread over many.

    Raises:
        UsageError: no file of records ends like that.
        InputError: the file cannot be read.
    """
    if not like_saved(str(path)):
        raise UsageError(f"{path} is not a file of records: their names end in {', '.join(SAVED)}.")
    suffix = path.suffix.lower()
    saved = SAVED[suffix]
    with refused(path, "read", InputError), path.open("rb") as file:
        if suffix in ARRAYS:
            yield hold_file(file, str(path), saved)
        elif suffix == ".json" and _is_spread(file, memory):
            yield read_record(file, str(path), saved, memory)
        else:
            yield from (replace(line, saved=saved) for line in lines_of(file, str(path), replace(LINES, memory=memory)))


def _is_spread(file: BufferedReader, memory: int) -> bool:
    first = file.readline(memory)
    file.seek(0)
    return not first.rstrip().endswith(b"}")


def _of_file(file: Path, division: Division) -> Iterator[Source]:
    with refused(file, "read", InputError), file.open("rb") as stream:
        yield from read_stream(stream, str(file), division)


def _of_standard_input(stream: BufferedReader, division: Division) -> Iterator[Source]:
    with refused("Standard input", "read", InputError):
        yield from read_stream(stream, None, division)


@contextmanager
def open_lines(file: Path, stream: BufferedReader | None = None) -> Iterator[Iterator[str]]:
    """Open a file, or the stream in place of it, as lines that only a newline ends.

    Bytes that are not valid UTF-8 are decoded with `surrogateescape`.

    Raises:
        InputError: it cannot be read.
    """
    if stream:
        with refused("Standard input", "read", InputError):
            yield _decode(stream)
    else:
        with refused(file, "read", InputError), file.open("rb") as opened:
            yield _decode(opened)


def _decode(lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield (line if number else line.removeprefix(BOM_UTF8)).decode("utf-8", "surrogateescape")


def chunks(found: Iterable[Source]) -> Iterator[list[Source]]:
    """Return those together that are there together, so that none waits for one that has yet to come."""
    return portions(found, _TOGETHER)


def portions(found: Iterable[Source], most: int = _A_PORTION, *, whole: bool = False) -> Iterator[list[Source]]:
    """Yield the texts, some at a time: at most so many, or little more than 4 MB.

    By default, these are as many as a process is given. They are no more than are there already, unless `whole`.
    """
    portion: list[Source] = []
    for source in found:
        portion.append(source)
        full = len(portion) == most or sum(len(one.raw) for one in portion) >= _BYTES_TOGETHER
        if full or not (source.more or whole):
            yield portion
            portion = []
    if portion:
        yield portion
