import gc
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from attnviz.errors import ModelError, TextError
from attnviz.models.loading import Loading
from attnviz.models.passages import Passage
from attnviz.models.pretrained import load
from attnviz.models.pretrained.survey import TOKENS, survey_model
from attnviz.records import Selection
from attnviz.vocabulary import Kind

TEXT = "the animal did not cross the street because it was too tired"

OWN_ATTENTION = {
    *("deberta-v2", "mpnet", "xlm", "flaubert", "convbert", "roformer"),
    *("gpt-j", "gpt-neo", "bloom", "mpt", "falcon", "codegen", "openai-gpt", "fsmt"),
}
"""Families that do not dispatch through the attention interface, but return their weights layer by layer."""

Models = Callable[[str], Any]


def test_no_family_takes_more_memory_than_it_must(any_family: str, model_of: Models) -> None:
    way = "Returned" if any_family == "xlnet" else "Hooked" if any_family in OWN_ATTENTION else "Capture"
    assert type(model_of(any_family).runner.way).__name__ == way


@pytest.mark.parametrize(("family", "fuses"), [("bert", True), ("llama", True), ("gemma2", False), ("gpt-oss", False)])
def test_layers_are_run_without_weights_only_where_that_makes_no_difference(
    family: str, fuses: bool, model_of: Models
) -> None:
    assert model_of(family).runner.way.fuses is fuses


@pytest.mark.parametrize(("family", "layers"), [("bert", "encoder.layer"), ("llama", "layers"), ("gpt-j", "h")])
def test_what_comes_after_the_last_wanted_layer_is_not_run(family: str, layers: str, model_of: Models) -> None:
    model, run = model_of(family), []
    hooks = [
        layer.register_forward_pre_hook(lambda *_, number=number: run.append(number))
        for number, layer in enumerate(model.runner.network.get_submodule(layers))
    ]
    blocks: list[Any] = []
    model.run([model.read(Passage(text="the animal did"))], Selection(layers=(1,), heads=(2,)), blocks.append)
    for hook in hooks:
        hook.remove()
    assert run == [0, 1]
    assert {(block.layer, block.heads) for block in blocks} == {(1, (2,))}


@pytest.mark.usefixtures("small_blocks")
def test_layers_of_a_kind_come_in_ascending_order(
    any_family: str, model_of: Models, layers_handed_over: Callable[..., dict[Kind, list[int]]]
) -> None:
    model = model_of(any_family)
    reading = model.read(Passage(text=TEXT, target=TEXT if model.card.translates else None))
    expected = {kind: sorted(stack.layers) for kind, stack in model.card.stacks.items()}
    assert layers_handed_over(model, reading) == expected


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("family", ["bert", "llama", "gpt-j"])
def test_weights_come_in_blocks_of_a_few_rows(family: str, model_of: Models) -> None:
    model = model_of(family)
    reading = model.read(Passage(text=TEXT))
    rows: list[range] = []
    model.run([reading], Selection(layers=(0,)), lambda block: rows.append(block.rows))
    count = len(reading.tokens)
    assert list(dict.fromkeys(rows)) == [range(first, min(first + 5, count)) for first in range(0, count, 5)]


@pytest.mark.usefixtures("small_blocks")
def test_causal_blocks_hold_only_the_keys_that_their_rows_can_see(model_of: Models) -> None:
    keys: list[int] = []
    model = model_of("llama")
    reading = model.read(Passage(text=TEXT))
    model.run([reading], Selection(layers=(0,)), lambda block: keys.append(block.weights.shape[-1]))
    assert keys == [5, 10, 12]


@pytest.mark.parametrize("family", ["bert", "llama", "gpt-j", "deberta-v2"])
def test_no_more_than_one_layer_of_weights_is_held_at_a_time(family: str, model_of: Models) -> None:
    model = model_of(family)
    reading = model.read(Passage(text="a " * 31))
    count = len(reading.tokens)
    assert count != TOKENS
    held: list[int] = []

    def count_squares(block: Any) -> None:
        shapes = [tuple(x.shape[-2:]) for x in gc.get_objects() if type(x) is torch.Tensor and x.ndim == 4]
        held.append(shapes.count((count, count)))

    model.run([reading], Selection(), count_squares)
    assert len(held) == 3
    assert max(held) == held[0]


