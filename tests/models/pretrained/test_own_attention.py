"""Explanations of models that attend with code of their own, held against closed forms and the library's weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from attnviz.errors import UsageError
from attnviz.models.loading import Loading
from attnviz.models.passages import Passage
from attnviz.models.pretrained import load
from attnviz.models.pretrained.edge import quiet
from attnviz.models.pretrained.watching import Around, Product, Softmax, Watching
from attnviz.reference.trace import Trace

TOKENS, QUERY, LAYER = 17, 11, 1
TEXT = " ".join(f"w{7 * number % 67}" for number in range(TOKENS))

Load = Callable[..., Any]

_SIZES = {"vocab_size": 101, "hidden_size": 35, "num_hidden_layers": 2, "num_attention_heads": 5}
_BERT = _SIZES | {"intermediate_size": 37, "max_position_embeddings": 64, "pad_token_id": 0}
_GPT = {"vocab_size": 101, "n_embd": 40, "n_layer": 2, "n_head": 5, "n_positions": 64}
_XLM = {"vocab_size": 101, "emb_dim": 35, "n_layers": 2, "n_heads": 5}
_SEVENTH = 7**-0.5
FAMILIES: dict[str, tuple[str, str, dict[str, Any], float]] = {
    "gpt-j": ("GPTJForCausalLM", "GPTJConfig", _GPT | {"rotary_dim": 4}, 8**-0.5),
    "codegen": ("CodeGenForCausalLM", "CodeGenConfig", _GPT | {"n_head": 4, "rotary_dim": 4}, 10**-0.5),
    "gpt-neo": (
        "GPTNeoForCausalLM",
        "GPTNeoConfig",
        {"vocab_size": 101, "hidden_size": 35, "num_layers": 2, "num_heads": 5, "max_position_embeddings": 64}
        | {"attention_types": [[["global", "local"], 1]], "window_size": 5},
        1,
    ),
    "gpt-neox-japanese": (
        "GPTNeoXJapaneseForCausalLM",
        "GPTNeoXJapaneseConfig",
        _BERT | {"hidden_size": 40, "intermediate_multiple_size": 2},
        8**-0.5,
    ),
    "bloom": (
        "BloomForCausalLM",
        "BloomConfig",
        {"vocab_size": 101, "hidden_size": 35, "n_layer": 2, "n_head": 5},
        _SEVENTH,
    ),
    "mpt": (
        "MptForCausalLM",
        "MptConfig",
        {"vocab_size": 101, "d_model": 35, "n_layers": 2, "n_heads": 5, "max_seq_len": 64},
        _SEVENTH,
    ),
    "falcon": ("FalconForCausalLM", "FalconConfig", _SIZES | {"hidden_size": 40}, 8**-0.5),
    "falcon with ALiBi": ("FalconForCausalLM", "FalconConfig", _SIZES | {"hidden_size": 40, "alibi": True}, 8**-0.5),
    "deberta": (
        "DebertaModel",
        "DebertaConfig",
        _BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
        1,
    ),
    "deberta-v2": (
        "DebertaV2Model",
        "DebertaV2Config",
        _BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
        1,
    ),
    "xlm": ("XLMModel", "XLMConfig", _XLM, 1),
    "flaubert": ("FlaubertModel", "FlaubertConfig", _XLM, 1),
    "xlnet": (
        "XLNetModel",
        "XLNetConfig",
        {"vocab_size": 101, "d_model": 40, "n_layer": 2, "n_head": 5, "d_inner": 37},
        8**-0.5,
    ),
    "mpnet": ("MPNetModel", "MPNetConfig", _BERT | {"pad_token_id": 1}, _SEVENTH),
    "ibert": ("IBertModel", "IBertConfig", _BERT | {"pad_token_id": 1}, _SEVENTH),
    "openai-gpt": ("OpenAIGPTLMHeadModel", "OpenAIGPTConfig", _GPT, 8**-0.5),
    "xglm": (
        "XGLMForCausalLM",
        "XGLMConfig",
        {"vocab_size": 101, "d_model": 40, "ffn_dim": 37, "num_layers": 2, "attention_heads": 5},
        1,
    ),
    "nystromformer": (
        "NystromformerModel",
        "NystromformerConfig",
        _BERT | {"num_landmarks": 23, "segment_means_seq_len": 23},
        1,
    ),
}
"""Models with code of their own, and what they scale the product of query and key by."""

ADDS = "bloom", "mpt", "falcon with ALiBi", "deberta", "deberta-v2", "xlnet", "mpnet"
"""Those that add something to their scores, for positions."""


@pytest.fixture(scope="module")
def loaded(make: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Loads a family's model, made when it is first asked for."""
    folders: dict[str, Path] = {}

    def load_family(name: str, **loading: Any) -> Any:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("own")
            make(folders[name], *FAMILIES[name][:3], "$A")
        return load(name, folders[name], Loading(**loading))

    return load_family


