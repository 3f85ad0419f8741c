"""Models of which only one kind of attention, or some layers, are queries by keys: what is plain is shown."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from attnviz.errors import UsageError
from attnviz.models.loading import Loading
from attnviz.models.passages import Passage
from attnviz.models.pretrained import load
from attnviz.models.pretrained.edge import quiet
from attnviz.records import Selection
from attnviz.vocabulary import Kind

TEXT = "the animal did not cross the street because it was too tired"
LONG = " ".join([TEXT] * 3)
TARGET = "it was too wide because the street"

_BOTH = {
    "vocab_size": 101,
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 37,
    "decoder_ffn_dim": 41,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "decoder_start_token_id": 3,
}
_T5 = {
    "vocab_size": 101,
    "d_model": 24,
    "d_kv": 10,
    "d_ff": 37,
    "num_layers": 2,
    "num_heads": 3,
    "decoder_start_token_id": 0,
}
_FUNNEL = {
    "vocab_size": 101,
    "d_model": 24,
    "n_head": 3,
    "d_head": 8,
    "d_inner": 37,
    "block_sizes": [2, 1],
    "num_decoder_layers": 2,
}


@dataclass(frozen=True)
class Case:
    """A model, the layers that are shown of each kind, and where the library's output has them."""

    model: str
    config: str
    sizes: dict[str, Any]
    shown: dict[Kind, tuple[int, ...]]

    def returned(self, output: Any, kind: Kind) -> Any:
        return output.attentions if "attentions" in output else output[f"{kind.value}_attentions"]


_DECODED = {Kind.DECODER: (0, 1), Kind.CROSS: (0, 1)}
CASES = {
    "led": Case("LEDForConditionalGeneration", "LEDConfig", _BOTH | {"attention_window": [4, 4]}, _DECODED),
    "longt5": Case("LongT5ForConditionalGeneration", "LongT5Config", _T5, _DECODED),
    "pegasus-x": Case("PegasusXForConditionalGeneration", "PegasusXConfig", _BOTH | {"block_size": 4}, _DECODED),
    "bigbird-pegasus": Case(
        "BigBirdPegasusForConditionalGeneration",
        "BigBirdPegasusConfig",
        _BOTH | {"block_size": 2, "num_random_blocks": 1},
        _DECODED,
    ),
    "prophetnet": Case(
        "ProphetNetForConditionalGeneration",
        "ProphetNetConfig",
        {
            "vocab_size": 101,
            "hidden_size": 24,
            "decoder_start_token_id": 3,
            **{
                f"num_{half}_{axis}": n
                for half in ("encoder", "decoder")
                for axis, n in (("layers", 2), ("attention_heads", 3))
            },
            **{f"{half}_ffn_dim": 37 for half in ("encoder", "decoder")},
            "max_position_embeddings": 64,
        },
        {Kind.DECODER: (0, 1)},
    ),
    "deepseek-v4": Case(
        "DeepseekV4ForCausalLM",
        "DeepseekV4Config",
        {
            "vocab_size": 101,
            "hidden_size": 32,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "head_dim": 16,
            "qk_rope_head_dim": 8,
            "moe_intermediate_size": 16,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "num_hash_layers": 0,
            "layer_types": [
                "sliding_attention",
                "compressed_sparse_attention",
                "heavily_compressed_attention",
                "sliding_attention",
            ],
            "compress_rates": {"compressed_sparse_attention": 4, "heavily_compressed_attention": 16},
            "q_lora_rank": 16,
            "o_lora_rank": 8,
            "o_groups": 2,
            "sliding_window": 5,
            "index_n_heads": 2,
            "index_head_dim": 8,
            "index_topk": 4,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 3,
            "max_position_embeddings": 256,
        },
        {Kind.DECODER: (0, 3)},
    ),
    "funnel": Case("FunnelModel", "FunnelConfig", _FUNNEL, {Kind.ENCODER: (0, 1, 3, 4)}),
    "canine": Case(
        "CanineModel",
        "CanineConfig",
        {
            "hidden_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "intermediate_size": 37,
            "max_position_embeddings": 256,
            "num_hash_buckets": 257,
            "num_hash_functions": 8,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 3,
        },
        {Kind.ENCODER: (3,)},
    ),
    "funnel-base": Case("FunnelBaseModel", "FunnelConfig", _FUNNEL, {Kind.ENCODER: (0, 1)}),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, make: Callable[..., None]) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            case, made[name] = CASES[name], tmp_path_factory.mktemp(name)
            make(made[name], case.model, case.config, case.sizes, "$A [SEP]")
        return made[name]

    return folder


