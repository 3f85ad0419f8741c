"""Options without effect: each option, in each format of each command, changes what comes out or is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from attnviz.cli.app import COMMANDS, Edge
from attnviz.cli.settings import ANYWHERE, LOOKS, SETTINGS
from attnviz.formats.tables import PORTIONS
from attnviz.formats.writing import FILES
from attnviz.vocabulary import IMAGE_FORMATS, PAGE_FORMATS, Layout
from tests.cli.conftest import Ran, Run

TEXT = "Mary lost her keys because she was tired"
PAIR = "She was glad"

VALUES = {
    "model": "builtin/decoder",
    "engine": "transformers",
    "device": "cuda",
    "dtype": "bfloat16",
    "revision": "main",
    "source_language": "en",
    "target_language": "fr",
    "pair": PAIR,
    "target": "Marie",
    "window": "8:4",
    "generate": "2",
    "max_new_tokens": "3",
    "kind": "decoder",
    "layer": "1",
    "head": "2",
    "token": "keys",
    "rows": "3",
    "by": "sentence",
    "memory": "10B",
    "top": "2",
    "layout": "layer",
    "cmap": "viridis",
    "dpi": "60",
    "figure_width": "3in",
    "font": "DejaVu Serif",
    "vmax": "0.3",
    "title": "Another title",
    "stat": "previous",
    "sort": "next",
    "jobs": "2",
    "probe": "induction",
    "tokens": "7",
    "seed": "3",
    "steps": "5-6",
    "scores": "dot,cosine",
    "online": "3",
    "vectors": "vectors.csv",
    "heads": "2",
    "mask": "causal",
    "positions": "rotary",
}
"""A value for each option that takes one, other than its default."""

KEEPS_THE_RESULT = {"texts", "file", "form", "forms", "output", *ANYWHERE, "offline", "jobs", "force"}
"""What chooses the input or the output, says how to print, or how the work is done."""

WAITS = {"truncate", "max_new_tokens", "all_rows", "picture", "protocol"}
"""What has its effect on long texts, where a model writes, or on a terminal."""


def parameters(command: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The options of a command, by name, as they are typed."""
    found = Edge().get_command(typer.Context(Edge()), command)
    for parameter in found.params:
        if parameter.name not in KEEPS_THE_RESULT | WAITS:
            is_flag = getattr(parameter, "is_flag", False)
            yield parameter.name, (parameter.opts[-1], *(() if is_flag else (VALUES[parameter.name],)))


NO_ROOM = "Note: There is no room for numbers in the cells"
"""What is said where it depends on the text whether an option has an effect."""

SETTINGS_OF_PICTURES = (*LOOKS, "transpose")

PAIRS = [
    (command, form, name, typed)
    for command, forms in {
        "show": ("table", "json", "csv", "tsv"),
        "heads": ("table", "json", "csv", "tsv"),
        "explain": ("text", "json"),
        "export": (*IMAGE_FORMATS, *FILES, *PAGE_FORMATS),
    }.items()
    for name, typed in parameters(command)
    for form in forms
]

IGNORED = {("export", form, "layout") for form in FILES} | {("heads", form, "memory") for form in ("table", *PORTIONS)}
"""What has no effect: data formats ignore --layout, by contract; of texts, heads keeps nothing that takes memory."""


def result(run: Run, command: str, form: str, *typed: str) -> Ran:
    if command != "export":
        return run(command, TEXT, "--format", form, *typed)
    few = () if typed[:1] in (("--layer",), ("--head",)) else ("--layer", "0", "--head", "0-1")
    return run(command, TEXT, "--format", form, "-o", "-", *few, *typed)


@pytest.fixture(scope="module")
def plain(run: Run) -> dict[tuple[str, str], bytes]:
    """What comes out without any option."""
    return {asked: result(run, *asked).stdout for asked in {(command, form) for command, form, *_ in PAIRS}}


@pytest.mark.parametrize(("command", "form", "name", "typed"), PAIRS)
def test_an_option_changes_the_result_or_is_refused(
    run: Run, plain: dict[tuple[str, str], bytes], command: str, form: str, name: str, typed: tuple[str, ...]
) -> None:
    done = result(run, command, form, *typed)
    if done.code == 0 and (command, form, name) not in IGNORED:
        assert done.stdout != plain[command, form] or NO_ROOM in done.err
    elif done.code:
        assert done.stdout == b""
        assert done.err.startswith("Error: ") and len(done.err.splitlines()) == 1


