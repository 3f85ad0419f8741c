"""Attention as data for other programs: JSON, CSV and TSV rows, NPZ arrays.

Only the standard library is imported until something is written, so that the command line can list the formats at once.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, product
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile

from msgspec import Struct

from attnviz.errors import RecordError
from attnviz.text import escape_unseen, visible

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from attnviz.records import HeadMatrix, ScoreTerms
    from attnviz.text import Token

_AT_ONCE = 2**15  # weights that are written at once, lest the text of all of them be in memory
_PIECE = 2**20  # bytes of an archive that are written, and handed over, at once
_SPOOLED = 2**22  # bytes of an archive that are kept in memory; longer ones go to a temporary file
CSV_COLUMNS = "text_index", "kind", "layer", "head", "query", "query_token", "key", "key_token"
"""The columns of rows of a number each, but for the last: that has the number, and is named for its measure."""


class Result(Struct, frozen=True):
    """The result of one text: its place in the input, one record a kind, and what was read along with it.

    `written` says that the model wrote the target, `ended` that it did not have to be cut. `warnings` says what of it,
    when it was read, may not be meant. `terms` are what scores are made of, if they were asked for; only pages show it.
    """

    index: int
    text: str
    attention: Sequence["HeadMatrix"]
    pair: str | None = None
    target: str | None = None
    written: bool = False
    ended: bool = True
    warnings: tuple[str, ...] = ()
    terms: Sequence["ScoreTerms"] = ()


class Format(Struct, frozen=True):
    """A data format: the bytes of each result, piece by piece, and what stands before all results such as this one."""

    pieces: Callable[[Result], Iterator[bytes]]
    header: Callable[[Result], bytes] = lambda result: b""

    def encode(self, result: Result) -> bytes:
        """Return all the bytes of a result."""
        return b"".join(self.pieces(result))


ARRAYS = "weights", "layers", "heads", "query_tokens", "key_tokens"
"""The parts of a record that are arrays of an NPZ archive."""

RECORD = "record"
"""The array of an NPZ archive that holds all other parts, as JSON."""


def json_line(record: Mapping[str, Any]) -> bytes:
    """Return a line of JSON: a record, which may hold NumPy arrays, and a newline."""
    return _to_json(record) + b"\n"


def _to_json(value: Any) -> bytes:
    """Return a value as JSON; characters that are not seen are escaped, since some terminals obey them."""
    import orjson

    return escape_unseen(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))


def write_json(result: Result) -> Iterator[bytes]:
    """Yield one line: the text, the model, and the weights of each kind as nested lists [layer][head][query][key]."""
    yield _to_json({**_fields(result), "attention": []}).removesuffix(b"]}")
    for number, attention in enumerate(result.attention):
        yield b"," * bool(number) + _to_json(_record(attention)).removesuffix(b"}") + b',"weights":'
        yield from _nested(attention.weights)
        yield b"}"
    yield b"]}\n"


def _nested(weights: "NDArray[np.float32]") -> Iterator[bytes]:
    """Yield the JSON of weights [..., queries, keys], some rows at a time."""
    yield b"["
    for number, each in enumerate(_some_rows(weights) if weights.ndim == 2 else weights):
        yield b"," * bool(number)
        if weights.ndim == 2:
            yield _to_json(each)[1:-1]
        else:
            yield from _nested(each)
    yield b"]"


def _some_rows(weights: "NDArray[np.float32]") -> Iterator["NDArray[np.float32]"]:
    """Yield the rows of weights [queries, keys], some at a time."""
    import numpy as np

    step = max(_AT_ONCE // weights.shape[1], 1)
    return (np.ascontiguousarray(weights[first : first + step]) for first in range(0, len(weights), step))


def write_npz(result: Result) -> Iterator[bytes]:
    """Yield an archive of `weights, layers, heads, query_tokens, key_tokens`, with `prefixes` of several records.

    What else is known stands in the array `record`, as the JSON of `write_json` without these.
    """
    import numpy as np

    records = [_record(attention) for attention in result.attention]
    arrays: dict[str, Any] = {}
    for prefix, record, attention in zip(
        prefixes(record["kind"] for record in records), records, result.attention, strict=True
    ):
        whole = {"weights": attention.weights, **record}
        arrays |= {prefix + name: whole[name] for name in ARRAYS}
    rest = [{name: value for name, value in record.items() if name not in ARRAYS} for record in records]
    arrays[RECORD] = _to_json({**_fields(result), "attention": rest}).decode()
    with SpooledTemporaryFile(_SPOOLED) as file:
        with ZipFile(file, "w", ZIP_DEFLATED) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    _write_array(member, np.asarray(array))
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _write_array(file: IO[bytes], array: "NDArray[Any]") -> None:
    """Write an array as NumPy does, which would hold large parts of it twice."""
    from numpy.lib.format import write_array_header_1_0

    write_array_header_1_0(file, {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape})
    flat = array.ravel() if array.ndim < 2 else array.reshape(-1, array.shape[-1])
    step = max(_PIECE // max(flat[:1].nbytes, 1), 1)
    for first in range(0, len(flat), step):
        file.write(flat[first : first + step].tobytes())


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
    """Return all that is known of a result but its place in the input, and its records, which stand last."""
    first = result.attention[0]
    written = {"written": True, "ended": result.ended} if result.written else {}
    beside = {"pair": result.pair, "target": result.target, **written}
    return {
        "text": result.text,
        **{key: value for key, value in beside.items() if value is not None},
        "model": first.model,
        "engine": first.engine.value,
    }


def _record(attention: "HeadMatrix") -> dict[str, Any]:
    """Return all that is known of a record but the weights."""
    return {
        "kind": attention.kind.value,
        **({} if attention.meaning.usual else {"measure": attention.measure}),
        "layers": attention.layers,
        "heads": attention.heads,
        **_tokens("query", attention.query_tokens),
        **_tokens("key", attention.key_tokens),
        "by": attention.by.value,
        "precision": attention.precision,
        "sink": attention.sink,
        "notes": attention.notes,
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

    def pieces(result: Result) -> Iterator[bytes]:
        return (
            "".join(rows).encode()
            for attention in result.attention
            for rows in _rows(result.index, attention, delimiter)
        )

    def header(result: Result) -> bytes:
        measures = list(dict.fromkeys(attention.measure for attention in result.attention))
        if len(measures) > 1:
            raise RecordError(
                f"Rows have one column of numbers, and these are of {' and '.join(map(visible, measures))}: save them "
                "as .json, or choose one kind of attention."
            )
        return _write_row((*CSV_COLUMNS, *map(visible, measures)), delimiter).encode()

    return Format(pieces, header)


def _rows(text_index: int, attention: "HeadMatrix", delimiter: str) -> Iterator[list[str]]:
    """Yield the rows of a record, some at a time."""
    queries = _labels(attention.query_tokens, delimiter)
    keys = [f"{key}{delimiter}" for key in _labels(attention.key_tokens, delimiter)]
    for (layer, head), weights in zip(
        product(attention.layers, attention.heads), chain.from_iterable(attention.weights), strict=True
    ):
        start = delimiter.join((str(text_index), attention.kind.value, str(layer), str(head)))
        pairs = ((query, key) for query in queries for key in keys)
        for rows in _some_rows(weights):
            shortest = zip(pairs, _shortest(rows), strict=False)
            yield [f"{start}{delimiter}{query}{delimiter}{key}{weight}\n" for (query, key), weight in shortest]


def _labels(tokens: Iterable["Token"], delimiter: str) -> list[str]:
    """Return the index and text of each token as two fields, quoted where they must be."""
    return [_write_row((token.position, token.text), delimiter).removesuffix("\n") for token in tokens]


def _write_row(fields: Sequence[Any], delimiter: str) -> str:
    """Return fields as a row, quoted where they must be."""
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator="\n").writerow(fields)
    return file.getvalue()


def _shortest(weights: "NDArray[np.float32]") -> list[str]:
    """Return the fewest digits that give back each weight."""
    return _to_json(weights.ravel())[1:-1].decode().split(",")


STREAMS: dict[str, Format] = {"json": Format(write_json), "csv": _separated(","), "tsv": _separated("\t")}
"""The formats in which results can follow each other on standard output, by name."""

FILES: dict[str, Format] = {
    "json": STREAMS["json"],
    "csv": STREAMS["csv"],
    "npz": Format(write_npz),
    "tsv": STREAMS["tsv"],
}
"""The formats in which a result can be saved, by name, which is also the suffix."""