def by_transformers(folder: Path, case: Case, model: Any, reading: Any) -> dict[Kind, Any]:
    """What a fresh network of the library returns for the shown layers of what was read."""
    import torch
    import transformers

    with quiet(), torch.inference_mode():
        network = getattr(transformers, case.model).from_pretrained(folder, attn_implementation="eager").eval()
        inputs = {"input_ids": torch.tensor([reading.ids])}
        if reading.target:
            inputs["decoder_input_ids"] = torch.tensor([reading.target.ids])
        output = network(**inputs, output_attentions=True, return_dict=True)
    return {
        kind: np.stack([case.returned(output, kind)[layer][0].numpy() for layer in layers])
        for kind, layers in case.shown.items()
    }


@pytest.mark.parametrize("name", CASES)
def test_what_is_plain_is_what_the_library_returns_in_whatever_order_texts_are_read(
    name: str, folders: Callable[[str], Path]
) -> None:
    case, folder = CASES[name], folders(name)
    model = load(name, folder, Loading())
    assert {kind: stack.layers for kind, stack in model.card.stacks.items()} == case.shown
    for text in (TEXT, LONG, TEXT):
        reading = model.read(Passage(text=text, target=TARGET if model.card.translates else None))
        expected = by_transformers(folder, case, model, reading)
        for found in model.weights(reading):
            assert found.layers == case.shown[found.kind]
            assert_allclose(found.weights, expected[found.kind], atol=1e-5, err_msg=f"{found.kind} of {len(text)}")


def test_what_is_not_plain_is_said_with_every_record_and_refused_by_name(folders: Callable[[str], Path]) -> None:
    model = load("led", folders("led"), Loading())
    records = model.attend(TEXT, target=TARGET)
    assert [one.kind for one in records] == [Kind.DECODER, Kind.CROSS]
    for record in records:
        assert record.notes[0].startswith(
            "encoder layers 0-1 are not shown: what the model returns there has the shape"
        )
    with pytest.raises(
        UsageError,
        match=r"led cannot show that: encoder layers 0-1 are not .*Choose from decoder layers 0-1; cross",
    ):
        model.attend(TEXT, target=TARGET, select=Selection(kinds=(Kind.ENCODER,)))


def test_a_layer_is_that_of_the_kinds_that_are_shown(folders: Callable[[str], Path]) -> None:
    records = load("led", folders("led"), Loading()).attend(TEXT, target=TARGET, select=Selection(layers=(1,)))
    assert [(one.kind, one.layers) for one in records] == [(Kind.DECODER, (1,)), (Kind.CROSS, (1,))]


def test_single_layers_that_are_not_plain_are_refused_by_number(folders: Callable[[str], Path]) -> None:
    model = load("funnel", folders("funnel"), Loading())
    with pytest.raises(
        UsageError, match=r"funnel cannot show that: encoder layer 2 is not shown: .* Choose from encoder layers 0"
    ):
        model.attend(TEXT, select=Selection(layers=(0, 2)))
    (found,) = model.attend(TEXT, select=Selection(layers=(3,)))
    assert found.layers == (3,)


def test_an_encoder_is_shown_whose_decoder_merges_its_own_keys_with_the_encoders(
    tmp_path: Path, make: Callable[..., None]
) -> None:
    import torch
    import transformers

    text = {
        "vocab_size": 101,
        "hidden_size": 24,
        "intermediate_size": 37,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "head_dim": 10,
        "sliding_window": 5,
        "max_position_embeddings": 64,
        "layer_types": ["sliding_attention", "full_attention"],
    }
    vision = {
        "hidden_size": 24,
        "intermediate_size": 37,
        "num_hidden_layers": 1,
        "num_attention_heads": 3,
        "image_size": 16,
        "patch_size": 8,
    }
    sizes = {
        "encoder": {"text_config": text, "vision_config": vision, "mm_tokens_per_image": 4},
        "decoder": text,
        "vocab_size": 101,
    }
    make(tmp_path, "T5Gemma2ForConditionalGeneration", "T5Gemma2Config", sizes, "$A [SEP]")
    model = load("t5gemma2", tmp_path, Loading())
    assert tuple(model.card.stacks) == (Kind.ENCODER,)
    reading = model.read(Passage(text=TEXT))
    with quiet(), torch.inference_mode():
        network = transformers.T5Gemma2ForConditionalGeneration.from_pretrained(tmp_path, attn_implementation="eager")
        ids = torch.tensor([reading.ids])
        output = network.eval()(ids, decoder_input_ids=ids[:, :3], output_attentions=True)
    (found,) = model.weights(reading)
    assert_allclose(found.weights, torch.cat(output.encoder_attentions).numpy(), atol=1e-5)
    with pytest.raises(UsageError, match="takes no target: what its decoder looks at cannot be shown"):
        model.attend(TEXT, target=TARGET)
