"""Saved weights read in place of a text and a model."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from attnviz.formats import stored

Run = Callable[..., Any]
NextLine = Callable[[Any], bytes]

TEXTS = "The dog didn't bark. It slept \U0001f98a.", "a cat"
NO_MODEL = {"ATTNVIZ_MODEL": "no/such-model"}  # whoever asks for one fails


@pytest.fixture(scope="module")
def lines(run: Run) -> bytes:
    """What `show` writes of two texts, a line each."""
    done = run("show", *TEXTS, "--format", "json")
    assert (done.code, done.err) == (0, "")
    written: bytes = done.stdout
    return written


@pytest.fixture(scope="module")
def archive(run: Run, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What `export` writes of the first of them."""
    path = tmp_path_factory.mktemp("saved") / "one.npz"
    done = run("export", TEXTS[0], "-o", path)
    assert (done.code, done.err) == (0, "")
    return path.read_bytes()


@pytest.fixture
def folder(lines: bytes, archive: bytes, tmp_path: Path) -> Path:
    """A folder with the same weights in every form in which they can be read."""
    (tmp_path / "both.jsonl").write_bytes(lines)
    (tmp_path / "one.npz").write_bytes(archive)
    (tmp_path / "one.json").write_bytes(lines.splitlines(keepends=True)[0])
    (tmp_path / "spread.json").write_text(json.dumps(json.loads(lines.splitlines()[0]), indent=2), encoding="utf-8")
    return tmp_path


class TestWhereTheyComeFrom:
    def test_a_saved_file_is_read_where_it_stands_for_a_text(self, run: Run, folder: Path, lines: bytes) -> None:
        first, second = lines.splitlines(keepends=True)
        named = "one.json", "spread.json", "one.npz", "both.jsonl"
        done = run("show", *named, "--format", "json", cwd=folder, **NO_MODEL)
        assert (done.code, done.err) == (0, "")
        assert done.stdout.splitlines(keepends=True) == [first, first, first, first, second]

    @pytest.mark.parametrize("args", [(), ("-",), ("--file", "-")], ids=["piped", "dash", "file dash"])
    @pytest.mark.parametrize("name", ["both.jsonl", "one.npz"])
    def test_saved_weights_are_read_from_standard_input(
        self, run: Run, folder: Path, lines: bytes, args: tuple[str, ...], name: str
    ) -> None:
        done = run("show", *args, "--format", "json", stdin=(folder / name).read_bytes(), **NO_MODEL)
        assert (done.code, done.err) == (0, "")
        assert done.stdout == (lines if name == "both.jsonl" else lines.splitlines(keepends=True)[0])

    def test_a_file_of_saved_lines_is_read(self, run: Run, folder: Path, lines: bytes) -> None:
        done = run("show", "--file", "both.jsonl", "--format", "json", cwd=folder, **NO_MODEL)
        assert (done.code, done.stdout) == (0, lines)

    def test_texts_and_saved_weights_are_numbered_together(self, run: Run, folder: Path) -> None:
        done = run("show", "it", "both.jsonl", "the", "--format", "csv", "--layer", "0", "--head", "0", cwd=folder)
        seen = {row["text_index"]: row["key_token"] for row in done.rows() if row["key"] == "1"}
        assert seen == {"0": "it", "1": "The", "2": "a", "3": "the"}

    def test_lines_of_both_kinds_stand_in_one_file(self, run: Run, lines: bytes) -> None:
        mixed = b'it\n\n{"a line": "of another kind"}\n' + lines + b'{"attention is": "no such key"}\n'
        done = run("show", "--format", "json", "--layer", "0", stdin=mixed)
        texts = [record["text"] for record in done.records]
        assert (done.code, texts) == (
            0,
            ["it", '{"a line": "of another kind"}', *TEXTS, '{"attention is": "no such key"}'],
        )

    def test_a_name_of_no_file_is_no_text(self, run: Run, folder: Path) -> None:
        done = run("show", "the cat", "nothing.npz", "--format", "json", cwd=folder)
        done.assert_failed(1, "There is no file 'nothing.npz'", "echo nothing.npz | attnviz")
        assert done.stdout == b""

    def test_a_line_is_answered_before_the_next_is_written(
        self, start: Callable[..., Any], next_line: NextLine, lines: bytes
    ) -> None:
        process = start("show", "--format", "json")
        for line in lines.splitlines(keepends=True):
            process.stdin.write(line)
            process.stdin.flush()
            assert next_line(process) == line

    def test_lines_longer_than_any_text_are_read(self, run: Run) -> None:
        names = [f"w{i}" for i in range(311)]
        weights = np.eye(311)[None, None].repeat(5, 1)
        line = json.dumps({"attention": [{"query_tokens": names, "key_tokens": names, "weights": weights.tolist()}]})
        text = b"a" * len(line)
        done = run("show", "--format", "json", stdin=text + b"\n" + line.encode() + b"\n" + text)
        done.assert_failed(1, "line 1: The line is longer than 2,000,000 bytes", "line 3: ")
        assert len(line) > 2_000_000
        (record,) = done.records
        assert_allclose(record["attention"][0]["weights"], weights)


