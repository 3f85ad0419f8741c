"""What the fields of a saved result stand for: records of attention weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import RecordError
from attnviz.formats.fields import Fields, axis_index, fields, flag, grouped_by, member, one_of, text
from attnviz.formats.numbers import length, numbers
from attnviz.formats.texts import Names, Passages, tokens_of
from attnviz.formats.writing import Result
from attnviz.records import Attention, Axes, likely_kind
from attnviz.text import By, visible
from attnviz.vocabulary import AVERAGE, PRECISIONS, Engine, Kind

_HOW_TO_MEND = (
    'No weight is negative and each row sums to 1: say "sink": true if the rest of a row lies elsewhere, '
    'or "precision": "float16" if the numbers are rounded.'
)


def result_of(values: Mapping[str, Any]) -> Result:
    """The result that such fields describe.

    Where they leave it out, the kind is cross if queries and keys are different tokens, decoder if no query looks at a
    later key, and else encoder; layers and heads are counted from 0; the texts are those of the tokens, with blanks
    between; tokens stand where they are found there.

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
    return Result(
        index=0,
        text=passages.text,
        attention=[record.attention(whole, passages) for record in records],
        pair=passages.pair,
        target=passages.target,
        written=whole.get("written", flag) or False,
        ended=whole.get("ended", flag) is not False,
    )


@dataclass(frozen=True, slots=True)
class _Record:
    """Weights [layers, heads, queries, keys] and the names on their axes, before it is known where the tokens stand."""

    fields: Fields
    kind: Kind
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    names: Names
    weights: NDArray[Any]

    @classmethod
    def of(cls, own: Fields) -> "_Record":
        """What the fields of one record hold.

        Raises:
            RecordError: something else, or too little.
        """
        told = own.get("kind", member(Kind))
        if told:
            own = replace(own, place=f"{own.place} ({told.value})")
        names = Names(*(own.needed(name, own.each(name, text)) for name in ("query_tokens", "key_tokens")))
        nested = own.needed("weights", own.values.get("weights"))
        layers = _indices(own, "layers", nested)
        heads = _indices(own, "heads", nested[0] if length(nested) else None)
        axes = {"layers": layers, "heads": heads, "query_tokens": names.queries, "key_tokens": names.keys}
        weights = numbers(own, nested, [(len(entries), name) for name, entries in axes.items()])
        return cls(own, told or likely_kind(names.queries, names.keys, weights), layers, heads, names, weights)

    def attention(self, whole: Fields, passages: Passages) -> Attention:
        """The record itself; what is said of the whole result holds for it.

        Raises:
            RecordError: the fields beside the weights do not fit, or a row is no row of attention weights.
        """
        own, (queries, keys) = self.fields, passages.sides(self.kind)
        all_queries = self.kind.crosses or self.names.queries == self.names.keys
        axes = Axes(
            kind=self.kind,
            layers=self.layers,
            heads=self.heads,
            query_tokens=tokens_of(own, "query", self.names.queries, queries, complete=all_queries),
            key_tokens=tokens_of(own, "key", self.names.keys, keys, complete=True),
            model=visible(whole.get("model", text) or "unknown model"),
            by=own.get("by", grouped_by) or By.TOKEN,
            engine=whole.get("engine", member(Engine)) or Engine.UNKNOWN,
            sink=own.get("sink", flag) or False,
            precision=own.get("precision", one_of(PRECISIONS)) or _precision(self.weights),
            notes=tuple(map(visible, own.each("notes", text) or ())),
        )
        try:
            with np.errstate(all="ignore"):  # whatever comes of numbers that are none is refused
                return axes.filled(self.weights)
        except RecordError as error:
            mend = f" {_HOW_TO_MEND}" if np.isfinite(self.weights).all() else ""
            raise own.wrong(f"{error}{mend}") from error


def _indices(own: Fields, axis: str, nested: Any) -> tuple[int, ...]:
    """The numbers of the layers, or heads: those that are told, or those from 0 on."""
    told = own.each(axis, axis_index)
    if told is None:
        return tuple(range(length(nested) or 0))
    if len(set(told)) != len(told) or (AVERAGE in told and len(told) > 1):
        raise own.wrong(
            f'"{axis}" are {", ".join(map(str, told))}: give each its own number, or {AVERAGE} to an average.'
        )
    return told


def _precision(weights: NDArray[Any]) -> str:
    """In how many digits weights are given; those of a record never have more than float32."""
    return "float16" if weights.dtype == np.float16 else "float32"
