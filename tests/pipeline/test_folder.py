import hashlib
import json
import os
import resource
import shutil
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from attnviz.errors import InputError, OutputError
from attnviz.pipeline.artifacts import file_name, slug, unlike
from attnviz.pipeline.files import Stamp, is_part, put_file, write_file
from attnviz.pipeline.folder import Folder
from attnviz.pipeline.manifest import MANIFEST, Manifest, ManifestEntry, entries


def stamp(data: bytes) -> Stamp:
    """What a file of these bytes is known by."""
    return Stamp(len(data), hashlib.blake2b(data, digest_size=16).hexdigest())


def entry(index: int, text: str, *names: str, file: str | None = "lines.txt", **other: Any) -> ManifestEntry:
    """What was done for a line of a file: each of its files has the bytes of its text."""
    fields = {"source": f"line {index + 1}", "model": "m", "engine": "reference", "options": {}, "hash": text}
    files = dict.fromkeys(names, stamp(text.encode()))
    return ManifestEntry(index=index, text=text, file=file, files=files, **fields | other)


def put(folder: Folder, one: ManifestEntry) -> None:
    """Puts into a folder the files of a text, each in two pieces."""
    for name in one.files:
        for piece in (one.text.encode()[:1], one.text.encode()[1:]):
            folder.write(one.index, name, piece)
    folder.add(one)


def exported(folder: Path, *wanted: ManifestEntry) -> None:
    """Puts into a folder what is not there."""
    with Folder(folder) as opened:
        for one in wanted:
            if opened.find(one) is None:
                put(opened, one)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def listed(folder: Path) -> list[str]:
    return [json.loads(line)["text"] for line in (folder / MANIFEST).read_bytes().splitlines()]


FORMER = (
    entry(0, "one", "000000-one.npz"),
    entry(1, "two", "000001-two.npz", "000001-two.csv"),
    entry(2, "3", "000002-3.npz"),
)
LATTER = entry(0, "one", "000000-one.npz"), entry(1, "II", "000001-ii.npz"), entry(2, "4", "000002-3.npz")


