"""Weights from models that dispatch through the attention interface of transformers, a block of query rows at a time.

Ours takes the place of such a model's eager attention function. It calls that one, or a faster one that does the same,
on some query rows, with the mask cut to the same rows and the keys to those that these can see. Where all of a layer is
wanted, the outputs, put together, are its output, so that nothing is computed twice; where little is, that little is
computed apart, and the output by fused attention, if anything comes after it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from torch import Tensor
from transformers import PreTrainedModel

from attnviz.models.pretrained.attending import UNREAD, Attending, Attention, Made
from attnviz.models.pretrained.dispatch import EAGER, Attend, attending_by
from attnviz.models.pretrained.passes import in_few_passes
from attnviz.models.pretrained.places import (
    Call,
    Finished,
    Inputs,
    Layer,
    Part,
    Piece,
    Take,
    Visit,
    check_lengths,
    in_turn,
    unlike_shorter,
)

LITTLE = 0.5
"""Up to this share of a layer's weights is computed apart from its output, which fused attention is faster at."""


@dataclass(frozen=True)
class Capture:
    """A model whose attention is ours while it runs.

    `calls` are those of its attention function, in order, and `options` the names of what this is given beside queries,
    keys, values and mask. `fuses` says that what is not wanted may be computed without weights, `slices` that its own
    function can be called for some heads only, and without values, and `plain` that this function does nothing that
    `in_few_passes` does not.
    """

    network: PreTrainedModel
    calls: Sequence[Call]
    options: frozenset[str]
    fuses: bool
    slices: bool
    plain: bool

    @property
    def places(self) -> tuple[Layer, ...]:
        """The layers that attend."""
        return tuple(place for _, place in self.calls if place)

    def run(self, inputs: Inputs, wanted: Mapping[Layer, Part], take: Take) -> None:
        """See `Way.run`."""
        visit = Visit(self.calls, wanted)

        def attend(call: Attending) -> tuple[Tensor | None, None]:
            place = visit.place(call.module)
            if place is None:
                return self._unwanted(call), None
            check_lengths(place, inputs, call.lengths)
            output = self._wanted(call, wanted[place], partial(take, place), needed=not visit.is_last(place))
            visit.leave(place)
            return output, None

        self._run(inputs, attend)

    def call(self, inputs: Inputs, wanted: Layer) -> Attending | None:
        """What a layer calls its attention function with, nothing after that being run; None if it does not call it."""
        visit = Visit(self.calls, {wanted})
        found: list[Attending] = []

        def attend(call: Attending) -> tuple[Tensor, None]:
            if visit.place(call.module) is None:
                return self._unwanted(call), None
            found.append(call)
            raise Finished

        self._run(inputs, attend)
        return found[0] if found else None

    def _run(self, inputs: Inputs, attend: Attend) -> None:
        """Runs the model with this attention function.

        Raises:
            TextError: it gives the function an option that it did not give for a few tokens.
        """

        def attend_as_known(call: Attending) -> tuple[Tensor | None, None]:
            if not call.given <= self.options | UNREAD:
                raise unlike_shorter()
            return attend(call)

        with suppress(Finished), attending_by(attend_as_known):
            self.network(**inputs)

    def _wanted(self, call: Attending, part: Part, take: Callable[[Piece], None], *, needed: bool) -> Tensor | None:
        """Hands over a part of a layer's weights; the layer's output, if that is needed."""

        def hand_over(made: Made) -> None:
            take(made.piece(part.heads))

        own, (queries, _) = self._attention(call), call.lengths
        if needed and not (self.fuses and part.share(call.query.shape[1], queries) <= LITTLE):
            return call.assembled(call.blocks(own, self._apart(call), [range(queries)]), hand_over)
        shown = call.mixing_nothing() if self.slices else call
        for made in shown.blocks(own, self._apart(call, part.heads), part.rows):
            hand_over(made)
        return self._unwanted(call) if needed else None

    def _unwanted(self, call: Attending) -> Tensor:
        """The output of a layer whose weights nobody wants."""
        heads = self._apart(call)
        return call.fused(heads) if self.fuses else call.output(self._attention(call), heads)

    def _attention(self, call: Attending) -> Attention:
        return in_few_passes if self.plain else call.own

    def _apart(self, call: Attending, wanted: Sequence[int] | None = None) -> list[range]:
        """The heads to be computed at a time for the sake of those wanted, or of all."""
        every = range(call.query.shape[1])
        return call.apart(every if wanted is None else wanted) if self.slices else [every]


def recorded(network: PreTrainedModel, inputs: Inputs, rows: int) -> list[tuple[Attending, Tensor]]:
    """Every call of the attention function, and all the weights that it makes, so many rows at a time."""
    calls: list[tuple[Attending, Tensor]] = []

    def attend(call: Attending) -> tuple[Tensor, None]:
        _, heads, queries, _ = call.query.shape
        weights = call.query.new_zeros(*call.query.shape[:3], call.key.shape[2])
        blocks = call.blocks(call.own, [range(heads)], in_turn(range(queries), rows))
        output = call.assembled(blocks, lambda made: made.piece(made.heads).put_into(weights))
        calls.append((call, weights))
        return output, None

    with attending_by(attend):
        network(**inputs)
    return calls


@contextmanager
def implementation(network: PreTrainedModel, name: str) -> Iterator[None]:
    """The model attending by the function of this name, and eagerly afterwards."""
    network.set_attn_implementation(name)
    try:
        yield
    finally:
        network.set_attn_implementation(EAGER)
