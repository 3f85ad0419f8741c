"""Calls of attention functions, and how they are cut to some heads, some query rows, and the keys that these can see.

Heads that share their keys and values stay together, so that the function finds the shapes that it expects.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from msgspec import Struct
from msgspec.structs import replace
from torch import Tensor
from torch.nn import Module
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from attnviz.models.pretrained.lazy_masks import LazyMask, Recipe, cut_mask, find_seen, widen
from attnviz.models.pretrained.places import AttentionLayer
from attnviz.records import Block, BlockTerms, find_runs

BLOCK = 2**20
"""About how many weights are computed at a time: they and what is made of them should fit into a processor's cache."""

FEWEST_ROWS = 16
"""Blocks of fewer rows than this cost more time than they save memory."""

ROWS_WORTH = 128
"""With fewer rows in a block, its work on keys and values costs about as much as the weights themselves."""

Attention = Callable[..., Any]
"""An attention function as transformers calls it."""

READ = frozenset({"scaling", "dropout", "softcap", "position_bias"})
"""The options that eager attention functions read, and that can be cut to some rows, keys and heads as these are."""

UNREAD = frozenset(
    {
        *("sliding_window", "is_causal", "s_aux", "deterministic", "position_ids"),  # for fused attention
        *("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k"),
        *("token_type_ids", "use_cache", "output_attentions", "output_hidden_states", "output_router_logits"),
    }
)
"""The options that eager attention functions do not read, handed to them as to all parts of a model."""


class Made(Struct, frozen=True):
    """The output of an attention function for some heads and rows.

    `output` is [texts, rows, heads, d], `weights` [texts, heads, rows, keys] or None where it is a fused one, `terms`
    what the scores are made of unless the function does more than it is told.
    """

    heads: range
    rows: range
    keys: range
    output: Tensor
    weights: Tensor | None
    terms: BlockTerms

    def block(self, place: AttentionLayer) -> Block:
        """Return the weights, which are those of a layer."""
        assert self.weights is not None  # an eager function that gives none has not passed the survey
        return Block(place.kind, place.layer, tuple(self.heads), self.rows, self.keys, self.weights, self.terms)


class Memory:
    """The memory that the weights of one block after another are computed in: to take it anew costs a pass over it."""

    def __init__(self) -> None:
        self._held: Tensor | None = None

    def shape(self, like: Tensor, *shape: int) -> Tensor:
        """Return it as a tensor of this shape, of the dtype and on the device of another."""
        size = math.prod(shape)
        if self._held is None or self._held.numel() < size:
            self._held = like.new_empty(size)
        return self._held[:size].view(shape)


