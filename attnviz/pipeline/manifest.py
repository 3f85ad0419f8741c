"""The list of what was done in a folder: a line of JSON for each text."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import starmap
from types import NoneType
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from attnviz.errors import InputError
from attnviz.pipeline.files import Stamp

MANIFEST = "manifest.jsonl"
"""The name of its file."""

BEGINNING = 1000
"""How many characters of a text are kept."""

Slot = tuple[Any, ...]

_NAME = re.compile(r"\d{6}[^/\\:\0]*", re.DOTALL)

canonical = json.JSONEncoder(sort_keys=True).encode
"""Write what can be JSON, and in the same way what is the same."""


class ManifestEntry(Struct, frozen=True, kw_only=True, dict=True):
    """The record of one text in a manifest: its `files` and what each is known by, or the `error` that it ended in.

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
    files: Mapping[str, Stamp] = field(default_factory=dict)
    error: str | None = None

    @property
    def slot(self) -> Slot:
        """Return the key shared with the entry that takes its place: the line of a file, exported in one way."""
        if self.file is None:
            return (self.hash or tuple(self.files),)
        return self.file, self.index, self._way

    @property
    def order(self) -> tuple[Any, ...]:
        """The key that entries are sorted by."""
        way = self._way
        return self.file or "", way if self.file else "", self.index, way, self.hash or "", tuple(self.files)

    @cached_property
    def _way(self) -> str:
        """The options, written alike if they are the same."""
        return canonical(self.options)

    @cached_property
    def line(self) -> bytes:
        """Return the entry as a line of JSON, as it was read if it was; what is no valid Unicode in it is escaped."""
        held = asdict(self)
        held["files"] = list(self.files)
        held |= {f"{name}s": [getattr(stamp, name) for stamp in self.files.values()] for name in Stamp._fields}
        if self.error is None:
            del held["error"]
        return json.dumps(held, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


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

    def take(self, entry: ManifestEntry) -> dict[str, Stamp]:
        """Take in an entry in place of the one of its slot; return the files that nobody owns any more."""
        slot = entry.slot
        former = self._entries.get(slot)
        self._entries[slot] = entry
        self._slots.setdefault(entry.hash, set()).add(slot)
        for name in entry.files:
            self._hashes[name] = entry.hash
            self._owners[name, entry.hash] += 1
        if former is None:
            return {}
        own = [name for name in former.files if self._is_of(name, former)]
        self._owners.subtract((name, former.hash) for name in former.files)
        return {name: former.files[name] for name in own if not self.owns(name)}

    def owns(self, name: str) -> bool:
        """Return whether a file belongs to one of the entries."""
        return name in self._hashes and self._owners[name, self._hashes[name]] > 0

    def lines(self) -> bytes:
        """Return all entries, those of one input in the order of its texts."""
        kept = filter(None, map(self._kept, self._entries.values()))
        return b"".join(entry.line for entry in sorted(kept, key=lambda entry: entry.order))

    def _is_of(self, name: str, entry: ManifestEntry) -> bool:
        return self.owns(name) and self._hashes[name] == entry.hash

    def _kept(self, entry: ManifestEntry) -> ManifestEntry | None:
        """Return an entry with the files that are still its own; None if there is nothing left of it."""
        own = {name: size for name, size in entry.files.items() if self._is_of(name, entry)}
        if len(own) < len(entry.files):
            entry = replace(entry, hash=None, files=own)
        return entry if own or entry.error is not None else None


def entries(data: bytes) -> Iterator[ManifestEntry]:
    """Return the entries of a manifest; a last line of ours that was not written to its end is left out.

    Raises:
        InputError: a line is no entry; the message begins with its number.
    """
    *lines, rest = data.split(b"\n")
    if rest and not _is_torn(rest):
        lines.append(rest)
    former: ManifestEntry | None = None
    for number, line in enumerate(lines, 1):
        try:
            entry = _entry(json.loads(line))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise InputError(f"Line {number} was not written by attnviz.") from error
        if former is not None and former.options == entry.options:
            vars(entry)["_way"] = former._way
        vars(entry)["line"] = line + b"\n"  # both cost more to write than to keep
        yield (former := entry)


_BEGINS = b'{"index": 0, "text": "'
"""How each of our lines begins, but for the number."""


def _is_torn(line: bytes) -> bool:
    """Return whether a line is one of ours, as far as it goes; one that is whole, and not ours, is none."""
    begins = re.sub(rb"\d+", b"0", line[:40], count=1)[: len(_BEGINS)]
    try:
        return _BEGINS.startswith(begins) and json.loads(line).keys() >= _KINDS.keys()
    except ValueError:
        return True


_KINDS: Mapping[str, tuple[type, ...]] = {
    "index": (int,),
    "text": (str,),
    **dict.fromkeys(("source", "file", "hash"), (str, NoneType)),
    **dict.fromkeys(("model", "engine"), (str,)),
    "options": (dict,),
    "files": (list,),
    "sizes": (list,),
}
"""What each field of a line may be, but for the error, which may be missing."""


def _entry(held: dict[str, Any]) -> ManifestEntry:
    if not all(isinstance(held[name], kinds) for name, kinds in _KINDS.items()):
        raise ValueError(held)
    sizes = held.pop("sizes")
    digests = held.pop("digests", [None] * len(sizes))  # which older manifests lack
    files = dict(zip(held["files"], starmap(Stamp, zip(sizes, digests, strict=True)), strict=True))
    if not all(_is_name(name) and _is_stamp(stamp) for name, stamp in files.items()):
        raise ValueError(held)
    return ManifestEntry(**held | {"files": files})


def _is_stamp(stamp: Stamp) -> bool:
    return isinstance(stamp.size, int) and isinstance(stamp.digest, str | NoneType)


def _is_name(name: Any) -> bool:
    """Return whether this can name a file of ours: what stands in a manifest may not lead out of its folder."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None
