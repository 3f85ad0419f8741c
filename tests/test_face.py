"""What `import attnviz` offers: the examples in its documentation, and the same bytes and numbers as the command."""

import ast
import doctest
import inspect
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import attnviz
from attnviz.cli.app import main
from attnviz.errors import InputError, ModelError, RecordError, TextError, UsageError
from tests.interpreter import run_python
from tests.pages import PAGES, README, ROOT, blocks

PAGE = ".github/docs/python.md"
TEXT = "The animal didn't cross the street because it was too tired"
TEXTS = "Mary lost her keys", "The dog barked", "An old man saw the boat"
CLASSES = "Attention", "HeadTable"
MODEL = attnviz.load("builtin")
A = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])


def documented() -> Iterator[tuple[str, Any]]:
    """Everything public that is called, by its name: functions, and methods of the records."""
    yield "attnviz", attnviz
    yield "Selection", attnviz.Selection
    yield "Model.attend", attnviz.Model.attend
    for name in attnviz.__all__:
        if inspect.isfunction(found := getattr(attnviz, name)):
            yield name, found
    for cls in CLASSES:
        for name, method in inspect.getmembers(getattr(attnviz, cls), inspect.isroutine):
            ours = str(getattr(method, "__module__", "")).startswith("attnviz") and inspect.getdoc(method)
            if ours and (not name.startswith("_") or name == "__getitem__"):
                yield f"{cls}.{name}", method


DOCUMENTED = dict(documented())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., bytes]:
    """What a command writes on standard output, where it ends well."""

    def command(*args: str) -> bytes:
        assert main(list(args)) == 0
        return capfdbinary.readouterr().out

    return command


@pytest.mark.parametrize("name", DOCUMENTED)
def test_what_is_public_has_an_example_that_does_what_it_says(name: str) -> None:
    found = doctest.DocTestFinder(recurse=False).find(DOCUMENTED[name], name, globs={"attnviz": attnviz})
    examples = [example for test in found for example in test.examples]
    assert examples, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    report: list[str] = []
    for test in found:
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("name", [name for name in DOCUMENTED if name[0].islower() and name != "attnviz"])
def test_a_public_function_says_what_it_does_verb_first(name: str) -> None:
    assert re.match(r"(Return|Write) ", inspect.getdoc(DOCUMENTED[name]) or "")


def test_what_is_public_is_there_and_nothing_else() -> None:
    assert dir(attnviz) == sorted(attnviz.__all__)
    assert all(getattr(attnviz, name) is not None for name in attnviz.__all__)
    with pytest.raises(AttributeError, match="no 'show'"):
        attnviz.show  # noqa: B018