class TestFolder:
    def test_what_a_text_had_before_is_replaced_and_of_the_rest_nothing_is_touched(self, tmp_path: Path) -> None:
        exported(tmp_path, *FORMER)
        (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
        exported(tmp_path, *LATTER)
        assert set(contents(tmp_path)) == {"000000-one.npz", "000001-ii.npz", "000002-3.npz", "notes.txt", MANIFEST}
        assert contents(tmp_path)["000002-3.npz"] == b"4"
        assert listed(tmp_path) == ["one", "II", "4"]

    def test_stopped_before_any_step_and_run_again_it_ends_as_if_it_had_never_been_stopped(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exported(tmp_path / "undisturbed", *FORMER)
        exported(tmp_path / "undisturbed", *LATTER)
        for steps in count():
            folder = tmp_path / str(steps)
            exported(folder, *FORMER)
            stopped = killed(monkeypatch, steps, folder, *LATTER)
            exported(folder, *LATTER)
            assert contents(folder) == contents(tmp_path / "undisturbed"), steps
            if not stopped:
                break
        assert steps > 10

    def test_a_manifest_cut_anywhere_loses_no_more_than_its_last_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exported(tmp_path, *FORMER)
        whole = contents(tmp_path)
        for size in range(0, len(whole[MANIFEST]), 7):
            (tmp_path / MANIFEST).write_bytes(whole[MANIFEST][:size])
            exported(tmp_path)
            assert len(listed(tmp_path)) == whole[MANIFEST][:size].count(b"\n")
            (tmp_path / MANIFEST).write_bytes(whole[MANIFEST][:size])
            killed(monkeypatch, 10, tmp_path, *FORMER)
            exported(tmp_path, *FORMER)
            assert contents(tmp_path) == whole

    def test_texts_done_in_any_order_are_listed_in_theirs(self, tmp_path: Path) -> None:
        exported(tmp_path, *reversed(FORMER))
        assert listed(tmp_path) == ["one", "two", "3"]

    def test_a_file_belongs_to_the_text_that_it_was_written_for_last(self, tmp_path: Path) -> None:
        mine = entry(0, "mine", "000000-a.npz", "000000-a.csv", file="mine.txt")
        exported(tmp_path, mine)
        exported(tmp_path, entry(0, "theirs", "000000-a.npz", file="theirs.txt"))
        first, second = (json.loads(line) for line in (tmp_path / MANIFEST).read_bytes().splitlines())
        assert (first["text"], first["files"], first["hash"]) == ("mine", ["000000-a.csv"], None)
        assert (second["text"], second["files"]) == ("theirs", ["000000-a.npz"])
        with Folder(tmp_path) as folder:
            assert folder.find(mine) is None

    def test_a_file_that_was_given_up_and_written_again_stays(self, tmp_path: Path) -> None:
        former, latter = entry(0, "a", "000000-a.npz"), entry(0, "b", "000000-b.npz")
        again = entry(0, "a", "000000-a.npz", hash="other", options={"mean": True})
        exported(tmp_path, former, latter, again)
        (tmp_path / MANIFEST).write_bytes(b"".join(one.line for one in (former, latter, again)))
        exported(tmp_path)
        assert set(contents(tmp_path)) == {"000000-a.npz", "000000-b.npz", MANIFEST}

    def test_texts_that_are_no_lines_of_a_file_replace_nothing(self, tmp_path: Path) -> None:
        exported(tmp_path, entry(0, "a", "000000-a.npz", file=None))
        exported(tmp_path, entry(0, "b", "000000-b.npz", file=None))
        assert set(contents(tmp_path)) == {"000000-a.npz", "000000-b.npz", MANIFEST}

    def test_other_options_make_files_beside_those_that_are_there(self, tmp_path: Path) -> None:
        exported(tmp_path, entry(0, "a", "000000-a.npz"))
        exported(tmp_path, entry(0, "a", "000000-a.csv", hash="other", options={"format": ["csv"]}))
        assert set(contents(tmp_path)) == {"000000-a.npz", "000000-a.csv", MANIFEST}

    @pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"longer")], ids=["gone", "changed"])
    def test_a_text_is_not_done_if_its_file_is_not_as_it_was(
        self, tmp_path: Path, change: Callable[[Path], Any]
    ) -> None:
        exported(tmp_path, *FORMER)
        change(tmp_path / "000001-two.csv")
        with Folder(tmp_path) as folder:
            assert [one.text for one in FORMER if folder.find(one)] == ["one", "3"]

    def test_nothing_is_made_where_nothing_is_written(self, tmp_path: Path) -> None:
        with Folder(tmp_path / "new"):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_files_stand_in_their_places_together_and_only_when_all_of_a_text_are_there(self, tmp_path: Path) -> None:
        with Folder(tmp_path) as folder:
            for name in FORMER[1].files:
                folder.write(1, name, b"tw")
                folder.write(1, name, b"o")
                assert all(is_part(one) for one in contents(tmp_path) if not one.endswith(".lock"))
            paths = folder.add(FORMER[1])
        assert [path.name for path in paths] == list(FORMER[1].files)
        assert {name: data for name, data in contents(tmp_path).items() if name != MANIFEST} == dict.fromkeys(
            FORMER[1].files, b"two"
        )

    def test_texts_may_be_written_in_turns(self, tmp_path: Path) -> None:
        with Folder(tmp_path) as folder:
            for first, second in (b"ot", b"nw", b"eo"):
                folder.write(0, "000000-one.npz", bytes([first]))
                folder.write(1, "000001-two.npz", bytes([second]))
            folder.add(entry(1, "two"))
            folder.add(entry(0, "one"))
        assert contents(tmp_path)["000000-one.npz"] == b"one"
        assert contents(tmp_path)["000001-two.npz"] == b"two"

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
    def test_what_is_half_written_when_a_run_ends_is_removed(self, tmp_path: Path, error: type[BaseException]) -> None:
        def end() -> None:
            with Folder(tmp_path) as folder:
                put(folder, FORMER[0])
                folder.write(1, "000001-two.npz", b"tw")
                raise error

        with pytest.raises(error):
            end()
        assert set(contents(tmp_path)) == {*FORMER[0].files, MANIFEST}

    def test_nothing_is_left_of_the_files_of_a_text_that_failed(self, tmp_path: Path) -> None:
        with Folder(tmp_path) as folder:
            folder.write(1, "000001-two.npz", b"tw")
            folder.add(replace(entry(1, "two"), error="There is too little memory for it."))
        assert set(contents(tmp_path)) == {MANIFEST}

    def test_a_line_that_the_disk_has_no_room_for_leaves_nothing_of_it(self, tmp_path: Path) -> None:
        exported(tmp_path, *FORMER)
        before = (tmp_path / MANIFEST).read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
        try:
            with pytest.raises(OutputError, match="cannot be written"):
                exported(tmp_path, *LATTER)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (tmp_path / MANIFEST).read_bytes() == before
        exported(tmp_path, *LATTER)

    def test_it_is_for_one_run_at_a_time(self, tmp_path: Path) -> None:
        exported(tmp_path, *FORMER)
        with Folder(tmp_path), pytest.raises(OutputError, match="Another run"):
            exported(tmp_path, *LATTER)
        exported(tmp_path, *LATTER)


