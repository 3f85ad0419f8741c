"""The list of what was done in a folder: a line of JSON for each text."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from attnviz.errors import InputError

BEGINNING = 1000
"""How many characters of a text are kept."""

Slot = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """What was done for one text: its `files` and the bytes that each has, or the `error` that it ended in.

    `source` says where the text stands in the input, `file` in which file, if in one. `hash` is that of all that the
    files depend on, None once one of them has been written over for another text; `model` and `engine` are what
    computed them, `options` what was asked for.
    """

    index: int
    text: str
    source: str | None
    file: str | None
    hash: str | None
    model: str
    engine: str
    options: Mapping[str, Any]
    files: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None

    @property
    def slot(self) -> Slot:
        """What it has in common with the entry that takes its place: the line of a file, as exported in one way."""
        if self.file is None:
            return (self.hash or tuple(self.files),)
        return self.file, self.index, _canonical(self.options)

    @property
    def order(self) -> tuple[Any, ...]:
        """The key that entries are sorted by."""
        way = _canonical(self.options)
        return self.file or "", way if self.file else "", self.index, way, self.hash or "", tuple(self.files)

    def line(self) -> bytes:
        """Return the entry as a line of JSON; what is no valid Unicode in it is escaped."""
        fields = asdict(self) | {"files": list(self.files), "sizes": list(self.files.values())}
        if self.error is None:
            del fields["error"]
        return json.dumps(fields, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"

    def without(self, name: str) -> "ManifestEntry":
        """Return the entry of a text that has lost one of its files."""
        return replace(self, hash=None, files={file: size for file, size in self.files.items() if file != name})


class Manifest:
    """The entries of a folder: the latest for each slot.

    A file belongs to the entry that has written it last, and to those that have the same hash: the same text in several
    inputs has one file.
    """

    def __init__(self) -> None:
        self._entries: dict[Slot, ManifestEntry] = {}
        self._slots: dict[str | None, set[Slot]] = {}  # by hash
        self._owners: dict[str, set[Slot]] = {}  # by name of a file

    def find(self, wanted: ManifestEntry) -> ManifestEntry | None:
        """Return an entry that has the same hash."""
        slots = self._slots.get(wanted.hash)
        return self._entries[next(iter(slots))] if slots else None

    def take(self, entry: ManifestEntry) -> set[str]:
        """Take in an entry in place of the one of its slot; return the names of the files that nobody owns any more."""
        former = self._remove(entry.slot).files if entry.slot in self._entries else {}
        for name in entry.files:
            for slot in tuple(self._owners.get(name, ())):
                if self._entries[slot].hash != entry.hash:
                    self._put(self._remove(slot).without(name))
        self._put(entry)
        return former.keys() - self._owners.keys()

    def owns(self, name: str) -> bool:
        """Return whether a file belongs to one of the entries."""
        return name in self._owners

    def lines(self) -> bytes:
        """Return all entries, those of one input in the order of its texts."""
        return b"".join(entry.line() for entry in sorted(self._entries.values(), key=lambda entry: entry.order))

    def _put(self, entry: ManifestEntry) -> None:
        if not entry.files and entry.error is None:
            return
        self._entries[entry.slot] = entry
        for name in entry.files:
            self._owners.setdefault(name, set()).add(entry.slot)
        if entry.hash is not None:
            self._slots.setdefault(entry.hash, set()).add(entry.slot)

    def _remove(self, slot: Slot) -> ManifestEntry:
        entry = self._entries.pop(slot)
        _drop(self._slots, entry.hash, slot)
        for name in entry.files:
            _drop(self._owners, name, slot)
        return entry


def _drop(slots: dict[Any, set[Slot]], key: str | None, slot: Slot) -> None:
    """Take a slot out of those of a key, if it is there, and the key too if it was the last."""
    if key in slots:
        slots[key].discard(slot)
        if not slots[key]:
            del slots[key]


def entries(data: bytes) -> Iterator[ManifestEntry]:
    """Return the entries of a manifest; a last line that was not written to its end is left out.

    Raises:
        InputError: a line is no entry; the message begins with its number.
    """
    *lines, _ = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            yield _entry(json.loads(line))
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"Line {number} is not of attnviz's making.") from error


def _entry(fields: Any) -> ManifestEntry:
    match fields:
        case {
            "index": int(),
            "text": str(),
            "source": str() | None,
            "file": str() | None,
            "hash": str() | None,
            "model": str(),
            "engine": str(),
            "options": dict(),
            "files": list(files),
            "sizes": list(sizes),
        } if len(files) == len(sizes) and all(map(_is_name, files)) and all(isinstance(size, int) for size in sizes):
            del fields["sizes"]
            return ManifestEntry(**fields | {"files": dict(zip(files, sizes, strict=True))})
    raise ValueError(fields)


def _is_name(name: Any) -> bool:
    """Return whether this can name a file of ours: what stands in a manifest may not lead out of its folder."""
    return isinstance(name, str) and name[:6].isdecimal() and not set(name) & set("/\\:\0")


def _canonical(options: Mapping[str, Any]) -> str:
    return json.dumps(options, sort_keys=True)
