"""Multi-head attention: the width split among heads that attend each on its own (Vaswani et al. 2017, 3.2.2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from attnviz.records import Block, Each, watch_nothing
from attnviz.reference import masks
from attnviz.reference.arrays import Array, namespace
from attnviz.reference.layers import linear, rms_norm
from attnviz.reference.masks import Mask, combine
from attnviz.reference.parameters import Parameters
from attnviz.reference.positions import Bias
from attnviz.reference.rotary import Turn
from attnviz.reference.scores import attention
from attnviz.reference.trace import Note, note_nothing
from attnviz.vocabulary import Kind

AT_ONCE = 2**23
"""The number of weights computed at a time, so that no N×N matrix of a long text is ever held."""


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads of a layer, known by its kind and number: how many attend side by side, and how each does.

    With fewer `key_heads` than heads, groups of heads share keys and values (Ainslie et al. 2023). With a
    `norm_epsilon`, the queries and keys of each head are normed before they meet (Henry et al. 2020).
    """

    count: int
    key_heads: int | None = None
    norm_epsilon: float | None = None
    mask: Mask | None = None
    causal: bool = False
    turn: Turn | None = None
    bias: Bias | None = None
    kind: Kind = Kind.ENCODER
    layer: int = 0

    @property
    def groups(self) -> int:
        """Return how many heads there are of keys and values."""
        return self.key_heads or self.count

    @property
    def visible(self) -> Mask | None:
        """Return what a query may look at, by the mask and by being causal; None if that is every key."""
        return combine(self.mask, masks.causal) if self.causal else self.mask


