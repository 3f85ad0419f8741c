"""Records of attention weights, made from the fields of a saved result."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.errors import RecordError, RowError
from attnviz.formats.fields import Fields, among, axis_index, fields, flag, grouped_by, member, text
from attnviz.formats.stored import Saved, StoredArray, StoredMatrix
from attnviz.formats.texts import Names, Passages, tokens_of
from attnviz.formats.writing import Result
from attnviz.records import NUMBERS, Axes, guess_kind, looks_ahead, shape_weights
from attnviz.text import By, visible
from attnviz.vocabulary import AVERAGE, PRECISIONS, WEIGHT, Engine, Kind

_HOW_TO_MEND = (
    'Weights must not be negative, and each row must sum to 1. Add "sink": true if a part of each row is on a sink, '
    'or "precision": "float16" if the numbers are rounded.'
)
_HOW_TO_MEND_AN_ARRAY = (
    "Save the weights after softmax, with keys as the last axis: no weight is negative, and each row sums to 1. Save "
    "rounded numbers as float16."
)
_NOT_NAMED = "its tokens have no names: they are numbered from 0"


def result_of(values: Mapping[str, Any]) -> Saved:
    """Return what such fields describe.

    Where they leave it out, the kind is cross if queries and keys are different tokens, decoder if no query looks at a
    later key, and else encoder; layers and heads are counted from 0; the texts are those of the tokens, with blanks
    between; tokens stand where they are found there. Arrays may leave the tokens out: these are numbered, and stand in
    no text.

    Raises:
        RecordError: they describe none.
    """
    whole = Fields(values)
    saved = whole.needed("attention", whole.each("attention", fields))
    records = [_Record.of(Fields(own, f"record {number}")) for number, own in enumerate(saved, 1)]
    names = {record.kind: record.names for record in records}
    held = {(record.kind, layer) for record in records for layer in record.layers}
    apart = len(held) == sum(len(record.layers) for record in records)
    if not records or not apart or any(record.names != names[record.kind] for record in records):
        there = ", ".join(record.kind.value for record in records) or "empty"
        raise whole.wrong(
            f'"attention" is {there}: give it a record, or several, each of another kind, or of other layers and the '
            "same tokens."
        )
    passages = Passages.of(whole, names)
    result = Result(
        index=0,
        text=passages.text,
        attention=(),
        pair=passages.pair,
        target=passages.target,
        written=whole.get("written", flag) or False,
        ended=whole.get("ended", flag) is not False,
        warnings=() if all(each.told for each in names.values()) else (_NOT_NAMED,),
    )
    return Saved(result, [record.attention(whole, passages) for record in records])


class _Record(Struct, frozen=True):
    """Weights [layers, heads, queries, keys] and the names on their axes, before it is known where the tokens stand."""

    fields: Fields
    kind: Kind
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    names: Names
    weights: StoredArray

    @classmethod
    def of(cls, own: Fields) -> "_Record":
        """Return what the fields of one record hold.

        Raises:
            RecordError: something else, or too little.
        """
        told = own.get("kind", member(Kind))
        if told:
            own = replace(own, place=f"{own.place} ({told.value})")
        given = own.values.get("weights")
        if isinstance(given, StoredArray) and not {"query_tokens", "key_tokens"} & own.values.keys():
            given = _shape(own, given)
            names = Names.numbered(given.shape)
        else:
            queries, keys = (own.needed(name, own.each(name, text)) for name in ("query_tokens", "key_tokens"))
            names = Names(queries, keys)
            if isinstance(given, StoredArray) and len(given.shape) in (2, 3):
                given = given.expand()
        given = own.needed("weights", given)
        nested = given.outline if isinstance(given, StoredArray) else given
        layers = _indices(own, "layers", nested)
        heads = _indices(own, "heads", nested[0] if _length(nested) else None)
        axes = {"layers": layers, "heads": heads, "query_tokens": names.queries, "key_tokens": names.keys}
        array = _numbers(own, nested, [(len(entries), name) for name, entries in axes.items()])
        weights = given if isinstance(given, StoredArray) else StoredArray.of(array)
        looking = (looks_ahead(piece.numbers, piece.first) for piece in weights.pieces())
        return cls(own, told or guess_kind(names.queries, names.keys, looking), layers, heads, names, weights)

    def attention(self, whole: Fields, passages: Passages) -> StoredMatrix:
        """Return the record itself; what is said of the whole result holds for it.

        Raises:
            RecordError: the fields beside the weights do not fit, or a row is no row of attention weights.
        """
        own, names, (queries, keys) = self.fields, self.names, passages.sides(self.kind)
        all_queries = self.kind.crosses or names.queries == names.keys
        axes = Axes(
            kind=self.kind,
            layers=self.layers,
            heads=self.heads,
            query_tokens=tokens_of(own, "query", names.queries, queries, complete=names.told and all_queries),
            key_tokens=tokens_of(own, "key", names.keys, keys, complete=names.told),
            model=visible(whole.get("model", text) or "unknown model"),
            by=own.get("by", grouped_by) or By.TOKEN,
            engine=whole.get("engine", member(Engine)) or Engine.UNKNOWN,
            sink=own.get("sink", flag) or False,
            precision=own.get("precision", among(PRECISIONS)) or _precision(self.weights),
            notes=tuple(map(visible, own.each("notes", text) or ())),
            measure=visible(own.get("measure", text) or WEIGHT),
        )
        try:
            with np.errstate(all="ignore"):  # whatever comes of numbers that are none is refused
                return StoredMatrix.on(axes, self.weights)
        except RowError as error:
            raise own.wrong(f"{error} {_HOW_TO_MEND if names.told else _HOW_TO_MEND_AN_ARRAY}") from error
        except RecordError as error:
            raise own.wrong(str(error)) from error


def _indices(own: Fields, axis: str, nested: Any) -> tuple[int, ...]:
    """Return the numbers of the layers, or heads: those that are told, or those from 0 on."""
    told = own.each(axis, axis_index)
    if told is None:
        return tuple(range(_length(nested) or 0))
    if len(set(told)) != len(told) or (AVERAGE in told and len(told) > 1):
        raise own.wrong(
            f'"{axis}" are {", ".join(map(str, told))}: give each its own number, or {AVERAGE} to an average.'
        )
    return told


def _precision(weights: StoredArray) -> str:
    """Return in how many digits weights are given; those of a record never have more than float32."""
    return "float16" if weights.dtype == np.float16 else "float32"


Axis = tuple[int, str]
"""How many entries an axis has, and what these are."""


def _shape(own: Fields, array: StoredArray) -> StoredArray:
    """Return an array of weights as [layers, heads, queries, keys]; refuse what `shape_weights` does."""
    try:
        shape_weights(array.outline)
        return array.expand()
    except RecordError as error:
        raise own.wrong(str(error)) from None


def _numbers(own: Fields, value: Any, axes: Sequence[Axis]) -> NDArray[Any]:
    """Return the numbers of nested lists, or of an array, that has these axes.

    Raises:
        RecordError: it has others, or holds something else than numbers; the message says where.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # lists that are not equally long
        array = np.empty(())
    shape = tuple(count for count, _ in axes)
    if 0 in shape or array.shape != shape or array.dtype.kind not in NUMBERS:
        raise own.wrong(_misfit(value, axes) or _NO_NUMBERS)
    return array


_NO_NUMBERS = '"weights" is empty, or holds something other than numbers.'


def _length(value: Any) -> int | None:
    """Return how many entries a list or an array has; None if it is neither."""
    is_list = isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim > 0)
    return len(value) if is_list else None


def _misfit(value: Any, axes: Sequence[Axis], path: str = '"weights"') -> str | None:
    """Return a sentence on where nested lists first differ from these axes; None if they do not."""
    if not axes:
        is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        return None if is_number else f"{path} is not a number."
    (count, unit), *inner = axes
    there = _length(value)
    if there is None:
        return f"{path} is not a list of {unit}: weights are nested as [layer][head][query][key]."
    if there != count:
        return f"{path} holds {there} {unit}, but {count} are named."
    return next((found for i, one in enumerate(value) if (found := _misfit(one, inner, f"{path}[{i}]"))), None)