LOOKS = [(name, typed) for name, typed in parameters("export") if name in SETTINGS_OF_PICTURES]


@pytest.mark.parametrize("drawn", [("--token", "her"), *(("--layout", each.value) for each in Layout)], ids="-".join)
@pytest.mark.parametrize(("name", "typed"), LOOKS)
def test_a_picture_of_any_layout_changes_with_it_or_it_is_refused(
    run: Run, drawn: tuple[str, str], name: str, typed: tuple[str, ...]
) -> None:
    one = ("export", TEXT, "--layer", "0", "--head", "0", "-o", "-", *drawn)
    done = run(*one, *typed)
    if done.code == 0:
        assert done.stdout != run(*one).stdout or NO_ROOM in done.err
    else:
        assert "no effect" in done.err


@pytest.mark.parametrize(("name", "typed"), [*parameters("show")])
def test_an_option_changes_the_page_that_is_opened_or_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, typed: tuple[str, ...]
) -> None:
    pages: list[bytes] = []
    monkeypatch.setattr("attnviz.cli.browser.open_page", pages.append)
    assert run("show", TEXT, "--open").code == 0
    done = run("show", TEXT, "--open", *typed)
    if name == "in_browser":
        return
    if done.code == 0:
        assert pages[0] != pages[1]
    else:
        assert len(pages) == 1
        assert done.err.startswith("Error: ") and len(done.err.splitlines()) == 1


OPENING = [("--log",), ("--transpose",), ("--title", "Another title")]


@pytest.mark.parametrize("token", [(), ("--token", "her")], ids="".join)
@pytest.mark.parametrize("typed", OPENING, ids=" ".join)
def test_a_page_opens_as_it_is_asked_to_beside_data_and_with_a_token_too(
    run: Run, tmp_path: Path, typed: tuple[str, ...], token: tuple[str, ...]
) -> None:
    pages: list[bytes] = []
    for more in ((), typed):
        asked = "export", TEXT, "--layer", "0", "--format", "html", "--format", "csv", "-o", tmp_path / str(len(more))
        assert run(*asked, *token, *more).code == 0
        pages += [path.read_bytes() for path in (tmp_path / str(len(more))).glob("*.html")]
    assert len(pages) == 2
    assert pages[0] != pages[1]


@pytest.mark.parametrize("shown", [("--token", "her"), ("--all",), ("--by", "word"), ("--mean",)], ids="-".join)
@pytest.mark.parametrize("typed", [("--all",), ("--transpose",), ("--top", "2")], ids="-".join)
def test_a_table_of_any_kind_changes_with_it_or_it_is_refused(
    run: Run, shown: tuple[str, ...], typed: tuple[str, ...]
) -> None:
    if shown != typed and (shown, typed) != (("--mean",), ("--all",)):  # of one average, all is one
        done = run("show", TEXT, *shown, *typed)
        assert done.stdout != run("show", TEXT, *shown).stdout if done.code == 0 else "no effect" in done.err


