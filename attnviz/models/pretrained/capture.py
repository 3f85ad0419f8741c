"""Weights from models that dispatch through the attention interface of transformers, a block of query rows at a time.

Our attention function takes the place of such a model's eager one. It calls that one, or a faster equivalent, on some
query rows at a time, with the mask cut to these rows and the keys to those that they can see. Where all of a layer is
wanted, the outputs of its blocks make up its output, so that nothing is computed twice. Where little is wanted, only
that is computed in blocks, and the output by fused attention, if a later layer needs it.

Models look up their attention function by name, and some do more by that name: with sparse attention, they put the keys
to leave out into the mask for some names, and hand them to the function for others. Our function is registered under
the name of the eager one, so that all else is as when the model returns its own weights.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

from torch import Tensor
from torch.nn import Module
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask

from attnviz.models.base import Part
from attnviz.models.pretrained.attending import UNREAD, Attending, Attention, Made, attend_in_few_passes
from attnviz.models.pretrained.lazy_masks import make_lazy_mask
from attnviz.models.pretrained.places import (
    AttentionLayer,
    Called,
    Finished,
    Inputs,
    Visit,
    check_lengths,
    split_range,
    unlike_shorter,
)
from attnviz.records import Each

EAGER = "eager"

Attend = Callable[[Attending], tuple[Tensor | None, None]]
_attend: ContextVar[Attend | None] = ContextVar("attend", default=None)

LITTLE = 0.5
"""Up to this share of a layer's weights is computed apart from its output, which fused attention is faster at."""


class Capture(Called, frozen=True, tag=True):
    """A model whose attention is ours while it runs.

    `calls` are those of its attention function, and `options` the names of what this is given beside queries,
    keys, values and mask. `fuses` says that what is not wanted may be computed without weights, `slices` that its own
    function can be called for some heads only, and without values, and `plain` that this function does nothing that
    `attend_in_few_passes` does not.
    """

    options: frozenset[str]
    fuses: bool
    slices: bool
    plain: bool

    def run(self, inputs: Inputs, wanted: Mapping[AttentionLayer, Part], each: Each) -> None:
        """Run the model as far as it is needed, and hand over the wanted weights.

        Raises:
            TextError: the model attends to this text in another way than it did to a few tokens.
        """
        visit = Visit(self.calls, wanted)

        def attend(call: Attending) -> tuple[Tensor | None, None]:
            place = visit.place(call.module)
            if place is None:
                return self._compute_unwanted(call), None
            check_lengths(place, inputs, call.lengths)
            output = self._show_wanted(call, place, wanted[place], each, needed=not visit.is_last(place))
            visit.leave(place)
            return output, None

        self._run(inputs, attend)

    def call(self, inputs: Inputs, wanted: AttentionLayer) -> Attending | None:
        """Return what a layer calls its attention function with, and run nothing after it; None if it does not."""
        visit = Visit(self.calls, {wanted})
        found: list[Attending] = []

        def attend(call: Attending) -> tuple[Tensor, None]:
            if visit.place(call.module) is None:
                return self._compute_unwanted(call), None
            found.append(call)
            raise Finished

        self._run(inputs, attend)
        return found[0] if found else None

    def _run(self, inputs: Inputs, attend: Attend) -> None:
        """Run the model with this attention function.

        Raises:
            TextError: it gives the function an option that it did not give for a few tokens.
        """

        def attend_as_known(call: Attending) -> tuple[Tensor | None, None]:
            if not call.given <= self.options | UNREAD:
                raise unlike_shorter()
            return attend(call)

        with suppress(Finished), attend_by(attend_as_known):
            self.network(**inputs)

    def _show_wanted(
        self, call: Attending, place: AttentionLayer, part: Part, each: Each, *, needed: bool
    ) -> Tensor | None:
        """Hand over a part of a layer's weights, and return the layer's output, if that is needed."""

        def shown(call: Attending, heads: Sequence[range], rows: Sequence[range]) -> Iterator[Made]:
            for made in call.blocks(self._attention(call), heads, rows):
                each(made.block(place).of_heads(part.heads))
                yield made

        queries, _ = call.lengths
        if needed and not (self.fuses and part.share(call.query.shape[1], queries) <= LITTLE):
            return call.assemble(shown(call, self._apart(call), [range(queries)]))
        for _ in shown(call.mixing_nothing() if self.slices else call, self._apart(call, part.heads), part.rows):
            pass
        return self._compute_unwanted(call) if needed else None

    def _compute_unwanted(self, call: Attending) -> Tensor:
        """Return the output of a layer whose weights nobody wants."""
        heads = self._apart(call)
        return call.attend_fused(heads) if self.fuses else call.output(self._attention(call), heads)

    def _attention(self, call: Attending) -> Attention:
        return attend_in_few_passes if self.plain else call.own

    def _apart(self, call: Attending, wanted: Sequence[int] | None = None) -> list[range]:
        """Return the heads to be computed at a time for the sake of those wanted, or of all."""
        every = range(call.query.shape[1])
        return call.group_heads(every if wanted is None else wanted) if self.slices else [every]


def record_calls(network: PreTrainedModel, inputs: Inputs, rows: int) -> list[tuple[Attending, Tensor]]:
    """Return every call of the attention function, and all the weights that it makes, so many rows at a time."""
    calls: list[tuple[Attending, Tensor]] = []

    def attend(call: Attending) -> tuple[Tensor, None]:
        _, heads, queries, _ = call.query.shape
        made = list(call.blocks(call.own, [range(heads)], split_range(range(queries), rows)))
        weights = call.query.new_zeros(*call.query.shape[:3], call.key.shape[2])
        for some in made:
            assert some.weights is not None  # else the function is none that can be recorded
            weights[:, :, some.rows.start : some.rows.stop, some.keys.start : some.keys.stop] = some.weights
        calls.append((call, weights))
        return call.assemble(made), None

    with attend_by(attend):
        network(**inputs)
    return calls


@contextmanager
def use_implementation(network: PreTrainedModel, name: str) -> Iterator[None]:
    """Let the model attend by the function of this name, and eagerly afterwards."""
    network.set_attn_implementation(name)
    try:
        yield
    finally:
        network.set_attn_implementation(EAGER)


@contextmanager
def attend_by(attend: Attend) -> Iterator[None]:
    """Let models attend by this function instead of eagerly; those that run in other threads meanwhile do not."""
    token = _attend.set(attend)
    try:
        yield
    finally:
        _attend.reset(token)


_by_name = AttentionInterface.get_interface


def _get_interface(interface: AttentionInterface, attn_implementation: str, default: Attention) -> Attention:
    """Return the attention function of this name, `default` being the model's eager one."""
    attend = _attend.get()
    if attend is None or attn_implementation != EAGER:
        return _by_name(interface, attn_implementation, default)
    return partial(_attend_as_asked, attend, default)


def _attend_as_asked(
    attend: Attend,
    own: Attention,
    module: Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor | None, None]:
    """Attend as transformers asks an attention function to."""
    return attend(Attending(module, query, key, value, attention_mask, options, own))


def _make_mask(**arguments: Any) -> Tensor | None:
    return (eager_mask if _attend.get() is None else make_lazy_mask)(**arguments)


AttentionInterface.get_interface = _get_interface  # type: ignore[assignment]  # a parameter has another name than self
ALL_MASK_ATTENTION_FUNCTIONS[EAGER] = _make_mask