class TestWhatCanBeDoneWithThem:
    """All that can be done with a model's weights, with the same outcome."""

    @pytest.mark.parametrize(
        ("form", "options"),
        [
            ("json", ("--layer", "2,0", "--head", "1-3")),
            ("json", ("--by", "word")),
            ("json", ("--rows", "dog,3-4")),
            ("csv", ("--mean", "--no-special", "--kind", "encoder")),
            ("csv", ("--token", "dog")),
            ("table", ("--token", "didn't")),
            ("table", ("--by", "bins:3")),
        ],
        ids=str,
    )
    def test_show_prints_saved_weights_as_it_does_those_of_the_model(
        self, run: Run, folder: Path, form: str, options: tuple[str, ...]
    ) -> None:
        expected = run("show", TEXTS[0], *options, "--format", form, "--width", "100")
        done = run("show", "one.npz", *options, "--format", form, "--width", "100", cwd=folder, **NO_MODEL)
        assert (done.code, done.err) == (0, "")
        assert done.out == (f"{TEXTS[0]}\n{expected.out}" if form == "table" else expected.out)

    def test_pictures_of_saved_weights_are_those_of_the_model(self, run: Run, folder: Path) -> None:
        for name, source in (("expected", TEXTS[0]), ("found", "one.npz")):
            done = run("export", source, "--layout", "grid", "--dpi", "40", "-o", f"{name}.png", cwd=folder)
            assert done.code == 0
        assert (folder / "found.png").read_bytes() == (folder / "expected.png").read_bytes()

    def test_groups_that_were_saved_stay_and_are_not_grouped_anew(self, run: Run, folder: Path) -> None:
        run("export", TEXTS[0], "--by", "word", "-o", "words.npz", cwd=folder)
        (fields,) = run("show", "words.npz", "--format", "json", cwd=folder).records[0]["attention"]
        assert (fields["by"], fields["key_tokens"][3]) == ("word", "didn't")
        assert run("show", "words.npz", "--by", "word", cwd=folder).code == 0
        run("show", "words.npz", "--by", "sentence", cwd=folder).assert_failed(1, "words.npz", "groups already (word)")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--layer", "9"), "one.npz: There is no layer 9: builtin/encoder has layers 0 to 3."),
            (("--head", "6"), "one.npz: There is no head 6: builtin/encoder has heads 0 to 5."),
            (("--kind", "cross"), "one.npz: builtin/encoder has no cross attention, only: encoder."),
            (("--rows", "3", "--by", "word"), "not both"),
        ],
        ids=lambda value: value[0] if isinstance(value, tuple) else "",
    )
    def test_what_they_do_not_hold_is_said_and_the_next_are_shown(
        self, run: Run, folder: Path, options: tuple[str, ...], said: str
    ) -> None:
        run("show", "one.npz", *options, cwd=folder).assert_failed(1, said)

    def test_a_record_without_the_layer_does_not_keep_the_others_from_being_shown(self, run: Run, folder: Path) -> None:
        lines = [run("show", "the cat", "--layer", layer, "--format", "json").stdout for layer in ("3", "0-1")]
        (folder / "two.jsonl").write_bytes(b"".join(lines))
        ran = run("show", "two.jsonl", "--layer", "0", "--format", "json", cwd=folder)
        ran.assert_failed(1, "line 1 of two.jsonl", "no layer 0")
        assert [record["attention"][0]["layers"] for record in ran.records] == [[0]]

    def test_rows_are_named_by_their_place_in_the_text_whatever_is_left_of_it(self, run: Run, folder: Path) -> None:
        (folder / "plain.json").write_bytes(run("show", "The dog ran.", "--no-special", "--format", "json").stdout)
        (record,) = run("show", "plain.json", "--rows", "2", "--format", "json", cwd=folder).records
        assert record["attention"][0]["query_tokens"] == ["dog"]

    def test_a_record_that_is_spread_over_lines_comes_through_a_pipe_too(self, run: Run) -> None:
        (record,) = run("show", "the cat", "--layer", "0", "--head", "1", "--format", "json").records
        (back,) = run("show", "-", "--format", "json", stdin=json.dumps(record, indent=2).encode()).records
        assert back == record

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--pair", "x"), "one.npz holds saved weights, so no model reads a text: leave --pair"),
            (("--generate", "3"), "one.npz holds saved weights"),
            (("--window", "9:3"), "one.npz holds saved weights"),
        ],
        ids=lambda value: value[0] if isinstance(value, tuple) else "",
    )
    def test_what_they_do_not_hold_is_wrong_usage(
        self, run: Run, folder: Path, options: tuple[str, ...], said: str
    ) -> None:
        done = run("show", "one.npz", *options, cwd=folder)
        done.assert_failed(2, said)
        assert done.stdout == b""

    @pytest.mark.parametrize("option", ["--token", "--rows"])
    def test_a_word_that_is_not_there_is_said_with_those_that_are(self, run: Run, folder: Path, option: str) -> None:
        run("show", "one.npz", option, "zebra", cwd=folder).assert_failed(1, "one.npz", "no token 'zebra'", "0 [CLS]")

    def test_explain_refuses_saved_weights(self, run: Run, folder: Path) -> None:
        run("explain", "one.npz", cwd=folder).assert_failed(
            1, "one.npz", "saved record", "needs a model that reads a text"
        )