def test_a_model_that_attends_to_long_texts_in_another_way_shows_only_short_ones(
    tmp_path: Path, make: Callable[..., None]
) -> None:
    sizes = {
        "vocab_size": 101,
        "hidden_size": 24,
        "num_attention_heads": 3,
        "attention_head_size": 8,
        "is_decoder": True,
    }
    sizes |= {"feed_forward_size": 37, "axial_pos_embds": False, "max_position_embeddings": 64}
    sizes |= {"attn_layers": ["local", "local"], "local_attn_chunk_length": 8}
    make(tmp_path, "ReformerModel", "ReformerConfig", sizes, "$A")
    reformer = load("reformer", tmp_path, Loading())
    assert reformer.attend("a " * 7)[0].shape == (2, 3, 7, 7)
    with pytest.raises(TextError, match="in another way"):
        reformer.attend("a " * 16)


@pytest.mark.parametrize(("family", "times"), [("llama", 2), ("t5", 2), ("gpt-j", 3), ("xlnet", 3)])
def test_a_large_model_is_tried_in_a_few_runs(family: str, times: int, model_of: Models) -> None:
    network, runs = model_of(family).runner.network, list[int]()
    hook = network.register_forward_pre_hook(lambda *_: runs.append(1))
    survey_model(network, family)
    hook.remove()
    assert len(runs) == times


def test_a_model_that_cannot_be_tried_in_narrow_windows_is_tried_as_it_is(
    model_of: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = model_of("mistral").runner.network

    def fussy(*_: Any) -> None:
        if network.config.sliding_window < 5:
            raise ValueError("windows must have 5 tokens")

    hook = network.register_forward_pre_hook(fussy)
    assert survey_model(network, "mistral").way == model_of("mistral").runner.way
    hook.remove()
    assert network.config.sliding_window == 5


class TestOverflow:
    """Numbers that are too large for float16."""

    @pytest.mark.parametrize("family", ["llama", "bert", "gpt-j"])
    def test_it_is_said_what_to_do(self, family: str, tmp_path: Path, folder_of: Callable[[str], Path]) -> None:
        from safetensors.torch import load_file, save_file

        shutil.copytree(folder_of(family), tmp_path, dirs_exist_ok=True)
        tensors = load_file(tmp_path / "model.safetensors")
        name = next(name for name in tensors if name.endswith(("q_proj.weight", "query.weight")))
        save_file({**tensors, name: tensors[name] * 1e5}, tmp_path / "model.safetensors", {"format": "pt"})
        with pytest.raises(ModelError) as refused:
            load(family, tmp_path, Loading(dtype="float16"))
        said = str(refused.value)
        assert "overflows in float16" in said
        assert '`dtype="bfloat16"` or `dtype="float32"`' in said
        assert not {"encoder", "decoder"} & set(said.split())
        assert load(family, tmp_path, Loading(dtype="bfloat16")).attend("the animal")

    def test_a_text_that_overflows_says_so_too(self, folder_of: Callable[[str], Path]) -> None:
        model = load("llama", folder_of("llama"), Loading(dtype="float16"))
        model.runner.network.layers[0].self_attn.q_proj.weight.data *= 1e5
        with pytest.raises(
            ModelError, match=r"overflows in float16 \(decoder weights of layer 0\): use `dtype=\"bfloat16\"`"
        ):
            model.attend("the animal")


def test_a_model_that_turns_into_another_one_for_a_short_text_is_refused(
    tmp_path: Path, make: Callable[..., None], families: dict[str, Any]
) -> None:
    sizes = families["bert"].sizes | {"block_size": 8, "num_random_blocks": 1}
    make(tmp_path, "BigBirdModel", "BigBirdConfig", sizes, "$A")
    with pytest.raises(ModelError, match="in another way to long texts than to short ones"):
        load("bigbird", tmp_path, Loading())


def test_a_text_of_one_token_is_read_as_any_other(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    for path in folder_of("xlnet").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8")) | {"post_processor": None}
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    (attention,) = load("xlnet", tmp_path, Loading()).attend("the")
    assert (attention.kind, attention.shape[2:]) == (Kind.ENCODER, (1, 1))
