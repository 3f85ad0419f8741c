"""The decoder of an encoder-decoder, held to that of PyTorch; what its arrays are called on the way."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from attnviz.reference.masks import padding
from attnviz.reference.multi_head import Heads, multi_head_attention, split_output
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import attention
from attnviz.reference.transformer import Config, Positions, transformer, transformer_layer
from attnviz.vocabulary import Kind
from tests.reference.randomized import randomize

BATCH, LAYERS, HEADS, TARGETS, SOURCES, DEPTH, INNER, VOCABULARY = 5, 2, 3, 7, 11, 14, 13, 17
WIDTH = HEADS * DEPTH
EPSILON = 1e-3

TARGET = np.random.default_rng(3).normal(size=(BATCH, TARGETS, WIDTH)).astype(np.float32)
CONTEXT = np.random.default_rng(5).normal(size=(BATCH, SOURCES, WIDTH)).astype(np.float32)
IDS = np.random.default_rng(7).integers(0, VOCABULARY, (TARGETS,))
LENGTHS = np.array([7, 1, 11, 5, 3])


def config(**changes: Any) -> Config:
    return Config(**{"width": WIDTH, "layers": LAYERS, "heads": HEADS, "causal": True, "crosses": True} | changes)


def torch_layer(norm_first: bool) -> torch.nn.TransformerDecoderLayer:
    layer = torch.nn.TransformerDecoderLayer(
        WIDTH, HEADS, INNER, dropout=0.0, layer_norm_eps=EPSILON, batch_first=True, norm_first=norm_first
    )
    return randomize(layer, std=0.3)


def named_as_ours(name: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    for theirs, ours in {
        "self_attn": "attention",
        "multihead_attn": "cross_attention",
        "out_proj": "output",
        "linear1": "feed_forward.up",
        "linear2": "feed_forward.down",
        "norm1": "attention_norm",
        "norm2": "cross_attention_norm",
        "norm3": "feed_forward_norm",
    }.items():
        name = name.replace(theirs, ours)
    stem, packed, kind = name.partition("in_proj_")
    if not packed:
        return {name: value}
    return {f"{stem}{part}.{kind}": v for part, v in zip(("query", "key", "value"), value.chunk(3), strict=True)}


def arrays_of(module: torch.nn.Module, array: Callable[..., Any], prefix: str = "") -> dict[str, Any]:
    return {
        prefix + name: array(value.detach())
        for theirs, parameter in module.named_parameters()
        for name, value in named_as_ours(theirs, parameter).items()
    }


def whole(array: Callable[..., Any]) -> Parameters:
    """A decoder of two layers, with embeddings."""
    rng = np.random.default_rng(11)
    arrays = {"embedding.weight": rng.normal(size=(VOCABULARY, WIDTH)), "relative.weight": rng.normal(size=(8, HEADS))}
    arrays |= {"norm.weight": np.ones(WIDTH), "norm.bias": np.zeros(WIDTH)}
    layers = [arrays_of(torch_layer(norm_first=True), array, f"layers.{layer}.") for layer in range(LAYERS)]
    return Parameters({name: array(a.astype(np.float32)) for name, a in arrays.items()} | layers[0] | layers[1])


@pytest.mark.parametrize("norm_first", [True, False], ids=["pre-norm", "post-norm"])
def test_a_layer_that_crosses_is_that_of_torch(array: Callable[..., Any], norm_first: bool) -> None:
    layer = torch_layer(norm_first)
    result = transformer_layer(
        array(TARGET),
        Parameters(arrays_of(layer, array)),
        config(norm_first=norm_first, activation="relu", epsilon=EPSILON),
        Heads(HEADS, causal=True),
        context=array(CONTEXT),
        context_mask=padding(array(LENGTHS)),
    )
    with torch.no_grad():
        expected = layer.double()(
            torch.from_numpy(TARGET).double(),
            torch.from_numpy(CONTEXT).double(),
            tgt_mask=torch.nn.Transformer.generate_square_subsequent_mask(TARGETS, dtype=torch.float64),
            tgt_is_causal=True,
            memory_key_padding_mask=torch.from_numpy(np.arange(SOURCES) >= LENGTHS[:, None]),
        )
    assert_allclose(np.asarray(result), expected, atol=1e-5)


def test_both_kinds_of_weights_are_watched(array: Callable[..., Any]) -> None:
    own: list[Any] = []
    crossing: list[Any] = []
    transformer(
        array(IDS),
        whole(array),
        config(positions=Positions.NONE),
        context=array(CONTEXT[0]),
        watch=lambda block: (crossing if block.kind is Kind.CROSS else own).append(block),
    )
    for blocks, keys in ((own, TARGETS), (crossing, SOURCES)):
        shown = [(block.layer, block.rows.start, block.keys.start, block.weights.shape) for block in blocks]
        assert shown == [(i, 0, 0, (HEADS, TARGETS, keys)) for i in (0, 1)]


@pytest.mark.parametrize("positions", [Positions.ALIBI, Positions.RELATIVE])
def test_positions_that_are_a_bias_make_the_order_seen(array: Callable[..., Any], positions: Positions) -> None:
    shape = config(positions=positions, causal=False)
    order = [1, 0, *range(2, TARGETS)]
    plain = np.asarray(transformer(array(IDS), whole(array), shape, context=array(CONTEXT[0])))
    moved = np.asarray(transformer(array(IDS[order]), whole(array), shape, context=array(CONTEXT[0])))
    assert np.abs(moved - plain[order]).max() > 1e-2


def test_a_bias_is_added_to_the_scores_of_each_head_in_every_layer(array: Callable[..., Any]) -> None:
    notes: dict[str, Any] = {}
    watched: dict[int, Any] = {}
    transformer(
        array(IDS),
        whole(array),
        config(positions=Positions.ALIBI, causal=False),
        context=array(CONTEXT[0]),
        watch=lambda block: watched.update({(block.kind, block.layer): block.weights}),
        note=notes.__setitem__,
    )
    distances = np.abs(np.arange(TARGETS)[:, None] - np.arange(TARGETS))
    slopes = [1 / 16, 1 / 256, 1 / 4]  # of three heads, as the paper's code has it
    for layer in range(LAYERS):
        queries, keys = (torch.from_numpy(np.asarray(notes[f"layers.{layer}.attention.{n}"])) for n in ("query", "key"))
        scores = queries @ keys.mT / DEPTH**0.5 - torch.tensor(slopes)[:, None, None] * torch.from_numpy(distances)
        assert_allclose(np.asarray(watched[Kind.DECODER, layer]), torch.softmax(scores, -1), atol=1e-5)


def test_what_is_noted_leads_from_the_embedding_to_what_a_layer_passes_on(array: Callable[..., Any]) -> None:
    notes: dict[str, Any] = {}
    shape = config(positions=Positions.SINUSOIDAL)
    transformer(array(IDS), whole(array), shape, context=array(CONTEXT[0]), note=notes.__setitem__)
    notes = {name: np.asarray(a) for name, a in notes.items()}
    assert_allclose(notes["embedding.token"] + notes["embedding.position"], notes["embedding.passed"], atol=1e-6)
    assert_allclose(notes["embedding.passed"], notes["layers.0.attention.residual"])
    previous = None
    for layer in range(LAYERS):
        for part in shape.sublayers:
            name = f"layers.{layer}.{part}"
            if previous is not None:
                assert_allclose(notes[f"{name}.residual"], previous)
            assert_allclose(notes[f"{name}.residual"] + notes[f"{name}.output"], notes[f"{name}.passed"], atol=1e-6)
            previous = notes[f"{name}.passed"]
    _, mixed = attention(*(notes[f"layers.1.cross_attention.{part}"] for part in ("query", "key", "value")))
    assert_allclose(notes["layers.1.cross_attention.mixed"], mixed, atol=1e-5)


@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_each_head_writes_by_a_map_of_low_rank(array: Callable[..., Any], key_heads: int) -> None:
    heads, depth = 4, 3
    width = heads * depth
    rng = np.random.default_rng(13)
    shapes = {
        "query.weight": (width, width),
        "key.weight": (key_heads * depth, width),
        "value.weight": (key_heads * depth, width),
        "output.weight": (width, width),
    }
    parameters = Parameters({name: array(rng.normal(size=shape).astype(np.float32)) for name, shape in shapes.items()})
    x = rng.normal(size=(7, width)).astype(np.float32)
    notes: dict[str, Any] = {}
    watched: list[Any] = []
    written = multi_head_attention(
        array(x),
        array(x),
        parameters,
        Heads(heads, key_heads),
        watch=lambda block: watched.append(np.asarray(block.weights)),
        note=notes.__setitem__,
    )
    parts = np.asarray(split_output(notes["mixed"], parameters))
    assert parts.shape == (heads, 7, width)
    assert_allclose(parts.sum(0), np.asarray(written), atol=1e-4)
    value, output = (np.asarray(parameters[f"{part}.weight"]) for part in ("value", "output"))
    for head in range(heads):
        shared = head * key_heads // heads
        down = value[shared * depth : (shared + 1) * depth]  # [depth, width]
        up = output[:, head * depth : (head + 1) * depth]  # [width, depth]
        assert_allclose(watched[0][head] @ x @ (up @ down).T, parts[head], atol=1e-4)
