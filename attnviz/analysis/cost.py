"""What attention costs, counted: parameters, operations, memory, and how far two tokens are from each other.

A multiplication and the addition that follows it are two operations. Softmax, biases, norms and positions are left out:
they are small beside what is counted.
"""

from attnviz.reference.costs import Cost, Counts, Dimensions, LayerType, Map

_KERNEL = 3
"""How many neighbouring vectors a convolution reads."""


def count(dimensions: Dimensions, tokens: int) -> Cost:
    """What it costs when `tokens` queries look at as many keys."""
    pairs, heads, layers = tokens * tokens, dimensions.heads, dimensions.layers
    return Cost(
        tokens=tokens,
        dimensions=dimensions,
        parameters={
            name: _counts(each.parameters, each.heads, dimensions.distinct_layers)
            for name, each in dimensions.maps.items()
        },
        operations={
            "projections": Counts.together(_projection(each, tokens, layers) for each in dimensions.projections),
            "scores": _counts(pairs * dimensions.score_operations, heads, layers),
            "weighted sum": _counts(2 * pairs * dimensions.value_width, heads, layers),
        },
        weights=_counts(pairs, heads, layers),
        cache=dimensions.cached * layers,
    )


def _counts(head: int, heads: int, layers: int) -> Counts:
    """What a head has or does, then all of a layer, then all of all layers."""
    return Counts(head, head * heads, head * heads * layers)


def _projection(each: Map, tokens: int, layers: int) -> Counts:
    return _counts(2 * tokens * each.parameters, each.heads, layers)


def layer_types(cost: Cost) -> tuple[LayerType, ...]:
    """A layer of self-attention beside layers of other kinds that are as wide (Vaswani et al. 2017, table 1).

    The recurrent one is Elman's (1990), the convolution dilated: what is next to each other in one layer is
    `_KERNEL` times as far apart in the next (van den Oord et al. 2016).
    """
    tokens, square = cost.tokens, 2 * cost.tokens * cost.dimensions.width**2  # operations of one map for all tokens
    attention = Counts.together(cost.operations.values()).layer
    return (
        LayerType(name="self-attention", order="N²·d + N·d²", operations=attention, steps=1, path=1),
        LayerType(name="recurrent", order="N·d²", operations=2 * square, steps=tokens, path=tokens),
        LayerType(
            name="dilated convolution",
            order=f"{_KERNEL}·N·d²",
            operations=_KERNEL * square,
            steps=1,
            path=_dilated_layers(tokens),
        ),
    )


def _dilated_layers(tokens: int) -> int:
    """How many dilated convolutions it takes until the last token knows of the first: log_k N, rounded up."""
    layers, reach = 0, 1
    while reach < tokens:
        layers, reach = layers + 1, reach * _KERNEL
    return max(layers, 1)
