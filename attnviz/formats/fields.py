"""Fields of a saved object, each asked for as what it ought to be; what is something else is said in a sentence."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

from msgspec import Struct

from attnviz.errors import AttnvizError, RecordError
from attnviz.text import Grouping, Span, read_grouping
from attnviz.vocabulary import GROUPINGS

Value = TypeVar("Value")
Member = TypeVar("Member", bound=Enum)

Parse = Callable[[Any], Value]
"""What a value stands for; raises a ValueError that says what it ought to be."""

_MOST = 2**31
"""Indices and offsets are less."""


class Fields(Struct, frozen=True):
    """The fields of an object; `place` names it in errors. One that is null is one that is left out."""

    values: Mapping[str, Any]
    place: str = ""

    def wrong(self, sentence: str) -> RecordError:
        """Return the error that says what is wrong with this object."""
        return RecordError(f"{self.place}: {sentence}" if self.place else sentence)

    def get(self, name: str, parse: Parse[Value]) -> Value | None:
        """Return a field, if it is there.

        Raises:
            RecordError: it is something else.
        """
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise self.wrong(f'"{name}" is not {error}.') from None

    def each(self, name: str, parse: Parse[Value]) -> tuple[Value, ...] | None:
        """Return the entries of a field that is a list, if it is there.

        Raises:
            RecordError: it is no list, or one of its entries is something else.
        """
        entries = self.get(name, _entries)
        if entries is None:
            return None
        found: list[Value] = []
        for index, entry in enumerate(entries):
            try:
                found.append(parse(entry))
            except ValueError as error:
                raise self.wrong(f'"{name}"[{index}] is not {error}.') from None
        return tuple(found)

    def each_of(self, name: str, parse: Parse[Value], count: int) -> tuple[Value, ...] | None:
        """Return the entries of a list, if it is there, that has so many, one a token.

        Raises:
            RecordError: it has not.
        """
        found = self.each(name, parse)
        if found is not None and len(found) != count:
            raise self.wrong(f'"{name}" has {len(found)} entries for {count} tokens: give each token one.')
        return found

    def needed(self, name: str, value: Value | None) -> Value:
        """Return the value of a field that cannot be left out.

        Raises:
            RecordError: it was.
        """
        if value is None:
            raise self.wrong(f'"{name}" is missing: give it.')
        return value


def text(value: Any) -> str:
    """Return a text of whole characters."""
    if not isinstance(value, str):
        raise ValueError("a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("valid Unicode") from None
    return value


def flag(value: Any) -> bool:
    """Return yes or no."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def place(value: Any) -> int:
    """Return the number of something that is counted from 0."""
    if not _is_number(value) or value < 0:
        raise ValueError("a whole number from 0 on")
    return int(value)


def axis_index(value: Any) -> int:
    """Return the number of a layer or head, or -1 for an average."""
    if not _is_number(value) or value < -1:
        raise ValueError("a whole number from 0 on, or -1 for an average")
    return int(value)


def span(value: Any) -> Span:
    """Return where a stretch of text begins and ends."""
    match value:
        case [start, end] if _is_number(start) and _is_number(end) and 0 <= start <= end:
            return start, end
    raise ValueError("[start, end], two offsets in order")


def fields(value: Any) -> Mapping[str, Any]:
    """Return an object that has fields."""
    if not isinstance(value, dict):
        raise ValueError("an object")
    return value


def among(names: Sequence[str]) -> Parse[str]:
    """Return the parser of one of certain names."""

    def parse(value: Any) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return str(value)

    return parse


def member(of: type[Member]) -> Parse[Member]:
    """Return the parser of the member of an enumeration that has a value."""
    name = among([each.value for each in of])
    return lambda value: of(name(value))


def grouped_by(value: Any) -> Grouping:
    """Return what tokens are grouped by."""
    try:
        return read_grouping(text(value))
    except AttnvizError:
        raise ValueError(f"{', '.join(GROUPINGS[:-1])} or {GROUPINGS[-1]}") from None


def or_none(parse: Parse[Value]) -> Parse[Value | None]:
    """Return the same parser, but for null, which has a meaning of its own."""
    return lambda value: None if value is None else parse(value)


def _entries(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value < _MOST
