"""Multi-head attention: the width split among heads that attend each on its own (Vaswani et al. 2017, 3.2.2)."""

from collections.abc import Callable, Sequence

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
    start: int = 0,
) -> Array:
    """Attention of all heads, some query rows at a time: [..., heads, q, d] -> [..., heads, q, d].

    The first query is at the position `start`. If it is causal, the keys after the last of these rows are not looked
    at, nor are they in the weights watched.
    """
    xp = namespace(queries)
    if causal:
        mask = both(masks.causal, mask) if mask else masks.causal
    end, seen = start + queries.shape[-2], keys.shape[-2]
    rows = max(1, AT_ONCE // (queries.shape[-3] * seen))
    positions = xp.arange(max(end, seen), device=queries.device)
    outputs = []
    for first in range(start, end, rows):
        last = min(first + rows, end)
        until = last if causal else seen
        at = positions[first:last, None], positions[None, :until]
        allowed, added = mask(*at) if mask else None, bias(*at) if bias else None
        seen_by = queries[..., first - start : last - start, :], keys[..., :until, :], values[..., :until, :]
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
    queries, keys = _meeting(x, context, parameters, heads, key_heads, norm_epsilon, turn, note)
    values = split(linear(context, parameters.within("value")), key_heads or heads)  # [..., key heads, k, d]
    note("value", values)
    keys, values = (_of_heads(shared, range(heads), heads) for shared in (keys, values))  # [..., heads, k, d]
    mixed = attend_in_blocks(queries, keys, values, mask, watch, causal=causal, bias=bias)  # [..., heads, q, d]
    note("mixed", mixed)
    return linear(merge(mixed), parameters.within("output"))


def some_weights(
    x: Array,
    context: Array,
    parameters: Parameters,
    heads: int,
    *,
    wanted: Sequence[int],
    rows: Sequence[range],
    watch: Watch,
    key_heads: int | None = None,
    norm_epsilon: float | None = None,
    mask: Mask | None = None,
    causal: bool = False,
    turn: Turn | None = None,
    bias: Bias | None = None,
) -> None:
    """Shows the weights of the wanted heads in some stretches of rows, and computes nothing from them.

    All else is as in `multi_head_attention`.
    """
    queries, keys = _meeting(x, context, parameters, heads, key_heads, norm_epsilon, turn, silent)
    queries, keys = (_of_heads(vectors, wanted, heads) for vectors in (queries, keys))  # [..., wanted, tokens, d]
    nothing = keys[..., :0]  # values of no width
    own = None if bias is None else lambda *positions: _of_heads(bias(*positions), wanted, heads)
    for some in rows:
        asking = queries[..., some.start : some.stop, :]
        attend_in_blocks(asking, keys, nothing, mask, watch, causal=causal, bias=own, start=some.start)


def _meeting(
    x: Array,
    context: Array,
    parameters: Parameters,
    heads: int,
    key_heads: int | None,
    norm_epsilon: float | None,
    turn: Turn | None,
    note: Note,
) -> tuple[Array, Array]:
    """The queries [..., heads, q, d] and keys [..., key heads, k, d] as they meet: normed and turned."""
    queries = split(linear(x, parameters.within("query")), heads)
    keys = split(linear(context, parameters.within("key")), key_heads or heads)
    if norm_epsilon is not None:
        queries = rms_norm(queries, parameters.within("query_norm"), norm_epsilon)
        keys = rms_norm(keys, parameters.within("key_norm"), norm_epsilon)
    note("query", queries)
    note("key", keys)
    if turn:
        queries, keys = turn(queries), turn(keys)
        note("turned_query", queries)
        note("turned_key", keys)
    return queries, keys


def _of_heads(given: Array, wanted: Sequence[int], heads: int) -> Array:
    """What each of the wanted of so many heads has, alone or in a group: [..., groups, n, d] -> [..., wanted, n, d]."""
    groups = given.shape[-3]
    if list(wanted) == list(range(groups)):
        return given
    xp = namespace(given)
    return xp.take(given, xp.asarray([head * groups // heads for head in wanted], device=given.device), axis=-3)


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
