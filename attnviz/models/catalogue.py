"""The models that can be loaded without the network: built-in, installed, and in the hub's cache."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from attnviz.errors import Advice, ModelError
from attnviz.models import builtin, hub
from attnviz.models.architecture import understand
from attnviz.models.base import Card, Stack
from attnviz.models.checkpoint.recognition import recognize
from attnviz.models.configuration import UnsupportedError, read_config
from attnviz.models.registry import MINILM, locate_minilm
from attnviz.models.shapes import list_stacks
from attnviz.vocabulary import Engine, Kind


class Listing(Struct, frozen=True, kw_only=True):
    """A description of a model from its files alone; None where they do not say.

    `size` is the size of its files in bytes; `engine` computes its attention unless another is asked for.
    """

    name: str
    purpose: str
    engine: Engine
    size: int
    stacks: Mapping[Kind, Stack]
    parameters: int | None = None
    positions: int | None = None


def list_models() -> Iterator[Listing]:
    """Yield every model that is here; one whose files make no sense is passed over.

    Raises:
        ModelError: the hub's cache cannot be read; what lies elsewhere has been yielded by then.
    """
    for folder in builtin.find_folders().values():
        card = builtin.read_card(folder)
        yield _list_on_reference(card, card.purpose, (folder / builtin.WEIGHTS).stat().st_size)
    yield from _list_minilm()
    for model in hub.cached():
        if model.complete:
            yield from _describe(model.name, model.folder, model.size, revision=model.revision)


def _list_minilm() -> Iterator[Listing]:
    try:
        folder = locate_minilm()
    except ModelError:
        return
    size = sum(file.stat().st_size for file in hub.weight_files(folder))
    yield from _describe(MINILM, folder, size, purpose="The sentence encoder all-MiniLM-L6-v2, pretrained.")


def _describe(
    name: str, folder: Path, size: int, *, purpose: str | None = None, revision: str | None = None
) -> Iterator[Listing]:
    """Yield what the files of a checkpoint say; nothing if they make no sense."""
    try:
        config = read_config(folder)
        kind = purpose or _describe_type(config["model_type"], revision)
        try:
            card = recognize(name, folder, hub.weight_files(folder)).card
        except UnsupportedError:
            yield Listing(name=name, purpose=kind, engine=Engine.TRANSFORMERS, size=size, stacks=_read_stacks(config))
        else:
            yield _list_on_reference(card, kind, size)
    except ModelError:
        return


def _describe_type(model_type: str, revision: str | None) -> str:
    """Say what type a model is of, and which revision of it."""
    if revision is None:
        return f"A {model_type} model."
    return Advice(f"A {model_type} model:", hint="{revision}") + f" {revision}."


def _list_on_reference(card: Card, purpose: str, size: int) -> Listing:
    """Return what the card of a model says that the reference transformer runs."""
    return Listing(
        name=card.name,
        purpose=purpose,
        engine=Engine.REFERENCE,
        size=size,
        stacks=card.stacks,
        parameters=card.parameters,
        positions=card.positions,
    )


def _read_stacks(config: Mapping[str, Any]) -> Mapping[Kind, Stack]:
    """Return the layers and heads that config.json says; none where it makes no sense."""
    with suppress(ModelError, TypeError, ValueError, ArithmeticError):
        return list_stacks(understand(config).stacks)
    return {}