class TestOtherPrograms:
    def test_tokens_and_weights_are_all_that_a_line_needs(self, run: Run) -> None:
        own = {"query_tokens": ["le", "chat"], "key_tokens": ["the", "cat"], "weights": [[[[0.9, 0.1], [0, 1]]]]}
        done = run("show", stdin=json.dumps({"attention": [own]}).encode())
        assert (done.code, done.err) == (0, "")
        assert "unknown model · cross" in done.out
        assert "le → the 0.90" in done.out

    def test_arrays_of_weights_and_tokens_alone_are_read(self, run: Run, tmp_path: Path) -> None:
        weights = np.full((1, 2, 3, 3), 1 / 3, np.float16)
        np.savez(tmp_path / "own.npz", weights=weights, query_tokens=["a", "b", "c"], key_tokens=["a", "b", "c"])
        done = run("export", "own.npz", "--format", "csv", "-o", "own.csv", cwd=tmp_path)
        assert (done.code, done.err) == (0, "")
        header, *rows = (tmp_path / "own.csv").read_text().splitlines()
        assert header.startswith("text_index,kind,layer,head")
        assert rows[-1].startswith("0,encoder,0,1,2,c,2,c,0.33")
        assert len(rows) == weights.size


class TestBareArrays:
    """Weights that NumPy has saved, with no names for their tokens."""

    NOTE = "its tokens have no names: they are numbered from 0.\n"
    WEIGHTS = np.random.default_rng(5).dirichlet(np.full(7, 0.9), (2, 3, 7))  # [layers, heads, queries, keys]

    @pytest.fixture
    def arrays(self, tmp_path: Path) -> Path:
        """The same weights in every form without names, and one head of them."""
        np.save(tmp_path / "own.npy", self.WEIGHTS)
        np.savez(tmp_path / "weights.npz", weights=self.WEIGHTS)
        np.savez_compressed(tmp_path / "only.npz", self.WEIGHTS)
        np.save(tmp_path / "head.npy", self.WEIGHTS[1, 2])
        return tmp_path

    @pytest.mark.parametrize("name", ["own.npy", "weights.npz", "only.npz"])
    @pytest.mark.parametrize("given", ["name", "file", "dash", "piped"])
    def test_bare_arrays_are_read_wherever_records_are(self, run: Run, arrays: Path, name: str, given: str) -> None:
        path = str(arrays / name)
        args = {"name": (path,), "file": ("--file", path), "dash": ("-",), "piped": ()}[given]
        stdin = (arrays / name).read_bytes() if given in ("dash", "piped") else b""
        done = run("show", *args, "--format", "json", stdin=stdin, **NO_MODEL)
        place = path if given in ("name", "file") else "standard input"
        assert (done.code, done.err) == (0, f"Note on {place}: {self.NOTE}")
        (record,) = done.records
        (fields,) = record["attention"]
        assert (record["text"], fields["kind"]) == ("", "encoder")
        assert fields["query_tokens"] == fields["key_tokens"] == list("0123456")
        assert fields["query_spans"] == fields["key_spans"] == [None] * 7
        assert_allclose(fields["weights"], self.WEIGHTS, rtol=1e-6)

    def test_a_head_is_shown_as_its_numbers_are(self, run: Run, arrays: Path) -> None:
        done = run("show", arrays / "head.npy", "--width", "100")
        lines = done.out.splitlines()
        assert lines[0] == "unknown model · encoder · 1 layer × 1 head · 7 tokens · unknown engine"
        query, key = np.unravel_index(np.where(np.eye(7), 0, self.WEIGHTS[1, 2]).argmax(), (7, 7))
        assert f"  {query} → {key} {self.WEIGHTS[1, 2, query, key]:.2f}" in lines

    @pytest.mark.parametrize(
        ("options", "chosen"),
        [
            (("--layer", "1", "--head", "2"), np.s_[1:, 2:]),
            (("--token", "3"), np.s_[:, :, 3:4]),
            (("--rows", "2-4"), np.s_[:, :, 2:5]),
            (("--by", "word"), np.s_[:]),
        ],
        ids=lambda value: value[0] if isinstance(value, tuple) and isinstance(value[0], str) else "",
    )
    def test_what_is_chosen_is_that_part_of_the_array(
        self, run: Run, arrays: Path, options: tuple[str, ...], chosen: Any
    ) -> None:
        (record,) = run("show", arrays / "own.npy", *options, "--format", "json").records
        assert_allclose(record["attention"][0]["weights"], self.WEIGHTS[chosen], rtol=1e-6)

    def test_one_word_is_shown_by_its_number(self, run: Run, arrays: Path) -> None:
        assert "3 (token 3)" in run("show", arrays / "own.npy", "--token", "3").out

    def test_numbers_for_each_head_are_those_of_its_rows(self, run: Run, arrays: Path) -> None:
        done = run("heads", arrays / "own.npy", "--stat", "same", "--format", "json")
        found = [head["same"] for head in done.records[0]["heads"]]
        assert_allclose(found, np.diagonal(self.WEIGHTS, axis1=2, axis2=3).mean(-1).ravel(), rtol=1e-5)
        assert done.err == f"Note on {arrays / 'own.npy'}: {self.NOTE}"

    def test_what_is_exported_comes_back_and_needs_no_note(self, run: Run, arrays: Path) -> None:
        forms = [option for form in ("png", "json", "npz") for option in ("--format", form)]
        done = run("export", arrays / "own.npy", *forms, "--dpi", "40", "-o", arrays / "out")
        assert (done.code, done.err) == (0, f"Note on {arrays / 'own.npy'}: {self.NOTE}")
        shown = run("show", arrays / "own.npy", "--format", "json").stdout
        for form in ("json", "npz"):
            (path,) = (arrays / "out").glob(f"*.{form}")
            back = run("show", path, "--format", "json")
            assert (back.code, back.stdout, back.err) == (0, shown, "")
        picture = next((arrays / "out").glob("*.png"))
        again = run("export", path, "--dpi", "40", "-o", arrays / "again.png")
        assert (again.code, (arrays / "again.png").read_bytes()) == (0, picture.read_bytes())

    def test_a_folder_and_a_pipe_are_said_to_be_such(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "folder.npy").mkdir()
        os.mkfifo(tmp_path / "pipe.npy")
        run("show", tmp_path / "folder.npy").assert_failed(1, "folder.npy' is a folder")
        run("show", tmp_path / "pipe.npy").assert_failed(
            1, "pipe.npy' is neither a file nor a folder", "pipe it in (attnviz … < "
        )

    @pytest.mark.parametrize("command", ["show", "heads"])
    def test_one_that_is_wrong_is_named_and_the_others_are_done(self, run: Run, arrays: Path, command: str) -> None:
        np.save(arrays / "scores.npy", np.log(self.WEIGHTS + 1))
        np.save(arrays / "pickled.npy", np.array([{}, 1]), allow_pickle=True)
        names = [arrays / name for name in ("scores.npy", "pickled.npy", "own.npy")]
        done = run(command, *names, "--format", "json")
        done.assert_failed(1, f"Error in {names[0]}: ", "softmax", f"Error in {names[1]}: ", "pickled objects")
        assert len(done.records) == 1