def traced(model: Any, layer: int = LAYER) -> Trace:
    (kind,) = model.card.stacks
    trace: Trace = model.trace(model.read(Passage(text=TEXT)), kind, layer, QUERY)
    return trace


def from_library(model: Any) -> np.ndarray:
    """The weights that the library itself returns, [heads, keys]."""
    reading = model.read(Passage(text=TEXT))
    inputs = {"input_ids": torch.tensor([reading.ids]), "attention_mask": torch.ones(1, len(reading.ids))}
    if reading.types:
        inputs["token_type_ids"] = torch.tensor([reading.types])
    with quiet(), torch.inference_mode():
        output = model.runner.network(**inputs, output_attentions=True)
    own: np.ndarray = output.attentions[LAYER][0, :, QUERY].numpy()
    return own


@pytest.mark.parametrize("name", FAMILIES)
def test_softmax_of_what_is_shown_gives_the_weights_of_the_library(name: str, loaded: Load) -> None:
    model = loaded(name)
    trace, own = traced(model), from_library(model)
    scores = np.einsum("hd,hkd->hk", trace.query, trace.keys, dtype=float) * trace.scale
    scores = np.where(True if trace.allowed is None else trace.allowed, scores, -np.inf)
    exponentials = np.exp(scores + (0 if trace.bias is None else trace.bias))
    weights = exponentials / exponentials.sum(-1, keepdims=True)
    assert own.shape == (model.card.stacks[next(iter(model.card.stacks))].heads, TOKENS)
    assert trace.weights is None
    assert trace.scale == pytest.approx(FAMILIES[name][3], rel=1e-5)
    assert (trace.bias is not None) == (name in ADDS)
    assert_allclose(weights, own, atol=1e-5)
    assert_allclose(trace.mixed, np.einsum("hk,hkd->hd", own, trace.values), atol=1e-5)


@pytest.mark.parametrize(("name", "layer", "seen"), [("gpt-j", 0, range(12)), ("gpt-neo", 1, range(7, 12))])
def test_keys_that_the_query_may_not_see_are_told_apart(name: str, layer: int, seen: range, loaded: Load) -> None:
    trace = traced(loaded(name), layer)
    assert np.flatnonzero(trace.allowed).tolist() == list(seen)


def test_bloom_adds_a_number_for_the_place_of_a_key_and_its_slope_for_the_head(loaded: Load) -> None:
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    alibi = build_alibi_tensor(torch.ones(1, TOKENS), 5, torch.float32)[:, 0].numpy()
    trace = traced(loaded("bloom"))
    assert_allclose(trace.bias, np.where(trace.allowed, alibi, 0), atol=1e-6)