def test_a_type_checker_finds_everything_where_it_is() -> None:
    tree = ast.parse(Path(attnviz.__file__).read_text(encoding="utf-8"))
    (checking,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    homes = {
        alias.name: node.module
        for node in checking.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("attnviz")
        for alias in node.names
        if alias.name in attnviz.__all__
    }
    made_here = {name for name in attnviz.__all__ if name in vars(attnviz)}
    assert homes.keys() == set(attnviz.__all__) - made_here
    assert homes == {name: f"attnviz.{home}" for home, names in attnviz._HOMES.items() for name in names}


def test_its_page_shows_all_of_it_and_nothing_that_is_not_there() -> None:
    rooms = {path.stem for path in Path(attnviz.__file__).parent.iterdir()}
    shown = set(re.findall(r"\battnviz\.(\w+)", PAGES[PAGE])) - rooms
    assert shown | {"__version__"} == set(attnviz.__all__)


@pytest.mark.parametrize("page", [README, PAGE])
def test_the_python_of_a_page_runs_from_top_to_bottom(page: str, folder: Path) -> None:
    (folder / "sample_inputs").symlink_to(ROOT / "sample_inputs")
    code = "\n".join(blocks(PAGES[page], "python"))
    assert "attnviz.load" in code
    exec(compile(code, page, "exec"), {})


def test_it_is_there_without_numpy_until_it_is_asked_for() -> None:
    code = (
        "import sys, attnviz; attnviz.AttnvizError; attnviz.Kind; assert 'numpy' not in sys.modules; "
        "attnviz.load('builtin').attend('It works.'); "
        "assert not {'attnviz.pipeline', 'attnviz.views', 'matplotlib', 'torch'} & set(sys.modules)"
    )
    run_python(code)  # whose own assertions fail


# --- numbers for each head


def test_numbers_of_many_texts_are_those_of_the_command_to_the_last_bit(
    command: Callable[..., bytes], folder: Path
) -> None:
    asked = "--stat", "entropy", "--stat", "previous", "--layer", "1-3", "--format"
    select = attnviz.Selection(layers=(1, 2, 3))
    tables = attnviz.heads(MODEL, iter(TEXTS * 5), ["entropy", "previous"], select=select)
    for form in "json", "csv", "tsv":
        attnviz.save(f"heads.{form}", tables)
        assert (folder / f"heads.{form}").read_bytes() == command("heads", *TEXTS * 5, *asked, form)


def test_numbers_of_records_are_those_that_the_command_gives_of_saved_ones(
    command: Callable[..., bytes], folder: Path
) -> None:
    model = attnviz.load("builtin/translator")
    texts = [model.attend(text) for text in ("The red car is fast", "The old woman sees")]
    attnviz.save("saved.jsonl", texts)
    attnviz.save("heads.json", attnviz.statistics(record for records in texts for record in records))
    assert (folder / "heads.json").read_bytes() == command("heads", "saved.jsonl", "--format", "json")


def test_statistics_worked_out_by_hand() -> None:
    (table,) = attnviz.statistics(A)
    assert list(table.columns) == list(attnviz.STATISTICS)
    assert (table["previous"].item(), table["next"].item(), table["same"].item()) == (0.125, 0, 0.875)


def test_a_table_ranks_heads_and_leaves_out_those_without_a_number() -> None:
    crossing = attnviz.Attention.from_array(np.full((2, 3, 5, 7), 1 / 7), list("abcde"), list("tuvwxyz"))
    (crossed,) = attnviz.statistics(crossing, "previous")
    assert crossed.highest("previous") == []
    weights = np.stack([[[1 - share, share], [share, 1 - share]] for share in (0.25, 0.75, 0.5)])
    (table,) = attnviz.statistics(attnviz.Attention.from_array(weights, ["a", "b"]).select([0], [2, 0, 1]), "same")
    assert [(layer, head) for layer, head, _ in table.highest("same", 2)] == [(0, 0), (0, 2)]
    assert [number for *_, number in table.highest("same")] == [0.75, 0.5, 0.25]


def test_a_text_that_fails_ends_it_or_is_passed_over_and_named() -> None:
    texts = TEXTS[0], "", TEXTS[1], "\ud800"
    with pytest.raises(TextError, match="Text 2: "):
        attnviz.heads(MODEL, texts)
    failed: list[tuple[str, str]] = []
    (table,) = attnviz.heads(MODEL, texts, fail=lambda place, error: failed.append((place, type(error).__name__)))
    assert failed == [("text 2", "TextError"), ("text 4", "TextError")]
    (without,) = attnviz.heads(MODEL, TEXTS[:2])
    assert table.texts == 2
    assert_array_equal(table["entropy"], without["entropy"])


def test_a_text_that_is_spelled_like_a_file_or_a_stream_is_a_text(folder: Path) -> None:
    attnviz.save("a.json", MODEL.attend(TEXTS[0]))
    tables = [attnviz.heads(MODEL, [text], "entropy")[0] for text in ("-", "a.json")]
    for text, table in zip(("-", "a.json"), tables, strict=True):
        (direct,) = attnviz.statistics(MODEL.attend(text), "entropy")
        assert_array_equal(table["entropy"], direct["entropy"])


# --- files


@pytest.mark.parametrize("form", ["json", "csv", "npz"])
@pytest.mark.parametrize(
    ("model", "attend", "options"),
    [
        ("builtin", {"text": TEXT}, ()),
        ("builtin", {"text": TEXT, "by": "word"}, ("--by", "word")),
        ("builtin/decoder", {"text": "The old woman sees"}, ()),
        (
            "builtin/translator",
            {"text": "The red car is fast", "target": "la voiture rouge"},
            ("--target", "la voiture rouge"),
        ),
        ("minilm", {"text": "Some dogs bark.", "pair": "Animals sing."}, ("--pair", "Animals sing.")),
    ],
    ids=["encoder", "words", "decoder", "translator", "pair"],
)
def test_what_is_saved_is_what_the_command_exports(
    command: Callable[..., bytes], folder: Path, form: str, model: str, attend: dict[str, str], options: tuple[str, ...]
) -> None:
    attnviz.save(f"ours.{form}", attnviz.load(model).attend(**attend))
    command("export", attend["text"], *options, "--model", model, "-o", f"theirs.{form}")
    assert (folder / f"ours.{form}").read_bytes() == (folder / f"theirs.{form}").read_bytes()


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_pictures_are_those_that_the_command_exports(form: str, command: Callable[..., bytes], folder: Path) -> None:
    attnviz.save(f"ours.{form}", MODEL.attend(TEXT))
    command("export", TEXT, "-o", f"theirs.{form}")
    assert (folder / f"ours.{form}").read_bytes() == (folder / f"theirs.{form}").read_bytes()


def test_a_page_is_the_one_that_the_command_exports_of_saved_records(
    command: Callable[..., bytes], folder: Path
) -> None:
    found = attnviz.load("builtin/translator").attend("The red car", target="la voiture rouge")
    attnviz.save("ours.html", found)
    attnviz.save("ours.json", found)
    command("export", "ours.json", "-o", "theirs.html")
    assert (folder / "ours.html").read_bytes() == (folder / "theirs.html").read_bytes()


def test_a_picture_of_numbers_is_the_one_that_the_command_exports(command: Callable[..., bytes], folder: Path) -> None:
    attnviz.save("ours.png", attnviz.heads(MODEL, TEXTS, ["entropy", "previous"]))
    command("export", *TEXTS, "--layout", "heads", "--stat", "entropy", "--stat", "previous", "-o", "theirs.png")
    assert (folder / "ours.png").read_bytes() == (folder / "theirs.png").read_bytes()


def test_what_a_picture_or_a_page_cannot_show_is_a_warning_where_it_was_saved() -> None:
    with pytest.warns(UserWarning, match="No installed font") as warned:
        attnviz.save("a.png", attnviz.Attention.from_array([[1.0]], ["\U0001e900"]))
    assert [one.filename for one in warned] == [__file__]


@pytest.mark.parametrize("form", ["json", "csv", "tsv"])
def test_several_texts_are_saved_as_the_command_shows_them(
    command: Callable[..., bytes], folder: Path, form: str
) -> None:
    attnviz.save(f"ours.{form}", [MODEL.attend(text) for text in TEXTS])
    assert (folder / f"ours.{form}").read_bytes() == command("show", *TEXTS, "--format", form)


def test_what_is_read_is_saved_again_as_it_was(command: Callable[..., bytes], folder: Path) -> None:
    (folder / "first.jsonl").write_bytes(
        command("show", "The red car", "The dog", "--model", "builtin/translator", "--format", "json")
    )
    results = attnviz.read(folder / "first.jsonl")
    assert [(result.index, result.text, result.written) for result in results] == [
        (0, "The red car", True),
        (1, "The dog", True),
    ]
    attnviz.save("again.jsonl", results)
    assert (folder / "again.jsonl").read_bytes() == (folder / "first.jsonl").read_bytes()


def test_weights_of_another_program_are_saved_with_the_text_that_is_told(folder: Path) -> None:
    attnviz.save("a.json", A, text="thecat")
    attnviz.save("b.json", A)
    assert [json.loads((folder / name).read_bytes())["text"] for name in ("a.json", "b.json")] == ["thecat", "the cat"]


# --- pictures


@pytest.mark.parametrize(
    ("kept", "drawn", "options"),
    [
        (((0, 1, 2, 3), range(6)), {}, ()),
        (((3,), (0,)), {"layout": "head", "annotate": True}, ("--layer=3", "--head=0", "--layout=head", "--annotate")),
        (((3,), range(6)), {"layout": "layer", "transpose": True}, ("--layer=3", "--layout=layer", "--transpose")),
        (((0, 1, 2, 3), range(6)), {"token": "her", "log": True, "title": ""}, ("--token=her", "--log", "--title=")),
        (
            ((0, 1, 2, 3), range(6)),
            {"figure_width": "84mm", "font": "DejaVu Serif", "caption": False, "colorbar": False, "vmax": 0.5},
            ("--figure-width=84mm", "--font=DejaVu Serif", "--no-caption", "--no-colorbar", "--vmax=0.5"),
        ),
    ],
    ids=["grid", "head", "layer", "token", "paper"],
)  # fmt: skip
def test_a_figure_is_the_picture_that_the_command_exports(
    command: Callable[..., bytes], folder: Path, kept: Any, drawn: dict[str, Any], options: tuple[str, ...]
) -> None:
    (attention,) = MODEL.attend(TEXTS[0])
    figure = attnviz.plot(attention.select(*kept), **drawn)
    command("export", TEXTS[0], *options, "-o", "theirs.png")
    assert figure._repr_png_() == (folder / "theirs.png").read_bytes()  # type: ignore[attr-defined]


def test_a_figure_leaves_pyplot_and_its_settings_alone() -> None:
    code = (
        "import sys, attnviz; from matplotlib import rcParams; names = set(rcParams) - {'backend'}; "  # asking sets it
        "before = {name: rcParams[name] for name in names}; "
        "attnviz.plot(attnviz.load().attend('It works.')[0])._repr_png_(); "
        "assert 'matplotlib.pyplot' not in sys.modules and before == {name: rcParams[name] for name in names}"
    )
    run_python(code)  # whose own assertions fail


def test_what_a_picture_cannot_show_is_a_warning() -> None:
    (attention,) = MODEL.attend(" ".join(["dog"] * 300))
    with pytest.warns(UserWarning, match="no room for numbers"):
        attnviz.plot(attention, annotate=True, vmax="auto")
    with pytest.warns(UserWarning, match="look nearly blank"):
        attnviz.plot(attention)


# --- mistakes


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda: MODEL.attend(["a", "b"]), r"takes str, not list: .*attnviz\.heads\(model, texts\)"),
        (lambda: MODEL.attend("a", target=3), "takes str, not int"),
        (lambda: MODEL.attend("a", select=(1,)), r"takes Selection, not tuple: .*attnviz\.Selection\(layers"),
        (lambda: MODEL.attend("a", by="line"), "'line': choose token, word"),
        (lambda: MODEL.attend("a", by=3), "3: choose token, word"),
        (lambda: attnviz.Selection(layers=3), r"layers=\(0, 3\), not as 3"),
        (lambda: attnviz.Selection(kinds=("cross",)), r"kinds=\(Kind.CROSS,\)"),
        (lambda: attnviz.Selection(rows="her"), "rows="),
        (lambda: attnviz.load("builtin", engine="unknown"), "no engine 'unknown': choose reference, transformers"),
        (lambda: attnviz.load("builtin", object()), "has its own tokenizer"),
        (lambda: attnviz.load(3), "a model of transformers, not a int"),
        (lambda: attnviz.statistics(A, "sharpness"), "'sharpness': choose entropy"),
        (lambda: attnviz.statistics([["same"]]), "takes HeadMatrix, not str"),
        (lambda: attnviz.statistics(A, [["same"]]), r"no statistic \['same'\]"),
        (lambda: attnviz.plot(A, title=3), "`title` takes a text, not 3"),
        (lambda: attnviz.plot(A, figure_width=3.3), "`figure_width` takes a text, not 3.3"),
        (lambda: attnviz.plot(A, vmax=True), "`vmax` takes a number, or auto, not True"),
        (lambda: attnviz.plot(A, font="no such"), "'no such' is installed: try"),
        (lambda: attnviz.plot(A, dpi="x"), "`dpi` takes a number, not 'x'"),
        (lambda: attnviz.plot(A, annotate=1), "`annotate` takes True or False, not 1"),
        (lambda: attnviz.plot(A, cmap=None), "`cmap` takes a text, not None"),
        (lambda: attnviz.strongest(A, "3"), "`top` takes a whole number, at least 1, not '3'"),
        (lambda: attnviz.strongest(A, 0), "`top` takes a whole number, at least 1, not 0"),
        (lambda: attnviz.telling(A, "cat"), "takes Word, not str"),
        (lambda: attnviz.Bins("3"), "`bins` takes a whole number, at least 1, not '3'"),
        (lambda: attnviz.statistics(A)[0].highest(["next"]), r"`name` takes a text, not \['next'\]"),
        (lambda: attnviz.statistics(A)[0].highest("next", "3"), "`count` takes a whole number, or None for all"),
        (lambda: A.select("3", 0), "`layers` takes a whole number, or several, not '3'"),
        (lambda: attnviz.Attention.from_array([[1.0]], ["a"], kind="encoder"), r"takes Kind, not str.*Kind\.CROSS"),
        (lambda: attnviz.Attention.from_array([[1.0]], [3]), r"`tokens` takes names, each a text, not \[3\]"),
        (lambda: attnviz.save(None, A), "`path` takes the name of a file, not None"),
        (lambda: attnviz.save(io.BytesIO(), A), "`path` takes the name of a file"),
        (lambda: attnviz.read(None), "`path` takes the name of a file, not None"),
        (lambda: attnviz.save("a.npz", attnviz.Result(0, "", [])), "Only records can be saved"),
        (lambda: attnviz.load(offline="yes"), "`offline` takes True or False, not 'yes'"),
        (lambda: attnviz.heads(MODEL, "a", fail=3), "`fail` takes a function, not 3"),
        (lambda: MODEL.attend("a", generate="x"), "`generate` takes a whole number from 0 on, not 'x'"),
        (lambda: MODEL.attend("a", window=3), "3 is not a size of windows: write 512:256"),
        (lambda: MODEL.attend("a", truncate=True, window="8:4"), "`truncate` cuts a text and `window` reads all"),
        (lambda: attnviz.Selection(kinds=()), r"not as \(\); None stands for all"),
        (lambda: attnviz.Selection(layers=()), r"not as \(\); None stands for all"),
        (lambda: attnviz.statistics(None), "takes Iterable, not NoneType"),
        (lambda: attnviz.statistics(A, 3), "name statistics as in"),
        (lambda: attnviz.statistics(A)[0]["sharpness"], "'sharpness', only: entropy"),
        (lambda: attnviz.heads("builtin", "a"), r"takes Model, not str: .* attnviz\.load"),
        (lambda: attnviz.heads(MODEL, ["a", 3]), r"takes str, not int: .* \[1\]"),
        (lambda: attnviz.heads(MODEL, None), "takes Iterable, not NoneType"),
        (lambda: attnviz.heads(MODEL, "a", select=(1,)), "takes Selection, not tuple"),
        (lambda: attnviz.heads(MODEL, "a", select=attnviz.Selection(layers=(9,))), "no layer 9"),
        (lambda: attnviz.strongest([A]), r"model\.attend\(text\)\[0\]"),
        (lambda: attnviz.telling([A]), r"model\.attend\(text\)\[0\]"),
        (lambda: attnviz.plot([A]), r"model\.attend\(text\)\[0\]"),
        (lambda: attnviz.plot(A, "round"), "'round': choose head, layer, grid"),
        (lambda: attnviz.plot(A, cmap="viridiss"), "viridis"),
        (lambda: attnviz.plot(MODEL.attend("a")[0], "head"), r"attention\.select\(3, 0\)"),
        (lambda: attnviz.plot(MODEL.attend("the dog the cat")[0], token="the"), "its position, 1, 3"),
        (lambda: attnviz.save("a.xlsx", A), r"\.npz.*not as 'xlsx'"),
        (lambda: attnviz.save("a", A), "no suffix"),
        (lambda: attnviz.save("a.xlsx", A), r"\.png, \.svg, \.pdf, \.html"),
        (lambda: attnviz.save("a.html", attnviz.statistics(A)), r"\.tsv, \.png, \.svg, \.pdf, not as 'html'"),
        (lambda: attnviz.save("a.html", [[A], [A]]), "several to save: give the records of one text"),
        (lambda: attnviz.save("a.svg", [[A], [A]]), "several to save: give the records of one text"),
        (lambda: attnviz.save("a.png", attnviz.statistics(A) * 2), "several to save.*one record or table alone"),
        (lambda: attnviz.save("a.npz", attnviz.statistics(A)), r"\.json, \.csv, \.tsv"),
        (lambda: attnviz.save("a.npz", [[A], [A]]), "holds one text, and these are 2"),
        (lambda: attnviz.save("a.json", [A, A]), "a list for each"),
        (lambda: attnviz.save("a.json", []), "Only records can be saved"),
        (lambda: attnviz.save("a.json", 3), "Only records can be saved"),
        (lambda: attnviz.save("a.json", [A, *attnviz.statistics(A)]), "to two files"),
        (lambda: attnviz.save("a.json", [[A], [A]], "a text"), "leave the text out"),
        (lambda: attnviz.read("a.csv"), r"\.npz, \.npy, \.json, \.jsonl"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence_that_says_what_to_do(mistake: Callable[[], Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        mistake()


@pytest.mark.parametrize("values", [[[True]], [[1j]], [[]], [["x"]], None])
def test_what_holds_no_real_numbers_is_no_array_of_weights(values: Any) -> None:
    with pytest.raises(RecordError, match=r"Weights|weights"):
        attnviz.Attention.from_array(values, ["a"])


def test_a_built_in_model_that_there_is_not_is_answered_without_the_network() -> None:
    with pytest.raises(ModelError, match=r"'builtin/encodr'\. Did you mean builtin/encoder\?"):
        attnviz.load("builtin/encodr")
    with pytest.raises(ModelError, match="the built-in ones are builtin/encoder, "):
        attnviz.load("builtin/nope")


def test_statistics_take_what_read_returns_and_lists_of_lists(folder: Path) -> None:
    records = [MODEL.attend(text) for text in TEXTS]
    attnviz.save("all.jsonl", records)
    (flat,) = attnviz.statistics([one for found in records for one in found], "next")
    for given in (records, attnviz.read("all.jsonl"), iter(records)):
        (table,) = attnviz.statistics(given, "next")
        assert table.texts == len(TEXTS)
        np.testing.assert_allclose(table["next"], flat["next"], rtol=1e-6)


LONG = "The cat saw the dog. " * 200


@pytest.mark.parametrize("window", ["64:32", (64, 32)])
def test_a_long_text_is_read_in_windows_as_the_command_reads_it(
    command: Callable[..., bytes], window: str | tuple[int, int]
) -> None:
    (attention,) = MODEL.attend(LONG, window=window, by="bins:7", select=attnviz.Selection(layers=(1,)))
    by = ("--by", "bins:7", "--layer", "1", "--format", "json")
    (shown,) = map(json.loads, command("show", LONG, "--window", "64:32", *by).splitlines())
    np.testing.assert_allclose(attention.weights, shown["attention"][0]["weights"], rtol=1e-5)
    (table,) = attnviz.heads(MODEL, LONG, "next", window=window)
    (counted,) = map(
        json.loads, command("heads", LONG, "--window", "64:32", "--stat", "next", "--format", "json").splitlines()
    )
    assert [head["next"] for head in counted["heads"]] == table["next"].ravel().tolist()


def test_a_long_text_is_cut_where_that_is_asked_for() -> None:
    (attention,) = MODEL.attend(LONG, truncate=True)
    assert len(attention.key_tokens) == 512
    (table,) = attnviz.heads(MODEL, LONG, "next", truncate=True)
    (cut,) = attnviz.statistics(attention, "next")
    np.testing.assert_allclose(table["next"], cut["next"], rtol=1e-6)


@pytest.mark.parametrize(("backend", "found"), [("nope", "agg"), ("svg", "svg")])
def test_a_backend_that_is_unknown_keeps_nobody_from_drawing(backend: str, found: str) -> None:
    script = (
        "import attnviz, os\n"
        "attnviz.plot(attnviz.load().attend('Mary')[0])\n"
        "import matplotlib.pyplot\n"
        "print(os.environ['MPLBACKEND'], matplotlib.pyplot.get_backend())"
    )
    env = {**os.environ, "MPLBACKEND": backend, "PYTHONPATH": str(ROOT)}
    assert run_python(script, variables=env).split() == [backend, found]


def test_a_file_that_is_not_there_or_broken_is_a_sentence(folder: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.npz cannot be read"):
        attnviz.read("nowhere.npz")
    (folder / "broken.json").write_text('{"attention": []}')
    with pytest.raises(RecordError, match="give it a record"):
        attnviz.read("broken.json")
