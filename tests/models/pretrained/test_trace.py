"""What is traced of a model, held against the weights that the library returns and what its own parts compute."""

from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from attnviz.errors import ModelError, TextError, UsageError
from attnviz.models.loading import Loading
from attnviz.models.passages import Passage, Reading
from attnviz.models.pretrained import load
from attnviz.models.pretrained.edge import quiet
from attnviz.models.pretrained.query_trace import observe
from attnviz.records import Selection
from attnviz.reference.trace import Trace
from attnviz.vocabulary import Kind

TEXT = "the animal did not cross the street because it was too tired"
TARGET = "it was too wide because the street"
QUERY = 6

Models = Callable[[str], Any]

DOES_MORE = "gemma2", "t5gemma"
"""Families whose weights are no softmax of scaled scores: scores are capped."""


def read(model: Any) -> Reading:
    reading: Reading = model.read(Passage(text=TEXT, target=TARGET if model.card.translates else None))
    return reading


def from_library(model: Any, reading: Reading, kind: Kind, layer: int) -> np.ndarray:
    """The row that the library itself returns as weights, [heads, keys]."""
    ids = torch.tensor([reading.ids])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if reading.types:
        inputs["token_type_ids"] = torch.tensor([reading.types])
    if reading.target is not None:
        inputs["decoder_input_ids"] = torch.tensor([reading.target.ids])
    with quiet(), torch.inference_mode():
        output = model.runner.network(**inputs, output_attentions=True, use_cache=False)
    prefixes = {Kind.ENCODER: "encoder_", Kind.DECODER: "decoder_", Kind.CROSS: "cross_"}
    layers = output[f"{prefixes[kind] if reading.target else ''}attentions"]
    attending = model.card.stacks[kind].layers
    own: np.ndarray = layers[attending.index(layer) if len(layers) == len(attending) else layer][0, :, QUERY].numpy()
    return own


