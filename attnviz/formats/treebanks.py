"""Texts with questions about them, as files hold them: pairs of words in TSV, treebanks in CoNLL-U."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from attnviz.errors import RecordError
from attnviz.text import GoldWord, ParsedText, Span, visible

PAIR_COLUMNS = "text", "from", "to"
_COLUMNS = 10  # of a line of CoNLL-U


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands on a line of a file, or from that line on; or what is wrong with it."""

    line: int
    found: Any | RecordError


def read_pairs(lines: Iterable[str]) -> Iterator[Entry]:
    """Yield the three columns of each line: a text, and two words in it; blank lines and a header are left out."""
    for number, line in enumerate(lines, 1):
        columns = tuple(column.strip() for column in line.rstrip("\r\n").split("\t"))
        if not any(columns) or (number == 1 and columns == PAIR_COLUMNS):
            continue
        if len(columns) != len(PAIR_COLUMNS) or not all(columns):
            there = f"{len(columns)} columns" if len(columns) != len(PAIR_COLUMNS) else "an empty column"
            yield Entry(number, RecordError(f"The line has {there}: give a text and two words, with tabs between."))
        else:
            yield Entry(number, columns)


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
                yield Entry(error.line, RecordError(str(error)))


class _LineError(Exception):
    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


def _parse_sentence(lines: list[tuple[int, str]]) -> ParsedText:
    """Return the text and the words of the lines of a sentence.

    Raises:
        _LineError: a line is none of CoNLL-U, or says what cannot be.
    """
    parsed = ((number, _parse_line(number, line)) for number, line in lines if not line.startswith("#"))
    rows = [(number, row) for number, row in parsed if row["id"] is not None]
    told = next((line.partition("=")[2].strip() for _, line in lines if line.startswith("# text =")), None)
    text = told or _join(rows)
    words, numbers = list[tuple[int, int, Span, str | None, int | None]](), dict[int, int]()
    end, shared = 0, (0, 0, (0, 0))  # the words from … to … that share a token, and its span
    for number, row in rows:
        first, last = row["id"]
        if shared[0] <= first <= shared[1] and first == last:
            span = shared[2]
        else:
            start = text.find(row["form"], end)
            if start < 0:
                raise _LineError(number, f"The text has no {visible(row['form'])!r} there: {visible(text)}")
            span = start, (end := start + len(row["form"]))
        if first != last:
            shared = first, last, span
            continue
        numbers[first] = len(words)
        words.append((number, first, span, row["deprel"], row["head"]))
    return ParsedText(text, [_make_word(*word, numbers) for word in words])


def _make_word(
    line: int, own: int, span: Span, relation: str | None, head: int | None, numbers: dict[int, int]
) -> GoldWord:
    if head is None or head == 0:
        return GoldWord(span, relation or "_", None)
    if head == own:
        raise _LineError(line, "The word depends on itself.")
    if head not in numbers:
        raise _LineError(line, f"The word depends on {head}, and the sentence has no such word.")
    return GoldWord(span, relation or "_", numbers[head])


def _parse_line(number: int, line: str) -> dict[str, Any]:
    """Return the columns of a line by their names; the `id` is the first and the last word, None of an empty node.

    Raises:
        _LineError: it has other columns, or something else in them.
    """
    from conllu.exceptions import ParseException
    from conllu.parser import DEFAULT_FIELDS, parse_line

    if (count := len(line.split("\t"))) != _COLUMNS:
        raise _LineError(number, f"This line has {count} columns: CoNLL-U has {_COLUMNS}, with tabs between.")
    try:
        row = dict(parse_line(line, DEFAULT_FIELDS))
    except ParseException as error:
        raise _LineError(number, f"This is no line of CoNLL-U: {visible(str(error))}") from error
    if row["id"] is None:
        raise _LineError(number, "The first column is not the number of a word.")
    first, mark, last = row["id"] if isinstance(row["id"], tuple) else (row["id"], "-", row["id"])
    return row | {"id": (first, last) if mark == "-" else None}


def _join(rows: list[tuple[int, dict[str, Any]]]) -> str:
    """Return the text of the words, with a blank after each unless it is told that there is none."""
    text, skip = "", 0
    for _, row in rows:
        first, last = row["id"]
        if first > skip:
            text += row["form"] + ("" if (row["misc"] or {}).get("SpaceAfter") == "No" else " ")
            skip = last
    return text.rstrip()
