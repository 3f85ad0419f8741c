"""What can be loaded without the network: built-in models, installed ones, and those in the hub's cache."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnviz.errors import Advice, ModelError
from attnviz.models import builtin, hub
from attnviz.models.base import Card, Stack
from attnviz.models.checkpoint.recognition import recognized
from attnviz.models.configuration import UnsupportedError, configuration, heads_by_layer
from attnviz.models.registry import MINILM, minilm
from attnviz.vocabulary import Engine, Kind

_MOST = 10_000  # layers or heads; a config that says more is damaged
_LAYERS = "num_hidden_layers", "n_layer", "n_layers", "num_layers"
_HEADS = "num_attention_heads", "n_head", "n_heads", "num_heads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of a model from its files alone; None where they do not say it.

    `size` is that of its files, in bytes; `engine` what computes its attention unless told otherwise.
    """

    name: str
    purpose: str
    engine: Engine
    size: int
    stacks: Mapping[Kind, Stack]
    parameters: int | None = None
    positions: int | None = None


def catalogue() -> Iterator[Entry]:
    """Every model that is here; one whose files make no sense is passed over.

    Raises:
        ModelError: the hub's cache cannot be read; what lies elsewhere has been yielded by then.
    """
    for folder in builtin.folders().values():
        card = builtin.read_card(folder)
        yield _on_reference(card, card.purpose, (folder / builtin.WEIGHTS).stat().st_size)
    yield from _minilm()
    for model in hub.cached():
        if model.complete:
            yield from _described(model.name, model.folder, model.size, revision=model.revision)


def _minilm() -> Iterator[Entry]:
    try:
        folder = minilm()
    except ModelError:
        return
    size = sum(file.stat().st_size for file in hub.weight_files(folder))
    yield from _described(MINILM, folder, size, purpose="The sentence encoder all-MiniLM-L6-v2, pretrained.")


def _described(
    name: str, folder: Path, size: int, *, purpose: str | None = None, revision: str | None = None
) -> Iterator[Entry]:
    """What the files of a checkpoint say; nothing if they make no sense."""
    try:
        config = configuration(folder)
        kind = purpose or _what(config["model_type"], revision)
        try:
            card = recognized(name, folder, hub.weight_files(folder)).card
        except UnsupportedError:
            engine, stacks = Engine.TRANSFORMERS, _stacks(config)
            yield Entry(name=name, purpose=kind, engine=engine, size=size, stacks=stacks)
        else:
            yield _on_reference(card, kind, size)
    except ModelError:
        return


def _what(model_type: str, revision: str | None) -> str:
    """Say what type a model is of, and which revision of it."""
    if revision is None:
        return f"A {model_type} model."
    return Advice(f"A {model_type} model:", hint="{revision}") + f" {revision}."


def _on_reference(card: Card, purpose: str, size: int) -> Entry:
    """What the card of a model says that the reference transformer runs."""
    return Entry(
        name=card.name,
        purpose=purpose,
        engine=Engine.REFERENCE,
        size=size,
        stacks=card.stacks,
        parameters=card.parameters,
        positions=card.positions,
    )


def _stacks(config: Mapping[str, Any]) -> dict[Kind, Stack]:
    """Layers and heads as most families write them down; none where they do not."""
    if config.get("is_encoder_decoder"):
        stacks = {
            kind: _stack(
                config,
                (f"{kind.value}_layers", f"num_{kind.value}_layers", *_LAYERS),
                (f"{kind.value}_attention_heads", *_HEADS),
            )
            for kind in (Kind.ENCODER, Kind.DECODER)
        }
    else:
        causal = any(sign in str(config.get("architectures")) for sign in ("CausalLM", "LMHead"))
        stacks = {Kind.DECODER if causal else Kind.ENCODER: _stack(config, _LAYERS, _HEADS)}
    return {kind: stack for kind, stack in stacks.items() if stack}


def _stack(config: Mapping[str, Any], layers: tuple[str, ...], heads: tuple[str, ...]) -> Stack | None:
    counts: list[Any] = [next((config[key] for key in keys if key in config), None) for keys in (layers, heads)]
    if not all(isinstance(count, int) and 0 < count < _MOST for count in counts):
        return None
    own = heads_by_layer(config)
    return Stack.of({layer: own.get(layer, counts[1]) for layer in range(counts[0])})