def softmax_of(trace: Trace) -> np.ndarray:
    """exp(s) / Σ exp(s) of scaled scores and bias over the keys allowed, in float64: [heads, keys]."""
    keys = np.repeat(trace.keys, len(trace.query) // len(trace.keys), 0).astype(float)
    scores = np.einsum("hd,hkd->hk", trace.query, keys) * trace.scale
    exponentials = np.exp(scores + (0 if trace.bias is None else trace.bias))
    exponentials *= 1 if trace.allowed is None else trace.allowed
    sinks = 0 if trace.sink is None else np.exp(trace.sink.astype(float))[:, None]
    weights: np.ndarray = exponentials / (exponentials.sum(-1, keepdims=True) + sinks)
    return weights


def test_a_model_is_explained_by_its_own_weights(any_family: str, model_of: Models) -> None:
    model = model_of(any_family)
    reading = read(model)
    for kind, stack in model.card.stacks.items():
        trace = model.trace(reading, kind, stack.layers[-1], QUERY)
        weights = softmax_of(trace) if trace.weights is None else trace.weights
        assert (trace.weights is not None) == (any_family in DOES_MORE)
        assert_allclose(weights, from_library(model, reading, kind, stack.layers[-1]), atol=1e-5)
        values = np.repeat(trace.values, len(weights) // len(trace.values), 0)
        assert_allclose(trace.mixed, np.einsum("hk,hkd->hd", weights, values), atol=1e-5)


def outputs_of(network: Any, reading: Reading, *names: str) -> list[np.ndarray]:
    """What parts of a network return, [tokens, width] each, for a reading."""
    seen: dict[str, np.ndarray] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, args, output: seen.update({name: output[0].numpy()})

    handles = [network.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    with quiet(), torch.inference_mode():
        network(torch.tensor([reading.ids]))
    for handle in handles:
        handle.remove()
    return [seen[name] for name in names]


def of_heads(rows: np.ndarray, heads: int) -> np.ndarray:
    """[tokens, heads · d] -> [heads, tokens, d]."""
    return rows.reshape(len(rows), heads, -1).swapaxes(0, 1)


def test_queries_keys_and_values_are_those_that_the_layer_has_made(model_of: Models) -> None:
    model = model_of("bert")
    reading = read(model)
    trace = model.trace(reading, Kind.ENCODER, 1, QUERY)
    parts = [f"encoder.layer.1.attention.self.{name}" for name in ("query", "key", "value")]
    query, keys, values = (of_heads(rows, 3) for rows in outputs_of(model.runner.network, reading, *parts))
    assert trace.position == QUERY
    assert_allclose(trace.query, query[:, QUERY], atol=1e-5)
    assert_allclose(trace.keys, keys, atol=1e-5)
    assert_allclose(trace.values, values, atol=1e-5)
    assert (trace.allowed, trace.bias, trace.turned_query, trace.turned_keys) == (None, None, None, None)


def test_what_is_mixed_is_what_the_output_projection_reads(model_of: Models) -> None:
    model = model_of("bert")
    reading = read(model)
    trace = model.trace(reading, Kind.ENCODER, 2, QUERY)
    projection = model.runner.network.encoder.layer[2].attention.output.dense
    (projected,) = outputs_of(model.runner.network, reading, "encoder.layer.2.attention.output.dense")
    with torch.inference_mode():
        assert_allclose(projection(torch.tensor(trace.mixed.reshape(1, -1)))[0], projected[QUERY], atol=1e-5)


def test_keys_that_heads_share_come_once_and_turned_by_their_positions(model_of: Models) -> None:
    model = model_of("llama")
    reading = read(model)
    trace = model.trace(reading, Kind.DECODER, 1, QUERY)
    (keys,) = outputs_of(model.runner.network, reading, "layers.1.self_attn.k_proj")
    with torch.inference_mode():
        from transformers.models.llama.modeling_llama import rotate_half

        plain = torch.tensor(keys)[None, None]  # [1, 1, keys, d]
        cos, sin = model.runner.network.rotary_emb(plain, torch.arange(len(keys))[None])
        turned = plain * cos + rotate_half(plain) * sin
    assert trace.query.shape == (3, 10)
    assert_allclose(trace.keys, turned[0], atol=1e-5)


@pytest.mark.parametrize(("family", "first"), [("gpt2", 0), ("mistral", QUERY - 4)])
def test_keys_that_the_query_may_not_see_are_told_apart(family: str, first: int, model_of: Models) -> None:
    model = model_of(family)
    trace = model.trace(read(model), Kind.DECODER, 1, QUERY)
    assert np.flatnonzero(trace.allowed).tolist() == list(range(first, QUERY + 1))
    assert len(trace.allowed) == trace.keys.shape[1] == trace.values.shape[1] == 12
    assert trace.bias is None


@pytest.mark.parametrize(("kind", "part"), [(Kind.ENCODER, "encoder"), (Kind.DECODER, "decoder")])
def test_a_bias_for_positions_is_that_of_the_model(kind: Kind, part: str, model_of: Models) -> None:
    model = model_of("t5")
    reading = read(model)
    trace = model.trace(reading, kind, 1, QUERY)
    count = len(reading.axes(kind)[0])
    first = model.runner.network.get_submodule(f"{part}.block.0.layer.0.SelfAttention")
    with torch.inference_mode():
        bias = first.compute_bias(count, count)[0, :, QUERY].numpy()
    seen = np.ones(count, bool) if trace.allowed is None else trace.allowed
    assert trace.scale == 1
    assert_allclose(trace.bias, np.where(seen, bias, 0), atol=1e-6)


def test_cross_attention_has_the_queries_of_one_text_and_the_keys_of_the_other(model_of: Models) -> None:
    model = model_of("marian")
    reading = read(model)
    trace = model.trace(reading, Kind.CROSS, 1, QUERY)
    assert (len(reading.target.tokens), len(reading.tokens)) == (8, 13)
    assert (trace.keys.shape, trace.allowed, trace.bias) == ((3, 13, 8), None, None)


def test_nothing_after_the_layer_is_run(model_of: Models) -> None:
    model, run = model_of("bert"), []
    hooks = [
        layer.register_forward_pre_hook(lambda *_, number=number: run.append(number))
        for number, layer in enumerate(model.runner.network.encoder.layer)
    ]
    model.trace(read(model), Kind.ENCODER, 1, QUERY)
    for hook in hooks:
        hook.remove()
    assert run == [0, 1]


def test_half_precision_is_explained_as_exactly(folder_of: Callable[[str], Path], model_of: Models) -> None:
    half = load("half", folder_of("bert"), Loading(dtype="bfloat16"))
    reading = read(half)
    trace, whole = (model.trace(reading, Kind.ENCODER, 2, QUERY) for model in (half, model_of("bert")))
    assert trace.query.dtype == trace.keys.dtype == trace.mixed.dtype == np.float32
    assert_allclose(trace.mixed, np.einsum("hk,hkd->hd", softmax_of(trace), trace.values), atol=1e-5)
    assert_allclose(softmax_of(trace), softmax_of(whole), atol=0.05)


@pytest.mark.parametrize(("family", "change"), [("gemma2", 1e-3), ("t5gemma", 1e-6)])  # by caps at 0.3 and at 50
def test_half_precision_hides_nothing_that_is_done_beside(
    family: str, change: float, folder_of: Callable[[str], Path]
) -> None:
    half = load("half", folder_of(family), Loading(dtype="bfloat16"))
    trace = half.trace(read(half), Kind.DECODER, 0, QUERY)
    assert trace.weights is not None
    assert np.abs(trace.weights - softmax_of(trace)).max() > change
    assert_allclose(
        trace.mixed,
        np.einsum("hk,hkd->hd", trace.weights, np.repeat(trace.values, len(trace.query) // len(trace.values), 0)),
        atol=1e-5,
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layer", [0, 1])  # one with a window, and one that sees all
def test_a_sink_takes_its_share_in_a_long_text_as_in_a_short_one(
    layer: int, dtype: str, make: Any, tmp_path: Any
) -> None:
    sizes = {"vocab_size": 101, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 3, "head_dim": 10}
    more = {"intermediate_size": 32, "num_key_value_heads": 1, "num_local_experts": 5, "num_experts_per_tok": 2}
    config = sizes | more | {"max_position_embeddings": 256, "sliding_window": 59}
    make(tmp_path, "GptOssForCausalLM", "GptOssConfig", config, "$A")
    model = load("sunk", tmp_path, Loading(dtype=dtype))
    sinks = torch.tensor([-1.0, 0.5, 3.0])
    for each in model.runner.network.layers:
        each.self_attn.sinks.data = sinks.clone()
    reading = model.read(Passage(text=" ".join(f"w{number % 67}" for number in range(0, 163 * 7, 7))))
    trace = model.trace(reading, Kind.DECODER, layer, 157)
    (own,) = model.weights(reading, Selection((Kind.DECODER,), (layer,)))
    assert len(reading.tokens) == 163
    assert trace.weights is None
    assert trace.bias is None
    assert_allclose(trace.sink, sinks, atol=1e-5)
    assert_allclose(softmax_of(trace), own.weights[0, :, 157], atol=1e-6 if dtype == "float32" else 0.01)
    assert 1e-5 < 1 - softmax_of(trace).sum(-1).min() < 0.2  # so little that a rough look misses it


def eager_attention_forward(
    module: nn.Module, query: Any, key: Any, value: Any, attention_mask: Any, **options: Any
) -> tuple[Any, Any]:
    scores = module.bend(query @ key.mT * 0.3 + attention_mask)
    weights = scores.softmax(-1)[..., : key.shape[2]] * module.share
    return (weights @ value * module.strength).transpose(1, 2), weights


class Attention(nn.Module):
    """What the function above finds its parameters in."""

    def __init__(
        self, share: float = 1, strength: float = 1, bend: Callable[[Any], Any] = lambda scores: scores
    ) -> None:
        super().__init__()
        self.share, self.strength, self.bend = share, strength, bend


def call_of(module: Attention, mask: torch.Tensor) -> Any:
    """A call with 3 heads, 7 queries, 11 keys, each of size 5."""
    from attnviz.models.pretrained.capture import Attending

    draw = torch.Generator().manual_seed(7)
    query, key, value = (torch.randn(1, 3, count, 5, generator=draw) for count in (7, 11, 11))
    return Attending(module, query, key, value, mask, {}, eager_attention_forward)


@pytest.mark.parametrize("hidden", [-torch.inf, torch.finfo(torch.float32).min, -1e9, -1e4])
def test_a_mask_that_holds_a_bias_is_taken_apart(hidden: float) -> None:
    bias = torch.randn(1, 3, 7, 11, generator=torch.Generator().manual_seed(11))
    unseen = torch.zeros(11, dtype=torch.bool)
    unseen[[2, 5, 9]] = True
    met = observe(call_of(Attention(), bias + torch.where(unseen, hidden, 0.0)), QUERY)
    trace = met.explain()
    assert_array_equal(trace.allowed, ~unseen)
    assert_array_equal(trace.bias, bias[0, :, QUERY].masked_fill(unseen, 0))
    assert trace.scale == pytest.approx(0.3, rel=1e-6)
    assert_allclose(softmax_of(trace), met.weights, atol=1e-6)


def test_keys_that_only_some_heads_may_see_are_hidden_from_the_others_by_the_bias() -> None:
    mask = torch.zeros(1, 3, 7, 11)
    mask[:, 1, :, 4] = mask[..., 8] = -torch.inf
    trace = observe(call_of(Attention(), mask), QUERY).explain()
    assert np.flatnonzero(~trace.allowed).tolist() == [8]
    assert np.argwhere(trace.bias).tolist() == [[1, 4]]


def with_sink(scores: torch.Tensor, highest: bool) -> torch.Tensor:
    """Scores with that of a sink for each head, less the highest of each row if wanted."""
    sinks = torch.tensor([-9.0, 1.0, 2.0])[:, None, None].expand(*scores.shape[:-1], 1)
    scores = torch.cat([scores, sinks], -1)
    return scores - scores.amax(-1, keepdim=True) if highest else scores


@pytest.mark.parametrize("highest", [False, True])
def test_a_sink_is_a_score_beside_those_of_the_keys(highest: bool) -> None:
    mask = torch.zeros(1, 1, 7, 11)
    mask[..., 8] = -torch.inf
    met = observe(call_of(Attention(bend=lambda scores: with_sink(scores, highest)), mask), QUERY)
    trace = met.explain()
    assert (trace.bias, np.flatnonzero(~trace.allowed).tolist()) == (None, [8])
    assert trace.scale == pytest.approx(0.3, rel=1e-6)
    assert_allclose(trace.sink, [-9, 1, 2], atol=1e-6)
    assert_allclose(softmax_of(trace), met.weights, atol=1e-6)
    assert 0 < 1 - met.weights[0].sum(dtype=float) < 1e-4


@pytest.mark.parametrize("share", [1 - 1e-4, 1 - 1e-5])
def test_a_small_share_that_goes_elsewhere_is_not_explained_away(share: float) -> None:
    met = observe(call_of(Attention(share=share), torch.zeros(1, 1, 7, 11)), QUERY)
    assert met.explain() is None
    assert_array_equal(met.plain().weights, met.weights)


def test_scores_that_are_bent_a_little_are_not_explained_away() -> None:
    met = observe(call_of(Attention(bend=lambda s: 100 * (s / 100).tanh()), torch.zeros(1, 1, 7, 11)), QUERY)
    assert np.abs(met.weights - softmax_of(replace(met.plain(), scale=0.3))).max() < 1e-4
    assert met.explain() is None
    assert_array_equal(met.plain().weights, met.weights)


@pytest.mark.parametrize("strength", [1.01, 1.0001])
def test_a_mixture_of_another_making_is_not_explained(strength: float) -> None:
    call = call_of(Attention(strength=strength), torch.zeros(1, 1, 7, 11))
    alike = replace(call, value=torch.ones_like(call.value))  # whatever the weights, the same comes of them
    for each in (call, alike):
        met = observe(each, QUERY)
        assert (met.explain(), met.plain()) == (None, None)


@pytest.mark.parametrize(
    ("kind", "layer", "fault"), [(Kind.ENCODER, 3, "no layer 3"), (Kind.CROSS, 0, "no cross attention")]
)
def test_a_layer_that_is_not_there_is_refused(kind: Kind, layer: int, fault: str, model_of: Models) -> None:
    model = model_of("bert")
    with pytest.raises(UsageError, match=fault):
        model.trace(read(model), kind, layer, QUERY)


def test_a_layer_that_is_not_called_for_this_text_is_refused(model_of: Models) -> None:
    model = model_of("bert")
    runner = copy(model.runner)
    runner.way = replace(runner.way, calls=())
    model = replace(model, runner=runner)
    with pytest.raises(TextError, match="in another way than to shorter ones"):
        model.trace(read(model), Kind.ENCODER, 0, QUERY)


def test_weights_that_are_no_numbers_are_not_taken_for_an_attention_of_another_kind(
    folder_of: Callable[[str], Path],
) -> None:
    model = load("broken", folder_of("bert"), Loading())
    reading = read(model)
    model.runner.network.encoder.layer[0].attention.self.key.bias.data[0] = torch.nan
    with pytest.raises(ModelError, match='do not sum to 1: try `dtype="float32"`'):
        model.trace(reading, Kind.ENCODER, 0, QUERY)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_query_that_sees_nothing_is_shown_with_the_weights_that_the_model_gives_it(dtype: torch.dtype) -> None:
    mask = torch.full((1, 1, 7, 11), torch.finfo(dtype).min, dtype=dtype)
    met = observe(call_of(Attention(), mask), QUERY)
    assert met.explain() is None
    assert_allclose(met.plain().weights, met.weights)