class TestManifestsOfOthers:
    @pytest.mark.parametrize(
        "line",
        [
            b"{}",
            b"no JSON",
            b"\xff",
            b"[" * 100_000,
            json.dumps({"audio_filepath": "1.wav", "text": "hello"}).encode(),
            entry(0, "a").line.replace(b'"files": []', b'"files": ["000000-a"]').strip(),
            *(entry(0, "a", name).line.strip() for name in ("../000000-a", "000000-a/../../b", "/etc/passwd", "x")),
        ],
    )
    def test_a_line_that_is_none_of_ours_is_refused_and_nothing_touched(self, tmp_path: Path, line: bytes) -> None:
        exported(tmp_path, *FORMER)
        with (tmp_path / MANIFEST).open("ab") as file:
            file.write(line + b"\n")
        before = contents(tmp_path)
        with pytest.raises(InputError, match="Line 4 was not written by attnviz"):
            exported(tmp_path, *LATTER)
        assert contents(tmp_path) == before

    @pytest.mark.parametrize(
        "line",
        [
            b'{"audio_filepath": "1.wav"}',
            b'{"index": 0, "text": "hello", "label": 3}',
            b'{"index": 0, "label": "hel',
            b"a note",
        ],
    )
    def test_a_last_line_without_an_end_is_refused_unless_it_begins_like_ours(
        self, tmp_path: Path, line: bytes
    ) -> None:
        (tmp_path / MANIFEST).write_bytes(line)
        with pytest.raises(InputError, match="Line 1 was not written by attnviz"):
            exported(tmp_path, *LATTER)
        assert contents(tmp_path) == {MANIFEST: line}

    def test_one_that_leads_elsewhere_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "elsewhere").touch()
        (tmp_path / "out" / MANIFEST).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(InputError, match="not of attnviz's making"):
            exported(tmp_path / "out", *FORMER)
        assert (tmp_path / "elsewhere").read_bytes() == b""

    @pytest.mark.parametrize(
        ("name", "known"),
        [
            ("202411-taxes.pdf", stamp(b"mine!")),
            ("000000-thesis.docx", stamp(b"mine!")),
            ("000000-mine.csv", stamp(b"mine")),
            ("000000-mine.csv", stamp(b"thine")),
            ("000000-mine.csv", Stamp(5, None)),
        ],
        ids=str,
    )
    def test_what_it_names_stays_unless_it_is_called_as_what_we_write_and_has_the_bytes_that_we_wrote(
        self, tmp_path: Path, name: str, known: Stamp
    ) -> None:
        (tmp_path / name).write_bytes(b"mine!")
        planted = replace(entry(0, "a"), files={name: known})
        (tmp_path / MANIFEST).write_bytes(planted.line + entry(0, "b", "000000-b.npz").line)
        exported(tmp_path, LATTER[0])
        assert contents(tmp_path)[name] == b"mine!"

    def test_one_without_digests_is_read(self, tmp_path: Path) -> None:
        exported(tmp_path, *FORMER)
        lines = [json.loads(line) for line in (tmp_path / MANIFEST).read_bytes().splitlines()]
        old = ({name: value for name, value in line.items() if name != "digests"} for line in lines)
        (tmp_path / MANIFEST).write_text("".join(json.dumps(line) + "\n" for line in old))
        with Folder(tmp_path) as folder:
            assert all(folder.find(one) for one in FORMER)


