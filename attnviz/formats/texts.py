"""The texts of a saved result, and the tokens that are cut from them."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import RecordError
from attnviz.formats.fields import Fields, Parse, Value, flag, or_none, place, span, text
from attnviz.text import Segment, Span, Token, align_pieces, visible
from attnviz.vocabulary import Kind

_MOST_NUMBERED = 2**20
"""How many queries, or keys, may be numbered: an array that is packed tight may claim any number of them."""


class Names(NamedTuple):
    """The names of the tokens on the axes of one kind of attention: numbers, if no names are `told`."""

    queries: tuple[str, ...]
    keys: tuple[str, ...]
    told: bool = True

    @classmethod
    def numbered(cls, shape: Sequence[int]) -> "Names":
        """Return the numbers of the tokens of weights [layers, heads, queries, keys].

        Raises:
            RecordError: there are too many.
        """
        if max(shape[2:]) > _MOST_NUMBERED:
            raise RecordError(
                f"The weights have {shape[2]:,} queries and {shape[3]:,} keys without names: "
                f"give at most {_MOST_NUMBERED:,} of either."
            )
        queries, keys = (tuple(map(str, range(count))) for count in shape[2:])
        return cls(queries, keys, told=False)


class Side(NamedTuple):
    """The texts that an encoder, or a decoder, reads, and which of them is meant if none is given."""

    segments: tuple[Segment | None, Segment | None]
    usual: int


class Passages(Struct, frozen=True, dict=True):
    """The texts that were read: the text itself, the second one of a pair, and what a decoder has read or written."""

    text: str
    pair: str | None
    target: str | None

    @classmethod
    def of(cls, whole: Fields, names: Mapping[Kind, Names]) -> "Passages":
        """Return those that the fields of a result tell, or else for the text and the target, their tokens' names.

        Raises:
            RecordError: the fields hold something else.
        """
        first, pair, target = (whole.get(name, text) for name in ("text", "pair", "target"))
        told = {kind: own if own.told else Names((), ()) for kind, own in names.items()}
        if first is None:
            kinds = Kind.ENCODER, Kind.CROSS, Kind.DECODER
            first = " ".join(next(told[kind].keys for kind in kinds if kind in told))
        if target is None and (Kind.CROSS in told or len(told) > 1):
            target = " ".join(next(told[kind].queries for kind in (Kind.CROSS, Kind.DECODER) if kind in told))
        return cls(first, pair, target)

    def sides(self, kind: Kind) -> tuple[Side, Side]:
        """Return where the queries and the keys of a kind of attention stand."""
        if kind is Kind.CROSS:
            return self._decoder, self._encoder
        own = self._decoder if kind is Kind.DECODER and self.target is not None else self._encoder
        return own, own

    @cached_property
    def _encoder(self) -> Side:
        return Side((Segment(self.text), _second(self.pair)), usual=0)

    @cached_property
    def _decoder(self) -> Side:
        return Side((Segment(self.text), _second(self.target)), usual=1)


def _second(text: str | None) -> Segment | None:
    return None if text is None else Segment(text, 1)


def tokens_of(own: Fields, axis: str, names: Sequence[str], side: Side, *, complete: bool) -> tuple[Token, ...]:
    """Return the tokens of an axis, `query` or `key`, with their words and sentences.

    Where it is not told where they stand, they are looked for in their text, if they are its `complete` tokens.

    Raises:
        RecordError: the fields do not fit them, or their texts.
    """

    def column(name: str, parse: Parse[Value]) -> tuple[Value, ...] | None:
        return own.each_of(f"{axis}_{name}", parse, len(names))

    blank = (None,) * len(names)
    spans, segments = column("spans", or_none(span)), column("segments", or_none(place))
    special = [one is None for one in segments or spans or names]
    if spans is None and segments is None and complete:
        spans = _found(names, side)
    numbers = segments or [None if alone else side.usual for alone in special]
    positions = column("positions", place) or range(len(names))
    predicts = column("predicts", or_none(text)) or blank
    windows = column("windows", or_none(place)) or blank
    ids, pieces = column("ids", or_none(place)) or blank, column("pieces", or_none(text)) or blank
    unknown = column("unknown", flag) or blank
    tokens = []
    for index, where in enumerate(zip(positions, spans or blank, numbers, strict=True)):
        try:
            placed = _placed(*where, side.segments)
        except ValueError as error:
            raise own.wrong(f"The {axis} {index} ({names[index]}) {error}.") from None
        told = replace(placed, text=visible(names[index]), special=special[index], window=windows[index])
        said = None if predicts[index] is None else visible(str(predicts[index]))
        tokens.append(replace(told, predicts=said, id=ids[index], piece=pieces[index], unknown=bool(unknown[index])))
    return tuple(tokens)


def _placed(position: int, where: Span | None, number: int | None, segments: Sequence[Segment | None]) -> Token:
    """Return the token at a position that stands for a stretch of one of the texts, or for nothing.

    Of a text that is empty, because nobody knows it, each token is a word.

    Raises:
        ValueError: there is no such text, or it is shorter.
    """
    segment = segments[number or 0] if (number or 0) < len(segments) else None
    if segment is None:
        raise ValueError(f"is of text {number}, which is not there")
    if where is None:
        word = None if segment.text or number is None else position
        return Token("", position, word=word, segment=segment.number)
    if where[1] > len(segment.text):
        raise ValueError(f"has the span {list(where)}, beyond the {len(segment.text)} characters of its text")
    return segment.token(where, position)


def _found(names: Sequence[str], side: Side) -> tuple[Span | None, ...]:
    """Return where tokens stand in the text that they are all of; None for those that are not found."""
    segment = side.segments[side.usual]
    found = align_pieces(segment.text, names) if segment else []
    return tuple((start, end) if start < end else None for start, end in found)