class TestLargerThanTheMemory:
    """A file of arrays may be larger than --memory: some of its rows are read at a time."""

    WEIGHTS = np.random.default_rng(3).dirichlet(np.full(101, 0.3), (2, 3, 101)).astype(np.float32)
    MEMORY = "120kB"  # of 245 kB

    @pytest.fixture(params=["own.npy", "own.npz", "packed.npz"])
    def path(self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A file of weights, of which two rows of a head are read at a time."""
        monkeypatch.setattr(stored, "_AT_ONCE", 2 * 3 * 101)
        path: Path = tmp_path / request.param
        save = {"own.npy": np.save, "own.npz": np.savez, "packed.npz": np.savez_compressed}[path.name]
        save(path, self.WEIGHTS)
        assert self.WEIGHTS.nbytes > 2 * 120_000
        return path

    @pytest.mark.parametrize(
        "asked",
        [
            ("show", "--by", "bins:7", "--format", "json"),
            ("show", "--rows", "3-5,100", "--format", "csv"),
            ("show", "--layer", "1", "--head", "2", "--format", "json"),
            ("heads", "--format", "json"),
            ("find", "5 -> 3", "--format", "json"),
        ],
        ids=lambda asked: " ".join(asked[:2]),
    )
    @pytest.mark.parametrize("given", ["name", "file"])
    def test_what_comes_of_it_is_the_same_to_the_last_digit(
        self, run: Run, path: Path, asked: tuple[str, ...], given: str
    ) -> None:
        where = (path,) if given == "name" else ("--file", path)
        small, large = (run(*asked, *where, "--memory", memory) for memory in (self.MEMORY, "1GB"))
        assert (small.code, small.err) == (0, large.err)
        assert small.stdout == large.stdout
        assert small.stdout

    def test_a_part_of_it_is_that_part_of_the_array(self, run: Run, path: Path) -> None:
        done = run("show", path, "--layer", "1", "--head", "2", "--format", "json", "--memory", self.MEMORY)
        np.testing.assert_array_equal(
            np.array(done.records[0]["attention"][0]["weights"], np.float32)[0, 0], self.WEIGHTS[1, 2]
        )

    def test_all_of_it_is_shown_between_stretches(self, run: Run, path: Path) -> None:
        done = run("show", path, "--format", "json", "--memory", self.MEMORY)
        assert "shown between stretches of the text (--by bins:" in done.err
        assert done.records[0]["attention"][0]["by"].startswith("bins:")

    def test_on_standard_input_it_has_to_fit(self, run: Run, path: Path) -> None:
        done = run("show", "--by", "bins:7", "--memory", self.MEMORY, stdin=path.read_bytes())
        done.assert_failed(1, "give it as a file of arrays (.npz, .npy)", "allow more with --memory")

    def test_an_export_is_done_again_if_a_number_of_it_has_changed(self, run: Run, path: Path) -> None:
        asked = "export", path, "--by", "bins:3", "--format", "json", "-o", path.parent / "out"
        assert run(*asked).code == 0
        (written,) = (path.parent / "out").glob("*.json")
        before = written.stat().st_mtime_ns, written.read_bytes()
        assert run(*asked).code == 0
        assert (written.stat().st_mtime_ns, written.read_bytes()) == before
        changed = self.WEIGHTS.copy()
        changed[1, 2, 100] = changed[1, 2, 100, ::-1]
        save = {"own.npy": np.save, "own.npz": np.savez, "packed.npz": np.savez_compressed}[path.name]
        save(path, changed)
        assert run(*asked).code == 0
        assert written.read_bytes() != before[1]


class TestMalformed:
    def test_a_bad_line_is_named_with_its_record_and_row_and_the_others_are_done(
        self, run: Run, folder: Path, lines: bytes
    ) -> None:
        first, second = lines.splitlines(keepends=True)
        negative = json.loads(first)
        negative["attention"][0]["weights"][1][2][3][4] = -1
        bad = b"\n".join([json.dumps(negative).encode(), first[:-100], b'{"attention": [7]}', b'{"text": "no more"}'])
        (folder / "bad.jsonl").write_bytes(first + bad + b"\n" + second)
        done = run("show", "bad.jsonl", "it", "--format", "json", "--layer", "1", cwd=folder)
        assert [record["text"] for record in done.records] == [*TEXTS, "it"]
        done.assert_failed(1, "Error in line 2 of bad.jsonl: record 1 (encoder): ", "layer 1 head 2, row 3 (", "-1")
        done.assert_failed(
            1, "line 3 of bad.jsonl", "line 4 of bad.jsonl", 'line 5 of bad.jsonl: "attention" is missing'
        )
        assert len(done.err.splitlines()) == 4

    @pytest.mark.parametrize("name", ["cut.npz", "cut.json", "empty.json", "text.npz"])
    @pytest.mark.parametrize("command", ["show", "export"])
    def test_a_file_that_is_none_is_named_and_nothing_comes_of_it(
        self, run: Run, folder: Path, archive: bytes, name: str, command: str
    ) -> None:
        contents = {"cut.npz": archive[:-40], "cut.json": b'{"attention": [', "empty.json": b"", "text.npz": b"text"}
        (folder / name).write_bytes(contents[name])
        before = set(folder.iterdir())
        done = run(command, name, *(("-o", "it.csv") if command == "export" else ()), cwd=folder)
        said = "NPZ archive is not complete" if name.endswith("npz") else "is not a complete JSON object"
        done.assert_failed(1, f"Error in {name}: This {said}")
        assert done.stdout == b""
        assert set(folder.iterdir()) == before

    def test_a_line_that_begins_like_saved_weights_and_is_broken_is_not_taken_for_a_text(self, run: Run) -> None:
        done = run("show", "--format", "json", stdin=b'{"text": "it", "attention": [{"kind": "enc')
        done.assert_failed(1, "Error in line 1: This is not a complete JSON object")

    def test_a_file_that_cannot_be_read_is_named_with_the_reason(self, run: Run, folder: Path) -> None:
        (folder / "memory.npz").symlink_to("/proc/self/mem")
        run("show", "memory.npz", cwd=folder).assert_failed(1, "memory.npz cannot be read: Input/output error")

    def test_no_escape_code_of_a_saved_file_reaches_the_terminal(self, run: Run) -> None:
        evil = "\x1b]0;t\x07\x9b31m"
        own = {"query_tokens": [evil], "key_tokens": [evil], "weights": [[[[1]]]], "notes": [evil], "kind": "decoder"}
        line = json.dumps({"text": evil, "model": evil, "attention": [own]})
        done = run("show", "--all", stdin=line.encode())
        assert (done.code, done.err) == (0, "")
        assert {char for char in done.out if not char.isprintable()} == {"\n"}


def test_what_is_wrong_in_one_line_is_said_to_be_in_line_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"attention": [{"kind":\n')
    run("show", tmp_path / "broken.json").assert_failed(1, "line 1 column")
