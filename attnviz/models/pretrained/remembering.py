"""Surveys of models, kept in the user's cache, so that a model need not be tried again whenever it is loaded.

A survey holds for the same files, versions, device and precision. One that cannot be read back is made again.
"""

import hashlib
import inspect
import json
import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from msgspec import convert, to_builtins
from torch.nn import Module
from transformers import PreTrainedModel

from attnviz.models.pretrained.survey import Survey, survey_model

LARGEST = 2**22
"""No file of more bytes is read: what is known of a model takes a few thousand."""


def survey_once(network: PreTrainedModel, name: str, folder: Path) -> Survey:
    """Return what is known of the model in this folder; if nothing is, try it, and keep what is found out.

    Raises:
        ModelError: as in `survey_model`; no refusal is kept.
    """
    path = _find_path(network, folder)
    found = None if path is None else _recall(path, network)
    if found is None:
        found = survey_model(network, name)
        if path is not None:
            _keep(found, path, network)
    return found


def _find_path(network: PreTrainedModel, folder: Path) -> Path | None:
    """Return the file for all that a survey depends on; None for a model with code of its own, or without a cache.

    The weights are part of it: they decide whether numbers overflow, and which of two kinds of attention is which.
    """
    if not all(type(part).__module__.startswith(("transformers.", "torch.")) for part in network.modules()):
        return None
    with suppress(OSError, RuntimeError):  # the latter where a user has no home
        files = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
        source = inspect.getsourcefile(type(network))
        code = [*sorted(Path(__file__).parent.glob("*.py")), *([] if source is None else [Path(source)])]
        key = [
            str(folder.resolve()),
            [[name, status.st_size, status.st_mtime_ns] for name, status in files],
            [hashlib.blake2b(path.read_bytes()).hexdigest() for path in (folder / "config.json", *code)],
            [transformers.__version__, torch.__version__, sys.version],
            [type(network).__qualname__, str(network.dtype), network.device.type],
        ]
        return _find_cache() / f"{_compute_digest(key)}.json"
    return None


def _find_cache() -> Path:
    """Return where programs of this user keep what they could find out again."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    if sys.platform == "win32":
        home = home or os.environ.get("LOCALAPPDATA", "")
    usual = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return (Path(home) if Path(home).is_absolute() else Path.home() / usual) / "attnviz" / "surveys"


def _recall(path: Path, network: PreTrainedModel) -> Survey | None:
    """Return what a file holds; None if it is not there, not this user's, damaged, or of another model."""
    with suppress(Exception):  # whatever may be in such a file
        if _is_ours(path.lstat()):
            kept = json.loads(path.read_bytes())
            found = _decode(kept["survey"], dict(network.named_modules()))
            if kept["digest"] == _compute_digest([path.name, kept["survey"]]):
                return found
    return None


def _is_ours(status: os.stat_result) -> bool:
    """Return whether this is a file, not too large, that nobody but this user can have written."""
    mine = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
    return mine and stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST


def _keep(found: Survey, path: Path, network: PreTrainedModel) -> None:
    """Write a survey into a file, all of it or nothing; a cache that cannot be written to is left alone."""
    encoded = _encode(found, {module: name for name, module in network.named_modules()})
    text = json.dumps({"digest": _compute_digest([path.name, encoded]), "survey": encoded})
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as folder:
            part = Path(folder) / path.name
            part.touch(mode=0o600)
            part.write_text(text, encoding="utf-8")
            part.replace(path)


def _compute_digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=20).hexdigest()


def _encode(found: Survey, names: Mapping[Module, str]) -> Any:
    """Return a survey as JSON can hold it, modules by their names."""
    return to_builtins(found, enc_hook=names.__getitem__, str_keys=True)


def _decode(kept: Any, modules: Mapping[str, Module]) -> Survey:
    """Return the survey that `_encode` has made JSON of."""
    return convert(kept, Survey, dec_hook=lambda kind, name: modules[name], str_keys=True)
