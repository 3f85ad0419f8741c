"""The costs of attention, counted from its dimensions.

A multiplication and the addition that follows it are two operations. Softmax, biases, norms and positions are left out:
they are small beside what is counted.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from attnviz.reference.scores import SCORES, Sizes
from attnviz.vocabulary import Kind

BYTES = {"float16": 2, "float32": 4}
"""The bytes that a number takes."""

SCORE = "score"
"""The map of a learned score function: to one number, from what it has made of a query and a key."""


class Map(Struct, frozen=True):
    """A learned linear map of one head, from `inputs` to `outputs` numbers; a layer has it for so many `heads`."""

    inputs: int
    outputs: int
    heads: int

    @property
    def parameters(self) -> int:
        """Return how many numbers a head learns, without biases."""
        return self.inputs * self.outputs


class Dimensions(Struct, frozen=True, kw_only=True):
    """The dimensions of the attention in a stack of layers.

    Vectors of `width` numbers become the queries of `heads` heads, which share `key_heads` heads of keys and values of
    `value_width` numbers. `maps` are the learned ones, by name; the score of one query and one key takes
    `score_operations` operations. Where layers share their maps, only `distinct_layers` have maps of their own.
    """

    width: int
    layers: int
    heads: int
    key_heads: int
    value_width: int
    maps: Mapping[str, Map]
    score_operations: int
    distinct_layers: int

    @property
    def projections(self) -> list[Map]:
        """Return the maps that are applied to each token, and not to each pair."""
        return [each for name, each in self.maps.items() if name != SCORE]

    @property
    def cached(self) -> int:
        """Return how many numbers of keys and values a layer keeps of a token."""
        return (self.maps["key"].outputs + self.value_width) * self.key_heads


def size_multi_head(
    width: int,
    layers: int,
    heads: int,
    *,
    key_heads: int | None = None,
    head_width: int | None = None,
    context_width: int | None = None,
    distinct_layers: int | None = None,
) -> Dimensions:
    """Return the dimensions of scaled dot-product attention of several heads (Vaswani et al. 2017, 3.2.2).

    With fewer `key_heads`, groups of heads share keys and values (Ainslie et al. 2023). A head is width / heads wide
    unless `head_width` says otherwise; keys and values are made from vectors of `context_width`, if not of `width`.

    Raises:
        ValueError: heads of this number cannot be.
    """
    key_heads, context_width = key_heads or heads, context_width or width
    if heads % key_heads:
        raise ValueError(f"{heads:,} heads cannot share {key_heads:,} heads of keys and values evenly")
    if head_width is None and width % heads:
        raise ValueError(f"a width of {width:,} cannot be split among {heads:,} heads")
    head_width = head_width or width // heads
    one_pair = Sizes(queries=1, keys=1, query_width=head_width, key_width=head_width)
    return Dimensions(
        width=width,
        layers=layers,
        heads=heads,
        key_heads=key_heads,
        value_width=head_width,
        maps={
            "query": Map(width, head_width, heads),
            "key": Map(context_width, head_width, key_heads),
            "value": Map(context_width, head_width, key_heads),
            "output": Map(head_width, width, heads),  # a head's slice of W_O
        },
        score_operations=SCORES["scaled-dot"].operations(one_pair),
        distinct_layers=distinct_layers or layers,
    )


def size_additive(width: int, key_width: int, inner: int) -> Dimensions:
    """Return the dimensions of additive attention: v·tanh(W_q q + W_k k) scores states as they are.

    The one head of a recurrent network has it (Bahdanau et al. 2015). Queries of `width` numbers and keys of
    `key_width` meet in `inner` numbers; what is averaged are the states that the keys are made from.
    """
    return Dimensions(
        width=width,
        layers=1,
        heads=1,
        key_heads=1,
        value_width=key_width,
        maps={"query": Map(width, inner, 1), "key": Map(key_width, inner, 1), SCORE: Map(inner, 1, 1)},
        score_operations=4 * inner,  # a sum, a tanh, and a product with v, as `SCORES` counts them
        distinct_layers=1,
    )


class Counts(Struct, frozen=True):
    """Something counted for one head, for a layer, and for all layers."""

    head: int
    layer: int
    model: int

    @classmethod
    def add_up(cls, parts: Iterable["Counts"]) -> "Counts":
        """Return the sum of several."""
        each = list(parts)
        return cls(*(sum(getattr(part, field) for part in each) for field in ("head", "layer", "model")))


class Cost(Struct, frozen=True, kw_only=True):
    """The cost of the attention in a stack of layers, when `tokens` queries look at as many keys.

    `parameters` are counted by map, without biases, `operations` by step. `weights` counts all N×N weights, `cache` the
    numbers in the keys and values of one token in all layers.
    """

    tokens: int
    dimensions: Dimensions
    parameters: Mapping[str, Counts]
    operations: Mapping[str, Counts]
    weights: Counts
    cache: int


class LayerType(Struct, frozen=True):
    """A kind of layer that takes a text to as many vectors (Vaswani et al. 2017, table 1).

    `operations` are counted, and grow as `order` says, which leaves constant factors out. `steps` must wait for each
    other; `path` is how many layers or steps lie at most between two tokens.
    """

    name: str
    order: str
    operations: int
    steps: int
    path: int


KERNEL = 3
"""The neighbouring vectors that a convolution reads."""

_SHAPE = "width", "layers", "heads", "key_heads", "value_width"


def count(dimensions: Dimensions, tokens: int) -> Cost:
    """Return what it costs when `tokens` queries look at as many keys."""
    pairs, heads, layers = tokens * tokens, dimensions.heads, dimensions.layers
    return Cost(
        tokens=tokens,
        dimensions=dimensions,
        parameters={
            name: _counts(each.parameters, each.heads, dimensions.distinct_layers)
            for name, each in dimensions.maps.items()
        },
        operations={
            "projections": Counts.add_up(
                _counts(2 * tokens * each.parameters, each.heads, layers) for each in dimensions.projections
            ),
            "scores": _counts(pairs * dimensions.score_operations, heads, layers),
            "weighted sum": _counts(2 * pairs * dimensions.value_width, heads, layers),
        },
        weights=_counts(pairs, heads, layers),
        cache=dimensions.cached * layers,
    )


def _counts(head: int, heads: int, layers: int) -> Counts:
    """Return what a head has or does, then all of a layer, then all of all layers."""
    return Counts(head, head * heads, head * heads * layers)


def list_layer_types(cost: Cost) -> tuple[LayerType, ...]:
    """Return a layer of self-attention beside layers of other kinds that are as wide (Vaswani et al. 2017, table 1).

    The recurrent one is Elman's (1990), the convolution dilated: what is next to each other in one layer is
    `KERNEL` times as far apart in the next (van den Oord et al. 2016).
    """
    tokens, square = cost.tokens, 2 * cost.tokens * cost.dimensions.width**2  # operations of one map for all tokens
    attention = Counts.add_up(cost.operations.values()).layer
    return (
        LayerType("self-attention", "N²·d + N·d²", attention, steps=1, path=1),
        LayerType("recurrent", "N·d²", 2 * square, steps=tokens, path=tokens),
        LayerType("dilated convolution", "N·d²", KERNEL * square, steps=1, path=_dilated_layers(tokens)),
    )


def _dilated_layers(tokens: int) -> int:
    """Return how many dilated convolutions it takes until the last token knows of the first: log_k N, rounded up."""
    layers, reach = 0, 1
    while reach < tokens:
        layers, reach = layers + 1, reach * KERNEL
    return max(layers, 1)


def list_counts(kind: Kind, cost: Cost) -> dict[str, Any]:
    """Return what was counted of one kind of attention, every number by its name, for JSON.

    An encoder keeps no keys and values, so its cache is None.
    """
    return {
        "kind": kind.value,
        **{name: getattr(cost.dimensions, name) for name in _SHAPE},
        "parameters": _with_total(cost.parameters),
        "operations": _with_total(cost.operations),
        "weight_bytes": {dtype: _times(cost.weights, size) for dtype, size in BYTES.items()},
        "cache_bytes": None if kind is Kind.ENCODER else {dtype: _cache(cost, size) for dtype, size in BYTES.items()},
    }


def _with_total(parts: Mapping[str, Counts]) -> dict[str, Any]:
    together = Counts.add_up(parts.values())
    return {name.replace(" ", "_"): asdict(each) for name, each in {**parts, "together": together}.items()}


def _times(counts: Counts, size: int) -> dict[str, int]:
    return {name: number * size for name, number in asdict(counts).items()}


def _cache(cost: Cost, size: int) -> dict[str, int]:
    return {"token": cost.cache * size, "tokens": cost.cache * size * cost.tokens}
