"""Texts with questions about them, as files hold them: pairs of words in TSV, treebanks in CoNLL-U."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, TypeVar

from msgspec import Struct

from attnviz.errors import RecordError
from attnviz.text import GoldWord, ParsedText, Span, visible

PAIR_COLUMNS = "text", "from", "to"
_COLUMNS = 10  # of a line of CoNLL-U
_TEXT = re.compile(r"#\s*text\s*=(.*)")
_NO_UTF8 = re.compile("[\udc80-\udcff]")
"""A byte that is not valid UTF-8, as `surrogateescape` decodes it (PEP 383)."""

Number = TypeVar("Number")


class FormError(RecordError):
    """An entry that lacks the form of one: its bytes are no text, or no line has the columns."""


class Entry(Struct, frozen=True):
    """An entry of a file, and the line on which it begins: what it holds, or what is wrong with that line."""

    line: int
    found: Any | RecordError


def read_pairs(lines: Iterable[str]) -> Iterator[Entry]:
    """Yield the three columns of each line: a text, and two words in it; blank lines are left out.

    A header with the names of the columns may give them another order, and others beside them. Bytes that are not valid
    UTF-8 are decoded with `surrogateescape`, here and in `read_treebank`.
    """
    header: Sequence[str] = ()
    for number, line in enumerate(lines, 1):
        columns = [column.strip() for column in line.rstrip("\r\n").split("\t")]
        if not any(columns):
            continue
        if not header:
            names = [column.casefold() for column in columns]
            named = {*PAIR_COLUMNS} <= {*names}
            header = names if named else PAIR_COLUMNS
            if named:
                continue
        yield Entry(number, _choose_columns(columns, header))


def _choose_columns(columns: Sequence[str], header: Sequence[str]) -> tuple[str, ...] | RecordError:
    """Return the text and the two words of a line, or what is wrong with it."""
    form_error = FormError if header is PAIR_COLUMNS else RecordError  # a header says what the file is
    if wrong := _find_bad_byte("\t".join(columns)):
        return form_error(wrong)
    chosen = tuple(column for name in PAIR_COLUMNS for column in columns[header.index(name) :][:1])
    if len(columns) == len(header) and all(chosen):
        return chosen
    others = f", and the header has {len(header)}" if len(header) != len(PAIR_COLUMNS) else ""
    what_to_do = f"{others}: give a text and two words, with tabs between."
    if len(columns) == len(header):
        return RecordError(f"The line has an empty column{what_to_do}")
    return form_error(f"The line has {_count_columns(len(columns))}{what_to_do}")


def read_treebank(lines: Iterable[str]) -> Iterator[Entry]:
    """Yield the sentences of a file in CoNLL-U, each with the line on which it begins: a `ParsedText`, or an error.

    See https://universaldependencies.org/format.html. Words that share a token, as `du` in French is two, stand where
    it does; empty nodes are left out.
    """
    numbered = ((number, line.strip("\r\n")) for number, line in enumerate(lines, 1))
    for blank, group in groupby(numbered, key=lambda line: not line[1].strip()):
        if not blank:
            own = list(group)
            if all(line.startswith("#") for _, line in own):
                continue
            try:
                yield Entry(own[0][0], _parse_sentence(own))
            except _LineError as error:
                yield Entry(error.line, error.kind(str(error)))


class _LineError(Exception):
    def __init__(self, line: int, why: str, kind: type[RecordError] = RecordError) -> None:
        super().__init__(why)
        self.line, self.kind = line, kind


class _Row(Struct, frozen=True):
    """A row of a sentence: a word, or a token that the words from `first` to `last` share."""

    line: int
    first: int
    last: int
    shared: bool
    form: str
    relation: str
    head: int | None
    glued: bool  # no blank comes after it


def _parse_sentence(lines: list[tuple[int, str]]) -> ParsedText:
    """Return the text and the words of the lines of a sentence.

    Raises:
        _LineError: a line is none of CoNLL-U, or says what cannot be.
    """
    for number, line in lines:
        if wrong := _find_bad_byte(line):
            raise _LineError(number, wrong, FormError)
    said = [(number, line.split("\t")) for number, line in lines if not line.startswith("#")]
    if all(len(columns) != _COLUMNS for _, columns in said):
        raise _LineError(said[0][0], _refuse_columns(said[0][1]), FormError)
    parsed = (_parse_row(number, columns) for number, columns in said)
    rows = [row for row in parsed if row is not None]
    _check_numbers(rows, lines[-1][0])
    told = (found[1].strip() for _, line in lines if (found := _TEXT.match(line)))
    text = next(told, None) or _join(rows)
    spans, words = _place_rows(rows, text), [row for row in rows if not row.shared]
    return ParsedText(text, [_make_word(row, spans[row.first], len(words)) for row in words])


def _make_word(row: _Row, span: Span, count: int) -> GoldWord:
    """Return a word of a sentence that has so many."""
    if row.head is None or row.head == 0:
        return GoldWord(span, row.relation, None)
    if row.head == row.first:
        raise _LineError(row.line, "The word depends on itself.")
    if not 0 < row.head <= count:
        raise _LineError(row.line, f"The word depends on {row.head}, and the sentence has no such word.")
    return GoldWord(span, row.relation, row.head - 1)


def _refuse_columns(columns: Sequence[str]) -> str:
    return f"This line has {_count_columns(len(columns))}: CoNLL-U has {_COLUMNS}, with tabs between."


def _parse_row(line: int, columns: Sequence[str]) -> _Row | None:
    """Return the row that stands on a line; None for an empty node.

    Raises:
        _LineError: the line has other columns, or something else in them.
    """
    from conllu.parser import parse_dict_value, parse_id_value, parse_int_value

    if len(columns) != _COLUMNS:
        raise _LineError(line, _refuse_columns(columns))
    own, form, *_, head, relation, _, misc = columns
    number = _parse_number(line, 1, own, parse_id_value)
    first, mark, last = number if isinstance(number, tuple) else (number, "", number)
    if mark == ".":
        return None
    if first is None or last is None:
        raise _LineError(line, "Column 1 does not have the number of a word.")
    if not form.strip():
        raise _LineError(line, "Column 2 is empty: it has the word as it is written.")
    glued = (parse_dict_value(misc) or {}).get("SpaceAfter") == "No"
    governor = _parse_number(line, 7, head, parse_int_value)
    return _Row(line, first, last, mark == "-", form, relation.strip() or "_", governor, glued)


def _parse_number(line: int, column: int, said: str, parse: Callable[[str], Number]) -> Number:
    from conllu.exceptions import ParseException

    try:
        return parse(said)
    except ParseException:
        raise _LineError(line, f"Column {column} has {visible(said)!r}, which is not the number of a word.") from None


def _check_numbers(rows: Sequence[_Row], end: int) -> None:
    """Raise _LineError if words are not numbered 1, 2, 3, …, or a token does not stand before the words that share it.

    The sentence ends on the line `end`.
    """
    due, shared = 1, 0  # the number of the next word, and of the last that shares a token
    for row in rows:
        if row.first != due:
            raise _LineError(row.line, f"The number {row.first} stands where {due} is due: words count from 1 on.")
        if not row.shared:
            due += 1
        elif row.first <= shared:
            raise _LineError(row.line, f"Word {row.first} shares a token already.")
        else:
            shared = row.last
    if due <= max(shared, 1):
        raise _LineError(end, f"The sentence ends before its word {due}.")


def _place_rows(rows: Sequence[_Row], text: str) -> dict[int, Span]:
    """Return where each word stands in a text, by its number; nothing but blanks stands between them.

    Raises:
        _LineError: the text has something else.
    """
    spans: dict[int, Span] = {}
    end = 0
    for row in rows:
        if row.first in spans:  # it shares a token
            continue
        start = text.find(row.form, end)
        if start < 0 or text[end:start].strip():
            rest = f"it goes on with {visible(text[end:].split()[0])!r}" if text[end:].strip() else "it has ended"
            raise _LineError(row.line, f"The text has no {visible(row.form)!r} there: {rest}.")
        end = start + len(row.form)
        spans |= dict.fromkeys(range(row.first, row.last + 1), (start, end))
    if rest := text[end:].strip():
        raise _LineError(rows[-1].line, f"The text goes on after its last word, with {visible(rest.split()[0])!r}.")
    return spans


def _join(rows: Sequence[_Row]) -> str:
    """Return the text of the words, with a blank after each unless it is told that there is none."""
    text, skip = "", 0
    for row in rows:
        if row.first > skip:
            text += row.form + ("" if row.glued else " ")
            skip = row.last
    return text.rstrip()


def _find_bad_byte(line: str) -> str:
    """Return what is wrong with a line that is not valid UTF-8; else an empty text."""
    found = _NO_UTF8.search(line)
    byte = found and f"0x{ord(found[0]) - 0xDC00:02x}"
    return f"The line is not valid UTF-8: it has the byte {byte}. Save it as UTF-8 and try again." if found else ""


def _count_columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"
