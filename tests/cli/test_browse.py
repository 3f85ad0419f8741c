"""The full-screen view as a command: in a terminal, without one, and with texts from elsewhere."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Run, surroundings

SENTENCE = "Mary lost her keys"


@pytest.fixture
def browse(in_screen: Callable[..., int]) -> Callable[..., int]:
    """Runs `attnviz browse` in a terminal of 80 × 24 until it shows something, then leaves it with q."""

    def browse(shown: str, *args: str, piped: bytes = b"", **env: str | None) -> int:
        return in_screen([*COMMAND, "browse", *args], shown, b"q", piped, env=surroundings(env))

    return browse


def test_it_opens_in_a_terminal_and_ends_at_q(browse: Callable[..., int]) -> None:
    assert browse("layer 3 head 0: her", SENTENCE) == 0


def test_texts_may_be_piped_in_while_keys_come_from_the_terminal(browse: Callable[..., int]) -> None:
    assert browse("layer 3 head 0: her", piped=f"{SENTENCE}\nA cat slept\n".encode()) == 0


def test_what_is_saved_is_browsed_without_a_model(browse: Callable[..., int], run: Run, tmp_path: Path) -> None:
    path = tmp_path / "her.npz"
    assert run("export", SENTENCE, "-o", str(path)).code == 0
    assert browse("layer 3 head 0: her", str(path)) == 0


def test_a_token_that_is_named_is_chosen(browse: Callable[..., int]) -> None:
    assert browse("keys looks at", SENTENCE, "--token", "keys") == 0


def test_a_locale_without_unicode_gets_ascii(browse: Callable[..., int]) -> None:
    assert browse("layer 3 head 0: her > ", SENTENCE, PYTHONIOENCODING="ascii") == 0


def test_without_a_terminal_it_says_what_to_do(run_process: Run) -> None:
    run_process("browse", SENTENCE).failed(2, "attnviz show")


def test_an_option_that_cannot_be_met_ends_it_with_a_sentence_and_exit_code_2(browse: Callable[..., int]) -> None:
    assert browse("There is no layer 99", SENTENCE, "--layer", "99") == 2
