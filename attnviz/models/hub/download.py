"""Downloading a model from the hub: what it takes to run it, and nothing that could run code unasked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnviz.errors import ModelError
from attnviz.models.adapters import ADAPTER, ADAPTER_WEIGHTS, Adapter
from attnviz.models.configuration import CONFIG
from attnviz.models.hub.folder import INDEX, WEIGHTS, find_variant, matches, no_safetensors, of_variant, shard_names
from attnviz.models.loading import Loading
from attnviz.text import visible

_SMALL = ("*.json", "*.txt", "*.model", "*.spm", "*.tiktoken", "*.codes")  # configs, vocabularies, merges
_CODE = ("*.py",)


def download(name: str, loading: Loading) -> Path:
    """Return the folder of the hub's cache that a model has been downloaded to.

    One file after the other, so that an interrupt ends it at once; what has arrived stays and is not fetched again.

    Raises:
        ModelError: it cannot be had, or is no model that we read; the message says what to do.
    """
    files = _listing(name, loading.revision)
    if CONFIG not in files and ADAPTER in files:
        raise Adapter.read(_fetch(name, ADAPTER, loading.revision)).alone(name)
    if CONFIG not in files:
        raise ModelError(f"{visible(name)} has no {CONFIG} on the hub, so it cannot be run: take another model.")
    chosen = find_variant(name, files)
    weights, index = (of_variant(file, chosen) for file in (WEIGHTS, INDEX))
    if weights not in files and index not in files:
        raise no_safetensors(name, files)
    folder = _fetch(name, CONFIG, loading.revision).parent
    commit = folder.name  # from here on, whatever the branch may come to mean meanwhile
    wanted = _SMALL + _CODE if loading.trust_remote_code else _SMALL
    for file in files:
        if "/" not in file and matches(file, wanted):
            _fetch(name, file, commit)
    whole = [weights] if weights in files else shard_names(folder / index)
    adapter = [ADAPTER_WEIGHTS] if {ADAPTER, ADAPTER_WEIGHTS} <= set(files) else []
    for file in whole + adapter:
        _fetch(name, file, commit)
    return folder


def _listing(name: str, revision: str | None) -> list[str]:
    from huggingface_hub import HfApi, constants

    with _explaining(name, revision):
        info = HfApi().model_info(name, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    return [file.rfilename for file in info.siblings or ()]


def _fetch(name: str, file: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    with _explaining(name, revision):
        return Path(hf_hub_download(name, file, revision=revision))


@contextmanager
def _explaining(name: str, revision: str | None) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the client's, those of the libraries below it, the system's: of no one family
        raise ModelError(_explanation(error, name, revision)) from error


def _explanation(error: BaseException, name: str, revision: str | None) -> str:
    """Return what went wrong and what to do about it."""
    from huggingface_hub import constants, errors

    shown, page = visible(name), f"{constants.ENDPOINT}/{name}"
    match error:
        case errors.LocalEntryNotFoundError(__cause__=BaseException() as cause):
            return _explanation(cause, name, revision)
        case errors.GatedRepoError():
            return f"{shown} is gated: ask for access at {page}, then log in with `hf auth login` or set HF_TOKEN."
        case errors.RepositoryNotFoundError():
            return (
                f"The hub has no model {shown!r}, or a private one: check the spelling (`attnviz models` lists what is "
                "here), or log in with `hf auth login`."
            )
        case errors.RevisionNotFoundError():
            return f"{shown} has no revision {visible(str(revision))!r}: take a branch, tag or commit listed at {page}."
        case errors.HfHubHTTPError(response=response):
            answer = _shortly(f"{response.status_code} {response.reason_phrase} {error.server_message or ''}")
            refused = response.status_code in (401, 403)
            advice = "log in again with `hf auth login`, or set HF_TOKEN" if refused else "try again later"
            return f"The hub answers {answer!r} when asked for {shown}: {advice}."
        case OSError(errno=int()):  # of this machine, since those of the network come as the client's
            cache = visible(constants.HF_HUB_CACHE)
            return (
                f"{shown} cannot be written to the hub's cache ({cache}): {_reason(error)}. Make room there, or set "
                "HF_HOME to another folder."
            )
        case _:
            return (
                f"{shown} could not be downloaded from {constants.ENDPOINT} ({_reason(error)}): check the network and "
                "HTTPS_PROXY. A model that has been downloaded works without."
            )


def _reason(error: BaseException) -> str:
    return _shortly(str(error)) or type(error).__name__


def _shortly(text: str) -> str:
    return visible(" ".join(text.split())[:200])
