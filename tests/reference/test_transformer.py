from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from attnviz.records import Block
from attnviz.reference import multi_head
from attnviz.reference.masks import padding
from attnviz.reference.multi_head import Heads
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import Config, Positions, embed, show_layer, transformer, transformer_layer
from tests.reference.randomized import randomize

BATCH, LAYERS, HEADS, TOKENS, DEPTH, VOCABULARY, INNER, LONGEST, BUCKETS = 5, 2, 3, 7, 14, 11, 13, 17, 10
WIDTH = HEADS * DEPTH
EPSILON = 1e-3  # far from the default, so that a lost one shows

IDS = np.random.default_rng(3).integers(0, VOCABULARY, (BATCH, TOKENS))
VECTORS = np.random.default_rng(5).normal(size=(BATCH, TOKENS, WIDTH)).astype(np.float32)
LENGTHS = np.array([7, 1, 5, 7, 3])

norms = pytest.mark.parametrize("norm_first", [True, False], ids=["pre-norm", "post-norm"])
activations = pytest.mark.parametrize("activation", ["relu", "gelu"])


def config(**changes: Any) -> Config:
    return Config(**{"width": WIDTH, "layers": LAYERS, "heads": HEADS, "epsilon": EPSILON} | changes)


def torch_encoder(norm_first: bool = True, activation: str = "gelu") -> torch.nn.TransformerEncoder:
    layer = torch.nn.TransformerEncoderLayer(
        WIDTH,
        HEADS,
        INNER,
        dropout=0.0,
        activation=activation,
        layer_norm_eps=EPSILON,
        batch_first=True,
        norm_first=norm_first,
    )
    last = torch.nn.LayerNorm(WIDTH, eps=EPSILON) if norm_first else None
    module = torch.nn.TransformerEncoder(layer, LAYERS, norm=last, enable_nested_tensor=False)
    return randomize(module, std=0.3).requires_grad_()  # for the gradients that are compared


