"""Verifying models: the checks of those that are here, or of those that are named."""

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from attnviz.errors import Advice, AttnvizError, ModelError, UsageError
from attnviz.models.loading import DEFAULT, Loading
from attnviz.models.model import Model
from attnviz.models.registry import ALIASES, load, locate
from attnviz.pipeline.checks import CHECKS, Check
from attnviz.records import Verified
from attnviz.text import visible

_HERE = Loading(offline=True)


def find_checks(name: str) -> list[Check]:
    """Return the checks of a model, which is known by the last part of its name if it is one of the hub, or a folder.

    Raises:
        UsageError: no figures of it are known.
    """
    name = ALIASES.get(name, name)
    exact = [check for check in CHECKS.values() if check.model == name]
    alike = [check for check in CHECKS.values() if _is_of_hub(check) and _last(check.model) == _last(name)]
    if not (found := exact or alike):
        known = ", ".join(dict.fromkeys(check.model for check in CHECKS.values()))
        raise UsageError(f"No published figures of {visible(name)} are known, only those of {known}.")
    return found


def _last(name: str) -> str:
    return PurePath(name).name.lower()


def _is_of_hub(check: Check) -> bool:
    return "/" in check.model and not check.model.startswith("builtin/")


def verify(names: Sequence[str] = (), loading: Loading = DEFAULT) -> Iterator[Verified]:
    """Yield what comes of the checks of these models, or if none is named of all checks; no model is downloaded then.

    Raises:
        ModelError: a model that is named cannot be loaded.
        UsageError: no figures of it are known, or it cannot be loaded in the way that was asked for.
    """
    for name, checks in [(name, find_checks(name)) for name in names]:
        model = load(name, loading)
        yield from (run_check(check, model) for check in checks)
    if not names:
        for name in dict.fromkeys(check.model for check in CHECKS.values()):
            yield from _verify_here(name, [check for check in CHECKS.values() if check.model == name])


def _verify_here(name: str, checks: Sequence[Check]) -> Iterator[Verified]:
    """Yield what comes of the checks of a model if it is here; else each is skipped."""
    try:
        here = _find_here(name)
    except ModelError as error:
        missing = Advice("not here:", hint=f"{{model:{name}}} fetches it.") if _is_of_hub(checks[0]) else error.advice
        yield from (Verified(claim=check, model=name, reason=missing, skipped=True) for check in checks)
        return
    try:
        model = load(here, _HERE)
    except AttnvizError as error:
        yield from (Verified(claim=check, model=here, reason=error.advice) for check in checks)
    else:
        yield from (run_check(check, model) for check in checks)


_OLD_NAMES = {"openai-community/gpt2": "gpt2"}
"""The name under which the hub's cache may have a model too."""


def _find_here(name: str) -> str:
    """Return the name under which a model is here; raise ModelError if it is not."""
    try:
        locate(name, _HERE)
    except ModelError:
        if name not in _OLD_NAMES:
            raise
        return _find_here(_OLD_NAMES[name])
    return name


def run_check(check: Check, model: Model) -> Verified:
    """Return what comes of a check; it is skipped if the model has no such figures, and fails if it cannot be run."""
    try:
        return Verified(claim=check, model=model.card.name, measured=check.measure(model))
    except AttnvizError as error:
        return Verified(claim=check, model=model.card.name, reason=error.advice, skipped=isinstance(error, UsageError))
