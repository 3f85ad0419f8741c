"""The sources of attention weights: which call of which module is which layer."""

import inspect
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct
from torch import Tensor
from torch.nn import Module
from transformers import PreTrainedModel

from attnviz.errors import HOW_TO_CUT, TextError
from attnviz.vocabulary import Kind

Inputs = Mapping[str, Tensor]
"""The inputs of a model, by the names of its parameters."""


class AttentionLayer(Struct, frozen=True):
    """A layer of one kind of attention, by its own number in the model."""

    kind: Kind
    layer: int


def keep_accepted(network: Module, inputs: Inputs) -> Inputs:
    """Return those inputs that a network takes."""
    parameters = inspect.signature(network.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return inputs
    names = {parameter.name for parameter in parameters}
    return {name: value for name, value in inputs.items() if name in names}


def decodes(network: PreTrainedModel) -> bool:
    """Return whether a network has a decoder that looks at what an encoder has made, and is no half of such a model."""
    parameters = inspect.signature(network.forward).parameters
    return bool(getattr(network.config, "is_encoder_decoder", False)) and "decoder_input_ids" in parameters


def count_lengths(kind: Kind, inputs: Inputs) -> tuple[int, int]:
    """Return how many queries and keys there are in one kind of attention."""
    own = inputs["input_ids"].shape[1]
    if "decoder_input_ids" not in inputs or kind is Kind.ENCODER:
        return own, own
    target = inputs["decoder_input_ids"].shape[1]
    return target, own if kind.crosses else target


def unlike_shorter() -> TextError:
    """Return the error for a model that attends to a text in another way than it did to a few tokens."""
    return TextError(f"The model attends to this text in another way than to shorter ones: {HOW_TO_CUT}")


def check_lengths(place: AttentionLayer, inputs: Inputs, found: Sequence[int]) -> None:
    """Raise TextError if there are other numbers of queries and keys than the text has, as through a summary of it."""
    if tuple(found) != count_lengths(place.kind, inputs):
        raise unlike_shorter()


def split_range(indices: range, at_once: int) -> list[range]:
    """Return neighbouring indices, so many at a time."""
    return [indices[first : first + at_once] for first in range(0, len(indices), at_once)]


class Finished(Exception):  # noqa: N818  it is no error
    """Nothing that is wanted comes after this: the rest of the model need not be run."""


Call = tuple[Module, AttentionLayer | None]
"""A module that was called, and the place of what it computed; None if that is no layer's weights."""


class Called(Struct, frozen=True):
    """A network, and the calls of its modules that make weights, in their order."""

    network: PreTrainedModel
    calls: Sequence[Call]

    @property
    def places(self) -> tuple[AttentionLayer, ...]:
        """Return the layers that attend."""
        return tuple(place for _, place in self.calls if place)


class Visit:
    """One run through a model, in which its modules are called in the same order as they were before."""

    def __init__(self, calls: Sequence[Call], wanted: Collection[AttentionLayer]) -> None:
        self._left = set(wanted)
        self._calls = calls
        self._seen: Counter[int] = Counter()

    def place(self, module: Module) -> AttentionLayer | None:
        """Return the place of this call of a module, if it is wanted."""
        places = [place for called, place in self._calls if called is module]
        turn = self._seen[id(module)]
        self._seen[id(module)] += 1
        place = places[turn] if turn < len(places) else None
        return place if place in self._left else None

    def is_last(self, place: AttentionLayer) -> bool:
        """Return whether nothing is wanted after this one."""
        return self._left == {place}

    def leave(self, place: AttentionLayer) -> None:
        """End the run after the last place that is wanted.

        Raises:
            Finished: that was it.
        """
        self._left.discard(place)
        if not self._left:
            raise Finished


def find_places(calls: Sequence[tuple[Module, AttentionLayer | None]], network: Module) -> list[Call]:
    """Return each call with its place: the number of its layer as the model has it.

    The number is the first one in the name of the module. The given number, which counts the weights of the kind that
    the model returns, stays where some of those are not shown (CANINE), or where several calls would have the same
    number because a model calls one layer again and again (ALBERT).
    """
    names = {module: name for name, module in network.named_modules()}
    found: list[Call] = list(calls)
    for kind in Kind:
        own = [(index, *call) for index, call in enumerate(calls) if call[1] and call[1].kind is kind]
        all_shown = [place.layer for _, _, place in own if place] == [*range(len(own))]
        numbers = [_find_number(names[module]) for _, module, _ in own]
        if all_shown and len(set(numbers)) == len(numbers):
            for (index, module, _), number in zip(own, numbers, strict=True):
                found[index] = module, AttentionLayer(kind, number)
    return found


def _find_number(name: str) -> int:
    """Return the first number in the name of a module, such as 4 in `model.layers.4.self_attn`."""
    return next((int(part) for part in name.split(".") if part.isdecimal()), 0)