@pytest.mark.parametrize("command", SETTINGS)
def test_the_table_names_options_that_there_are(command: str) -> None:
    found = Edge().get_command(typer.Context(Edge()), command)
    there = {parameter.name for parameter in found.params}
    assert command in COMMANDS
    for setting in SETTINGS[command]:
        assert {*setting.idle, *setting.used} <= there
        assert bool(setting.idle) != bool(setting.used)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("show", TEXT, "--top", "3", "--format", "csv"), "--top has no effect with --format csv: leave --top out"),
        (
            ("show", TEXT, "--all", "--top", "3", "--format", "json"),
            "--all and --top have no effect with --format json",
        ),
        (("show", TEXT, "--token", "her", "--all"), "--all has no effect with --token"),
        (("show", TEXT, "--whole-file"), "--whole-file has no effect for texts that are arguments"),
        (("show", "--file", "x", "--whole-file", "--paragraphs"), "--paragraphs has no effect with --whole-file"),
        (("show", TEXT, "--target", "x", "--max-new-tokens", "3"), "--max-new-tokens has no effect with --target"),
        (("heads", "--list", "--stat", "entropy"), "--stat has no effect with --list: leave --stat out."),
        (("heads", "--list", "--file", "x", "--jobs", "2"), "--file and --jobs have no effect with --list"),
        (("heads", TEXT, "--all", "--top", "3"), "--top has no effect with --all"),
        (
            ("heads", "--probe", "induction", "--jobs", "2", "--truncate", "--target", "x"),
            "--target, --truncate and --jobs have no effect where no text is read",
        ),
        (("heads", "--stat", "ov_copying", "--window", "8:4"), "--window has no effect where no text is read"),
        (("export", TEXT, "--format", "npz", "--log"), "--log has no effect without a picture"),
        (("export", TEXT, "--format", "npz", "--linear"), "--linear has no effect without a picture"),
        (
            ("export", TEXT, "--format", "npz", "--figure-width", "3in", "--no-caption"),
            "--figure-width and --no-caption",
        ),
        (("export", TEXT, "-o", "x.png", "--layout", "heads", "--vmax", "0.5"), "--vmax has no effect with --layout"),
        (("compare", TEXT, PAIR, "-o", "x.json", "--font", "DejaVu Serif"), "--font has no effect without a picture"),
        (("compare", TEXT, PAIR, "--no-colorbar"), "--no-colorbar has no effect without -o"),
        (("export", TEXT, "-o", "x.csv", "--jobs", "2"), "--jobs has no effect for a single file"),
        (("export", TEXT, "-o", "x.html", "--jobs", "2"), "--jobs has no effect for a single file"),
        (("export", TEXT, "-o", "x.html", "--dpi", "60"), "--dpi has no effect without a picture"),
        (("export", TEXT, "-o", "x.html", "--layout", "head"), "--layout has no effect for a page"),
        (
            ("show", TEXT, "--open", "--all", "--format", "csv"),
            "--all and --format have no effect with --open: leave --all and --format out, or leave --open out",
        ),
        (("export", TEXT, "-o", "-", "--force"), "--force has no effect for a single file"),
        (("explain", "--toy", "--model", "minilm"), "--model has no effect with --toy"),
        (("explain", "--words", "--token", "her", "--width", "60"), "--token has no effect with --words"),
        (("explain", TEXT, "--only-what-if"), "--only-what-if has no effect without a comparison"),
        (("explain", TEXT, "--hard", "--only-what-if", "--steps", "3"), "--steps has no effect with --only-what-if"),
        (("explain", TEXT, "--window", "8:4"), "--window has no effect in explain"),
        (("verify", "--list", "--format", "json"), "--format has no effect with --list: leave --format out."),
        (("verify", "--engine", "reference"), "--engine has no effect without --model: leave --engine out, or name a"),
        (("cost", "--longest", "300"), "--longest has no effect without --measure"),
        (("cost", "--measure", "--font", "DejaVu Serif", "--dpi", "90"), "--dpi and --font have no effect without -o"),
        (("cost", "--d-model", "8", "--model", "minilm"), "for a shape without a model"),
    ],
)
def test_the_message_names_the_option_and_where_it_has_no_effect(run: Run, args: tuple[str, ...], said: str) -> None:
    done = run(*args)
    done.assert_failed(2, said)
    assert done.stdout == b""


@pytest.mark.parametrize("command", ["show", "heads", "export"])
def test_saved_weights_need_no_model(run: Run, tmp_path: Path, command: str) -> None:
    assert run("export", TEXT, "-o", tmp_path / "mary.npz").code == 0
    run(command, tmp_path / "mary.npz", "--model", "builtin/decoder").assert_failed(
        2, "--model has no effect for saved weights"
    )
    run(command, "--file", tmp_path / "mary.npz", "--engine", "reference").assert_failed(2, "--engine has no effect")


def test_the_default_model_of_the_environment_is_no_option_of_a_command(run: Run, tmp_path: Path) -> None:
    assert run("export", TEXT, "-o", tmp_path / "mary.npz").code == 0
    assert run("show", tmp_path / "mary.npz", ATTNVIZ_MODEL="builtin/decoder").code == 0
    assert run("explain", "--toy", ATTNVIZ_MODEL="builtin/decoder").code == 0
