"""Results read back from data, ours or another program's: the inverse of `writing`."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any

from attnviz.errors import RecordError
from attnviz.formats.archive import Archive, Data, array_in
from attnviz.formats.records import result_of
from attnviz.formats.stored import MOST_BYTES, Saved, check_memory
from attnviz.formats.texts import Names
from attnviz.formats.writing import ARRAYS, RECORD, Result, prefixes
from attnviz.records import expand_shape
from attnviz.vocabulary import Kind

_BLANK = b" ", b"\t", b"\r", b"\n"

_COPIES, _PARSED = 2, 60
"""How many bytes JSON takes while it is read for each of its own bytes, and for each number in it."""


def open_json(data: bytes, memory: int = MOST_BYTES) -> Saved:
    """Return what stands in a JSON object such as `write_json` writes; a record needs no more than weights and tokens.

    Raises:
        RecordError: it is no such object, takes more than `memory` bytes, or breaks a promise; the message says which
            record, and where.
    """
    check_memory(_COPIES * len(data) + _PARSED * data.count(b","), memory)
    end = len(data)
    while data[end - 1 : end] in _BLANK:  # so that an error is on the last line that has text
        end -= 1
    return result_of(_object(memoryview(data)[:end]))


def open_npz(data: Data, memory: int = MOST_BYTES) -> Saved:
    """Return what stands in an NPZ archive such as `write_npz` writes; of its arrays only the weights are needed.

    The only array of an archive is the weights, whatever its name. They are read in pieces; if their columns stand one
    after the other, that takes up to `memory` bytes.

    Raises:
        RecordError: it is no such archive, takes too much memory, does not hold what it says that it holds, or breaks a
            promise; the message says which record, and where.
    """
    archive = Archive(data, memory)
    values = _object(archive.entries(RECORD)) if RECORD in archive.names else {"attention": _kinds_in(archive)}
    records = values.get("attention")
    if isinstance(records, list) and all(isinstance(record, dict) for record in records):
        names = list(_names(records, archive))
        _check_contents(names, archive)
        records = [record | _arrays(named, archive) for record, named in zip(records, names, strict=True)]
        values = {**values, "attention": records}
    return result_of(values)


def open_npy(data: Data, memory: int = MOST_BYTES) -> Saved:
    """Return what stands in an NPY file: [queries, keys], [heads, queries, keys] or [layers, heads, queries, keys].

    It is read in pieces, as an NPZ archive is.

    Raises:
        RecordError: it is none, takes too much memory, has other axes, or a row of it is no row of attention weights.
    """
    return result_of({"attention": [{"weights": array_in(data, memory)}]})


Parts = Mapping[str, str]
"""What the arrays of a record are called, by what they are."""

_NAME = re.compile(rf"(({'|'.join(kind.value for kind in Kind)})_(\d+_)?)?({'|'.join(ARRAYS)})")
"""The names that an array of a record may have."""


def _check_contents(named: list[Parts], archive: Archive) -> None:
    """Raise RecordError if an array is not there that the array `record` promises, or one is that no record takes.

    Who wrote that array wrote all others for each of its records, and nothing else. Other programs may leave arrays
    out, and keep some of their own.
    """
    whole = RECORD in archive.names
    taken = {name for names in named for name in names.values()}
    unsaid = archive.names - {RECORD} - taken if whole else set(filter(_NAME.fullmatch, archive.names)) - taken
    if unsaid:
        raise RecordError(f"The archive holds {', '.join(sorted(unsaid))}, but no record that uses it: save it again.")
    if whole and (lost := taken - archive.names):
        raise RecordError(f"The archive lacks {', '.join(sorted(lost))}, which its records need: save it again.")


def _object(data: Any) -> Mapping[str, Any]:
    import orjson

    try:
        values = orjson.loads(data)
    except ValueError as error:
        raise RecordError(f"This is not a complete JSON object (NaN and Infinity are not allowed): {error}.") from error
    if not isinstance(values, dict):
        raise RecordError('This is not a JSON object such as {"text": …, "attention": […]}.')
    return values


def _kinds_in(archive: Archive) -> list[dict[str, str]]:
    """Return records without anything but their kinds, if the names of the arrays say these."""
    return [{"kind": kind.value} for kind in Kind for _ in range(_records_of(kind, archive))] or [{}]


def _records_of(kind: Kind, archive: Archive) -> int:
    """Return how many records of a kind there are, by the names of their arrays."""
    if archive.names & {*_named(f"{kind.value}_").values()}:
        return 1
    return next(number for number in count() if not archive.names & {*_named(f"{kind.value}_{number}_").values()})


def _named(prefix: str) -> Parts:
    return {name: prefix + name for name in ARRAYS}


def _names(records: list[Any], archive: Archive) -> Iterator[Parts]:
    """Return what the arrays of each record are called; those of a single one may be named for its kind, or not."""
    if len(archive.names) == 1 and not any(map(_NAME.fullmatch, archive.names)) and RECORD not in archive.names:
        yield dict(zip(["weights"], archive.names, strict=True))
        return
    for record, prefix in zip(records, prefixes([record.get("kind") for record in records]), strict=True):
        usual = [_named(each) for each in (f"{record.get('kind')}_", prefix, "")]
        yield next((names for names in usual if archive.names & {*names.values()}), usual[1])


def _arrays(names: Parts, archive: Archive) -> dict[str, Any]:
    """Return the arrays of a record, as far as they are there; the numbers of the weights are not read yet."""
    there = {part: name for part, name in names.items() if name in archive.names}
    arrays = {part: archive.entries(name) for part, name in there.items() if part != "weights"}
    if "weights" in there:
        weights = archive.array(there["weights"])
        shape = weights.shape
        named = tuple(_count(arrays.get(axis)) for axis in ("query_tokens", "key_tokens"))
        if shape[-2:] != named and None not in named:
            raise RecordError(f"The weights have the shape {shape}, and {named} query and key tokens are named.")
        if not {"query_tokens", "key_tokens"} & there.keys():
            Names.numbered(expand_shape(shape))
        arrays["weights"] = weights
    return arrays


def _count(names: Any) -> int | None:
    """Return how many names there are, if it is names that these are."""
    return len(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


OPENERS: dict[str, Callable[..., Saved]] = {"json": open_json, "npz": open_npz, "npy": open_npy}
"""What opens each format that comes back, given as bytes or, of arrays, a file; by name, which is also the suffix."""


def read_result(form: str, data: Data, memory: int = MOST_BYTES) -> Result:
    """Return a result with all its weights in memory.

    Raises:
        RecordError: they take more than so much, or as in what opens the format.
    """
    return OPENERS[form](data, memory).load(memory)


READERS: dict[str, Callable[..., Result]] = {form: partial(read_result, form) for form in OPENERS}
"""What reads each of these formats whole."""