def test_queries_and_values_are_those_that_the_layer_has_made(loaded: Load) -> None:
    model, seen = loaded("xlm"), dict[str, np.ndarray]()
    layer = model.runner.network.attentions[LAYER]
    parts = {"query": layer.q_lin, "keys": layer.k_lin, "values": layer.v_lin}
    handles = [
        part.register_forward_hook(lambda module, args, output, name=name: seen.update({name: output[0].numpy()}))
        for name, part in parts.items()
    ]
    trace = traced(model)
    for handle in handles:
        handle.remove()
    query, keys, values = (seen[name].reshape(TOKENS, 5, 7).swapaxes(0, 1) for name in parts)
    assert_allclose(trace.query, query[:, QUERY] * _SEVENTH, atol=1e-5)  # this model scales its queries
    assert_allclose(trace.keys, keys, atol=1e-5)
    assert_allclose(trace.values, values, atol=1e-5)


def test_half_precision_is_refused_and_what_to_do_is_said(loaded: Load) -> None:
    with pytest.raises(UsageError, match='use `dtype="float32"`'):
        traced(loaded("gpt-j", dtype="bfloat16"))


def squared(scores: torch.Tensor, **options: Any) -> torch.Tensor:
    return scores.square() / scores.square().sum(-1, keepdim=True)


def of_bent(scores: torch.Tensor, **options: Any) -> torch.Tensor:
    return torch.softmax(30 * (scores / 30).tanh(), -1)


@pytest.mark.parametrize(
    ("softmax", "why"),
    [(squared, "no softmax in it gives its weights"), (of_bent, "its scores are not a matrix product of queries")],
)
def test_what_is_no_softmax_of_scaled_products_is_refused_with_the_reason(
    softmax: Any, why: str, loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded("openai-gpt")
    monkeypatch.setattr("torch.nn.functional.softmax", softmax)
    with pytest.raises(UsageError, match=f"openai-gpt in decoder layer 1 cannot be shown, because {why}"):
        traced(model)


def test_weights_that_mix_no_values_in_a_product_are_refused_with_the_reason(
    loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, matmul = loaded("openai-gpt"), torch.matmul
    monkeypatch.setattr("torch.matmul", lambda a, b: matmul(a, b) if len(b) > 1 or b.shape[2] == 8 else summed(a, b))
    with pytest.raises(UsageError, match="no matrix product mixes values by its weights"):
        traced(model)


def summed(weights: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return (weights[..., None] * values[:, :, None]).sum(-2)


PRODUCTS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "matmul": lambda a, b: torch.matmul(a, b),
    "@": lambda a, b: a @ b,
    "bmm": lambda a, b: torch.bmm(a[0], b[0]),
    "baddbmm": lambda a, b: torch.baddbmm(torch.ones(1, 1, 1), a[0], b[0], beta=1, alpha=1) - 1,
    "einsum": lambda a, b: torch.einsum("bnid,bndj->bnij", a, b),
}


@pytest.mark.parametrize("inference", [True, False])
@pytest.mark.parametrize("way", PRODUCTS)
def test_products_are_seen_however_they_are_written_and_can_be_silenced(way: str, inference: bool) -> None:
    left, right = torch.randn(1, 3, 5, 7), torch.randn(1, 3, 7, 11)
    seen: list[Product | Softmax] = []
    with torch.inference_mode(inference), Watching(seen.append):
        made = PRODUCTS[way](left, right)
    (product,) = seen
    assert isinstance(product, Product)
    assert_allclose(product.left, left[0])
    assert_allclose(product.right, right[0])
    assert_allclose(made.reshape(3, 5, 11), (left @ right)[0], atol=1e-5)
    with torch.inference_mode(inference), Watching(seen.append, silenced=0):
        assert not PRODUCTS[way](left, right).any()


def test_what_stands_around_a_softmax_is_kept_and_nothing_else() -> None:
    around = Around(1)
    x = torch.randn(2, 3, 3)
    with Watching(around.see):
        first = x.bmm(x).softmax(-1).bmm(x)
        scores = first.bmm(x)
        weights = scores.softmax(-1)
        (weights.bmm(x).softmax(-1)).bmm(x)
    assert around.softmax is not None
    assert around.softmax.given is scores
    assert [product.number for product in around.before] == [1, 2]
    assert [product.number for product in around.after] == [3]
    assert around.after[0].left is weights
