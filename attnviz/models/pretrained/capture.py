"""Weights from models that dispatch through the attention interface of transformers, a block of query rows at a time.

Such a model calls an attention function that is registered by name. Ours calls the model's own eager function on some
query rows, with the mask cut to the same rows and the keys to those that the rows can see; the outputs, put together,
are the layer's output, so that nothing is computed twice.
"""

import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from attnviz.models.pretrained.masks import LazyMask, lazy_mask, mask_rows
from attnviz.models.pretrained.places import Call, Finished, Inputs, Place, Take, Visit

NAME = "attnviz"
"""The name under which transformers knows our attention function."""

BLOCK = 2**22
"""About how many weights a block has: they and what is made of them should fit into a processor's cache."""

FEWEST_ROWS = 16
"""Blocks of fewer rows than this cost more time than they save memory."""

Attend = Callable[["Attending"], tuple[Tensor, None]]
_attend: ContextVar[Attend] = ContextVar("attend")


@dataclass(frozen=True, slots=True)
class Attending:
    """What attention is called with: `query` [1, heads, queries, d], `key` and `value` [1, groups, keys, d]."""

    module: Module
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    options: dict[str, Any]

    def blocks(self, attention: Callable[..., Any], rows: int | None) -> Iterator[tuple[int, Tensor, Tensor | None]]:
        """The first row, output [1, rows, heads, d] and weights [1, heads, rows, keys] of each block of query rows."""
        _, heads, queries, _ = self.query.shape
        rows = rows or rows_at_once(heads, queries, self.key.shape[2])
        for first in range(0, queries, rows):
            yield first, *self.rows(first, min(first + rows, queries)).by(attention)

    def rows(self, first: int, last: int) -> "Attending":
        """What some query rows take: they themselves, and of all else what they can see."""
        mask, keys = mask_rows(self.mask, first, last, self.key.shape[2])
        return replace(
            self,
            query=self.query[:, :, first:last],
            key=self.key[:, :, :keys],
            value=self.value[:, :, :keys],
            mask=mask,
            options={name: self._cut(option, first, last, keys) for name, option in self.options.items()},
        )

    def by(self, attention: Callable[..., Any]) -> tuple[Tensor, Tensor | None]:
        """The output [1, queries, heads, d] and weights [1, heads, queries, keys] that a function makes of this."""
        output, weights = attention(self.module, self.query, self.key, self.value, self.mask, **self.options)
        return output, weights

    def _cut(self, option: Any, first: int, last: int, keys: int) -> Any:
        """The rows and keys of what is given for all of them, such as a position bias [1, heads, queries, keys]."""
        return option[..., first:last, :keys] if self._spans_rows(option) else option

    def _spans_rows(self, option: Any) -> bool:
        shape = (self.query.shape[2], self.key.shape[2])
        return isinstance(option, Tensor) and option.ndim == 4 and option.shape[-2:] == shape

    def fused(self, rows: int | None) -> Tensor:
        """The output alone, by fused attention, without any matrix of weights."""
        mask = None if isinstance(self.mask, LazyMask) and self.mask.needless() else self.mask
        if mask is None and not any(map(self._spans_rows, self.options.values())):
            return sdpa_attention_forward(self.module, self.query, self.key, self.value, None, **self.options)[0]
        return self.output(sdpa_attention_forward, rows)

    def output(self, attention: Callable[..., Any], rows: int | None) -> Tensor:
        """The output alone, whatever computes it."""
        return torch.cat([output for _, output, _ in self.blocks(attention, rows)], 1)


@dataclass(frozen=True)
class Capture:
    """A model whose attention is ours while it runs.

    `calls` are those of its attention function, in order. `fuses` says that layers which are not wanted may be computed
    without weights.
    """

    network: PreTrainedModel
    calls: Sequence[Call]
    fuses: bool

    @property
    def places(self) -> tuple[Place, ...]:
        """The layers that attend."""
        return tuple(place for _, place in self.calls if place)

    def run(self, inputs: Inputs, wanted: Collection[Place], take: Take, rows: int | None = None) -> None:
        """See `Way.run`."""
        visit = Visit(self.calls, wanted)

        def attend(call: Attending) -> tuple[Tensor, None]:
            place = visit.place(call.module)
            if place is None:
                return self._unwanted(call, rows), None
            outputs = []
            for first, output, weights in call.blocks(own_attention(call.module), rows):
                assert weights is not None  # an eager function that gives none has not passed the survey
                take(place, first, weights[0])
                outputs.append(output)
            visit.leave(place)
            return torch.cat(outputs, 1), None

        _run(self.network, inputs, attend)

    def call(self, inputs: Inputs, wanted: Place) -> Attending | None:
        """What a layer calls its attention function with, nothing after that being run; None if it does not call it."""
        visit = Visit(self.calls, {wanted})
        found: list[Attending] = []

        def attend(call: Attending) -> tuple[Tensor, None]:
            if visit.place(call.module) is None:
                return self._unwanted(call), None
            found.append(call)
            raise Finished

        _run(self.network, inputs, attend)
        return found[0] if found else None

    def _unwanted(self, call: Attending, rows: int | None = None) -> Tensor:
        """The output of a layer whose weights nobody wants."""
        return call.fused(rows) if self.fuses else call.output(own_attention(call.module), rows)


def recorded(network: PreTrainedModel, inputs: Inputs, rows: int) -> list[tuple[Module, Tensor]]:
    """Every call of the attention function: the module, and its weights [1, heads, queries, keys]."""
    calls: list[tuple[Module, Tensor]] = []

    def attend(call: Attending) -> tuple[Tensor, None]:
        weights = call.query.new_zeros(*call.query.shape[:3], call.key.shape[2])
        outputs = []
        for first, output, some in call.blocks(own_attention(call.module), rows):
            assert some is not None
            weights[:, :, first : first + some.shape[2], : some.shape[3]] = some
            outputs.append(output)
        calls.append((call.module, weights))
        return torch.cat(outputs, 1), None

    _run(network, inputs, attend)
    return calls


def rows_at_once(heads: int, queries: int, keys: int) -> int:
    """How many query rows make a block."""
    return min(max(BLOCK // (heads * keys), FEWEST_ROWS), queries)


def own_attention(module: Module) -> Callable[..., Any]:
    """The eager attention function that a module would call, were it not for ours.

    Raises:
        LookupError: none is to be found.
    """
    for owner in type(module).__mro__:
        forward = vars(owner).get("forward")
        if forward is None:
            continue
        names = [*inspect.unwrap(forward).__code__.co_names, "eager_attention_forward"]
        known = vars(sys.modules[owner.__module__])
        for name in names:
            if name.endswith("eager_attention_forward") and name in known:
                function: Callable[..., Any] = known[name]
                return function
    raise LookupError(f"{type(module).__name__} has no eager attention function.")


@contextmanager
def implementation(network: PreTrainedModel, name: str) -> Iterator[None]:
    """The model attending by the function of this name, and eagerly afterwards."""
    network.set_attn_implementation(name)
    try:
        yield
    finally:
        network.set_attn_implementation("eager")


def _run(network: PreTrainedModel, inputs: Inputs, attend: Attend) -> None:
    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, lazy_mask)
    token = _attend.set(attend)
    try:
        with implementation(network, NAME):
            network(**inputs)
    except Finished:
        pass
    finally:
        _attend.reset(token)


def _attention(
    module: Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None, **options: Any
) -> tuple[Tensor, None]:
    """The attention function that transformers calls."""
    return _attend.get()(Attending(module, query, key, value, attention_mask, options))
