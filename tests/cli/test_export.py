import csv
import io
import json
import re
import resource
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from attnviz.records import Attention

TEXT = "the cat sat"
Run = Callable[..., Any]
Attend = Callable[[str], Attention]
BEGINS = {
    "png": rb"\x89PNG\r\n\x1a\n",
    "svg": rb"<\?xml ",
    "pdf": rb"%PDF-",
    "npz": rb"PK\x03\x04",
    "json": rb"\{",
    "csv": rb"text_index,",
    "html": rb"<!doctype html>",
}
ENDS = {
    "png": b"IEND\xaeB`\x82",
    "svg": b"</svg>\n",
    "pdf": b"%%EOF\n",
    "npz": None,
    "json": b"}\n",
    "csv": b"\n",
    "html": b"</html>\n",
}


def names(folder: Path) -> list[str]:
    """Everything below a folder but manifests."""
    paths = (path for path in folder.rglob("*") if not path.is_dir() and path.name != "manifest.jsonl")
    return sorted(str(path.relative_to(folder)) for path in paths)


def is_whole(data: bytes, form: str) -> bool:
    end = ENDS[form]
    return bool(re.match(BEGINS[form], data)) and (end is None or data.endswith(end))


class TestFormats:
    def test_every_format_at_once_beside_each_other_and_each_whole(self, run: Run, tmp_path: Path) -> None:
        asked_for = [part for form in BEGINS for part in ("--format", form)]
        done = run("export", TEXT, "-o", tmp_path / "new" / "out", *asked_for)
        assert (done.code, done.err) == (0, "")
        assert sorted(done.out.splitlines()) == sorted(str(tmp_path / name) for name in names(tmp_path))
        written = {path.suffix[1:]: path for path in map(Path, done.out.splitlines())}
        assert set(written) == set(BEGINS)
        for form, path in written.items():
            assert is_whole(path.read_bytes(), form), form

    def test_without_options_it_is_a_png_of_all_heads_in_a_folder(self, run: Run, tmp_path: Path) -> None:
        done = run("export", TEXT, cwd=tmp_path)
        assert done.code == 0
        (only,) = names(tmp_path)
        assert only.startswith("attention/")
        assert is_whole((tmp_path / only).read_bytes(), "png")

    def test_arrays_load_without_pickle_and_are_the_models(self, run: Run, attend: Attend, tmp_path: Path) -> None:
        path = tmp_path / "x.npz"
        assert run("export", "the caf\u00e9", "-o", path, "--layer", "2,0").code == 0
        expected = attend("the caf\u00e9")
        with np.load(path, allow_pickle=False) as arrays:
            assert set(arrays) == {"weights", "layers", "heads", "query_tokens", "key_tokens", "record"}
            assert arrays["weights"].dtype == np.float32
            assert_array_equal(arrays["weights"], expected.weights[[2, 0]])
            assert arrays["layers"].tolist() == [2, 0]
            assert arrays["heads"].tolist() == list(range(expected.shape[1]))
            assert arrays["key_tokens"].tolist() == [token.text for token in expected.key_tokens]
            assert arrays["query_tokens"].tolist() == arrays["key_tokens"].tolist()

    @pytest.mark.parametrize("form", ["json", "csv"])
    def test_what_is_saved_is_what_is_shown(self, run: Run, tmp_path: Path, form: str) -> None:
        options = ("--head", "1", "--token", "cat", "--no-special", "--mean")
        path = tmp_path / f"x.{form}"
        run("export", TEXT, "-o", path, *options)
        shown = run("show", TEXT, "--format", form, *options)
        assert shown.code == 0
        assert path.read_bytes() == shown.stdout

    def test_a_saved_table_has_its_header_and_its_place_among_the_texts(self, run: Run, tmp_path: Path) -> None:
        run("export", "the cat", "a dog", "--format", "csv", "-o", tmp_path, "--layer", "0")
        second = (tmp_path / names(tmp_path)[1]).read_text(encoding="utf-8")
        assert {row["text_index"] for row in csv.DictReader(io.StringIO(second))} == {"1"}

    def test_a_format_that_there_is_not_is_refused(self, run: Run, tmp_path: Path) -> None:
        run("export", TEXT, "--format", "gif", "-o", tmp_path).assert_failed(
            2, "'gif'", "png, svg, pdf, json, csv, npz"
        )
        assert names(tmp_path) == []


