"""Models that read more than text, or of which a config names the class: which network a text is shown of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from attnviz.errors import ModelError
from attnviz.models.loading import Loading
from attnviz.models.passages import Passage
from attnviz.models.pretrained import load
from attnviz.models.pretrained.edge import quiet
from attnviz.vocabulary import Kind

TEXT = "the animal did not cross the street"
LONG = " ".join([TEXT] * 3)

_LAYERS = {"hidden_size": 24, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 3}
_TEXT = _LAYERS | {"vocab_size": 101, "max_position_embeddings": 64, "pad_token_id": 0, "eos_token_id": 3}
_PICTURES = _LAYERS | {"image_size": 16, "patch_size": 8}
_DECODER = _TEXT | {"num_key_value_heads": 1, "head_dim": 8, "bos_token_id": 2}
_TWO = {"text_config": _TEXT, "vision_config": _PICTURES, "projection_dim": 24}

TOWERS = {
    "clip": ("CLIPModel", "CLIPConfig", _TWO, Kind.DECODER),
    "siglip": ("SiglipModel", "SiglipConfig", _TWO, Kind.ENCODER),
    "chinese-clip": ("ChineseCLIPModel", "ChineseCLIPConfig", _TWO, Kind.ENCODER),
    "owlvit": ("OwlViTModel", "OwlViTConfig", _TWO, Kind.DECODER),
    "x-clip": (
        "XCLIPModel",
        "XCLIPConfig",
        _TWO
        | {
            "vision_config": _PICTURES
            | {
                "mit_hidden_size": 24,
                "mit_intermediate_size": 37,
                "mit_num_hidden_layers": 1,
                "mit_num_attention_heads": 3,
            }
        },
        Kind.DECODER,
    ),
}


def saved(folder: Path, make: Callable[..., None], model: str, config: str, sizes: dict[str, Any]) -> Any:
    """A model made anew in a folder, as the library loads it."""
    import transformers

    make(folder, model, config, sizes, "$A [SEP]")
    with quiet():
        return getattr(transformers, model).from_pretrained(folder, attn_implementation="eager").eval()


@pytest.mark.parametrize("name", TOWERS)
def test_of_two_towers_the_one_is_shown_that_reads_text_with_the_weights_of_the_whole(
    name: str, tmp_path: Path, make: Callable[..., None]
) -> None:
    import torch

    *made, kind = TOWERS[name]
    whole = saved(tmp_path, make, *made)
    model = load(name, tmp_path, Loading())
    reading = model.read(Passage(text=TEXT))
    ids = torch.tensor([reading.ids])
    with quiet(), torch.inference_mode():
        output = whole.get_text_features(ids, torch.ones_like(ids), output_attentions=True, return_dict=True)
    (found,) = model.weights(reading)
    assert found.kind is kind
    assert_allclose(found.weights, torch.cat(output.attentions).numpy(), atol=1e-5)


def test_weights_of_both_towers_must_be_there(tmp_path: Path, make: Callable[..., None]) -> None:
    from safetensors.torch import load_file, save_file

    saved(tmp_path, make, *TOWERS["clip"][:3])
    path = tmp_path / "model.safetensors"
    tensors = {name: tensor for name, tensor in load_file(path).items() if "text_model.encoder.layers.1" not in name}
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks the weights of text_model\.encoder\.layers\.1"):
        load("clip", tmp_path, Loading())


@pytest.mark.parametrize(
    ("model", "config", "sizes", "said"),
    [
        (
            "BrosModel",
            "BrosConfig",
            _TEXT,
            r"a model of type bros \(BrosModel\), which reads the places of words on a page .*\(bbox\)",
        ),
        (
            "ViltModel",
            "ViltConfig",
            _TEXT | _PICTURES,
            r"a model of type vilt \(ViltModel\), which reads pictures .*pixel_values",
        ),
        (
            "XmodModel",
            "XmodConfig",
            _TEXT | {"languages": ["en"]},
            r"a model of type xmod .* which reads the language of a text",
        ),
        ("ViTModel", "ViTConfig", _PICTURES, "reads no text but pixel_values"),
    ],
)
def test_a_model_that_reads_no_text_alone_is_refused_with_what_it_reads(
    model: str, config: str, sizes: dict[str, Any], said: str, tmp_path: Path, make: Callable[..., None]
) -> None:
    make(tmp_path, model, config, sizes, "$A")
    with pytest.raises(ModelError, match=said) as caught:
        load("it", tmp_path, Loading())
    assert "choose a text model" in str(caught.value)
    assert "Error:" not in str(caught.value)


def test_a_table_of_positions_of_pictures_does_not_limit_texts(tmp_path: Path, make: Callable[..., None]) -> None:
    import torch

    text = _DECODER | {"model_type": "llama"}
    sizes = {"text_config": text, "vision_config": _PICTURES, "scale_factor": 1, "image_token_id": 99}
    whole = saved(tmp_path, make, "Idefics3ForConditionalGeneration", "Idefics3Config", sizes)
    assert whole.model.vision_model.embeddings.position_embedding.num_embeddings == 4
    model = load("idefics3", tmp_path, Loading())
    assert model.card.positions is None
    reading = model.read(Passage(text=LONG))
    with quiet(), torch.inference_mode():
        output = whole(torch.tensor([reading.ids]), output_attentions=True)
    (found,) = model.weights(reading)
    assert_allclose(found.weights, torch.cat(output.attentions).numpy(), atol=1e-5)


def test_a_table_of_positions_of_the_text_limits_it_beside_pictures(tmp_path: Path, make: Callable[..., None]) -> None:
    saved(tmp_path, make, *TOWERS["clip"][:3])
    assert load("clip", tmp_path, Loading()).card.positions == 64
    folder = tmp_path / "git"
    saved(
        folder, make, "GitForCausalLM", "GitConfig", _TEXT | {"vision_config": _PICTURES, "max_position_embeddings": 37}
    )
    assert load("git", folder, Loading()).card.positions == 37


_T5 = {"vocab_size": 101, "d_model": 24, "d_kv": 10, "d_ff": 37, "num_layers": 2, "num_heads": 3}


@pytest.mark.parametrize(
    ("model", "config", "sizes"),
    [
        ("UMT5EncoderModel", "UMT5Config", _T5),
        ("MT5EncoderModel", "MT5Config", _T5),
        (
            "ShieldGemma2ForImageClassification",
            "ShieldGemma2Config",
            {"text_config": _DECODER, "vision_config": _PICTURES, "mm_tokens_per_image": 4, "image_token_index": 99},
        ),
    ],
)
def test_the_class_that_the_config_names_is_loaded(
    model: str, config: str, sizes: dict[str, Any], tmp_path: Path, make: Callable[..., None]
) -> None:
    import torch

    whole = saved(tmp_path, make, model, config, sizes)
    found = load("it", tmp_path, Loading())
    reading = found.read(Passage(text=TEXT))
    network = whole if model.endswith("EncoderModel") else whole.model
    with quiet(), torch.inference_mode():
        output = network(input_ids=torch.tensor([reading.ids]), output_attentions=True)
    (attention,) = found.weights(reading)
    assert_allclose(attention.weights, np.stack([layer[0].numpy() for layer in output.attentions]), atol=1e-5)


def test_a_bare_network_still_writes_where_its_embeddings_do(tmp_path: Path, make: Callable[..., None]) -> None:
    sizes = {"vocab_size": 101, "n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 64}
    make(tmp_path, "GPT2Model", "GPT2Config", sizes, "$A")
    (found,) = load("gpt2", tmp_path, Loading()).attend(TEXT, generate=2)
    assert found.shape[2:] == (9, 9)
