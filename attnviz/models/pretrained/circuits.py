"""Circuits of the heads of a network of transformers, from its linear maps where these have known names."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Module
from transformers import PreTrainedModel

from attnviz.errors import UsageError
from attnviz.measures.circuits import Reals, ValueCircuit, join_words
from attnviz.models.base import Card
from attnviz.vocabulary import Kind


class MapNames(Struct, frozen=True):
    """The names of the maps of values and of outputs in a module of attention.

    The values are the last third of a fused map, or if it is `interleaved` of each head's share of that.
    """

    value: str
    output: str
    fused: bool = False
    interleaved: bool = False


_KNOWN = (
    MapNames("v_proj", "o_proj"),
    MapNames("v_proj", "out_proj"),
    MapNames("v_lin", "out_lin"),
    MapNames("c_attn", "c_proj", fused=True),
    MapNames("query_key_value", "dense", fused=True, interleaved=True),
    MapNames("self.value", "output.dense"),
)
"""Llama and its like, OPT, DistilBERT, GPT-2, GPT-NeoX, BERT and its like."""


def read_circuit(network: PreTrainedModel, card: Card, kind: Kind, layer: int) -> ValueCircuit:
    """Return what each head of a layer moves.

    Raises:
        UsageError: the network has no maps of a known spelling, or others than its layers have.
    """
    stack = card.stacks[kind]
    found = list(_find_attention(network)) if len(card.stacks) == 1 else []
    if len(found) != len(stack.layers):
        raise _refuse(card)
    place = stack.layers.index(layer)
    (module, spelling), heads = found[place], stack.counts[place]
    output = _read_map(module.get_submodule(spelling.output))  # [width, heads · d]
    depth, value = output.shape[1] // heads, _read_map(module.get_submodule(spelling.value))
    if spelling.interleaved:
        value = value.reshape(heads, 3, depth, -1)[:, 2].reshape(heads * depth, -1)
    elif spelling.fused:
        value = np.split(value, 3)[2]
    groups = len(value) // depth
    if len(value) % depth or heads % max(groups, 1) or output.shape[1] % heads:
        raise _refuse(card)
    return ValueCircuit.of_maps(value, output, heads)


def join_network_words(network: PreTrainedModel, writer: PreTrainedModel | None, card: Card) -> Reals:
    """Return the map from what is written as words to what is read of words, W_U W_E: [width, width].

    Raises:
        UsageError: the map to words was not loaded with the network, or embeddings are of another width.
    """
    embedding = network.get_input_embeddings()
    words: Any = (writer or network).get_output_embeddings()  # type: ignore[no-untyped-call]
    if words is None and getattr(network.config.get_text_config(), "tie_word_embeddings", False):
        words = embedding
    tables = [getattr(module, "weight", None) for module in (words, embedding)]
    width = network.config.get_text_config().hidden_size
    if not all(isinstance(table, Tensor) and table.shape[-1] == width for table in tables):
        raise UsageError(
            f"{card.name} has no map from its vectors to words, which a model for language has: take one that has it."
        )
    return join_words(*(_Table(table) for table in tables if table is not None))


class _Table(Struct, frozen=True):
    """A table of torch, some rows of which are read as those of NumPy."""

    tensor: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape)

    def __getitem__(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        return _to_array(self.tensor[rows.tolist()]).astype(np.float32)


def _find_attention(network: PreTrainedModel) -> Iterator[tuple[Module, MapNames]]:
    """Yield each module that has maps of a known spelling, in the order of the layers."""
    for module in network.modules():
        fitting = (one for one in _KNOWN if _has(module, one.value) and _has(module, one.output))
        if (spelling := next(fitting, None)) is not None:
            yield module, spelling


def _has(module: Module, name: str) -> bool:
    try:
        return isinstance(getattr(module.get_submodule(name), "weight", None), Tensor)
    except AttributeError:
        return False


def _read_map(module: Any) -> Reals:
    """Return the matrix of a linear map, [out, in]; GPT-2 keeps it the other way round."""
    weight = _to_array(module.weight)
    return weight.T if type(module).__name__ == "Conv1D" else weight


def _to_array(tensor: Tensor) -> Reals:
    return np.asarray(tensor.detach().float().cpu(), float)


def _refuse(card: Card) -> UsageError:
    return UsageError(
        f"What the heads of {card.name} move cannot be read from its weights: its maps of values are not spelled in a "
        "way that attnviz knows."
    )
