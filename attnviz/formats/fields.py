"""Fields of a saved object, each asked for as what it ought to be; what is something else is said in a sentence."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct, ValidationError, convert

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


def _as_type(wanted: Any, words: str) -> Parse[Any]:
    """Return the parser of values of a type, as msgspec checks it; `words` say what a value ought to be."""

    def parse(value: Any) -> Any:
        try:
            return convert(value, wanted)
        except ValidationError:
            raise ValueError(words) from None

    return parse


flag: Parse[bool] = _as_type(bool, "true or false")

place: Parse[int] = _as_type(Annotated[int, Meta(ge=0, lt=_MOST)], "a whole number from 0 on")
"""The parser of the number of something that is counted from 0."""

axis_index: Parse[int] = _as_type(
    Annotated[int, Meta(ge=-1, lt=_MOST)], "a whole number from 0 on, or -1 for an average"
)
"""The parser of the number of a layer or head, or -1 for an average."""

fields: Parse[Mapping[str, Any]] = _as_type(dict[str, Any], "an object")

_entries: Parse[list[Any]] = _as_type(list[Any], "a list")
_IN_ORDER = "[start, end], two offsets in order"
_offsets: Parse[Span] = _as_type(tuple[int, int], _IN_ORDER)


def span(value: Any) -> Span:
    """Return where a stretch of text begins and ends."""
    start, end = _offsets(value)
    if not 0 <= start <= end < _MOST:
        raise ValueError(_IN_ORDER)
    return start, end


def among(names: Sequence[str]) -> Parse[str]:
    """Return the parser of one of certain names."""

    def parse(value: Any) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return str(value)

    return parse


def member(of: type[Member]) -> Parse[Member]:
    """Return the parser of the member of an enumeration that has a value."""
    return _as_type(of, f"one of {', '.join(each.value for each in of)}")


def grouped_by(value: Any) -> Grouping:
    """Return what tokens are grouped by."""
    try:
        return read_grouping(text(value))
    except AttnvizError:
        raise ValueError(f"{', '.join(GROUPINGS[:-1])} or {GROUPINGS[-1]}") from None


def or_none(parse: Parse[Value]) -> Parse[Value | None]:
    """Return the same parser, but for null, which has a meaning of its own."""
    return lambda value: None if value is None else parse(value)
