"""Results read back from data, ours or another program's: the inverse of `formats`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attnviz.attention import Kind
from attnviz.errors import RecordError
from attnviz.views.data.archive import Archive
from attnviz.views.data.formats import ARRAYS, RECORD, Result
from attnviz.views.data.records import result_of


def from_json(data: bytes) -> Result:
    """The result in a JSON object such as `to_json` writes; of each of its records only weights and tokens are needed.

    Raises:
        RecordError: it is no such object, or breaks a promise; the message says which record, and where.
    """
    return result_of(_object(data))


def from_npz(data: bytes) -> Result:
    """The result in an NPZ archive such as `to_npz` writes; of its arrays only weights and tokens are needed.

    Raises:
        RecordError: it is no such archive, does not hold what it says that it holds, or breaks a promise; the message
            says which record, and where.
    """
    archive = Archive(data)
    values = _object(archive.entries(RECORD)) if RECORD in archive.names else {"attention": _kinds_in(archive)}
    records = values.get("attention")
    if isinstance(records, list) and all(isinstance(record, dict) for record in records):
        _check_contents(records, archive)
        values = {**values, "attention": [_with_arrays(record, archive) for record in records]}
    return result_of(values)


def _check_contents(records: Sequence[Mapping[str, Any]], archive: Archive) -> None:
    """Raise RecordError if an array is not there that the array `record` promises, or one is that no record takes.

    Who wrote that array wrote all others for each of its records, and nothing else. Other programs may leave arrays
    out, and keep some of their own.
    """
    whole = RECORD in archive.names
    taken = {name for record in records for name in _names(record, archive).values()}
    unsaid = archive.names - {RECORD} - taken if whole else archive.names & _ALL_NAMES - taken
    if unsaid:
        raise RecordError(f"The archive holds {', '.join(sorted(unsaid))}, which it has no record for: save it again.")
    if whole and (lost := taken - archive.names):
        raise RecordError(f"The archive lacks {', '.join(sorted(lost))}, which it says it holds: save it again.")


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
    return [{"kind": kind.value} for kind in Kind if archive.names & {*_named(f"{kind.value}_").values()}] or [{}]


def _named(prefix: str) -> dict[str, str]:
    """What the arrays of a record are called whose names begin with this, by what they are."""
    return {name: prefix + name for name in ARRAYS}


_ALL_NAMES = frozenset(
    name for prefix in ("", *(f"{kind.value}_" for kind in Kind)) for name in _named(prefix).values()
)
"""All names that an array of a record may have."""


def _names(record: Mapping[str, Any], archive: Archive) -> dict[str, str]:
    """What the arrays of this record are called: after its kind, if any is."""
    prefixed = _named(f"{record.get('kind')}_")
    return prefixed if archive.names & {*prefixed.values()} else _named("")


def _with_arrays(record: Mapping[str, Any], archive: Archive) -> dict[str, Any]:
    """The record and its arrays."""
    names = {part: name for part, name in _names(record, archive).items() if name in archive.names}
    arrays = {part: archive.entries(name) for part, name in names.items() if part != "weights"}
    if "weights" in names:
        shape = archive.shape(names["weights"])
        named = tuple(_count(arrays.get(axis)) for axis in ("query_tokens", "key_tokens"))
        if shape[-2:] != named and None not in named:  # known before anything is unpacked
            raise RecordError(f"The weights have the shape {shape}, and {named} query and key tokens are named.")
        arrays["weights"] = archive.array(names["weights"])
    return {**record, **arrays}


def _count(names: Any) -> int | None:
    """How many names there are, if it is names that these are."""
    return len(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


READERS: dict[str, Callable[[bytes], Result]] = {"json": from_json, "npz": from_npz}
"""What reads each of the formats that come back, by name, which is also the suffix."""
