import io
import re
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

import attnviz
from attnviz.cli import protocols
from attnviz.records import Attention
from tests.cli.conftest import ASKED, Run
from tests.terminal import without_styles

SHOWN = "show", "Mary lost her keys"
PRIMARY = b"\x1b[?62;22c"
KITTY = b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.35.2)\x1b\\" + PRIMARY
ITERM2 = b"\x1bP>|iTerm2 3.5.0\x1b\\" + PRIMARY


@pytest.fixture
def shown(on_terminal: Run) -> Callable[..., str]:
    """What is told to a terminal of 80 columns that is to show pictures."""

    def shown(*more: str, answer: bytes = b"", **env: str) -> str:
        done = on_terminal(80, *SHOWN, "--picture", *more, answer=answer, **env)
        assert done.code == 0
        return done.out

    return shown


def pixels(data: str) -> np.ndarray:
    image: np.ndarray = imread(io.BytesIO(b64decode(data, validate=True)), "png")
    return image


def of_kitty(out: str) -> list[np.ndarray]:
    """The pictures in what is written, put together from the chunks between `m=1` and `m=0`."""
    found, data = [], ""
    for keys, chunk in re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", out):
        if "a=q" not in keys:
            assert len(chunk) <= 4096
            data += chunk
            if keys.endswith("m=0"):
                found.append(pixels(data))
                data = ""
    assert not data
    return found


def test_a_terminal_that_knows_kittys_protocol_gets_the_pictures_that_export_saves(
    shown: Callable[..., str], run: Run, attend: Callable[[str], Attention], tmp_path: Path
) -> None:
    out = shown(answer=KITTY, TERM="xterm-kitty")
    grid, head = of_kitty(out)
    link = attnviz.telling(attend(SHOWN[1]))
    assert f"Layer {link.layer} head {link.head}" in out
    where = "--layout", "head", "--layer", str(link.layer), "--head", str(link.head)
    for picture, more in ((grid, ()), (head, where)):
        assert run("export", SHOWN[1], *more, "-o", str(tmp_path / "a.png")).code == 0
        np.testing.assert_array_equal(picture, imread(tmp_path / "a.png"))
    assert max(int(columns) for columns in re.findall(r"c=(\d+)", out)) <= 80
    assert "Strongest links" in out


def test_a_terminal_that_is_called_iterm2_gets_them_in_its_protocol(shown: Callable[..., str]) -> None:
    out = shown(answer=ITERM2)
    files = re.findall(r"\x1b\]1337;File=inline=1;size=(\d+);width=(\d+);preserveAspectRatio=1:([^\x07]*)\x07", out)
    assert len(files) == 2
    for size, width, data in files:
        assert len(b64decode(data, validate=True)) == int(size)
        assert int(width) <= 80
        assert pixels(data).ndim == 3


@pytest.mark.parametrize("answer", [PRIMARY, b"", b"\x1b[?6", b"typed ahead"])
def test_one_that_knows_none_or_does_not_answer_gets_blocks(
    shown: Callable[..., str], monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(protocols, "_PATIENCE", 0.05)
    out = shown(answer=answer)
    assert "1337" not in out
    assert not of_kitty(out)
    picture = without_styles(out).partition("sum to 1\n")[2].partition("weight from")[0]
    header, *lines = picture.splitlines()
    names = ["[CLS]", "Mary", "lost", "her", "keys", "[SEP]"]
    assert header.split() == names
    assert [line.split() for line in lines] == [[str(row), name, "▀" * 36] for row, name in enumerate(names)]  # 6 × 6


@pytest.mark.parametrize(
    ("named", "sign"), [("kitty", "\x1b_Ga=T"), ("iterm2", "\x1b]1337"), ("blocks", "weight from")]
)
def test_a_protocol_that_is_named_is_used_without_asking(shown: Callable[..., str], named: str, sign: str) -> None:
    out = shown("--protocol", named)
    assert sign in out
    assert ASKED.decode() not in out


def test_what_is_piped_has_no_picture(run: Run) -> None:
    plain, pictured = run(*SHOWN), run(*SHOWN, "--picture", "--protocol", "kitty")
    assert pictured.out == plain.out
    assert "attnviz export" in pictured.err


def test_a_protocol_has_no_effect_without_a_picture(run: Run) -> None:
    run(*SHOWN, "--protocol", "kitty").assert_failed(2, "--protocol has no effect", "--picture")
