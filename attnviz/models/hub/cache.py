"""The hub's cache: the models that have been downloaded, by us or by another program."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from attnviz.errors import ModelError
from attnviz.models.configuration import CONFIG
from attnviz.models.hub.folder import is_complete
from attnviz.text import visible

if TYPE_CHECKING:
    from huggingface_hub import CachedRevisionInfo


_DEFAULT = "main"


class Cached(Struct, frozen=True, kw_only=True):
    """A model in the hub's cache: where its files are, how many bytes they take, whether they are all there.

    `revision` is what to ask for with the name, None for what the name alone means.
    """

    name: str
    revision: str | None
    folder: Path
    size: int
    complete: bool


def quiet_environment() -> None:
    """Keep the hub's client and transformers from any request that nobody asked for.

    They would send what is installed here along with a request, and ask the hub to convert weights to safetensors.

    Raises:
        ModelError: a variable in the environment keeps the client from being imported.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    try:
        import huggingface_hub.constants  # noqa: F401 -- reads the environment
    except ValueError as error:
        raise ModelError(
            f"huggingface_hub cannot be used, because it cannot read one of the variables HF_HUB_…: {error}. Unset it."
        ) from error


def find(name: str, revision: str | None = None) -> Path | None:
    """Return the folder of a hub name in the cache, None if its config is not there. No request is made.

    Raises:
        ModelError: the hub can have no such name, or the cache cannot be read.
    """
    quiet_environment()
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(name, CONFIG, revision=revision)
    except HFValidationError as error:
        raise ModelError(
            f"{visible(name)!r} is neither a folder here nor a name that a model on the hub can have, such as gpt2 or "
            "google-bert/bert-base-uncased."
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(constants.HF_HUB_CACHE, error) from error
    return Path(config).parent if isinstance(config, str) else None


def cached() -> list[Cached]:
    """Return the models in the hub's cache, by name; what is corrupted there is left out.

    Raises:
        ModelError: the cache cannot be read.
    """
    quiet_environment()
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return []
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError of links that lead to each other
        raise _unreadable(constants.HF_HUB_CACHE, error) from error
    models = (_newest(repo.repo_id, repo.revisions) for repo in repositories if repo.repo_type == "model")
    return sorted((model for model in models if model), key=lambda model: model.name)


def _newest(name: str, revisions: "Iterable[CachedRevisionInfo]") -> Cached | None:
    """Return what the name alone means of the revisions of a model, else the newest that can be asked for."""
    readable = [revision for revision in revisions if (revision.snapshot_path / CONFIG).is_file()]
    if not readable:
        return None
    best = max(readable, key=lambda revision: (_DEFAULT in revision.refs, revision.last_modified))
    return Cached(
        name=name,
        revision=None if _DEFAULT in best.refs else min(best.refs, default=best.commit_hash),
        folder=best.snapshot_path,
        size=best.size_on_disk,
        complete=is_complete(best.snapshot_path),
    )


def _unreadable(cache: str, error: Exception) -> ModelError:
    return ModelError(
        f"The hub's cache ({visible(cache)}) cannot be read: {visible(str(error))}. Mend it, or set HF_HOME to another "
        "folder."
    )
