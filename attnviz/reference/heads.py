"""Multi-head attention: the width split among heads that attend each on its own (Vaswani et al. 2017, 3.2.2)."""

from collections.abc import Callable

from attnviz.reference import masks
from attnviz.reference.arrays import Array, namespace
from attnviz.reference.layers import linear, rms_norm
from attnviz.reference.masks import Mask, both
from attnviz.reference.parameters import Parameters
from attnviz.reference.positions import Bias
from attnviz.reference.rotary import Turn
from attnviz.reference.scores import attention
from attnviz.reference.trace import Note, silent

AT_ONCE = 2**23
"""How many weights are computed at a time, so that no N×N matrix of a long text is ever held."""

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


def attend_in_blocks(
    queries: Array,
    keys: Array,
    values: Array,
    mask: Mask | None,
    watch: Watch,
    *,
    causal: bool = False,
    bias: Bias | None = None,
) -> Array:
    """Attention of all heads, some query rows at a time: [..., heads, q, d] -> [..., heads, q, d].

    If it is causal, the keys after the last of these rows are not looked at, nor are they in the weights watched.
    """
    xp = namespace(queries)
    if causal:
        mask = both(masks.causal, mask) if mask else masks.causal
    count, seen = queries.shape[-2], keys.shape[-2]
    rows = max(1, AT_ONCE // (queries.shape[-3] * seen))
    positions = xp.arange(max(count, seen), device=queries.device)
    outputs = []
    for first in range(0, count, rows):
        last = min(first + rows, count)
        until = last if causal else seen
        at = positions[first:last, None], positions[None, :until]
        allowed, added = mask(*at) if mask else None, bias(*at) if bias else None
        seen_by = queries[..., first:last, :], keys[..., :until, :], values[..., :until, :]
        weights, output = attention(*seen_by, allowed, added)
        watch(first, weights)
        outputs.append(output)
    return xp.concat(outputs, axis=-2)


def multi_head_attention(
    x: Array,
    context: Array,
    parameters: Parameters,
    heads: int,
    *,
    key_heads: int | None = None,
    norm_epsilon: float | None = None,
    mask: Mask | None = None,
    causal: bool = False,
    turn: Turn | None = None,
    bias: Bias | None = None,
    watch: Watch = lambda first, weights: None,
    note: Note = silent,
) -> Array:
    """Queries from `x`, keys and values from `context` (the same in self-attention), then the output projection W_O.

    With fewer `key_heads` than heads, groups of heads share keys and values (Ainslie et al. 2023). With a
    `norm_epsilon`, the queries and keys of each head are normed before they meet (Henry et al. 2020).
    x [..., q, width], context [..., k, width] -> [..., q, width].
    """
    key_heads = key_heads or heads
    queries = split(linear(x, parameters.within("query")), heads)  # [..., heads, q, d]
    keys = split(linear(context, parameters.within("key")), key_heads)  # [..., key heads, k, d]
    values = split(linear(context, parameters.within("value")), key_heads)  # [..., key heads, k, d]
    if norm_epsilon is not None:
        queries = rms_norm(queries, parameters.within("query_norm"), norm_epsilon)
        keys = rms_norm(keys, parameters.within("key_norm"), norm_epsilon)
    note("query", queries)
    note("key", keys)
    note("value", values)
    if turn:
        queries, keys = turn(queries), turn(keys)
        note("turned_query", queries)
        note("turned_key", keys)
    if key_heads != heads:
        xp = namespace(keys)
        keys, values = (xp.repeat(shared, heads // key_heads, axis=-3) for shared in (keys, values))
    mixed = attend_in_blocks(queries, keys, values, mask, watch, causal=causal, bias=bias)  # [..., heads, q, d]
    note("mixed", mixed)
    return linear(merge(mixed), parameters.within("output"))


def value_map(parameters: Parameters, head: int, heads: int, key_heads: int | None = None) -> tuple[Array, Array]:
    """What one head writes of what it reads, as a product of low rank: `up @ down` is [width, width], of rank d.

    `down` [d, width] is the head's part of W_V, `up` [width, d] its slice of W_O (Elhage et al. 2021: the OV circuit).
    Biases are not in it.
    """
    value, output = (
        parameters["value.weight"],
        parameters["output.weight"],
    )  # [key heads · d, width], [width, heads · d]
    depth = output.shape[1] // heads
    shared = head * (key_heads or heads) // heads
    return value[shared * depth : (shared + 1) * depth, :], output[:, head * depth : (head + 1) * depth]


def contributions(mixed: Array, parameters: Parameters) -> Array:
    """What each head adds to the residual stream: [..., heads, q, d] -> [..., heads, q, width].

    Their sum, and the output projection's bias where it has one, is what multi-head attention returns.
    """
    xp = namespace(mixed)
    output = parameters["output.weight"]  # [width, heads · d]
    slices = xp.reshape(output, (output.shape[0], mixed.shape[-3], mixed.shape[-1]))  # [width, heads, d]
    return mixed @ xp.permute_dims(slices, (1, 2, 0))  # [..., heads, q, d], [heads, d, width]
