"""The meaning of a model name: a folder here, or a model on the hub."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from attnviz.errors import ModelError, UsageError, refused
from attnviz.models.adapters import ADAPTER, Adapter
from attnviz.models.configuration import CONFIG
from attnviz.models.hub.cache import find
from attnviz.models.hub.download import download
from attnviz.models.hub.folder import LIKE_WEIGHTS, WEIGHTS, check_plain, is_complete, matches, some, what_to_do
from attnviz.models.loading import Loading
from attnviz.text import visible

_REVISION = re.compile(r"(?!.*(\.\.|//))[^\W_][\w.+/@-]{0,254}")
"""The names of branches, tags and commits, none of which leads out of a folder."""

_WRITTEN_AS_PATH = ("./", "../", "~")


def locate(name: str, loading: Loading, check: Callable[[str], None] = lambda name: None) -> Path:
    """Return the folder that holds a model's files: a local one, or that of a hub name in the hub's cache.

    What is not in the cache is downloaded to it; what is there is used without any request. Before one is made, `check`
    may refuse the name.

    Raises:
        ModelError: there is no such model, or it cannot be downloaded; the message says what to do.
        UsageError: a revision of a folder was asked for.
    """
    folder = _local(name)
    if folder is not None:
        if loading.revision is not None:
            raise UsageError(f"{visible(name)} is a folder, and has no revisions:", hint="leave {revision} out.")
        return check_plain(folder)
    if loading.revision is not None and not _REVISION.fullmatch(loading.revision):
        raise UsageError(
            f"{visible(loading.revision)!r} cannot be the name of a revision:",
            hint="{revision} takes a branch, tag or commit.",
        )
    folder = find(name, loading.revision)
    if folder is not None and is_complete(folder, loading.trust_remote_code):
        return check_plain(folder)
    check(name)
    _check_online(name, loading)
    return download(name, loading)


def _local(name: str) -> Path | None:
    """Return the folder here that a name means, None if it is a name on the hub."""
    try:
        path = Path(name).expanduser()
    except RuntimeError as error:
        raise ModelError(
            f"{visible(name)!r} names the home folder of a user who does not exist here: give the whole path."
        ) from error
    with refused(repr(visible(name)), "opened as a folder", ModelError):  # no access, a name too long
        if not name or not (path.is_absolute() or name.startswith(_WRITTEN_AS_PATH) or path.exists()):
            return None
        if (path / CONFIG).is_file():
            return path
        if (path / ADAPTER).is_file():
            raise Adapter.read(path / ADAPTER).alone(name)
        files = [file.name for file in path.iterdir()] if path.is_dir() else [path.name]
        foreign = sorted(file for file in files if matches(file, LIKE_WEIGHTS) and not file.endswith(".safetensors"))
        more = f" {what_to_do(foreign)}" if foreign else ""
        raise ModelError(f"{_what_is_wrong(path, foreign)}: give a folder that holds {CONFIG} and {WEIGHTS}.{more}")


def _what_is_wrong(path: Path, foreign: Sequence[str]) -> str:
    shown = repr(visible(str(path)))
    if path.is_dir():
        return f"The folder {shown} here holds no {CONFIG}" + (f", only {some(foreign)}" if foreign else "")
    return f"{shown} is a file" if path.exists() else f"There is no folder {shown}"


def _check_online(name: str, loading: Loading) -> None:
    from huggingface_hub import constants

    if loading.offline or constants.HF_HUB_OFFLINE:
        raise ModelError(
            f"{visible(name)} is not, or not wholly, in the hub's cache ({visible(constants.HF_HUB_CACHE)}).",
            hint="Leave out {offline} and HF_HUB_OFFLINE to download it, or take a model that `attnviz models` lists.",
        )
