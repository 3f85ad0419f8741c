"""The surroundings of all tests: whoever runs them, wherever."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib import font_manager, get_data_path

ROOT = Path(__file__).parents[1]
INNER = """
import os, signal, time
from pathlib import Path

def test_nothing_of_it_is_seen():
    assert not {"ATTNVIZ_MODEL", "NO_COLOR", "COLUMNS", "HF_HOME", "HTTPS_PROXY", "MPLBACKEND"} & set(os.environ)
    assert time.localtime(0).tm_hour == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert Path.home().name.startswith("attnviz-tests-")
"""


@pytest.mark.parametrize("processes", ["0", "1"])
def test_whatever_the_environment_says_no_test_sees_it(tmp_path: Path, processes: str) -> None:
    (tmp_path / "conftest.py").symlink_to(ROOT / "tests" / "conftest.py")
    (tmp_path / "test_inner.py").write_text(INNER, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    odd = {"ATTNVIZ_MODEL": "no/such", "NO_COLOR": "1", "COLUMNS": "7", "HF_HOME": "/proc", "TZ": "Asia/Kathmandu"}
    more = {"HTTPS_PROXY": "http://127.0.0.1:1", "MPLBACKEND": "none", "LC_ALL": "C", "HOME": "/proc", "CI": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", processes, str(tmp_path)],
        env=os.environ | odd | more,
        capture_output=True,
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stdout.decode()


def test_no_font_is_known_but_those_that_come_with_matplotlib() -> None:
    assert {Path(entry.fname).parents[2] for entry in font_manager.fontManager.ttflist} == {Path(get_data_path())}