class TestRemovedInTheMiddle:
    @pytest.mark.parametrize("again", [False, True], ids=["gone", "made again"])
    @pytest.mark.parametrize("left", [[], FORMER[2:]], ids=["in the end", "before a text"])
    def test_a_folder_that_is_removed_during_the_run_is_an_error(
        self, tmp_path: Path, again: bool, left: list[ManifestEntry]
    ) -> None:
        folder = tmp_path / "out"

        def export() -> None:
            with Folder(folder) as opened:
                for one in (*FORMER[:2], None, *left):
                    if one is not None:
                        put(opened, one)
                        continue
                    shutil.rmtree(folder)
                    if again:
                        folder.mkdir()

        with pytest.raises(OutputError, match=r"cannot be written|changed or removed by somebody"):
            export()
        assert folder.exists() == again

    def test_it_is_said_even_if_nothing_is_left_to_do(self, tmp_path: Path) -> None:
        exported(tmp_path, *FORMER)
        with pytest.raises(OutputError, match="changed or removed"), Folder(tmp_path):
            (tmp_path / MANIFEST).unlink()


class TestFiles:
    def test_what_a_killed_run_has_left_is_removed_by_the_next_that_writes_the_same_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def kill(*_: Any, **options: Any) -> None:
            raise Killed

        with monkeypatch.context() as patch, suppress(Killed):
            patch.setattr(os, "getpid", lambda: 4_000_000)
            patch.setattr(Path, "replace", kill)
            patch.setattr(Path, "unlink", kill)
            write_file(tmp_path / "a.npz", [b"half"])
        assert [is_part(name) for name in contents(tmp_path)] == [True]
        write_file(tmp_path / "a.npz", [b"whole"])
        assert contents(tmp_path) == {"a.npz": b"whole"}

    @pytest.mark.parametrize("write", [write_file, put_file])
    def test_a_link_where_it_would_stand_first_is_not_followed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, list[bytes]], None]
    ) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "precious").write_bytes(b"mine")
        monkeypatch.setattr(os, "getpid", lambda: 7)
        part = f".attnviz-7-{zlib.crc32(b'a.npz'):08x}.part"
        (tmp_path / "out" / part).symlink_to(tmp_path / "precious")
        with suppress(OutputError):
            write(tmp_path / "out" / "a.npz", [b"data"])
        assert (tmp_path / "precious").read_bytes() == b"mine"
        assert not (tmp_path / "out" / "a.npz").is_symlink()


NAMES = "000000-a", "000001-b", "000002-c", "000003-d"


def drawn(index: int, text: str, file: str | None) -> ManifestEntry:
    """An entry whose files follow from its hash, and may be those of another text."""
    chosen = zlib.crc32(repr(entry(index, text).hash).encode()) % 15 + 1
    return entry(index, text, *(name for bit, name in enumerate(NAMES) if chosen >> bit & 1), file=file)


ENTRIES = st.builds(drawn, st.integers(0, 3), st.text(max_size=4), st.sampled_from([None, "a.txt", "b.txt"]))


