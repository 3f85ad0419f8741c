"""How large attention is, from files alone, against the parameters of tiny models of transformers."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from attnviz.costs.counts import Counts, count, size_additive, size_multi_head
from attnviz.costs.dimensions import Held, Size, find_size
from attnviz.errors import ModelError, UsageError
from attnviz.models import builtin
from attnviz.models.loading import Loading
from attnviz.models.pretrained.edge import quiet
from attnviz.vocabulary import Kind
from tests.small_configs import BART, GPT, SIZES

GROUPED = SIZES | {"num_key_value_heads": 2, "head_dim": 10}
T5 = {"vocab_size": 11, "d_model": 24, "d_kv": 10, "d_ff": 13, "num_layers": 5, "num_decoder_layers": 3, "num_heads": 6}
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertModel", "BertConfig", SIZES),
    "albert": ("AlbertModel", "AlbertConfig", SIZES | {"embedding_size": 7}),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", GPT),
    "gpt-neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", SIZES),
    "gpt-bigcode": ("GPTBigCodeForCausalLM", "GPTBigCodeConfig", GPT),
    "falcon": ("FalconForCausalLM", "FalconConfig", SIZES),
    "falcon-new": ("FalconForCausalLM", "FalconConfig", SIZES | {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "llama": ("LlamaForCausalLM", "LlamaConfig", GROUPED),
    "gemma3": ("Gemma3ForCausalLM", "Gemma3TextConfig", GROUPED),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", SIZES | {"num_key_value_heads": 2, "pad_token_id": 0}),
    "lfm2": (
        "Lfm2ForCausalLM",
        "Lfm2Config",
        SIZES | {"num_key_value_heads": 2, "layer_types": ["conv", "full_attention", "conv", "full_attention", "conv"]},
    ),
    "bart": ("BartForConditionalGeneration", "BartConfig", BART),
    "t5": ("T5ForConditionalGeneration", "T5Config", T5),
    "t5gemma": (
        "T5GemmaForConditionalGeneration",
        "T5GemmaConfig",
        {"vocab_size": 11, "encoder": GROUPED, "decoder": GROUPED | {"num_hidden_layers": 3}},
    ),
}
MAPS = re.compile(
    r"(q|k|v|o|out|qkv|query|key|value|dense|query_key_value|c_attn|c_proj)(_proj)?\.(weight|bias)$|attention\.dense"
)
"""What families call the maps of attention."""


def saved(folder: Path, model: str, config: str, sizes: dict[str, Any]) -> Any:
    """A tiny model of transformers, saved in this folder."""
    import transformers

    with quiet():
        network = getattr(transformers, model)(getattr(transformers, config)(**sizes))
        network.save_pretrained(folder)
    return network


def of_attention(network: Any, kind: str) -> int:
    """How many weights, or biases, the modules of attention have in their maps."""
    parts = dict(network.named_parameters())
    inside = {name: part for name, part in parts.items() if re.search("attn|attention", name, re.I)}
    maps = [part for name, part in inside.items() if MAPS.search(name) and name.endswith(kind)]
    return sum(part.numel() for part in maps)


@pytest.fixture
def described(tmp_path: Path) -> Callable[..., Size]:
    """What is known of a model from a config.json alone."""

    def described(**config: Any) -> Size:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "unheard of"} | config), encoding="utf-8")
        return find_size(str(tmp_path))

    return described


def counted(size: Size) -> int:
    return sum(Counts.add_up(count(each, 1).parameters.values()).model for each in size.stacks.values())


@pytest.mark.parametrize("name", MODELS)
def test_as_many_parameters_are_counted_as_a_model_of_transformers_has(name: str, tmp_path: Path) -> None:
    network = saved(tmp_path, *MODELS[name])
    size = find_size(str(tmp_path))
    assert counted(size) == of_attention(network, "weight")
    assert size.held == Held(of_attention(network, "weight"), of_attention(network, "bias"))


@pytest.mark.parametrize(
    ("name", "stacks"),
    [
        ("bert", {Kind.ENCODER: size_multi_head(24, 5, 6)}),
        ("albert", {Kind.ENCODER: size_multi_head(24, 5, 6, distinct_layers=1)}),
        ("gpt2", {Kind.DECODER: size_multi_head(24, 5, 6)}),
        ("falcon", {Kind.DECODER: size_multi_head(24, 5, 6, key_heads=1)}),
        ("llama", {Kind.DECODER: size_multi_head(24, 5, 6, key_heads=2, head_width=10)}),
        ("lfm2", {Kind.DECODER: size_multi_head(24, 2, 6, key_heads=2)}),
        (
            "bart",
            {
                Kind.ENCODER: size_multi_head(24, 5, 6),
                Kind.DECODER: size_multi_head(24, 3, 2),
                Kind.CROSS: size_multi_head(24, 3, 2),
            },
        ),
        (
            "t5",
            {
                Kind.ENCODER: size_multi_head(24, 5, 6, head_width=10),
                Kind.DECODER: size_multi_head(24, 3, 6, head_width=10),
                Kind.CROSS: size_multi_head(24, 3, 6, head_width=10),
            },
        ),
    ],
)
def test_each_kind_of_attention_has_its_own_dimensions(name: str, stacks: Any, tmp_path: Path) -> None:
    saved(tmp_path, *MODELS[name])
    assert find_size(str(tmp_path)).stacks == stacks


def test_maps_that_are_not_counted_show_in_what_the_files_hold(tmp_path: Path) -> None:
    positions = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
    network = saved(tmp_path, "DebertaV2Model", "DebertaV2Config", SIZES | positions)
    size = find_size(str(tmp_path))
    assert size.held is not None
    assert size.held.matrices == sum(
        part.numel() for name, part in network.named_parameters() if "attention" in name and part.ndim == 2
    )
    assert size.held.matrices > counted(size)


def test_a_config_alone_is_enough(described: Callable[..., Size]) -> None:
    size = described(hidden_size=24, num_hidden_layers=5, num_attention_heads=6, max_position_embeddings=47)
    assert (size.stacks, size.positions, size.held) == ({Kind.ENCODER: size_multi_head(24, 5, 6)}, 47, None)


def test_what_a_config_leaves_out_is_what_its_family_has(described: Callable[..., Size]) -> None:
    size = described(model_type="mistral")
    assert size.stacks == {Kind.DECODER: size_multi_head(4096, 32, 32, key_heads=8)}


def test_padding_takes_positions_away(described: Callable[..., Size]) -> None:
    assert described(model_type="roberta", max_position_embeddings=514, pad_token_id=1).positions == 512


def test_of_a_model_that_sees_and_reads_the_reader_is_counted(described: Callable[..., Size]) -> None:
    text = {"hidden_size": 24, "num_hidden_layers": 5, "num_attention_heads": 6, "max_position_embeddings": 47}
    size = described(text_config=text, vision_config={"hidden_size": 7})
    assert (size.stacks, size.positions) == ({Kind.DECODER: size_multi_head(24, 5, 6)}, 47)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "does not say the width"),
        ({"hidden_size": 24, "num_attention_heads": 6}, "does not say the layers"),
        ({"hidden_size": 24, "num_hidden_layers": 5}, "does not say the heads of its attention .*num_attention_heads"),
        ({"hidden_size": "wide"}, "hidden_size is 'wide'"),
        ({"hidden_size": 25, "num_hidden_layers": 5, "num_attention_heads": 6}, "25 cannot be split among 6"),
        (
            {"hidden_size": 24, "num_hidden_layers": 5, "num_attention_heads": [6, 2]},
            r"num_attention_heads is \[6, 2\]",
        ),
        ({"model_type": "bert", "hidden_size": -1}, "hidden_size is -1"),
        ({"text_config": 7}, "text_config is 7"),
        ({"text_config": {"model_type": 7}}, "of this 7 model does not say the width"),
        ({"text_config": {"model_type": []}}, "does not say the width"),
        ({"text_config": {"model_type": [7]}}, "is not valid"),
        ({"hidden_size": 24, "num_hidden_layers": 5, "num_attention_heads": 6, "block_types": []}, "is not valid"),
        (
            {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": [6, 2]},
            r"different numbers of heads of keys and values \(2, 6\)",
        ),
        ({"kv_lora_rank": 13}, "latent vector"),
        (
            {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6}
            | {"num_attention_heads_per_layer": [6, 2]},
            r"different numbers of heads \(2, 6\)",
        ),
        (
            {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6}
            | {"per_layer_config": {"1": {"num_attention_heads": 2}}},
            r"different numbers of heads \(2, 6\)",
        ),
        ({"hidden_size": "\x1b[31m"}, "hidden_size is '.*31m'"),
    ],
)
def test_a_config_that_does_not_say_is_refused_in_a_sentence(
    config: dict[str, Any], said: str, described: Callable[..., Size]
) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        described(**config)
    assert "\x1b" not in str(caught.value)


class TestBuiltin:
    @pytest.fixture
    def built_in(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Size]:
        """What is known of a built-in model with a card of such a config, and such weights."""

        def built_in(config: dict[str, Any], **weights: tuple[int, ...]) -> Size:
            card = {"name": "builtin/tiny", "purpose": "", "parameters": 1, "positions": 47, "config": config}
            (tmp_path / builtin.CARD).write_text(json.dumps(card), encoding="utf-8")
            arrays = {name: np.zeros(shape, np.float16) for name, shape in weights.items()}
            save_file(arrays, tmp_path / builtin.WEIGHTS)
            monkeypatch.setattr(builtin, "find_folders", lambda: {"builtin/tiny": tmp_path})
            return find_size("builtin/tiny")

        return built_in

    def test_the_encoder_is_as_large_as_its_weights(self) -> None:
        size = find_size("builtin")
        arrays = load_file(builtin.find_folders()["builtin/encoder"] / builtin.WEIGHTS)
        there = {name: array for name, array in arrays.items() if ".attention." in name}
        assert counted(size) == sum(array.size for name, array in there.items() if name.endswith("weight"))
        assert size.held == Held(counted(size), sum(a.size for name, a in there.items() if name.endswith("bias")))
        assert size.positions == 512

    def test_every_one_holds_what_is_counted(self) -> None:
        for name in builtin.find_folders():
            size = find_size(name)
            vectors = sum(each.maps["score"].parameters for each in size.stacks.values() if "score" in each.maps)
            assert size.held is not None
            assert counted(size) - vectors == size.held.matrices, name

    def test_a_decoder_is_causal(self, built_in: Callable[..., Size]) -> None:
        shape = {"width": 24, "layers": 5, "heads": 6, "key_heads": 2, "causal": True, "positions": "rotary"}
        assert built_in(shape).stacks == {Kind.DECODER: size_multi_head(24, 5, 6, key_heads=2)}

    def test_a_translator_has_three_kinds(self, built_in: Callable[..., Size]) -> None:
        encoder, decoder = {"width": 24, "layers": 5, "heads": 6}, {"width": 14, "layers": 3, "heads": 7}
        assert built_in({"encoder": encoder, "decoder": decoder}).stacks == {
            Kind.ENCODER: size_multi_head(24, 5, 6),
            Kind.DECODER: size_multi_head(14, 3, 7),
            Kind.CROSS: size_multi_head(14, 3, 7, context_width=24),
        }

    def test_a_recurrent_one_has_additive_scores_of_both_directions(self, built_in: Callable[..., Size]) -> None:
        weights = {"attention.query.weight": (13, 11), "attention.key.weight": (13, 22), "attention.v": (13,)}
        size = built_in({"width": 11, "embedding": 7, "attention": 13}, **weights)
        assert size.stacks == {Kind.CROSS: size_additive(11, 22, 13)}
        assert size.held == Held(13 * 33, 0)

    @pytest.mark.parametrize("name", ["builtin", "minilm"])
    def test_what_is_installed_has_no_revisions(self, name: str) -> None:
        with pytest.raises(UsageError, match="leave `revision` out"):
            find_size(name, Loading(revision="main"))


def test_a_damaged_weight_file_is_refused(described: Callable[..., Size], tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 7)
    with pytest.raises(ModelError, match="damaged"):
        described(hidden_size=24, num_hidden_layers=5, num_attention_heads=6)
