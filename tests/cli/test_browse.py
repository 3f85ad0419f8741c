"""The full-screen view as a command: in a terminal, without one, and with texts from elsewhere."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Timer

import pytest

from attnviz.cli import options
from attnviz.cli.browse import Texts, list_formats
from attnviz.cli.request import Input, ModelChoice, Wanted, make_job
from attnviz.errors import InputError, UsageError
from attnviz.pipeline.outcomes import KeepWeights
from attnviz.pipeline.streams import Source
from attnviz.views.screen.scene import Scene, State, prepare
from tests.cli.conftest import COMMAND, Run, surroundings

SENTENCE = "Mary lost her keys"


@pytest.fixture
def browse(in_screen: Callable[..., int]) -> Callable[..., int]:
    """Runs `attnviz browse` in a terminal of 80 × 24 until it shows something, then leaves it with q."""

    def browse(shown: str, *args: str, piped: bytes = b"", **env: str | None) -> int:
        return in_screen([*COMMAND, "browse", *args], shown, b"q", piped, env=surroundings(env))

    return browse


def test_it_opens_in_a_terminal_and_ends_at_q(browse: Callable[..., int]) -> None:
    assert browse("layer 1 head 1: her", SENTENCE) == 0


def test_texts_may_be_piped_in_while_keys_come_from_the_terminal(browse: Callable[..., int]) -> None:
    assert browse("layer 1 head 1: her", piped=f"{SENTENCE}\nA cat slept\n".encode()) == 0


def test_what_is_saved_is_browsed_without_a_model(browse: Callable[..., int], run: Run, tmp_path: Path) -> None:
    path = tmp_path / "her.npz"
    assert run("export", SENTENCE, "-o", str(path)).code == 0
    assert browse("layer 1 head 1: her", str(path)) == 0


def test_a_token_that_is_named_is_chosen(browse: Callable[..., int]) -> None:
    assert browse("keys looks at", SENTENCE, "--token", "keys") == 0


def test_a_locale_without_unicode_gets_ascii(browse: Callable[..., int]) -> None:
    assert browse("layer 1 head 1: her > ", SENTENCE, PYTHONIOENCODING="ascii") == 0


@pytest.mark.parametrize("form", list_formats())
def test_the_head_that_is_shown_is_saved_in_every_format(form: str, tmp_path: Path) -> None:
    job = make_job(Input(texts=[SENTENCE]), ModelChoice(), Wanted())
    texts = Texts(Input(texts=[SENTENCE]), KeepWeights(job))
    entry = texts.open(0)
    assert entry and texts.open(1) is None
    scene = Scene(prepare(entry.records[0], words=False, special=True), State(layer=2, head=5))
    path = tmp_path / f"head.{form}"
    assert texts.save(scene, str(path)) == f"Saved layer 2 head 5 as {path}"
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "npz": b"PK"}
    assert path.read_bytes().startswith(starts.get(form, b""))
    if form == "json":
        (saved,) = json.loads(path.read_bytes())["attention"]
        assert (saved["layers"], saved["heads"]) == ([2], [5])


def test_a_name_without_a_format_is_refused_with_the_formats(tmp_path: Path) -> None:
    texts = Texts(Input(texts=[SENTENCE]), KeepWeights(make_job(Input(), ModelChoice(), Wanted())))
    entry = texts.read(SENTENCE)
    scene = Scene(prepare(entry.records[0], words=False, special=True), State())
    with pytest.raises(UsageError, match=r"\.png, \.svg"):
        texts.save(scene, str(tmp_path / "head.bmp"))


def test_without_a_terminal_it_says_what_to_do(run_process: Run) -> None:
    run_process("browse", SENTENCE).assert_failed(2, "attnviz show")


def test_the_stream_that_goes_elsewhere_is_named(in_screen: Callable[..., int], tmp_path: Path) -> None:
    redirected = ["sh", "-c", " ".join([*map(shlex.quote, COMMAND), "browse", "hi", "2>err; cat err"])]
    said = "but standard error, which it draws on, goes elsewhere"
    assert in_screen(redirected, said, b"q", env=surroundings({}), cwd=tmp_path) == 0


def test_an_option_that_cannot_be_met_ends_it_with_a_sentence_and_exit_code_2(browse: Callable[..., int]) -> None:
    assert browse("There is no layer 99", SENTENCE, "--layer", "99") == 2


def test_the_first_text_is_read_ahead_once_and_again_when_it_is_returned_to() -> None:
    job = make_job(Input(texts=[SENTENCE]), ModelChoice(), Wanted())
    texts = Texts(Input(texts=[SENTENCE]), KeepWeights(job))
    texts.read_ahead()
    first, again = texts.open(0), texts.open(0)
    assert first and again and first.text == again.text == SENTENCE
    assert first.number == again.number == 0


def test_a_file_that_cannot_be_read_ends_it_with_what_is_wrong(browse: Callable[..., int]) -> None:
    assert browse("nofile.txt cannot be read", "--file", "nofile.txt") == 1


@pytest.mark.parametrize("error", [InputError("It is gone."), ZeroDivisionError("a bug")])
def test_whatever_goes_wrong_when_the_first_text_is_read_ahead_is_raised_when_it_is_opened(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> Iterator[Source]:
        raise error
        yield

    monkeypatch.setattr(Input, "sources", read)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)  # else it is read before the screen opens
    texts = Texts(Input(texts=[SENTENCE]), KeepWeights(make_job(Input(), ModelChoice(), Wanted())))
    texts.read_ahead()
    with pytest.raises(type(error)) as raised:
        texts.open(0)
    assert raised.value is error


def test_a_text_that_is_being_read_ahead_is_waited_for_and_not_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    began, goes_on, reads = Event(), Event(), list[int]()

    def enter(*_: object) -> str:
        reads.append(len(reads))
        began.set()
        assert goes_on.wait(60)
        return "the text"

    monkeypatch.setattr(Texts, "_enter", enter)
    texts = Texts(Input(texts=[SENTENCE]), KeepWeights(make_job(Input(), ModelChoice(), Wanted())))
    texts.read_ahead()
    assert began.wait(60)
    Timer(0.1, goes_on.set).start()
    assert (texts.open(0), reads) == ("the text", [0])


@pytest.mark.parametrize("quiet", [True, False])
def test_notes_are_shown_with_their_text_unless_it_is_to_be_quiet(quiet: bool) -> None:
    given, little = Input(texts=["word " * 97]), Wanted(memory=99_991)
    was = options.QUIET.set(quiet)
    try:
        texts = Texts(given, KeepWeights(make_job(given, ModelChoice(), little)))
    finally:
        options.QUIET.reset(was)
    entry = texts.open(0)
    assert entry and bool(entry.notes) is not quiet
    assert texts.read(SENTENCE).notes in ((), [])