def named_as_ours(name: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    """An array of `nn.TransformerEncoder` under the name, or the three names, that it has here."""
    for theirs, ours in {
        "self_attn.out_proj": "attention.output",
        "linear1": "feed_forward.up",
        "linear2": "feed_forward.down",
        "norm1": "attention_norm",
        "norm2": "feed_forward_norm",
    }.items():
        name = name.replace(theirs, ours)
    stem, packed, kind = name.partition("self_attn.in_proj_")
    if not packed:
        return {name: value}
    query, key, value = value.chunk(3)
    return {f"{stem}attention.{part}.{kind}": v for part, v in (("query", query), ("key", key), ("value", value))}


def arrays_of(module: torch.nn.Module, array: Callable[..., Any]) -> dict[str, Any]:
    return {
        name: array(value.detach())
        for theirs, parameter in module.named_parameters()
        for name, value in named_as_ours(theirs, parameter).items()
    }


def with_embeddings(arrays: dict[str, Any], array: Callable[..., Any]) -> Parameters:
    rng = np.random.default_rng(7)
    shapes = {
        "embedding.weight": (VOCABULARY, WIDTH),
        "positions.weight": (LONGEST, WIDTH),
        "relative.weight": (BUCKETS, HEADS),
    }
    return Parameters(arrays | {name: array(rng.normal(size=s).astype(np.float32)) for name, s in shapes.items()})


def hidden_keys() -> torch.Tensor:
    return torch.from_numpy(np.arange(TOKENS) >= LENGTHS[:, None])


@norms
@activations
@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
def test_a_layer_is_that_of_torch(array: Callable[..., Any], norm_first: bool, activation: str, padded: bool) -> None:
    layer = torch_encoder(norm_first, activation).layers[1]
    result = transformer_layer(
        array(VECTORS),
        Parameters(arrays_of(layer, array)),
        config(norm_first=norm_first, activation=activation),
        Heads(HEADS, mask=padding(array(LENGTHS)) if padded else None),
    )
    with torch.no_grad():
        expected = layer(torch.from_numpy(VECTORS), src_key_padding_mask=hidden_keys() if padded else None)
    assert type(result) is type(array(VECTORS))
    assert_allclose(np.asarray(result), expected, atol=1e-5)


@norms
@activations
@pytest.mark.parametrize("depth", [None, 1, 0])
def test_the_transformer_is_that_of_torch(
    array: Callable[..., Any], norm_first: bool, activation: str, depth: int | None
) -> None:
    module = torch_encoder(norm_first, activation)
    parameters = with_embeddings(arrays_of(module, array), array)
    shape = config(norm_first=norm_first, activation=activation)
    result = transformer(array(IDS), parameters, shape, mask=padding(array(LENGTHS)), depth=depth)
    module.layers = module.layers[:depth]
    module.norm = module.norm if depth is None else None  # which comes after the last layer
    embedded = torch.from_numpy(np.asarray(parameters["embedding.weight"])[IDS])
    embedded += torch.from_numpy(np.asarray(parameters["positions.weight"])[:TOKENS])
    with torch.no_grad():
        expected = module(embedded, src_key_padding_mask=hidden_keys()) if depth != 0 else embedded
    assert_allclose(np.asarray(result), expected, atol=1e-5)


@norms
@activations
def test_gradients_are_those_of_torch(norm_first: bool, activation: str) -> None:
    module = torch_encoder(norm_first, activation)
    arrays = {name: value.requires_grad_() for name, value in arrays_of(module, torch.clone).items()}
    parameters = with_embeddings(arrays, torch.from_numpy)
    towards = torch.from_numpy(VECTORS)  # any fixed direction makes a loss of an output

    shape = config(norm_first=norm_first, activation=activation, positions=Positions.NONE)
    result = transformer(torch.from_numpy(IDS), parameters, shape, mask=padding(torch.from_numpy(LENGTHS)))
    (result * towards).mean().backward()

    embedded = parameters["embedding.weight"][torch.from_numpy(IDS)]
    (module(embedded, src_key_padding_mask=hidden_keys()) * towards).mean().backward()
    for theirs, parameter in module.named_parameters():
        assert parameter.grad is not None
        for name, expected in named_as_ours(theirs, parameter.grad).items():
            assert_allclose(arrays[name].grad, expected, atol=1e-5, err_msg=name)


def test_gradients_reach_the_embeddings() -> None:
    parameters = with_embeddings(arrays_of(torch_encoder(), torch.clone), torch.from_numpy)
    for name in ("embedding.weight", "positions.weight"):
        parameters[name].requires_grad_()
    transformer(torch.from_numpy(IDS), parameters, config())[..., 0].sum().backward()
    reached = parameters["positions.weight"].grad.abs().sum(-1) > 0
    assert reached.tolist() == [position < TOKENS for position in range(LONGEST)]
    assert (parameters["embedding.weight"].grad.abs().sum(-1) > 0).tolist() == np.isin(range(VOCABULARY), IDS).tolist()


@pytest.mark.parametrize("positions", Positions)
def test_positions_that_are_added_are_added_to_each_token(array: Callable[..., Any], positions: Positions) -> None:
    parameters = with_embeddings({}, array)
    plain = np.asarray(parameters["embedding.weight"])[IDS]
    even = np.arange(0, WIDTH, 2) / WIDTH
    angles = np.arange(TOKENS)[:, None] / 10000**even
    waves = np.stack((np.sin(angles), np.cos(angles)), -1).reshape(TOKENS, WIDTH)
    learned = np.asarray(parameters["positions.weight"])[:TOKENS]
    added = {Positions.LEARNED: learned, Positions.SINUSOIDAL: waves}.get(positions, np.zeros(WIDTH))
    assert_allclose(np.asarray(embed(array(IDS), parameters, config(positions=positions))), plain + added, atol=1e-5)


def test_rotary_positions_turn_the_queries_and_keys_of_each_head(array: Callable[..., Any]) -> None:
    arrays = arrays_of(torch_encoder(norm_first=False), torch.clone)
    ours = with_embeddings({name: array(value) for name, value in arrays.items()}, array)
    watched: list[Any] = []
    shape = config(positions=Positions.ROTARY, norm_first=False)
    transformer(array(IDS), ours, shape, depth=1, watch=lambda block: watched.append(block.weights))
    vectors = torch.from_numpy(np.asarray(ours["embedding.weight"])[IDS])

    frequencies = 10000 ** (-torch.arange(0, DEPTH, 2) / DEPTH)
    turns = torch.exp(1j * torch.arange(TOKENS)[:, None] * frequencies)  # [tokens, d / 2]

    def turned(part: str) -> torch.Tensor:
        weight, bias = (arrays[f"layers.0.attention.{part}.{name}"] for name in ("weight", "bias"))
        projected = torch.nn.functional.linear(vectors, weight, bias)
        real, imaginary = projected.view(BATCH, TOKENS, HEADS, 2, DEPTH // 2).transpose(1, 2).unbind(-2)
        return torch.complex(real, imaginary) * turns

    scores = (turned("query") @ turned("key").conj().mT).real / DEPTH**0.5
    assert_allclose(np.asarray(watched[0]), torch.softmax(scores, -1), atol=1e-5)


@given(order=st.permutations(range(TOKENS)))
def test_without_positions_the_order_of_tokens_is_not_seen(array: Callable[..., Any], order: list[int]) -> None:
    parameters = with_embeddings(arrays_of(torch_encoder(), array), array)
    shape = config(positions=Positions.NONE)
    plain = np.asarray(transformer(array(IDS), parameters, shape))
    assert_allclose(np.asarray(transformer(array(IDS[:, order]), parameters, shape)), plain[:, order], atol=1e-5)


@pytest.mark.parametrize("positions", [Positions.LEARNED, Positions.SINUSOIDAL, Positions.ROTARY])
def test_with_positions_the_order_of_tokens_is_seen(array: Callable[..., Any], positions: Positions) -> None:
    parameters = with_embeddings(arrays_of(torch_encoder(), array), array)
    shape, order = config(positions=positions), [1, 0, *range(2, TOKENS)]
    plain = np.asarray(transformer(array(IDS), parameters, shape))
    assert np.abs(np.asarray(transformer(array(IDS[:, order]), parameters, shape)) - plain[:, order]).max() > 1e-2


@pytest.mark.parametrize("positions", Positions)
def test_texts_of_a_batch_do_not_see_each_other(array: Callable[..., Any], positions: Positions) -> None:
    parameters = with_embeddings(arrays_of(torch_encoder(), array), array)
    shape = config(positions=positions)
    together = np.asarray(transformer(array(IDS), parameters, shape, mask=padding(array(LENGTHS))))
    for ids, length, vectors in zip(IDS, LENGTHS, together, strict=True):
        alone = np.asarray(transformer(array(ids[:length]), parameters, shape))
        assert_allclose(alone, vectors[:length], atol=1e-5)


def test_weights_are_watched_layer_by_layer_and_row_by_row(
    array: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = with_embeddings(arrays_of(torch_encoder(), array), array)
    whole: dict[int, Any] = {}
    expected = transformer(
        array(IDS), parameters, config(), watch=lambda block: whole.update({block.layer: block.weights})
    )
    seen: list[tuple[int, int, int, Any]] = []
    monkeypatch.setattr(multi_head, "AT_ONCE", 3 * BATCH * HEADS * TOKENS)
    result = transformer(
        array(IDS),
        parameters,
        config(),
        watch=lambda block: seen.append((block.layer, block.rows.start, block.keys.start, block.weights)),
    )
    assert [tuple(place) for *place, _ in seen] == [(layer, row, 0) for layer in (0, 1) for row in (0, 3, 6)]
    for layer, first, _, weights in seen:
        assert weights.shape == (BATCH, HEADS, min(3, TOKENS - first), TOKENS)
        assert_allclose(np.asarray(weights), np.asarray(whole[layer])[:, :, first : first + 3], atol=1e-6)
    assert_allclose(np.asarray(result), np.asarray(expected), atol=1e-5)


ALL_ROWS = [range(2), range(3, 4), range(5, 7)]
"""Some stretches of the rows, in order."""


def shown(layer: int, parameters: Parameters, shape: Config, wanted: tuple[int, ...], array: Callable[..., Any]) -> Any:
    """The weights of some heads of a layer, [texts, heads, rows, keys], by first row, and the first key of each."""
    seen: dict[tuple[int, int], tuple[int, np.ndarray]] = {}

    def watch(block: Block) -> None:
        if block.layer == layer:
            assert block.heads == wanted
            seen[block.layer, block.rows.start] = block.keys.start, np.asarray(block.weights)

    show_layer(
        layer,
        array(IDS),
        parameters,
        shape,
        heads=wanted,
        rows=ALL_ROWS,
        watch=watch,
    )
    return seen


@norms
@pytest.mark.parametrize("key_heads", [None, 1])
@pytest.mark.parametrize(
    "changes",
    [{}, {"causal": True}, {"positions": Positions.RELATIVE}, {"positions": Positions.ROTARY}, {"windows": (None, 2)}],
    ids=["plain", "causal", "relative", "rotary", "window"],
)
def test_some_heads_and_rows_of_a_layer_are_those_of_the_whole(
    array: Callable[..., Any], norm_first: bool, key_heads: int | None, changes: dict[str, Any]
) -> None:
    arrays = arrays_of(torch_encoder(norm_first), array)
    if key_heads is not None:
        shared = (f"layers.{layer}.attention.{part}." for layer in range(LAYERS) for part in ("key", "value"))
        arrays |= {f"{name}{kind}": arrays[f"{name}{kind}"][:DEPTH] for name in shared for kind in ("weight", "bias")}
    parameters = with_embeddings(arrays, array)
    shape = config(norm_first=norm_first, key_heads=key_heads, **changes)
    whole: dict[int, np.ndarray] = {}
    transformer(
        array(IDS), parameters, shape, watch=lambda block: whole.update({block.layer: np.asarray(block.weights)})
    )
    for wanted in ((2, 0), (0, 1, 2)):
        seen = shown(1, parameters, shape, wanted, array)
        assert list(seen) == [(1, rows.start) for rows in ALL_ROWS]
        for rows in ALL_ROWS:
            (first_key, weights), expected = seen[1, rows.start], whole[1][:, list(wanted), rows.start : rows.stop]
            placed = np.zeros_like(expected)
            placed[..., first_key : first_key + weights.shape[-1]] = weights
            assert_allclose(placed, expected, atol=1e-6)


def test_of_the_layer_that_is_shown_nothing_but_queries_and_keys_is_computed(array: Callable[..., Any]) -> None:
    arrays = with_embeddings(arrays_of(torch_encoder(), array), array).arrays
    used: set[str] = set()

    class Watched(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            used.add(name)
            return super().__getitem__(name)

        def get(self, name: str, default: Any = None) -> Any:
            used.add(name)
            return super().get(name, default)

    shown(0, Parameters(Watched(arrays)), config(), (1,), array)
    parts = {name.removeprefix("layers.0.").rpartition(".")[0] for name in used if name.startswith("layers.")}
    assert parts == {"attention_norm", "attention.query", "attention.key"}
