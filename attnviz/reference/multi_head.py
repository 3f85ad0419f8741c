"""Multi-head attention: the width split among heads that attend each on its own (Vaswani et al. 2017, 3.2.2)."""

import math
from collections.abc import Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from attnviz.records import Block, BlockTerms, Each, watch_nothing
from attnviz.reference import masks
from attnviz.reference.arrays import Array, namespace
from attnviz.reference.layers import linear, rms_norm
from attnviz.reference.masks import Mask, combine
from attnviz.reference.parameters import Parameters
from attnviz.reference.positions import Bias
from attnviz.reference.rotary import Turn
from attnviz.reference.scores import attention
from attnviz.reference.trace import NoteArray, note_nothing
from attnviz.vocabulary import Kind

AT_ONCE = 2**23
"""The number of weights computed at a time, so that no N×N matrix of a long text is ever held."""


class Heads(Struct, frozen=True):
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
    q: Array,
    k: Array,
    v: Array,
    heads: Heads,
    watch: Each,
    *,
    wanted: Sequence[int] | None = None,
    start: int = 0,
) -> Array:
    """Attend with all heads, or with those `wanted`, some query rows at a time.

    q [..., heads, q, d], k and v [..., heads, k, d] -> [..., heads, q, d]. The first query is at the position `start`.
    Keys that the mask hides from all rows of a block are left out of it: those before the first that any row sees, and
    if the heads are causal, those after the last row.
    """
    xp, mask = namespace(q), heads.visible
    numbers = tuple(range(q.shape[-3]) if wanted is None else wanted)
    end, seen = start + q.shape[-2], k.shape[-2]
    rows = max(1, AT_ONCE // (math.prod(q.shape[:-2]) * seen))  # of all texts and heads
    positions = xp.arange(max(end, seen), device=q.device)
    outputs = []
    for first in range(start, end, rows):
        last = min(first + rows, end)
        until = last if heads.causal else seen
        q_pos, k_pos = positions[first:last, None], positions[None, :until]  # [rows, 1], [1, until]
        allowed = mask(q_pos, k_pos) if mask else None  # [..., rows, until]
        since = _find_first_seen(allowed)
        bias = heads.bias(q_pos, k_pos[:, since:]) if heads.bias else None  # [heads, rows, until - since]
        queries, keys, values = q[..., first - start : last - start, :], k[..., since:until, :], v[..., since:until, :]
        weights, output = attention(queries, keys, values, None if allowed is None else allowed[..., since:], bias)
        terms = BlockTerms(queries, keys, 1 / math.sqrt(q.shape[-1]), bias)
        watch(Block(heads.kind, heads.layer, numbers, range(first, last), range(since, until), weights, terms))
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
    note: NoteArray = note_nothing,
) -> Array:
    """Attend from `x` to `context` (the same in self-attention), then apply the output projection W_O.

    x [..., q, width], context [..., k, width] -> [..., q, width].
    """
    q, k = _project(x, context, parameters, heads, note)  # [..., heads, q, d], [..., key heads, k, d]
    v = split_heads(linear(context, parameters.within("value")), heads.groups)  # [..., key heads, k, d]
    note("value", v)
    every = range(heads.count)
    k, v = (_select_heads(shared, every, heads.count) for shared in (k, v))  # [..., heads, k, d]
    mixed = attend_in_blocks(q, k, v, heads, watch)  # [..., heads, q, d]
    note("mixed", mixed)
    return linear(merge_heads(mixed), parameters.within("output"))


def show_weights(
    x: Array, parameters: Parameters, heads: Heads, *, wanted: Sequence[int], rows: Sequence[range], watch: Each
) -> None:
    """Hand the weights of the wanted heads of self-attention to `watch`, in ranges of rows; compute no output.

    All else is as in `multi_head_attention`.
    """
    of_wanted = partial(_select_heads, wanted=wanted, heads=heads.count)
    q, k = map(of_wanted, _project(x, x, parameters, heads, note_nothing))  # [..., wanted, tokens, d]
    v = k[..., :0]  # values of no width
    if (bias := heads.bias) is not None:
        heads = replace(heads, bias=lambda *positions: of_wanted(bias(*positions)))
    for some in rows:
        attend_in_blocks(q[..., some.start : some.stop, :], k, v, heads, watch, wanted=wanted, start=some.start)


def _project(x: Array, context: Array, parameters: Parameters, heads: Heads, note: NoteArray) -> tuple[Array, Array]:
    """Return the queries [..., heads, q, d] and keys [..., key heads, k, d], normed and turned, ready to be scored."""
    q = split_heads(linear(x, parameters.within("query")), heads.count)
    k = split_heads(linear(context, parameters.within("key")), heads.groups)
    if heads.norm_epsilon is not None:
        q = rms_norm(q, parameters.within("query_norm"), heads.norm_epsilon)
        k = rms_norm(k, parameters.within("key_norm"), heads.norm_epsilon)
    note("query", q)
    note("key", k)
    if heads.turn:
        q, k = heads.turn(q), heads.turn(k)
        note("turned_query", q)
        note("turned_key", k)
    return q, k


def _select_heads(given: Array, wanted: Sequence[int], heads: int) -> Array:
    """Give each wanted head the array of its group: [..., groups, n, d] -> [..., wanted, n, d]."""
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
