"""The list of what was done in a folder: a line of JSON for each text."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from attnviz.errors import InputError

BEGINNING = 1000
"""How many characters of a text are kept."""

Slot = tuple[Any, ...]

_encode = json.JSONEncoder(ensure_ascii=False).encode
_canonical = json.JSONEncoder(sort_keys=True).encode


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
        held = {name: getattr(self, name) for name in _FIELDS if name != "error" or self.error is not None}
        held |= {"files": list(self.files), "sizes": list(self.files.values())}
        return _encode(held).encode("utf-8", "backslashreplace") + b"\n"


_FIELDS = tuple(each.name for each in fields(ManifestEntry))


class Manifest:
    """The entries of a folder: the latest for each slot.

    Beside the name of each file stands the hash of the entry that has written it last. The file belongs to all entries
    with this hash: the same text in several inputs has one file.
    """

    def __init__(self) -> None:
        self._entries: dict[Slot, ManifestEntry] = {}
        self._slots: dict[str | None, set[Slot]] = {}  # where an entry with this hash stands, or has stood
        self._hashes: dict[str, str | None] = {}  # by name of a file
        self._owners: Counter[tuple[str, str | None]] = Counter()  # how many entries have this file and this hash

    def find(self, wanted: ManifestEntry) -> ManifestEntry | None:
        """Return an entry that has the same hash, and all its files."""
        found = (self._kept(self._entries[slot]) for slot in self._slots.get(wanted.hash, ()))
        return next((entry for entry in found if entry is not None and entry.hash == wanted.hash), None)

    def take(self, entry: ManifestEntry) -> set[str]:
        """Take in an entry in place of the one of its slot; return the names of the files that nobody owns any more."""
        slot = entry.slot
        former = self._entries.get(slot)
        self._entries[slot] = entry
        self._slots.setdefault(entry.hash, set()).add(slot)
        for name in entry.files:
            self._hashes[name] = entry.hash
            self._owners[name, entry.hash] += 1
        if former is None:
            return set()
        own = [name for name in former.files if self._is_of(name, former)]
        self._owners.subtract((name, former.hash) for name in former.files)
        return {name for name in own if not self.owns(name)}

    def owns(self, name: str) -> bool:
        """Return whether a file belongs to one of the entries."""
        return name in self._hashes and self._owners[name, self._hashes[name]] > 0

    def lines(self) -> bytes:
        """Return all entries, those of one input in the order of its texts."""
        kept = filter(None, map(self._kept, self._entries.values()))
        return b"".join(entry.line() for entry in sorted(kept, key=lambda entry: entry.order))

    def _is_of(self, name: str, entry: ManifestEntry) -> bool:
        return self.owns(name) and self._hashes[name] == entry.hash

    def _kept(self, entry: ManifestEntry) -> ManifestEntry | None:
        """Return an entry with the files that are still its own; None if there is nothing left of it."""
        own = {name: size for name, size in entry.files.items() if self._is_of(name, entry)}
        if len(own) < len(entry.files):
            entry = replace(entry, hash=None, files=own)
        return entry if own or entry.error is not None else None


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
