"""What all tests share: surroundings that are the same on every machine, built-in models, arrays, and snapshots."""

import difflib
import gc
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

_KEPT = "PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONHASHSEED", "VIRTUAL_ENV", "SYSTEMROOT", "USER", "LOGNAME"
_KEPT_OF_A_KIND = (
    "LD_",
    "DYLD_",
    "TMP",
    "TEMP",
    "PYTEST",
    "HYPOTHESIS",
    "COV",
    "OMP_",
    "OPENBLAS_",
    "MKL_",
    "NPY_",
    "ATEN_",
)
"""What says where the programs and libraries of a machine are, how they compute, and how tests are run."""

_IGNORED_IN_BACKGROUND = signal.SIGINT, signal.SIGHUP, signal.SIGQUIT


def pytest_addoption(parser: pytest.Parser) -> None:
    said = "Write what is seen to the .txt files in snapshots/ beside the tests, to be looked at in a diff of git."
    parser.addoption("--rewrite-snapshots", action="store_true", help=said)


def pytest_configure(config: pytest.Config) -> None:
    """Makes the surroundings, once: the processes that share the tests inherit them, as do the commands under test."""
    gc.set_threshold(100_000)  # as the command does for itself
    if hasattr(config, "workerinput"):
        return
    home = tempfile.mkdtemp(prefix="attnviz-tests-")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    kept = {n: value for n, value in os.environ.items() if n in _KEPT or n.startswith(_KEPT_OF_A_KIND)}
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update(HOME=home, TZ="UTC", LC_ALL="C.UTF-8", CUDA_VISIBLE_DEVICES="")
    os.environ.setdefault(
        "OMP_NUM_THREADS", "1"
    )  # tests run side by side already; more threads would wait for each other
    time.tzset()
    os.umask(0o022)
    for number in _IGNORED_IN_BACKGROUND:  # what a shell starts with & or nohup would never be interrupted
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _forget_fonts()


def _forget_fonts() -> None:
    """Lets matplotlib know of no fonts but its own, whatever is installed."""
    import matplotlib
    from matplotlib.font_manager import FontManager, fontManager, json_dump

    own = Path(matplotlib.get_data_path())
    fontManager.ttflist = [entry for entry in fontManager.ttflist if own in Path(entry.fname).parents]
    json_dump(fontManager, Path(matplotlib.get_cachedir()) / f"fontlist-v{FontManager.__version__}.json")


_PLAIN = settings(settings.get_profile("default"), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("tests", _PLAIN)  # however slow the machine is
settings.register_profile("thorough", _PLAIN, max_examples=10 * _PLAIN.max_examples)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tests"))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps what tests remember of models apart from what the user does; fonts are found once for both."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("MPLCONFIGDIR", str(usual / "matplotlib"))
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def built_in_models() -> Iterator[None]:
    """Reads the files of each built-in model once: half of what most commands take is to read them."""
    from attnviz.models.builtin import FOLDER
    from attnviz.models.builtin.package import Package

    with pytest.MonkeyPatch.context() as patched:
        read = Package.of
        read_once = cache(read)

        def of(folder: Path) -> Package:
            return (read_once if folder.is_relative_to(FOLDER) else read)(folder)

        patched.setattr(Package, "of", of)
        yield


@pytest.fixture(scope="session", params=["numpy", "torch"])
def array(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes an array of the library under test, from anything that NumPy reads."""
    if request.param == "numpy":
        return np.asarray
    import torch

    return lambda values: torch.tensor(np.asarray(values))


@pytest.fixture
def check_snapshot(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Asserts that a text is the one in a file of this name in snapshots/ beside the test; see --rewrite-snapshots."""

    def compare(seen: str, name: str) -> None:
        path = request.path.parent / "snapshots" / f"{name}.txt"
        seen = "\n".join(line.rstrip() for line in seen.splitlines()) + "\n"
        if request.config.getoption("--rewrite-snapshots"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(seen, encoding="utf-8")
        expected = path.read_text(encoding="utf-8").splitlines()
        difference = difflib.unified_diff(expected, seen.splitlines(), str(path), "what is seen", lineterm="")
        assert expected == seen.splitlines(), "\n".join(difference)

    return compare