def split_heads(x: Array, heads: int) -> Array:
    """Give each head its slice of the width: [..., tokens, heads · d] -> [..., heads, tokens, d]."""
    xp = namespace(x)
    pieces = xp.reshape(x, (*x.shape[:-1], heads, x.shape[-1] // heads))  # [..., tokens, heads, d]
    return xp.moveaxis(pieces, -2, -3)


def merge_heads(x: Array) -> Array:
    """Concatenate the heads again: [..., heads, tokens, d] -> [..., tokens, heads · d]."""
    xp = namespace(x)
    pieces = xp.moveaxis(x, -3, -2)  # [..., tokens, heads, d]
    return xp.reshape(pieces, (*pieces.shape[:-2], pieces.shape[-2] * pieces.shape[-1]))


def attend_in_blocks(
    queries: Array,
    keys: Array,
    values: Array,
    heads: Heads,
    watch: Each,
    *,
    wanted: Sequence[int] | None = None,
    start: int = 0,
) -> Array:
    """Attend with all heads, or with those `wanted`, some query rows at a time: [..., heads, q, d] -> the same.

    The first query is at the position `start`. Keys before the first one that the mask lets any of these rows see are
    not looked at, nor, if they are causal, those after the last row; neither are they in the blocks watched.
    """
    xp, mask = namespace(queries), heads.visible
    numbers = tuple(range(queries.shape[-3]) if wanted is None else wanted)
    end, seen = start + queries.shape[-2], keys.shape[-2]
    rows = max(1, AT_ONCE // (math.prod(queries.shape[:-2]) * seen))  # of all texts and heads
    positions = xp.arange(max(end, seen), device=queries.device)
    outputs = []
    for first in range(start, end, rows):
        last = min(first + rows, end)
        until = last if heads.causal else seen
        asking, asked = positions[first:last, None], positions[None, :until]
        allowed = mask(asking, asked) if mask else None
        since = _find_first_seen(allowed)
        added = heads.bias(asking, asked[:, since:]) if heads.bias else None
        meeting = queries[..., first - start : last - start, :], keys[..., since:until, :], values[..., since:until, :]
        weights, output = attention(*meeting, None if allowed is None else allowed[..., since:], added)
        watch(Block(heads.kind, heads.layer, numbers, range(first, last), range(since, until), weights))
        outputs.append(output)
    return xp.concat(outputs, axis=-2)


def _find_first_seen(allowed: Array | None) -> int:
    """Return the first key that any query of any text and head may look at, [..., q, k]; 0 where there is none."""
    if allowed is None:
        return 0
    xp = namespace(allowed)
    if xp.any(allowed[..., 0]):  # as under any mask but a window, so the rest of it need not be searched
        return 0
    seen = xp.any(xp.reshape(allowed, (-1, allowed.shape[-1])), axis=0)
    return int(xp.argmax(xp.astype(seen, xp.uint8)))


def multi_head_attention(
    x: Array,
    context: Array,
    parameters: Parameters,
    heads: Heads,
    *,
    watch: Each = watch_nothing,
    note: Note = note_nothing,
) -> Array:
    """Attend from `x` to `context` (the same in self-attention), then apply the output projection W_O.

    x [..., q, width], context [..., k, width] -> [..., q, width].
    """
    queries, keys = _project(x, context, parameters, heads, note)
    values = split_heads(linear(context, parameters.within("value")), heads.groups)  # [..., key heads, k, d]
    note("value", values)
    every = range(heads.count)
    keys, values = (_select_heads(shared, every, heads.count) for shared in (keys, values))  # [..., heads, k, d]
    mixed = attend_in_blocks(queries, keys, values, heads, watch)
    note("mixed", mixed)
    return linear(merge_heads(mixed), parameters.within("output"))


def show_weights(
    x: Array, parameters: Parameters, heads: Heads, *, wanted: Sequence[int], rows: Sequence[range], watch: Each
) -> None:
    """Show the weights of the wanted heads of self-attention in some stretches of rows; compute nothing from them.

    All else is as in `multi_head_attention`.
    """
    of_wanted = partial(_select_heads, wanted=wanted, heads=heads.count)
    queries, keys = map(of_wanted, _project(x, x, parameters, heads, note_nothing))  # [..., wanted, tokens, d]
    nothing = keys[..., :0]  # values of no width
    if (bias := heads.bias) is not None:
        heads = replace(heads, bias=lambda *positions: of_wanted(bias(*positions)))
    for some in rows:
        asking = queries[..., some.start : some.stop, :]
        attend_in_blocks(asking, keys, nothing, heads, watch, wanted=wanted, start=some.start)


def _project(x: Array, context: Array, parameters: Parameters, heads: Heads, note: Note) -> tuple[Array, Array]:
    """Return the queries [..., heads, q, d] and keys [..., key heads, k, d] as they meet: normed and turned."""
    queries = split_heads(linear(x, parameters.within("query")), heads.count)
    keys = split_heads(linear(context, parameters.within("key")), heads.groups)
    if heads.norm_epsilon is not None:
        queries = rms_norm(queries, parameters.within("query_norm"), heads.norm_epsilon)
        keys = rms_norm(keys, parameters.within("key_norm"), heads.norm_epsilon)
    note("query", queries)
    note("key", keys)
    if heads.turn:
        queries, keys = heads.turn(queries), heads.turn(keys)
        note("turned_query", queries)
        note("turned_key", keys)
    return queries, keys


def _select_heads(given: Array, wanted: Sequence[int], heads: int) -> Array:
    """Return what each wanted head has, alone or in a group: [..., groups, n, d] -> [..., wanted, n, d]."""
    groups = given.shape[-3]
    if list(wanted) == list(range(groups)):
        return given
    xp = namespace(given)
    return xp.take(given, xp.asarray([head * groups // heads for head in wanted], device=given.device), axis=-3)


def split_output(mixed: Array, parameters: Parameters) -> Array:
    """Return what each head adds to the residual stream: [..., heads, q, d] -> [..., heads, q, width].

    Their sum, and the output projection's bias where it has one, is what multi-head attention returns.
    """
    xp = namespace(mixed)
    output = parameters["output.weight"]  # [width, heads · d]
    slices = xp.reshape(output, (output.shape[0], mixed.shape[-3], mixed.shape[-1]))  # [width, heads, d]
    return mixed @ xp.permute_dims(slices, (1, 2, 0))  # [..., heads, q, d], [heads, d, width]
