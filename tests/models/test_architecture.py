"""What config.json says in words that the config classes of transformers do not write, or no longer do."""

from typing import Any

import pytest

from attnviz.models.architecture import understand
from attnviz.vocabulary import Kind

USUAL = {"model_type": "unheard of", "hidden_size": 22, "num_hidden_layers": 5, "num_attention_heads": 2}


def stack(**config: Any) -> Any:
    """The one stack of a model with such a config.json."""
    (shape,) = understand(USUAL | config).stacks.values()
    return shape


@pytest.mark.parametrize(
    ("config", "layers"),
    [
        ({}, (0, 1, 2, 3, 4)),
        ({"layer_types": ["mamba", "attention", "mamba", "linear_attention", "sliding_attention"]}, (1, 4)),
        ({"layers_block_type": ["mamba", "hybrid", "moe", "mlp", "hybrid"]}, (1, 4)),
        ({"layer_types": ["attention", "conv", "attention"], "num_hidden_layers": None}, (0, 2)),
        ({"hybrid_override_pattern": "M-*M*"}, (2, 4)),
        ({"block_types": ["recurrent", "attention"]}, (1, 3)),
        ({"attn_layer_indices": [0, 3]}, (0, 3)),
        ({"attn_layer_period": 3, "attn_layer_offset": 1}, (1, 4)),
        ({"attn_layer_period": 10**18, "attn_layer_offset": 1}, (1,)),
        ({"full_attention_interval": 2}, (1, 3)),
        ({"cross_attention_layers": [3]}, (0, 1, 2, 4)),
        ({"num_hidden_layers": None}, None),
    ],
)
def test_layers_are_those_that_attend_to_text(config: dict[str, Any], layers: tuple[int, ...] | None) -> None:
    assert stack(**config).layers == layers


@pytest.mark.parametrize(
    ("config", "heads", "key_heads"),
    [
        ({"num_attention_heads": [2, 6, 6, 2, 4]}, (2, 6, 6, 2, 4), (2, 6, 6, 2, 4)),
        ({"num_attention_heads": 6, "num_key_value_heads": [1, 2, 3, 6, 6]}, (6,) * 5, (1, 2, 3, 6, 6)),
        ({"per_layer_config": {"1": {"num_key_value_heads": 1}, "x": 7}}, (2,) * 5, (2, 1, 2, 2, 2)),
        ({"num_attention_heads_per_layer": [2, 6, 2, 2, 2], "attn_layer_indices": [1, 2]}, (6, 2), (6, 2)),
        ({"num_attention_heads": None}, (), ()),
    ],
)
def test_heads_are_those_of_each_layer(config: dict[str, Any], heads: Any, key_heads: Any) -> None:
    found = stack(**config)
    assert (found.heads, found.key_heads or heads) == (heads, key_heads)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({}, Kind.ENCODER),
        ({"num_key_value_heads": 1}, Kind.DECODER),
        ({"num_key_value_heads": 1, "architectures": ["OddForMaskedLM"]}, Kind.ENCODER),
        ({"model_type": "qwen2", "is_causal": False}, Kind.ENCODER),
        ({"is_encoder_decoder": True, "architectures": ["OddEncoderModel"]}, Kind.ENCODER),
        ({"text_config": USUAL}, Kind.DECODER),
        ({"text_config": USUAL | {"type_vocab_size": 2}}, Kind.ENCODER),
        ({"text_config": USUAL | {"model_type": "bert"}}, Kind.ENCODER),
    ],
)
def test_a_stack_is_a_decoder_if_there_is_a_sign_that_it_looks_back_only(config: dict[str, Any], kind: Kind) -> None:
    assert list(understand(USUAL | config).stacks) == [kind]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_hidden_layers": 10**8}, "num_hidden_layers is 100000000"),
        ({"num_attention_heads": 10**8}, "num_attention_heads is 100000000"),
        ({"num_attention_heads": [2, 2]}, r"num_attention_heads is \[2, 2\]"),
        ({"num_attention_heads": [2, 2, 2, 2, -2]}, r"num_attention_heads is \[2, 2, 2, 2, -2\]"),
        ({"text_config": 7}, "text_config is 7"),
    ],
)
def test_what_makes_no_sense_is_told_by_its_key(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        understand(USUAL | config)
