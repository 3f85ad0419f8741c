"""Results read back from data, ours or another program's: the inverse of `formats`."""

from collections.abc import Callable, Mapping
from typing import Any

from attnviz.errors import RecordError
from attnviz.formats.archive import Archive
from attnviz.formats.records import result_of
from attnviz.formats.writing import ARRAYS, RECORD, Result
from attnviz.vocabulary import Kind


def from_json(data: bytes) -> Result:
    """The result in a JSON object such as `to_json` writes; of each of its records only weights and tokens are needed.

    Raises:
        RecordError: it is no such object, or breaks a promise; the message says which record, and where.
    """
    return result_of(_object(data))


def from_npz(data: bytes) -> Result:
    """The result in an NPZ archive such as `to_npz` writes; of its arrays only weights and tokens are needed.

    Raises:
        RecordError: it is no such archive, or breaks a promise; the message says which record, and where.
    """
    archive = Archive(data)
    values = _object(archive.entries(RECORD)) if RECORD in archive.names else {"attention": _kinds_in(archive)}
    records = values.get("attention")
    return result_of({**values, "attention": _with_arrays(records, archive) if isinstance(records, list) else records})


def _object(data: Any) -> Mapping[str, Any]:
    import orjson

    try:
        values = orjson.loads(data)
    except ValueError as error:
        raise RecordError(f"This is no whole JSON object (in which no NaN or Infinity may stand): {error}.") from error
    if not isinstance(values, dict):
        raise RecordError('This is no JSON object such as {"text": …, "attention": […]}.')
    return values


def _kinds_in(archive: Archive) -> list[dict[str, str]]:
    """Records without anything but their kinds, if the names of the arrays say these."""
    return [{"kind": kind.value} for kind in Kind if f"{kind.value}_weights" in archive.names] or [{}]


def _with_arrays(records: list[Any], archive: Archive) -> list[Any]:
    """The records, each with its arrays, whose names begin with its kind."""
    return [{**record, **_arrays(record, archive)} if isinstance(record, dict) else record for record in records]


def _arrays(record: Mapping[str, Any], archive: Archive) -> dict[str, Any]:
    prefixed = f"{record.get('kind')}_"
    prefix = prefixed if f"{prefixed}weights" in archive.names else ""
    there = [name for name in ARRAYS if prefix + name in archive.names]
    arrays = {name: archive.entries(prefix + name) for name in there if name != "weights"}
    if "weights" in there:
        shape = archive.shape(f"{prefix}weights")
        named = tuple(_count(arrays.get(axis)) for axis in ("query_tokens", "key_tokens"))
        if shape[-2:] != named and None not in named:  # known before anything is unpacked
            raise RecordError(f"The weights have the shape {shape}, and {named} query and key tokens are named.")
        arrays["weights"] = archive.array(f"{prefix}weights")
    return arrays


def _count(names: Any) -> int | None:
    """How many names there are, if it is names that these are."""
    return len(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


READERS: dict[str, Callable[[bytes], Result]] = {"json": from_json, "npz": from_npz}
"""What reads each of the formats that come back, by name, which is also the suffix."""