class TestLayouts:
    @pytest.mark.parametrize(("layout", "count"), [("head", 6), ("layer", 2), ("grid", 1)])
    def test_a_picture_a_head_a_layer_or_for_all(self, run: Run, tmp_path: Path, layout: str, count: int) -> None:
        chosen = ("--layer", "1,3", "--head", "0,2,5")
        done = run("export", TEXT, "-o", tmp_path, "--layout", layout, "--format", "svg", *chosen)
        assert (done.code, done.err) == (0, "")
        found = names(tmp_path)
        assert len(found) == count
        if layout == "head":
            ends = [f"-layer{layer:03}-head{head:03}.svg" for layer in (1, 3) for head in (0, 2, 5)]
            assert all(name.endswith(end) for name, end in zip(found, ends, strict=True))

    def test_data_has_one_file_a_text_in_every_layout(self, run: Run, tmp_path: Path) -> None:
        run("export", "the cat", "a dog", "-o", tmp_path, "--layout", "head", "--format", "npz", "--format", "json")
        assert [Path(name).suffix for name in names(tmp_path)] == [".json", ".npz"] * 2

    def test_a_word_has_a_picture_for_each_occurrence(self, run: Run, tmp_path: Path) -> None:
        run("export", "the cat saw the dog", "-o", tmp_path, "--token", "the", "--format", "svg")
        assert len(names(tmp_path)) == 2


