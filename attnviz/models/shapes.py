"""The shapes of the layers that attend in a model, and what the cards of the built-in models say of them."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from attnviz.models.base import Stack
from attnviz.reference.transformer import Config, Positions
from attnviz.vocabulary import Kind


class StackShape(Struct, frozen=True, kw_only=True):
    """The shape of the layers that attend in one way; None, or no number of heads, where files do not say it.

    `layers` are their own numbers in the model, `heads` how many each of them has, and `key_heads` how many heads of
    keys and values these share. Keys and values are made of vectors of `context_width` numbers, if not of `width`.
    Where layers share their maps, only `distinct_layers` have some of their own. `score_width` is that of additive
    scores (None: scaled dot products), `latent` the key that asks for keys and values from one smaller vector.
    `sought` has the keys of the config.json of a `model_type` under which each number was looked for.
    """

    width: int | None
    layers: tuple[int, ...] | None
    heads: tuple[int, ...]
    key_heads: tuple[int, ...]
    head_width: int | None = None
    context_width: int | None = None
    distinct_layers: int | None = None
    score_width: int | None = None
    latent: str | None = None
    model_type: str = "built-in"
    sought: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def unsaid(self) -> str | None:
        """Return the first of the numbers that a shape needs and that files do not say."""
        given = {"width": self.width, "layers": self.layers, "heads": self.heads or None}
        return next((name for name, value in given.items() if value is None), None)


def list_stacks(stacks: Mapping[Kind, StackShape]) -> dict[Kind, Stack]:
    """Return the layers and heads of each kind for which files say them."""
    heads = {kind: dict(zip(shape.layers or (), shape.heads, strict=False)) for kind, shape in stacks.items()}
    return {kind: Stack.of(each) for kind, each in heads.items() if each}


def read_shape(card: Mapping[str, Any]) -> Config:
    """Return the shape of a stack of layers that the reference transformer runs, as a card has it."""
    given = {"positions": Positions(card["positions"])} if "positions" in card else {}
    return Config(**dict(card) | given)


def understand_shape(shape: Config) -> dict[Kind, StackShape]:
    """Return the stack of layers that the reference transformer runs in such a shape."""
    own = StackShape(
        width=shape.width,
        layers=tuple(range(shape.layers)),
        heads=(shape.heads,) * shape.layers,
        key_heads=(shape.key_heads or shape.heads,) * shape.layers,
        head_width=shape.head_width,
    )
    return {Kind.DECODER if shape.causal else Kind.ENCODER: own}


def understand_card(card: Mapping[str, Any]) -> dict[Kind, StackShape]:
    """Return what attends in a built-in model: a stack of layers, two of them, or one head of a recurrent network."""
    if "encoder" in card:
        sides = (understand_shape(read_shape(card[side])) for side in ("encoder", "decoder"))
        return pair_stacks(*(shape for side in sides for shape in side.values()))
    if "layers" in card:
        return understand_shape(read_shape(card))
    states = 2 * card["width"]  # of the encoder, which reads both ways
    head = StackShape(width=card["width"], layers=(0,), heads=(1,), key_heads=(1,), context_width=states)
    return {Kind.CROSS: replace(head, score_width=card["attention"])}


def pair_stacks(encoder: StackShape, decoder: StackShape) -> dict[Kind, StackShape]:
    """Return an encoder, and a decoder each of whose layers looks at what the encoder has made too."""
    cross = replace(decoder, context_width=encoder.width)
    return {Kind.ENCODER: encoder, Kind.DECODER: decoder, Kind.CROSS: cross}
