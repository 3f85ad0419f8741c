"""Multi-head attention: the width split among heads that attend each on its own (Vaswani et al. 2017, 3.2.2)."""

from collections.abc import Callable

from attnviz.reference.arrays import Array, namespace
from attnviz.reference.layers import linear
from attnviz.reference.masks import Mask
from attnviz.reference.parameters import Parameters
from attnviz.reference.positions import Turn
from attnviz.reference.scores import attention

ROWS = 1024
"""How many query rows are computed at a time, so that no N×N matrix is ever held."""

Watch = Callable[[int, Array], None]
"""Is shown the weights [..., heads, rows, keys] of each block of query rows, with the index of its first row."""


def split(x: Array, heads: int) -> Array:
    """Gives each head its slice of the width: [..., tokens, heads · d] -> [..., heads, tokens, d]."""
    xp = namespace(x)
    pieces = xp.reshape(x, (*x.shape[:-1], heads, x.shape[-1] // heads))  # [..., tokens, heads, d]
    return xp.moveaxis(pieces, -2, -3)


def merge(x: Array) -> Array:
    """Concatenates the heads again: [..., heads, tokens, d] -> [..., tokens, heads · d]."""
    xp = namespace(x)
    pieces = xp.moveaxis(x, -3, -2)  # [..., tokens, heads, d]
    return xp.reshape(pieces, (*pieces.shape[:-2], pieces.shape[-2] * pieces.shape[-1]))


def attend_in_blocks(queries: Array, keys: Array, values: Array, mask: Mask | None, watch: Watch) -> Array:
    """Attention of all heads, `ROWS` query rows at a time: [..., heads, q, d] -> [..., heads, q, d]."""
    xp = namespace(queries)
    count = queries.shape[-2]
    query_positions = xp.arange(count, device=queries.device)[:, None]
    key_positions = xp.arange(keys.shape[-2], device=queries.device)[None, :]
    outputs = []
    for first in range(0, count, ROWS):
        rows = slice(first, first + ROWS)
        allowed = mask(query_positions[rows], key_positions) if mask else None
        weights, output = attention(queries[..., rows, :], keys, values, allowed)
        watch(first, weights)
        outputs.append(output)
    return xp.concat(outputs, axis=-2)


def multi_head_attention(
    x: Array,
    context: Array,
    parameters: Parameters,
    heads: int,
    *,
    mask: Mask | None = None,
    turn: Turn | None = None,
    watch: Watch = lambda first, weights: None,
) -> Array:
    """Queries from `x`, keys and values from `context` (the same in self-attention), then the output projection W_O.

    x [..., q, width], context [..., k, width] -> [..., q, width].
    """
    queries = split(linear(x, parameters.within("query")), heads)  # [..., heads, q, d]
    keys = split(linear(context, parameters.within("key")), heads)  # [..., heads, k, d]
    values = split(linear(context, parameters.within("value")), heads)  # [..., heads, k, d]
    if turn:
        queries, keys = turn(queries), turn(keys)
    output = attend_in_blocks(queries, keys, values, mask, watch)  # [..., heads, q, d]
    return linear(merge(output), parameters.within("output"))