class TestOneFile:
    @pytest.mark.parametrize(
        ("name", "form"), [("x.png", "png"), ("x.PDF", "pdf"), ("deep/er/x.json", "json"), ("a.b.csv", "csv")]
    )
    def test_a_known_suffix_names_a_file_and_its_format(self, run: Run, tmp_path: Path, name: str, form: str) -> None:
        done = run("export", TEXT, "-o", tmp_path / name)
        assert (done.code, done.err) == (0, "")
        assert names(tmp_path) == [name]
        assert is_whole((tmp_path / name).read_bytes(), form)

    def test_it_replaces_what_was_there(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "x.json"
        path.write_text("old" * 10_000, encoding="utf-8")
        with path.open(encoding="utf-8") as held:
            run("export", TEXT, "-o", path, "--head", "0", "--layer", "0")
            assert held.read() == "old" * 10_000  # whoever reads the old file still has the whole of it
        assert json.loads(path.read_bytes())["text"] == TEXT

    @pytest.mark.parametrize(
        "args",
        [
            (TEXT, "--layout", "head", "-o", "x.png"),
            (TEXT, "a dog", "-o", "x.svg"),
            (TEXT, "a dog", "-o", "x.npz"),
            (TEXT, "--format", "svg", "-o", "x.png"),
            (TEXT, "--format", "png", "--format", "pdf", "-o", "x.png"),
            (TEXT, "--format", "json", "--format", "csv", "-o", "-"),
        ],
        ids=["heads", "texts", "texts as data", "another format", "two formats", "two formats on standard output"],
    )
    def test_several_files_for_one_name_are_wrong_usage_and_nothing_is_written(
        self, run: Run, tmp_path: Path, args: tuple[str, ...]
    ) -> None:
        done = run("export", *args, cwd=tmp_path)
        done.assert_failed(2, args[-1] if args[-1] != "-" else "Standard output")
        assert done.stdout == b""
        assert names(tmp_path) == []

    def test_a_bad_line_beside_a_good_one_leaves_the_good_one(self, run: Run, tmp_path: Path) -> None:
        done = run("export", "-o", tmp_path, "--format", "csv", stdin=b"the cat\n\xff\na dog\n")
        done.assert_failed(1, "line 2")
        assert [path.rsplit("-", 1)[-1] for path in names(tmp_path)] == ["cat.csv", "dog.csv"]


class TestStandardOutput:
    @pytest.mark.parametrize("form", BEGINS)
    def test_the_file_itself_is_piped_on(self, run: Run, tmp_path: Path, form: str) -> None:
        done = run("export", TEXT, "-o", "-", "--format", form, cwd=tmp_path)
        assert (done.code, done.err) == (0, "")
        assert is_whole(done.stdout, form)
        assert names(tmp_path) == []

    @pytest.mark.parametrize("form", ["png", "pdf", "npz"])
    def test_a_terminal_is_spared_what_is_no_text(self, on_terminal: Run, form: str) -> None:
        done = on_terminal(80, "export", TEXT, "-o", "-", "--format", form)
        assert done.code == 2
        assert "-o" in done.out
        assert len(done.out) < 300

    def test_text_may_go_to_a_terminal(self, on_terminal: Run) -> None:
        done = on_terminal(80, "export", TEXT, "-o", "-", "--format", "json", "--layer", "0", "--head", "0")
        assert json.loads(done.stdout)["text"] == TEXT


class TestLooks:
    def test_an_unknown_colour_map_is_wrong_usage_and_nothing_is_written(self, run: Run, tmp_path: Path) -> None:
        run("export", TEXT, "--cmap", "viridiss", "-o", tmp_path / "out").assert_failed(2, "viridiss", "viridis")
        assert names(tmp_path) == []

    @pytest.mark.parametrize(
        "options", [("--cmap", "magma"), ("--log",), ("--annotate",), ("--title", "Of my own"), ("--transpose",)]
    )
    def test_an_option_changes_the_picture(self, run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
        args = ("export", TEXT, "--layer", "0", "--head", "0", "--layout", "head", "--format", "svg", "-o", "-")
        assert run(*args, *options).stdout != run(*args).stdout

    @pytest.mark.parametrize("layout", ["head", "layer", "grid"])
    def test_transposed_it_says_that_keys_go_down_and_that_columns_sum_to_1(self, run: Run, layout: str) -> None:
        args = ("export", TEXT, "--layer", "0", "--head", "0", "--layout", layout, "--format", "svg", "-o", "-")
        upright, turned = run(*args).out.casefold(), run(*args, "--transpose").out.casefold()
        assert "queries down, keys across; rows sum to 1." in upright
        assert "keys down, queries across; columns sum to 1." in turned
        assert "rows sum" not in turned

    @pytest.mark.parametrize("form", ["npz", "json", "csv"])
    def test_data_is_not_drawn(self, run: Run, form: str) -> None:
        run("export", TEXT, "--format", form, "-o", "-", "--transpose").assert_failed(2, "--transpose has no effect")

    def test_a_picture_of_one_word_has_heads_down_in_any_case(self, run: Run) -> None:
        run("export", TEXT, "--token", "cat", "-o", "-", "--transpose").assert_failed(2, "--transpose has no effect")

    def test_dots_an_inch_scale_it(self, run: Run) -> None:
        args = ("export", TEXT, "--layer", "0", "--head", "0", "--layout", "head", "-o", "-")
        sizes = [np.frombuffer(run(*args, "--dpi", dpi).stdout[16:24], ">u4") for dpi in ("50", "100")]
        assert np.abs(sizes[1] / sizes[0] - 2).max() < 0.1
        run(*args, "--dpi", "0").assert_failed(2, "--dpi")

    @pytest.mark.parametrize(
        "title", ["$\\frac{", "two\nlines", "100 % & <b>", b"\xff", "\u05e9\u05dc\u05d5\u05dd", ""]
    )
    def test_a_title_may_be_anything(self, run: Run, tmp_path: Path, title: str | bytes) -> None:
        args = ("--layer", "0", "--head", "0", "--layout", "head", "--title", title)
        done = run("export", "$x^ costs $5 \\frac{", *args, "-o", tmp_path / "x.svg")
        assert (done.code, done.err) == (0, "")
        assert names(tmp_path) == ["x.svg"]

    def test_a_plotting_backend_that_is_not_there_is_not_needed(self, run_process: Run, tmp_path: Path) -> None:
        done = run_process("export", TEXT, "--layer", "0", "-o", tmp_path / "x.svg", MPLBACKEND="no-such-backend")
        assert (done.code, done.err) == (0, "")


class TestNames:
    @pytest.mark.parametrize(
        "text",
        [
            "../../etc/passwd",
            "/a/b c\\d:e*f?g|h",
            "...",
            "-rf",
            "\U0001f600\U0001f468\u200d\U0001f469",
            "\u65e5\u672c\u8a9e",
            "word " * 90,
            "a" * 200,
            "CON NUL aux",
            "\x1b[31m \x07",
        ],
    )
    def test_no_text_makes_a_name_that_leaves_its_folder_or_breaks_a_system(
        self, run: Run, tmp_path: Path, text: str
    ) -> None:
        done = run("export", "--format", "npz", "-o", "out", "--", text, cwd=tmp_path)
        assert (done.code, done.err) == (0, "")
        (only,) = names(tmp_path)
        assert re.fullmatch(r"out/[0-9]{6}-[^\W_][^\W_-]*(-[^\W_]+)*\.npz", only)
        assert len(only.encode()) < 80

    def test_equal_texts_have_their_own_files(self, run: Run, tmp_path: Path) -> None:
        run("export", "the", "the", "THE!", "--format", "npz", "-o", tmp_path)
        assert len(names(tmp_path)) == 3

    def test_a_word_names_its_picture_safely(self, run: Run, tmp_path: Path) -> None:
        done = run("export", "and/or \u65e5 ..", "--token", "/", "--format", "svg", "-o", tmp_path / "out")
        assert done.code == 0
        (only,) = names(tmp_path)
        assert only.count("/") == 1


class TestRefused:
    @pytest.mark.parametrize(
        "place",
        ["taken/out", "taken/x.npz", "/proc/out", "/proc/x.npz", "/dev/full/out", "folder.npz"],
    )
    def test_a_place_that_takes_no_file_is_named_with_the_reason(self, run: Run, tmp_path: Path, place: str) -> None:
        (tmp_path / "taken").write_text("mine", encoding="utf-8")
        (tmp_path / "folder.npz").mkdir()
        done = run("export", TEXT, "--format", "npz", "-o", place, cwd=tmp_path)
        done.assert_failed(1, place, "cannot be written")
        assert done.stdout == b""
        assert names(tmp_path) == ["taken"]
        assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"

    @pytest.mark.parametrize("args", [("-o", "x.npz"), ("-o", "out", "--format", "npz")], ids=["file", "folder"])
    def test_a_disk_that_runs_full_leaves_the_old_file_or_none(
        self, start: Callable[..., "subprocess.Popen[bytes]"], tmp_path: Path, args: tuple[str, ...]
    ) -> None:
        (tmp_path / "x.npz").write_text("old", encoding="utf-8")
        process = start(
            "export",
            TEXT,
            *args,
            cwd=tmp_path,
            env={"PYTHONDONTWRITEBYTECODE": "1"},  # else compiled modules are cut too
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (999, 999)),
        )
        _, said = process.communicate()
        assert process.returncode == 1
        assert b"cannot be written: File too large" in said
        assert names(tmp_path) == ["x.npz"]
        assert (tmp_path / "x.npz").read_text(encoding="utf-8") == "old"

    def test_no_part_is_left_beside_what_was_written(self, run: Run, tmp_path: Path) -> None:
        run("export", TEXT, "-o", tmp_path / "x.npz")
        assert names(tmp_path) == ["x.npz"]

    def test_a_text_that_yields_nothing_makes_no_folder(self, run: Run, tmp_path: Path) -> None:
        run("export", TEXT, "--token", "dog", "-o", tmp_path / "out").assert_failed(1, "no token 'dog'")
        assert not (tmp_path / "out").exists()

    def test_a_named_file_without_a_text_is_not_done(self, run: Run, tmp_path: Path) -> None:
        run("export", "-o", tmp_path / "x.png", stdin=b"\n").assert_failed(1, "no text")
        assert names(tmp_path) == []


def test_a_png_is_not_cut_short(run: Run) -> None:
    data = run("export", TEXT, "-o", "-").stdout
    at, compressed = 8, b""
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + body) == int.from_bytes(data[at + 8 + length : at + 12 + length], "big")
        compressed += body if kind == b"IDAT" else b""
        at += 12 + length
    width, height = np.frombuffer(data[16:24], ">u4").tolist()
    assert len(zlib.decompress(compressed)) >= width * height * 3


