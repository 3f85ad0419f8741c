"""What was found out about a model is believed of the very same one only, and only in a file that is the user's own."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose

from attnviz.models.loading import Loading
from attnviz.models.pretrained import load

TEXT = "the animal did not cross the street"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where surveys are kept, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "attnviz" / "surveys"


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models that are tried."""
    from attnviz.models.pretrained import remembering

    survey, names = remembering.survey_model, list[str]()
    monkeypatch.setattr(remembering, "survey_model", lambda network, name: names.append(name) or survey(network, name))
    return names


@pytest.fixture
def folder(folder_of: Callable[[str], Path], tmp_path: Path) -> Path:
    """A folder with a model that may be changed."""
    return Path(shutil.copytree(folder_of("llama"), tmp_path / "llama"))


def test_whatever_a_survey_finds_is_found_again(any_family: str, model_of: Callable[[str], Any]) -> None:
    from attnviz.models.pretrained.remembering import _decode, _encode
    from attnviz.models.pretrained.survey import survey_model

    network = model_of(any_family).runner.network
    found = survey_model(network, any_family)
    names = {module: name for name, module in network.named_modules()}
    text = json.dumps(_encode(found, names))
    assert _decode(json.loads(text), dict(network.named_modules())) == found


@pytest.mark.parametrize("family", ["llama", "gpt-j", "xlnet", "t5"])
def test_a_model_is_tried_once(family: str, cache: Path, tried: list[str], folder_of: Callable[[str], Path]) -> None:
    first, second = (load(name, folder_of(family), Loading()) for name in ("first", "second"))
    assert tried == ["first"]
    for mine, theirs in zip(*(model.attend(TEXT, target=target_of(family)) for model in (first, second)), strict=True):
        assert_allclose(mine.weights, theirs.weights, atol=1e-6)


def target_of(family: str) -> str | None:
    return "it was" if family == "t5" else None


@pytest.mark.parametrize("loading", [Loading(dtype="bfloat16"), Loading(dtype="float16")])
def test_it_is_tried_again_in_another_precision(loading: Loading, folder: Path, cache: Path, tried: list[str]) -> None:
    load("first", folder, Loading())
    load("second", folder, loading)
    assert tried == ["first", "second"]


def test_it_is_tried_again_when_its_config_has_changed(folder: Path, cache: Path, tried: list[str]) -> None:
    load("first", folder, Loading())
    config = json.loads((folder / "config.json").read_text()) | {"rms_norm_eps": 1e-3}
    (folder / "config.json").write_text(json.dumps(config))
    load("second", folder, Loading())
    assert tried == ["first", "second"]


def test_it_is_tried_again_when_its_weights_have_changed(folder: Path, cache: Path, tried: list[str]) -> None:
    load("first", folder, Loading())
    os.utime(folder / "model.safetensors", ns=(1, 1))
    load("second", folder, Loading())
    assert tried == ["first", "second"]


def test_it_is_tried_again_with_another_version_of_a_library(
    folder: Path, cache: Path, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load("first", folder, Loading())
    monkeypatch.setattr("torch.__version__", "9.9.9")
    load("second", folder, Loading())
    assert tried == ["first", "second"]


def test_nothing_is_kept_of_a_model_with_code_of_its_own(
    model_of: Callable[[str], Any], folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attnviz.models.pretrained import remembering

    network, found = model_of("llama").runner.network, object()
    monkeypatch.setattr(remembering, "survey_model", lambda network, name: found)
    monkeypatch.setattr(type(network), "__module__", "transformers_modules.own")
    assert remembering.survey_once(network, "own", folder) is found
    assert not cache.exists()


def planted(file: Path, how: str, tmp_path: Path) -> None:
    """Puts something else into the place of what was kept."""
    kept = file.read_bytes()
    if how in ("link", "folder"):
        file.unlink()
    match how:
        case "link":
            (tmp_path / "elsewhere").write_bytes(kept)
            file.symlink_to(tmp_path / "elsewhere")
        case "folder":
            file.mkdir()
        case "writable":
            file.chmod(0o666)
        case "huge":
            file.write_bytes(kept + b" " * 2**23)
        case "changed":
            assert b'"plain": true' in kept
            file.write_bytes(kept.replace(b'"plain": true', b'"plain": false'))
        case _:
            file.write_bytes({"cut": kept[:-9], "empty": b"", "pickle": pickle.dumps({}), "other": b'{"a": [1]}'}[how])


@pytest.mark.parametrize("how", ["link", "folder", "writable", "huge", "changed", "cut", "empty", "pickle", "other"])
def test_a_file_that_is_damaged_or_may_be_anyones_is_not_believed(
    how: str, folder: Path, cache: Path, tried: list[str], tmp_path: Path
) -> None:
    load("first", folder, Loading())
    (file,) = cache.iterdir()
    planted(file, how, tmp_path)
    (attention,) = load("second", folder, Loading()).attend(TEXT)
    assert tried == ["first", "second"]
    assert attention.shape == (3, 3, 7, 7)


def test_what_was_kept_of_one_model_is_not_believed_of_another(
    folder: Path, folder_of: Callable[[str], Path], cache: Path, tried: list[str]
) -> None:
    load("llama", folder, Loading())
    (mine,) = cache.iterdir()
    load("bert", folder_of("bert"), Loading())
    (other,) = {*cache.iterdir()} - {mine}
    shutil.copy(mine, other)
    load("bert", folder_of("bert"), Loading())
    assert tried == ["llama", "bert", "bert"]


def test_a_cache_that_cannot_be_written_to_is_left_alone(folder: Path, cache: Path, tried: list[str]) -> None:
    cache.parent.parent.write_text("no folder")
    for name in ("first", "second"):
        assert load(name, folder, Loading()).attend(TEXT)
    assert tried == ["first", "second"]


def test_one_private_file_is_all_that_is_left_in_the_cache(folder: Path, cache: Path) -> None:
    load("first", folder, Loading())
    (file,) = cache.iterdir()
    assert (file.suffix, file.stat().st_mode & 0o777) == (".json", 0o600)