class TestManifest:
    @given(st.lists(ENTRIES))
    def test_each_file_belongs_to_one_text_and_what_nobody_owns_is_given_up(self, taken: list[ManifestEntry]) -> None:
        manifest, there = Manifest(), set[str]()
        for one in taken:
            given_up = manifest.take(one).keys()
            there = (there | set(one.files)) - given_up
            assert not given_up & set(one.files)
        owners: dict[str, set[str | None]] = {}
        for one in entries(manifest.lines()):
            for name in one.files:
                owners.setdefault(name, set()).add(one.hash)
        assert owners.keys() == there
        assert all(len(hashes) == 1 for hashes in owners.values())

    def test_the_same_text_in_two_inputs_has_one_file_that_each_may_give_up(self) -> None:
        manifest = Manifest()
        in_one, in_other = (entry(0, "same", "000000-same", file=name) for name in ("a.txt", "b.txt"))
        assert manifest.take(in_one) == manifest.take(in_other) == {}
        assert manifest.take(entry(0, "new", "000000-new", file="b.txt")) == {}
        assert manifest.find(in_one) == in_one
        assert manifest.take(entry(0, "new too", "000000-new-too", file="a.txt")) == {"000000-same": stamp(b"same")}

    @given(st.lists(ENTRIES))
    def test_read_again_it_is_the_same(self, taken: list[ManifestEntry]) -> None:
        manifest, again = Manifest(), Manifest()
        for one in taken:
            manifest.take(one)
        for one in entries(manifest.lines()):
            assert again.take(one) == {}
        assert again.lines() == manifest.lines()

    def test_what_is_no_unicode_comes_back(self) -> None:
        odd = entry(0, "a", file="caf\udce9.txt", options={"title": "\ud800"})
        assert list(entries(replace(odd, error="e").line)) == [replace(odd, error="e")]


PARTS = st.text(max_size=80) | st.from_regex(r"(layers?|heads?|token)[0-9]{1,4}", fullmatch=True)


class TestNames:
    @given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=99), st.lists(PARTS, max_size=5)), max_size=9))
    def test_names_differ_and_are_short_enough_for_a_file_system(self, texts: list[Any]) -> None:
        taken: set[str] = set()
        for index, text, parts in texts:
            taken.add(unlike(taken, file_name(f"{index:06}-{slug(text)}", *parts)))
        assert len(taken) == len(texts)
        assert len({caseless(name) for name in taken}) == len(texts)
        for name in taken:
            assert unicodedata.is_normalized("NFC", name)
            assert len(f"{name}.json".encode()) < 200
            assert not set(name) & set('/\\:*?"<>|\0 .')
            assert name.isprintable()

    def test_names_sort_like_the_texts_that_they_name(self) -> None:
        ordered = [
            file_name(f"{index:06}-a", "encoder", f"layer{layer}-head{head}")
            for index in (2, 10)
            for layer in (2, 10)
            for head in (9, 11, 100)
        ]
        assert ordered == sorted(ordered)
        assert ordered[0] == "000002-a-encoder-layer002-head009"

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("The dog's bone", "the-dogs-bone"),
            ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940"),
            ("STRASSE stra\u00dfe", "strasse-strasse"),
            ("\u65e5\u672c\u8a9e", "\u65e5\u672c\u8a9e"),
            ("e\u0301t\u00e9", "\u00e9t\u00e9"),
            ("\U0001f600 ...", "text-862a297d"),  # CRC-32 of its bytes
        ],
    )
    def test_a_text_is_named_in_its_own_script(self, text: str, name: str) -> None:
        assert slug(text) == name

    def test_long_texts_that_begin_alike_have_names_of_their_own(self) -> None:
        one, other = (slug("the same words again and again " * 3 + end) for end in ("one", "two"))
        assert one[:40] == other[:40]
        assert one != other


def caseless(name: str) -> str:
    """A name as a file system sees it that tells neither case nor normalization forms apart."""
    return unicodedata.normalize("NFD", name).upper()


class Killed(BaseException):
    pass


def killed(monkeypatch: pytest.MonkeyPatch, steps: int, folder: Path, *wanted: ManifestEntry) -> bool:
    """Exports in a process that is killed after so many things were done to files; whether it was."""
    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(os, "getpid", lambda: 4_000_000)
        left = count(steps, -1)
        for name in ("open", "replace", "unlink"):
            patch.setattr(Path, name, mortal(getattr(Path, name), left))
        exported(folder, *wanted)
        return False
    return True


def mortal(original: Callable[..., Any], left: Iterator[int]) -> Callable[..., Any]:
    """Does the same as long as something is left, and nothing ever after."""

    def call(*args: Any, **options: Any) -> Any:
        if next(left) <= 0:
            raise Killed
        return original(*args, **options)

    return call