def test_numbers_of_all_texts_are_one_picture(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("the dog barked\nMary lost her keys\n")
    ran = run("export", "--file", tmp_path / "lines.txt", "--layout", "heads", "--stat", "next", "-o", tmp_path / "out")
    assert (ran.code, ran.err) == (0, "")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["heads-encoder.png"]
    again = run(
        "export", "--file", tmp_path / "lines.txt", "--layout", "heads", "--stat", "next", "-o", tmp_path / "n.png"
    )
    assert again.code == 0
    assert (tmp_path / "n.png").read_bytes() == (tmp_path / "out" / "heads-encoder.png").read_bytes()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--stat", "next"), "--layout heads"),
        (("--layout", "heads", "--transpose"), "leave --transpose out"),
        (("--layout", "heads", "--by", "word"), "leave --by out"),
        (("--layout", "heads", "--format", "png", "--format", "json"), "pictures only"),
        (("--layout", "heads", "--stat", "sharpness"), "entropy"),
    ],
)
def test_options_that_do_not_go_with_numbers_are_refused(run: Run, args: tuple[str, ...], said: str) -> None:
    run("export", "the dog", *args).assert_failed(2, said)


def test_several_kinds_for_one_file_name_the_option_that_chooses_one(run: Run, tmp_path: Path) -> None:
    done = run("export", "The red car is fast", "--model", "builtin/translator", "-o", tmp_path / "x.png")
    done.assert_failed(2, "--kind for one kind")


def test_without_caption_and_title_what_they_would_have_said_is_printed(run: Run, tmp_path: Path) -> None:
    done = run("export", "Mary lost her keys", "--mean", "--no-caption", "--title", "", "-o", tmp_path / "x.png")
    assert "say: Mean over layers 0-3, heads 0-5. Queries down, keys across" in done.err


def test_a_picture_of_the_numbers_of_no_text_is_not_written_and_says_so(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "none.png"
    run("export", "--layout", "heads", "-o", picture, stdin=b"\n").assert_failed(1, f"{picture} was not written")
    assert not picture.exists()
