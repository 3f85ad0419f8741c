"""What is read from config.json alone, held to the models that transformers makes of the same files."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import torch
import transformers

from attnviz.costs.dimensions import find_size
from attnviz.errors import ModelError
from attnviz.models.architecture import understand
from attnviz.models.configuration import read_config
from attnviz.models.pretrained.edge import quiet
from attnviz.models.shapes import list_stacks
from attnviz.vocabulary import Kind
from tests import small_configs

SIZES = small_configs.SIZES | {"pad_token_id": 0}
BART = small_configs.BART | {"pad_token_id": 0}
GROUPED = SIZES | {"num_key_value_heads": 2}
PICTURES = {"hidden_size": 14, "num_hidden_layers": 2, "num_attention_heads": 7, "intermediate_size": 13}
PICTURES |= {"image_size": 14, "patch_size": 7}
SEEING = {"text_config": GROUPED | {"head_dim": 10}, "vision_config": PICTURES, "mm_tokens_per_image": 4}
SECOND = {"model_type": "bert"} | SIZES | {"num_hidden_layers": 3, "is_decoder": True, "add_cross_attention": True}

OTHERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a decoder without its head": ("GPTNeoXModel", "GPTNeoXConfig", SIZES),
    "a decoder without its head, of no family here": ("Gemma2Model", "Gemma2Config", GROUPED | {"head_dim": 10}),
    "an encoder that is made a decoder": ("RoFormerForCausalLM", "RoFormerConfig", SIZES | {"is_decoder": True}),
    "an encoder of a known family that is made a decoder": (
        "BertLMHeadModel",
        "BertConfig",
        SIZES | {"is_decoder": True},
    ),
    "a decoder that is told to look both ways": ("Qwen2Model", "Qwen2Config", GROUPED | {"is_causal": False}),
    "another decoder that is told to look both ways": (
        "Gemma3TextModel",
        "Gemma3TextConfig",
        GROUPED | {"head_dim": 10, "use_bidirectional_attention": True},
    ),
    "an encoder that has a head to write": ("BertLMHeadModel", "BertConfig", SIZES),
    "one key for all heads": ("FalconForCausalLM", "FalconConfig", SIZES),
    "one side of an encoder-decoder": ("BartForCausalLM", "BartConfig", BART | {"is_decoder": True}),
    "sides of their own sizes": ("BartForConditionalGeneration", "BartConfig", BART),
    "sides by other names": (
        "ProphetNetForConditionalGeneration",
        "ProphetNetConfig",
        {"vocab_size": 11, "hidden_size": 24, "num_encoder_layers": 5, "num_decoder_layers": 3}
        | {"num_encoder_attention_heads": 6, "num_decoder_attention_heads": 2, "encoder_ffn_dim": 13}
        | {"decoder_ffn_dim": 13, "max_position_embeddings": 47},
    ),
    "two models": (
        "EncoderDecoderModel",
        "EncoderDecoderConfig",
        {"encoder": {"model_type": "bert"} | SIZES, "decoder": SECOND},
    ),
    "heads by a name of their own": (
        "XGLMForCausalLM",
        "XGLMConfig",
        {"vocab_size": 11, "d_model": 24, "ffn_dim": 13, "num_layers": 5, "attention_heads": 6},
    ),
    "a reader of pictures too": ("Gemma3ForConditionalGeneration", "Gemma3Config", SEEING),
    "layers of types that come in turn": (
        "RecurrentGemmaForCausalLM",
        "RecurrentGemmaConfig",
        GROUPED | {"head_dim": 4, "lru_width": 24, "attention_window_size": 17},
    ),
    "layers that are convolutions": (
        "Lfm2ForCausalLM",
        "Lfm2Config",
        GROUPED | {"layer_types": ["conv", "full_attention", "conv", "full_attention", "conv"]},
    ),
    "every so many layers": (
        "Qwen3NextForCausalLM",
        "Qwen3NextConfig",
        GROUPED
        | {
            "hidden_size": 32,
            "num_hidden_layers": 9,
            "num_attention_heads": 4,
            "head_dim": 8,
            "full_attention_interval": 4,
        }
        | {
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        }
        | {
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        },
    ),
}
KEYS = re.compile(r"\.(\d+)\..*(?<!cross_attention)\.(k_proj|key|query_key_value|c_attn|key_proj)\.weight$")


@dataclass(frozen=True)
class Made:
    """A network of transformers, and the config.json that it leaves."""

    network: Any
    config: dict[str, Any]

    @classmethod
    def of(cls, folder: Path, model: str, config: str, sizes: dict[str, Any]) -> Self:
        with quiet():
            made = getattr(transformers, config)(**sizes, attn_implementation="eager")
            network = getattr(transformers, model)(made).eval()
            network.save_pretrained(folder)
        return cls(network, json.loads((folder / "config.json").read_text(encoding="utf-8")))

    def heads(self) -> dict[Kind, list[int]]:
        """How many heads each layer has whose weights the network returns, by kind, as these weights show."""
        translates = self.network.config.is_encoder_decoder
        ids = torch.tensor([[3, 4, 5, 6, 7]])
        target = {"decoder_input_ids": ids[:, :3]} if translates else {}
        with torch.inference_mode():
            output = self.network(input_ids=ids, output_attentions=True, use_cache=False, return_dict=True, **target)
        if translates:
            found = {kind: output[f"{kind.value}_attentions"] for kind in Kind}
        else:
            backwards = not any(layer.triu(1).any() for layer in output.attentions if layer is not None)
            found = {Kind.DECODER if backwards else Kind.ENCODER: output.attentions}
        return {kind: [layer.shape[1] for layer in layers if layer is not None] for kind, layers in found.items()}

    def layers(self) -> set[int]:
        """The numbers of the layers of text that have a map to keys."""
        names = (name for name, _ in self.network.named_parameters() if not re.search("vision|linear_attn", name))
        return {int(found[1]) for name in names if (found := KEYS.search(name))}


@pytest.mark.parametrize("name", OTHERS)
def test_kinds_layers_heads_and_width_are_those_of_the_network(name: str, tmp_path: Path) -> None:
    made = Made.of(tmp_path, *OTHERS[name])
    shapes = understand(made.config).stacks
    assert {kind: list(shape.heads) for kind, shape in shapes.items()} == made.heads()
    assert {layer for shape in shapes.values() for layer in shape.layers or ()} == made.layers()
    config = made.network.config
    widths = {getattr(config, side, config).get_text_config().hidden_size for side in ("encoder", "decoder")}
    assert {shape.width for shape in shapes.values()} == widths


def test_what_attends_is_what_the_loaded_model_has(
    any_family: str, folder_of: Callable[[str], Path], model_of: Callable[[str], Any]
) -> None:
    shapes = understand(read_config(folder_of(any_family))).stacks
    assert list_stacks(shapes) == model_of(any_family).card.stacks


def test_what_is_counted_has_the_layers_and_heads_of_the_loaded_model(
    any_family: str, folder_of: Callable[[str], Path], model_of: Callable[[str], Any]
) -> None:
    try:
        counted = find_size(str(folder_of(any_family))).stacks
    except ModelError as error:
        assert any_family == "deepseek-v3"
        assert "latent" in str(error)
        return
    loaded = model_of(any_family).card.stacks
    assert {kind: (each.layers, each.heads) for kind, each in counted.items()} == {
        kind: (len(stack.layers), stack.heads) for kind, stack in loaded.items()
    }