class Attending(Struct, frozen=True):
    """A call of attention: `query` [texts, heads, queries, d], `key` and `value` [texts, groups, keys, d].

    The `mask` may be that of the last keys only, where those before them are seen by every query. `own` is the eager
    attention function that the module would call, were it not for ours.
    """

    module: Module
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    options: dict[str, Any]
    own: Attention

    @property
    def given(self) -> frozenset[str]:
        """Return the names of the options that are set."""
        return frozenset(name for name, option in self.options.items() if option is not None and option is not False)

    @property
    def lengths(self) -> tuple[int, int]:
        """Return how many queries and keys there are."""
        return self.query.shape[2], self.key.shape[2]

    @property
    def sharing(self) -> int:
        """Return how many heads share each head of keys and values."""
        return self.query.shape[1] // self.key.shape[1]

    @property
    def terms(self) -> BlockTerms:
        """Return what scores are made of, if the attention function makes them as most do."""
        scaling = self.options.get("scaling")
        scale = self.query.shape[-1] ** -0.5 if scaling is None else float(scaling)
        return BlockTerms(self.query, self.key, scale, self.options.get("position_bias"))

    def by(self, attention: Attention) -> tuple[Tensor, Tensor | None]:
        """Return the output [texts, queries, heads, d] and weights [texts, heads, queries, keys] of a function."""
        mask = self.mask if attention is attend_in_few_passes else widen(self.mask, self.key.shape[2])
        output, weights = attention(self.module, self.query, self.key, self.value, mask, **self.options)
        return output, weights

    def blocks(self, attention: Attention, heads: Sequence[range], rows: Sequence[range]) -> Iterator[Made]:
        """Yield what a function makes of these rows, a few at a time, and of these heads, a range at a time.

        The weights of one may be written over by those of the next.
        """
        texts, together = len(self.query), max(map(len, heads))
        shared = attention is attend_in_few_passes and not self.query.requires_grad
        memory = {"memory": Memory()} if shared else {}
        for some in self._few(rows, texts * together):
            cut, keys = replace(self, options=self.options | memory).of_rows(some)
            for own in heads:
                call = cut.of_heads(own)
                yield Made(own, some, keys, *call.by(attention), call.terms)

    def output(self, attention: Attention, heads: Sequence[range]) -> Tensor:
        """Return the output alone, whatever computes it."""
        return self.assemble(self.blocks(attention, heads, [range(self.query.shape[2])]))

    def assemble(self, blocks: Iterable[Made]) -> Tensor:
        """Return the output [texts, queries, heads, d] of blocks that are all of it."""
        texts, heads, queries, _ = self.query.shape
        whole = self.query.new_empty(texts, queries, heads, self.value.shape[-1])
        for made in blocks:
            whole[:, _slice(made.rows), _slice(made.heads)] = made.output
        return whole

    def attend_fused(self, heads: Sequence[range]) -> Tensor:
        """Return the output alone, by fused attention, without any matrix of weights."""
        causal = isinstance(self.mask, LazyMask) and self.mask.recipe.is_causal
        at_once = (causal or self.mask is None) and not any(map(self._spans_rows, self.options.values()))
        options = self.options | {"is_causal": causal and at_once}  # whatever the module says of itself
        if at_once:
            return sdpa_attention_forward(self.module, self.query, self.key, self.value, None, **options)[0]
        return replace(self, options=options).output(sdpa_attention_forward, heads)

    def in_float32(self) -> "Attending":
        """Return the same in float32, in which rounding hides no difference."""
        options = {name: _to_float32(option) for name, option in self.options.items()}
        query, key, value = self.query.float(), self.key.float(), self.value.float()
        return replace(self, query=query, key=key, value=value, mask=_to_float32(self.mask), options=options)

    def mixing_nothing(self) -> "Attending":
        """Return the same with values of no width, so that nothing is computed from the weights."""
        return replace(self, value=self.value[..., :0])

    def of_rows(self, rows: range) -> tuple["Attending", range]:
        """Return what some query rows take: they themselves, and of all else the range of keys that they can see."""
        mask, keys = cut_mask(self.mask, rows, self.key.shape[2])
        both = ..., _slice(rows), _slice(keys)
        options = {name: option[both] if self._spans_rows(option) else option for name, option in self.options.items()}
        key, value = (each[:, :, _slice(keys)] for each in (self.key, self.value))
        query = self.query[:, :, _slice(rows)]
        return replace(self, query=query, key=key, value=value, mask=mask, options=options), keys

    def of_heads(self, heads: range) -> "Attending":
        """Return what some heads take, which are all that share their keys and values."""
        if len(heads) == self.query.shape[1]:
            return self
        groups = slice(heads.start // self.sharing, heads.stop // self.sharing)
        return replace(
            self,
            query=self.query[:, _slice(heads)],
            key=self.key[:, groups],
            value=self.value[:, groups],
            mask=self._of_heads(self.mask, heads),
            options={name: self._of_heads(option, heads) for name, option in self.options.items()},
        )

    def group_heads(self, wanted: Iterable[int]) -> list[range]:
        """Return the heads to be computed at a time for the sake of the wanted ones.

        All of them in a short text. In a long one fewer, so that blocks have as many rows as they should.
        """
        queries, keys = self.lengths
        rows = min(queries, ROWS_WORTH)
        groups = max(BLOCK // (len(self.query) * rows * keys * self.sharing), 1)
        return [
            range(first * self.sharing, min(first + groups, stretch.stop) * self.sharing)
            for stretch in find_runs(sorted({head // self.sharing for head in wanted}))
            for first in range(stretch.start, stretch.stop, groups)
        ]

    def _of_heads(self, given: Any, heads: range) -> Any:
        """Return the share of some heads in what is given for each, as a position bias [1, heads, queries, keys]."""
        apart = isinstance(given, Tensor) and given.ndim == 4 and given.shape[1] == self.query.shape[1]
        return given[:, _slice(heads)] if apart else given

    def _spans_rows(self, option: Any) -> bool:
        return isinstance(option, Tensor) and option.ndim == 4 and option.shape[-2:] == self.lengths

    def _few(self, rows: Sequence[range], heads: int) -> Iterator[range]:
        """Return the rows a few at a time: as many as make a block of so many heads."""
        keys = self.key.shape[2]
        for left in rows:
            while left:
                seen = len(find_seen(self.mask, left[:1], keys))
                count = count_rows(heads, keys, seen)
                yield left[:count]
                left = left[count:]


def attend_in_few_passes(
    module: Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    memory: Memory | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """Return the output [texts, queries, heads, d] and the weights [texts, heads, queries, keys].

    This is attention as most models compute it, in as few passes over the weights as that takes. The eager functions of
    transformers make a new matrix each for scaling, masking and softmax, and repeat keys for the heads that share them.
    Where a model's own function computes nothing else, which the survey finds out, this one is used.

    `query` is [texts, heads, queries, d], `key` and `value` are [texts, groups, keys, d]. The mask may be that of the
    last keys only, where those before them are seen by every query. The weights are written to the `memory`, if given.
    """
    texts, heads, queries, depth = query.shape
    _, groups, keys, _ = key.shape
    scale = depth**-0.5 if scaling is None else scaling
    q = (query * scale).reshape(texts * groups, -1, depth)  # the heads of a group below each other
    room = None if memory is None else memory.shape(q, *q.shape[:2], keys)
    weights = torch.bmm(q, key.reshape(texts * groups, keys, depth).mT, out=room)  # [… groups, … queries, keys]
    apart = weights.view(texts, heads, queries, keys)
    if attention_mask is not None:
        apart[..., keys - attention_mask.shape[-1] :] += attention_mask
    torch.softmax(weights, -1, out=weights)
    mixed = weights.bmm(value.reshape(texts * groups, keys, -1)).view(texts, heads, queries, -1)
    return mixed.transpose(1, 2), apart


def count_rows(heads: int, keys: int, seen: int) -> int:
    """Return how many rows make a block, if the first one sees so many keys, and each further one at most one more."""
    most = BLOCK // heads
    growing = (math.isqrt(seen**2 + 4 * most) - seen) // 2  # that many rows, each of as many keys as the last
    return max(growing, most // keys, FEWEST_ROWS)


def _slice(indices: range) -> slice:
    return slice(indices.start, indices.stop)


def _to_float32(given: Any) -> Any:
    if isinstance(given, LazyMask):
        return LazyMask(Recipe(**given.recipe.arguments | {"dtype": torch.float32}))
    return given.float() if isinstance(given, Tensor) and given.is_floating_point() else given
