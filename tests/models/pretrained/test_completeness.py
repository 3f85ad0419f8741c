"""What the files of a model hold, against what its network reads: on both engines."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.errors import ModelError
from attnviz.models import automatic
from attnviz.models.configuration import UnsupportedError
from attnviz.models.loading import Loading
from attnviz.models.model import Model
from attnviz.models.passages import Passage
from attnviz.vocabulary import Engine

Edited = Callable[..., Path]
Tensors = dict[str, torch.Tensor]
TEXT = "the animal did not cross the street"
ENGINES = [Engine.REFERENCE, Engine.TRANSFORMERS]


def load(folder: Path, engine: Engine | None = None) -> Model:
    return automatic.load("tiny", folder, Loading(engine=engine))


def weights(folder: Path, engine: Engine | None = None) -> Any:
    (attention,) = load(folder, engine).attend(TEXT)
    return attention.weights


def adding(name: str, *shape: int) -> Callable[[Tensors], Tensors]:
    return lambda found: found | {name: torch.ones(shape)}


def renaming(change: Callable[[str], str]) -> Callable[[Tensors], Tensors]:
    return lambda found: {change(name): tensor for name, tensor in found.items()}


@pytest.mark.parametrize(
    ("family", "name", "shape"),
    [
        ("bert", "encoder.layer.0.attention.self.distance_embedding.weight", (127, 8)),
        ("bert", "embeddings.relative_positions.weight", (5, 24)),
        ("bert", "encoder.layer.1.attention.self.query_norm.weight", (24,)),
        ("bert", "encoder.layer.1.crossattention.self.query.weight", (24, 24)),
        ("gpt2", "transformer.wre.weight", (24,)),
        ("gpt2", "transformer.h.0.attn.rel_bias.weight", (3, 7)),
        ("llama", "model.layers.0.self_attn.q_proj.bias", (30,)),
        ("llama", "model.layers.2.self_attn.q_norm.weight", (10,)),
        ("llama", "model.layers.2.self_attn.sinks", (3,)),
        ("llama", "model.layers.1.self_attn.q_proj.weight_scale", (1,)),
        ("llama", "model.embed_positions.weight", (64, 24)),
    ],
)
def test_a_tensor_within_the_network_that_nothing_reads_is_refused_by_name(
    edited: Edited, family: str, name: str, shape: tuple[int, ...]
) -> None:
    folder = edited(family, adding(name, *shape))
    with pytest.raises(UnsupportedError, match=name):
        load(folder, Engine.REFERENCE)
    for engine in (None, Engine.TRANSFORMERS):
        with pytest.raises(ModelError, match=f"holds weights that nothing here reads, {name}"):
            load(folder, engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("bert", "embeddings.position_ids"),
        ("bert", "cls.predictions.transform.LayerNorm.weight"),
        ("bert", "pooler.another.weight"),
        ("bert", "classifier.weight"),
        ("gpt2", "transformer.h.0.attn.bias"),
        ("gpt2", "transformer.h.2.attn.masked_bias"),
        ("gpt2", "score.weight"),
        ("llama", "model.layers.0.self_attn.rotary_emb.inv_freq"),
        ("llama", "v_head.summary.weight"),
    ],
)
def test_heads_and_what_is_worked_out_may_lie_beside_without_a_word(
    edited: Edited, folder_of: Callable[[str], Path], engine: Engine, family: str, name: str
) -> None:
    folder = edited(family, adding(name, 3, 5))
    assert load(folder, engine).card.notes == ()
    assert_array_equal(weights(folder, engine), weights(folder_of(family), engine))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_speaks_of_attention_beside_the_network_is_named(
    edited: Edited, folder_of: Callable[[str], Path], engine: Engine
) -> None:
    folder = edited("bert", adding("relative_attention.weight", 3, 5))
    (note,) = load(folder, engine).card.notes
    assert "relative_attention.weight" in note
    assert_array_equal(weights(folder, engine), weights(folder_of("bert"), engine))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("family", "key"), [("bert", "num_hidden_layers"), ("llama", "num_hidden_layers"), ("gpt2", "n_layer")]
)
def test_a_config_of_fewer_layers_gives_the_first_ones_and_says_so(
    edited: Edited, folder_of: Callable[[str], Path], engine: Engine, family: str, key: str
) -> None:
    model = load(edited(family, **{key: 2}), engine)
    assert model.card.notes == ("The files hold 3 layers, of which config.json asks for 2: the others are not run.",)
    (attention,) = model.attend(TEXT)
    assert_array_equal(attention.weights, weights(folder_of(family), engine)[:2])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("bert", lambda name: f"module.{name}"),
        ("bert", lambda name: f"_orig_mod.{name}"),
        ("bert", lambda name: f"module._orig_mod.bert.{name}"),
        ("bert", lambda name: f"model.bert.{name}"),
        ("bert", lambda name: name.replace("layer.1.", "layer.1._orig_mod.")),
        ("llama", lambda name: f"module.{name}"),
        ("llama", lambda name: f"model.{name}"),
        ("llama", lambda name: name.replace("layers.2.", "layers.2._fsdp_wrapped_module.")),
        ("gpt2", lambda name: f"_orig_mod.{name}"),
        ("gpt2", lambda name: f"model.{name}"),
    ],
)
def test_what_a_training_program_put_before_names_is_taken_away(
    edited: Edited, folder_of: Callable[[str], Path], engine: Engine, family: str, change: Callable[[str], str]
) -> None:
    folder = edited(family, renaming(change))
    assert load(folder, engine).card.notes == ()
    assert_array_equal(weights(folder, engine), weights(folder_of(family), engine))


@pytest.mark.parametrize("engine", ENGINES)
def test_another_prefix_is_named_together_with_what_to_do(edited: Edited, engine: Engine) -> None:
    folder = edited("bert", renaming(lambda name: f"backbone.{name}"))
    with pytest.raises(ModelError, match=r"There is backbone\.embeddings\..*: take backbone\. out of the names"):
        load(folder, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_of_a_variant_are_read(edited: Edited, folder_of: Callable[[str], Path], engine: Engine) -> None:
    folder = edited("bert", file="model.fp16.safetensors")
    assert_array_equal(weights(folder, engine), weights(folder_of("bert"), engine))


@pytest.mark.parametrize("engine", ENGINES)
def test_shards_of_a_variant_are_read(edited: Edited, folder_of: Callable[[str], Path], engine: Engine) -> None:
    import transformers

    folder = edited("bert")
    (folder / "model.safetensors").unlink()
    network = transformers.AutoModel.from_pretrained(folder_of("bert"))
    network.save_pretrained(folder, max_shard_size="20KB", variant="bf16")
    assert len(list(folder.glob("model.bf16-*.safetensors"))) > 2
    assert_array_equal(weights(folder, engine), weights(folder_of("bert"), engine))


def test_floats_of_8_bits_without_a_scale_are_what_they_say(edited: Edited) -> None:
    def rounded(found: Tensors) -> Tensors:
        return {name: tensor.to(torch.float8_e4m3fn) for name, tensor in found.items()}

    def as_they_are(found: Tensors) -> Tensors:
        return {name: tensor.float() for name, tensor in rounded(found).items()}

    folder, plain = edited("llama", rounded), edited("llama", as_they_are)
    with pytest.raises(UnsupportedError, match="F8_E4M3"):
        load(folder, Engine.REFERENCE)
    assert_allclose(weights(folder), weights(plain), atol=1e-5)


def test_whole_numbers_of_which_nothing_says_what_they_stand_for_are_refused(edited: Edited) -> None:
    folder = edited("llama", lambda found: {name: (50 * tensor).to(torch.int8) for name, tensor in found.items()})
    with pytest.raises(ModelError, match=r"quantized weights .*I8.* no quantization_config"):
        load(folder)


def test_a_bias_that_config_json_asks_for_must_be_there(edited: Edited) -> None:
    folder = edited("llama", attention_bias=True)
    for engine in ENGINES:
        with pytest.raises(ModelError, match=r"lacks .*_proj\.bias"):
            load(folder, engine)


def test_a_decoder_that_is_not_causal_is_run_as_transformers_runs_it(edited: Edited) -> None:
    import transformers

    folder = edited("llama", is_causal=False)
    reading = load(folder).read(Passage(text=TEXT))
    network = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager")
    with torch.no_grad():
        expected = torch.cat(network(torch.tensor([reading.ids]), output_attentions=True).attentions).numpy()
    assert expected[:, :, 0, -1].min() > 0  # the first token looks at the last one
    assert_allclose(weights(folder), expected, atol=1e-5)
