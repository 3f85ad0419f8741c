"""Attention as data for other programs: JSON, CSV and TSV rows, NPZ arrays.

Only the standard library is imported until something is written, so that the command line can list the formats at once.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from attnviz.records import Attention
    from attnviz.text import Token

_C1_CONTROL = re.compile(rb"\xc2([\x80-\x9f])")  # orjson leaves these as they are, and some terminals obey them
_CSV_COLUMNS = "text_index", "kind", "layer", "head", "query", "query_token", "key", "key_token", "weight"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one text: its place in the input, one record a kind, and what was read along with it.

    `written` says that the model wrote the target, `ended` that it did not have to be cut. `warnings` says what of it,
    when it was read, may not be meant.
    """

    index: int
    text: str
    attention: Sequence["Attention"]
    pair: str | None = None
    target: str | None = None
    written: bool = False
    ended: bool = True
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """A data format: what stands before all results, if anything, and what each result becomes."""

    encode: Callable[[Result], bytes]
    header: bytes = b""


ARRAYS = "weights", "layers", "heads", "query_tokens", "key_tokens"
"""The parts of a record that are arrays of an NPZ archive."""

RECORD = "record"
"""The array of an NPZ archive that holds all other parts, as JSON."""


def json_line(record: Mapping[str, Any]) -> bytes:
    """Return a line of JSON: a record, which may hold NumPy arrays, and a newline."""
    import orjson

    line = orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    return _C1_CONTROL.sub(lambda match: b"\\u00%02x" % match[1][0], line)


def to_json(result: Result) -> bytes:
    """Return one line: the text, the model, and the weights of each kind as nested lists [layer][head][query][key]."""
    return json_line(_fields(result))


def to_npz(result: Result) -> bytes:
    """Return an archive of `weights, layers, heads, query_tokens, key_tokens`, with `prefixes` of several records.

    What else is known stands in the array `record`, as the JSON of `to_json` without these.
    """
    import numpy as np

    fields = _fields(result)
    arrays: dict[str, Any] = {}
    for prefix, record in zip(
        prefixes(attention.kind.value for attention in result.attention), fields["attention"], strict=True
    ):
        arrays |= {prefix + name: record[name] for name in ARRAYS}
    rest = [{name: value for name, value in record.items() if name not in ARRAYS} for record in fields["attention"]]
    arrays[RECORD] = json_line(fields | {"attention": rest}).decode().rstrip()
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def prefixes(kinds: Iterable[Any]) -> list[str]:
    """Return what the names of each record's arrays begin with, by the records' kinds.

    That is nothing if there is only one, the kind (`cross_`) if no other is of that kind, and else the kind and a
    number from 0 (`decoder_1_`).
    """
    kinds = list(kinds)
    if len(kinds) == 1:
        return [""]
    numbers = [f"{kinds[:place].count(kind)}_" if kinds.count(kind) > 1 else "" for place, kind in enumerate(kinds)]
    return [f"{kind}_{number}" for kind, number in zip(kinds, numbers, strict=True)]


def _fields(result: Result) -> dict[str, Any]:
    """Return all that is known of a result but its place in the input."""
    first = result.attention[0]
    written = {"written": True, "ended": result.ended} if result.written else {}
    beside = {"pair": result.pair, "target": result.target, **written}
    return {
        "text": result.text,
        **{key: value for key, value in beside.items() if value is not None},
        "model": first.model,
        "engine": first.engine.value,
        "attention": [_record(attention) for attention in result.attention],
    }


def _record(attention: "Attention") -> dict[str, Any]:
    import numpy as np

    return {
        "kind": attention.kind.value,
        "layers": attention.layers,
        "heads": attention.heads,
        **_tokens("query", attention.query_tokens),
        **_tokens("key", attention.key_tokens),
        "by": attention.by.value,
        "precision": attention.precision,
        "sink": attention.sink,
        "notes": attention.notes,
        "weights": np.ascontiguousarray(attention.weights),
    }


def _tokens(axis: str, tokens: Sequence["Token"]) -> dict[str, Any]:
    """Return what the tokens of an axis are; of what only some have, such as an id, nothing if none has it."""
    fields: dict[str, list[Any]] = {
        "tokens": [token.text for token in tokens],
        "positions": [token.position for token in tokens],
        "spans": [token.span for token in tokens],
        "segments": [None if token.special else token.segment for token in tokens],
        "predicts": [token.predicts for token in tokens],
    }
    rare: dict[str, list[Any]] = {
        "ids": [token.id for token in tokens],
        "pieces": [token.piece for token in tokens],
        "unknown": [token.unknown for token in tokens],
        "windows": [token.window for token in tokens],
    }
    fields |= {name: entries for name, entries in rare.items() if not {None, False}.issuperset(entries)}
    return {f"{axis}_{name}": entries for name, entries in fields.items()}


def _separated(delimiter: str) -> Format:
    """Return the format of rows of a weight each, their fields separated by this."""

    def encode(result: Result) -> bytes:
        rows = (row for attention in result.attention for row in _rows(result.index, attention, delimiter))
        return "".join(rows).encode()

    return Format(encode, f"{delimiter.join(_CSV_COLUMNS)}\n".encode())


def _rows(text_index: int, attention: "Attention", delimiter: str) -> Iterator[str]:
    queries = _labels(attention.query_tokens, delimiter)
    ends = [f"{query}{delimiter}{key}" for query in queries for key in _labels(attention.key_tokens, delimiter)]
    for layer, heads in zip(attention.layers, attention.weights, strict=True):
        for head, weights in zip(attention.heads, heads, strict=True):
            start = delimiter.join((str(text_index), attention.kind.value, str(layer), str(head)))
            for end, weight in zip(ends, _shortest(weights), strict=True):
                yield f"{start}{delimiter}{end}{delimiter}{weight}\n"


def _labels(tokens: Iterable["Token"], delimiter: str) -> list[str]:
    """Return the index and text of each token as two fields, quoted where they must be."""
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows((t.position, t.text) for t in tokens)
    return file.getvalue().splitlines()


def _shortest(weights: "NDArray[np.float32]") -> list[str]:
    """Return the fewest digits that give back each weight."""
    import numpy as np
    import orjson

    text = orjson.dumps(np.ascontiguousarray(weights.ravel()), option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return text[1:-1].split(",")


STREAMS: dict[str, Format] = {"json": Format(to_json), "csv": _separated(","), "tsv": _separated("\t")}
"""The formats in which results can follow each other on standard output, by name."""

FILES: dict[str, Format] = {
    "json": STREAMS["json"],
    "csv": STREAMS["csv"],
    "npz": Format(to_npz),
    "tsv": STREAMS["tsv"],
}
"""The formats in which a result can be saved, by name, which is also the suffix."""
