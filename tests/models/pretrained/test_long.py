"""Texts longer than windows, chunks and budgets of keys: whatever is asked for, the weights are the model's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from attnviz.errors import TextError
from attnviz.models.loading import Loading
from attnviz.models.passages import Passage, Reading
from attnviz.models.pretrained import load
from attnviz.models.pretrained.edge import quiet
from attnviz.records import Selection
from attnviz.text import Bins

LENGTH = 163
WINDOW = 24
BLOCK, BLOCKS = 8, 3
HEADS, LAYERS = 4, 3

_SIZES = {
    "vocab_size": 101,
    "hidden_size": 24,
    "intermediate_size": 37,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
}
_EVEN = _SIZES | {"hidden_size": 32, "intermediate_size": 32}  # as experts must have them
_LATENT = _EVEN | {
    **{"num_key_value_heads": HEADS, "q_lora_rank": 11, "kv_lora_rank": 13, "qk_rope_head_dim": 8, "head_dim": 8},
    **{"qk_nope_head_dim": 6, "v_head_dim": 10, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 2},
    **{"topk_group": 1, "moe_intermediate_size": 16, "mlp_layer_types": ["dense", "sparse", "dense"]},
    **{"index_topk": WINDOW, "index_head_dim": 16, "index_n_heads": 2},
}
_SHARING = _SIZES | {"num_key_value_heads": 2, "head_dim": 10}
FAMILIES: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "deepseek_v32": ("DeepseekV32ForCausalLM", "DeepseekV32Config", _LATENT, WINDOW),
    "glm_moe_dsa": (
        "GlmMoeDsaForCausalLM",
        "GlmMoeDsaConfig",
        _LATENT | {"indexer_types": ["full", "shared", "full"]},
        WINDOW,
    ),
    "minimax_m3": (
        "MiniMaxM3VLForCausalLM",
        "MiniMaxM3VLTextConfig",
        _EVEN
        | {"num_key_value_heads": 2, "head_dim": 16, "rotary_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2}
        | {"dense_intermediate_size": 37, "shared_intermediate_size": 32, "mlp_layer_types": ["dense"] * LAYERS}
        | {"index_n_heads": 2, "index_head_dim": 16, "index_block_size": BLOCK, "index_topk_blocks": BLOCKS}
        | {"layer_types": ["minimax_m3_sparse"] * LAYERS},
        BLOCK * BLOCKS,
    ),
    "llama4": (
        "Llama4ForCausalLM",
        "Llama4TextConfig",
        _EVEN
        | {"num_key_value_heads": 2, "head_dim": 10, "intermediate_size_mlp": 37, "num_local_experts": 2}
        | {"attention_chunk_size": WINDOW, "no_rope_layers": [1, 1, 1]},
        WINDOW,
    ),
    "gemma3": (
        "Gemma3ForCausalLM",
        "Gemma3TextConfig",
        _SHARING | {"sliding_window": WINDOW, "layer_types": ["sliding_attention"] * LAYERS},
        WINDOW,
    ),
    "gpt_oss": (
        "GptOssForCausalLM",
        "GptOssConfig",
        _EVEN
        | {"num_key_value_heads": 2, "head_dim": 10, "num_local_experts": 5, "num_experts_per_tok": 2}
        | {"sliding_window": WINDOW, "layer_types": ["sliding_attention"] * LAYERS},
        WINDOW,
    ),
    "modernbert": (
        "ModernBertModel",
        "ModernBertConfig",
        _SIZES | {"local_attention": WINDOW, "layer_types": ["sliding_attention"] * LAYERS},
        WINDOW + 1,
    ),
}
"""The classes and sizes of each model, and how many keys a row of its weights has at most."""

Long = tuple[Any, Reading, np.ndarray]


@pytest.fixture(scope="module", params=FAMILIES)
def long(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, make: Callable[..., None]) -> Long:
    """A model, a long text that it has read, and its own weights [layers, heads, queries, keys]."""
    model, config, sizes, _ = FAMILIES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    make(folder, model, config, sizes, "$A")
    loaded = load(request.param, folder, Loading())
    reading = loaded.read(Passage(text=" ".join("abcdefgh"[i * i % 7 + i % 2] for i in range(LENGTH))))
    return loaded, reading, by_transformers(folder, model, reading)


def by_transformers(folder: Path, model: str, reading: Reading) -> np.ndarray:
    import torch
    import transformers

    with quiet(), torch.inference_mode():
        network = getattr(transformers, model).from_pretrained(folder, attn_implementation="eager").eval()
        attentions = network(torch.tensor([reading.ids]), output_attentions=True, use_cache=False).attentions
    return np.stack([layer[0].numpy() for layer in attentions])


def test_all_weights_of_a_long_text_are_those_of_the_network(long: Long, request: pytest.FixtureRequest) -> None:
    model, reading, own = long
    *_, most = FAMILIES[request.node.callspec.params["long"]]
    assert (own > 0).sum(-1).max() == most < LENGTH
    (found,) = model.weights(reading)
    assert_allclose(found.weights, own, atol=1e-5)


@pytest.mark.parametrize("head", range(HEADS))
def test_one_head_of_one_layer(long: Long, head: int) -> None:
    model, reading, own = long
    (found,) = model.weights(reading, Selection(layers=(LAYERS - 1,), heads=(head,)))
    assert_allclose(found.weights, own[-1:, [head]], atol=1e-5)


def test_some_rows_of_a_long_text_are_those_of_the_network(long: Long) -> None:
    model, reading, own = long
    (found,) = model.weights(reading, Selection(rows=("2", "97-101", "162")))
    assert_allclose(found.weights, own[:, :, [2, *range(97, 102), 162]], atol=1e-5)


@pytest.mark.usefixtures("small_blocks")
def test_a_few_rows_at_a_time(long: Long) -> None:
    model, reading, own = long
    (found,) = model.weights(reading, Selection(layers=(1, 2), heads=(0, 3)))
    assert_allclose(found.weights, own[1:, [0, 3]], atol=1e-5)


def test_bins_of_a_long_text_are_sums_and_means_of_the_networks_weights(long: Long) -> None:
    model, reading, own = long
    (found,) = model.weights(reading, by=Bins(LENGTH // 7 + 1))
    count = len(found.key_tokens)
    ends = [-(-LENGTH * number // count) for number in range(count + 1)]
    sums = np.add.reduceat(own, ends[:-1], -1)
    means = np.add.reduceat(sums, ends[:-1], 2) / np.diff(ends)[:, None]
    assert_allclose(found.weights, means, atol=1e-5)


def test_together_with_another_text(long: Long) -> None:
    model, reading, own = long
    other = reading.take([*range(5, LENGTH), *range(5)])
    _, (found,) = model.weights_of([other, reading])
    assert_allclose(found.weights, own, atol=1e-5)


def test_a_few_tokens_are_tried_in_narrower_windows(long: Long, monkeypatch: pytest.MonkeyPatch) -> None:
    from attnviz.models.pretrained import survey

    model, reading, own = long
    returned, shown = survey.return_weights, list[int]()

    def watched(*given: Any) -> Any:
        own = returned(*given)
        shown.extend(int((layer > 0).sum(-1).max()) for layer in own.values())
        return own

    monkeypatch.setattr(survey, "return_weights", watched)
    assert survey.survey_model(model.runner.network, "again").way == model.runner.way
    assert max(shown) < survey.TOKENS
    (found,) = model.weights(reading, Selection(layers=(1,)))
    assert_allclose(found.weights[0], own[1], atol=1e-5)


class TestOptions:
    """What an attention function is given beside queries, keys, values and mask."""

    @pytest.fixture
    def llama(self, model_of: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
        """A model that hands its attention function an option where a text has more than 7 tokens."""
        from transformers.models.llama import modeling_llama

        forward = modeling_llama.LlamaAttention.forward

        def with_indices(module: Any, hidden_states: Any, *args: Any, **options: Any) -> Any:
            more = {self.option: hidden_states[..., 0].argsort()} if hidden_states.shape[1] > self.from_length else {}
            return forward(module, hidden_states, *args, **options, **more)

        monkeypatch.setattr(modeling_llama.LlamaAttention, "forward", with_indices)
        return model_of("llama")

    option, from_length = "indices", 7

    @pytest.mark.parametrize("option", ["indices", "block_indices", "position_bias", "softcap"])
    def test_one_that_comes_first_with_a_longer_text_is_refused(
        self, option: str, llama: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(TestOptions, "option", option)
        for select in (Selection(), Selection(layers=(2,), heads=(1,)), Selection(rows=("8",))):
            llama.weights(llama.read(Passage(text="a b c d e f g")), replace_rows(select))
            with pytest.raises(TextError, match="in another way"):
                llama.weights(llama.read(Passage(text="a b c d e f g h a")), select)

    def test_one_that_is_not_known_is_left_to_the_models_own_attention(
        self, llama: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from attnviz.models.pretrained.eager import Hooked
        from attnviz.models.pretrained.survey import survey_model

        monkeypatch.setattr(TestOptions, "from_length", 0)
        assert isinstance(survey_model(llama.runner.network, "llama").way, Hooked)


def replace_rows(select: Selection) -> Selection:
    """The same for a text that has no such rows."""
    return Selection(layers=select.layers, heads=select.heads)
