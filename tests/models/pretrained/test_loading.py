import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose

from attnviz.errors import ModelError, UsageError
from attnviz.models.loading import Loading
from attnviz.models.pretrained import load
from attnviz.vocabulary import Engine, Kind
from tests.interpreter import modules_after

Folders = Callable[[str], Path]


@pytest.fixture
def folder(folder_of: Folders, tmp_path: Path) -> Path:
    """A copy of a BERT's folder, to be damaged."""
    return Path(shutil.copytree(folder_of("bert"), tmp_path / "bert"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


class TestCard:
    def test_it_says_what_attends(self, model_of: Callable[[str], Any]) -> None:
        card = model_of("t5").card
        assert {kind: (stack.layers, stack.heads) for kind, stack in card.stacks.items()} == {
            Kind.ENCODER: ((0, 1, 2), 3),
            Kind.DECODER: ((0, 1), 3),
            Kind.CROSS: ((0, 1), 3),
        }
        assert card.name == "t5"
        assert card.config["model_type"] == "t5"

    @pytest.mark.parametrize("family", ["lfm2", "zamba2"])
    def test_where_only_some_layers_attend_they_keep_their_numbers(
        self, family: str, model_of: Callable[[str], Any]
    ) -> None:
        assert model_of(family).card.stacks[Kind.DECODER].layers == (1, 3)

    def test_only_a_model_with_sinks_may_have_rows_below_1(self, model_of: Callable[[str], Any]) -> None:
        assert model_of("gpt-oss").runner.sink
        assert not model_of("llama").runner.sink
        (attention,) = model_of("gpt-oss").attend("the animal did not")
        assert attention.weights.sum(-1).max() < 1

    def test_it_is_run_by_transformers(self, model_of: Callable[[str], Any]) -> None:
        model = model_of("bert")
        assert (model.engine, model.runner.precision) == (Engine.TRANSFORMERS, "float32")


class TestPrecision:
    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    @pytest.mark.parametrize("family", ["bert", "llama", "t5", "gpt-j"])
    def test_weights_in_lower_precision_are_near_the_exact_ones(
        self, family: str, precision: str, folder_of: Folders, model_of: Callable[[str], Any]
    ) -> None:
        model = load(family, folder_of(family), Loading(dtype=precision))
        assert model.runner.precision == precision
        target = "it was" if family == "t5" else None
        for found, exact in zip(
            model.attend("the animal did", target=target),
            model_of(family).attend("the animal did", target=target),
            strict=True,
        ):
            assert_allclose(found.weights, exact.weights, atol=0.05)

    def test_auto_is_what_the_checkpoint_has(self, folder_of: Folders) -> None:
        assert load("bert", folder_of("bert"), Loading(dtype="auto")).runner.precision == "float32"

    @pytest.mark.parametrize("loading", [Loading(dtype="int3"), Loading(device="abacus"), Loading(device="cuda")])
    def test_what_is_not_there_cannot_be_asked_for(self, loading: Loading, folder_of: Folders) -> None:
        with pytest.raises(UsageError, match="There is no"):
            load("bert", folder_of("bert"), loading)


class TestDamagedFiles:
    def test_a_file_that_was_cut_short(self, folder: Path) -> None:
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
        with pytest.raises(ModelError, match="is damaged, or not a safetensors file"):
            load("bert", folder, Loading())

    def test_a_file_that_is_something_else(self, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"<html>not found</html>")
        with pytest.raises(ModelError, match="is damaged, or not a safetensors file"):
            load("bert", folder, Loading())

    def test_a_folder_whose_name_only_other_systems_can_read_is_not_called_damaged(
        self, folder: Path, tmp_path: Path
    ) -> None:
        odd = folder.rename(tmp_path / os.fsdecode(b"caf\xe9"))
        with pytest.raises(ModelError, match=r"is not valid UTF-8\. Rename that folder"):
            load("bert", odd, Loading())

    def test_a_config_that_is_no_json(self, folder: Path) -> None:
        (folder / "config.json").write_text('{"model_type": "ber')
        with pytest.raises(ModelError, match=r"config\.json of bert cannot be read"):
            load("bert", folder, Loading())

    def test_a_config_that_is_missing(self, folder: Path) -> None:
        (folder / "config.json").unlink()
        with pytest.raises(ModelError, match=r"no config\.json"):
            load("bert", folder, Loading())

    def test_a_config_of_an_unknown_type(self, folder: Path) -> None:
        change(folder / "config.json", model_type="telepathy")
        with pytest.raises(ModelError, match="no type of model"):
            load("bert", folder, Loading())

    def test_a_config_of_other_sizes(self, folder: Path) -> None:
        change(folder / "config.json", intermediate_size=41)
        with pytest.raises(ModelError, match="other shapes"):
            load("bert", folder, Loading())

    def test_a_config_of_more_layers(self, folder: Path) -> None:
        change(folder / "config.json", num_hidden_layers=5)
        with pytest.raises(ModelError, match=r"lacks the weights of encoder\.layer\.3"):
            load("bert", folder, Loading())

    def test_a_tokenizer_that_is_damaged(self, folder: Path) -> None:
        (folder / "tokenizer.json").write_text("{}")
        with pytest.raises(ModelError, match="The tokenizer of bert could not be loaded"):
            load("bert", folder, Loading())

    def test_a_tokenizer_that_is_missing(self, folder: Path) -> None:
        for file in folder.glob("token*"):
            file.unlink()
        with pytest.raises(ModelError, match="bert has no tokenizer: none of its files is there"):
            load("bert", folder, Loading())


OWN_MODEL = """
import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

class OwnConfig(PreTrainedConfig):
    model_type = "own"

class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.query = torch.nn.Linear(11, 11)

    def forward(self, hidden):
        weights = (self.query(hidden) @ hidden.transpose(1, 2)).softmax(-1)
        return weights @ hidden, weights[:, None]

class OwnModel(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.words = torch.nn.Embedding(101, 11)
        self.layers = torch.nn.ModuleList(Layer() for _ in range(3))
        self.post_init()

    def get_input_embeddings(self):
        return self.words

    def forward(self, input_ids, output_attentions=False, return_dict=True):
        hidden, attentions = self.words(input_ids), ()
        for layer in self.layers:
            hidden, weights = layer(hidden)
            attentions += (weights,)
        return BaseModelOutput(last_hidden_state=hidden, attentions=attentions)
"""


def save_own(folder: Path) -> None:
    """A model whose code is in its folder."""
    import torch
    from safetensors.torch import save_file

    (folder / "own.py").write_text(OWN_MODEL)
    places = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    (folder / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": places}))
    shapes: dict[str, tuple[int, ...]] = {"words.weight": (101, 11)}
    for layer in range(3):
        shapes |= {f"layers.{layer}.query.weight": (11, 11), f"layers.{layer}.query.bias": (11,)}
    tensors = {name: torch.randn(shape) for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


class TestForeignCode:
    def test_pickled_weights_are_never_read(self, folder: Path) -> None:
        import torch

        (folder / "model.safetensors").unlink()
        torch.save({}, folder / "pytorch_model.bin")
        with pytest.raises(ModelError, match=r"has no model\.safetensors, only pytorch_model\.bin"):
            load("bert", folder, Loading())

    @pytest.fixture
    def own_code(self, folder: Path) -> Path:
        (folder / "evil.py").write_text("raise SystemExit('it ran')")
        change(folder / "config.json", model_type="evil", auto_map={"AutoConfig": "evil.C", "AutoModel": "evil.M"})
        return folder

    def test_a_model_with_code_of_its_own_needs_to_be_trusted(self, own_code: Path) -> None:
        with pytest.raises(ModelError, match="if you trust its authors, pass `trust_remote_code=True`"):
            load("evil", own_code, Loading())

    def test_the_code_of_a_tokenizer_is_not_run_either(self, folder: Path) -> None:
        change(folder / "tokenizer_config.json", tokenizer_class="Own", auto_map={"AutoTokenizer": ["evil.T", None]})
        change(folder / "config.json", model_type="bert")
        model = load("bert", folder, Loading())
        assert "Own" not in type(model.reader.tokenizer).__name__  # the library's own, which its files fit

    def test_a_trusted_model_runs_its_own_code(
        self, folder_of: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
        folder = tmp_path / "own"
        folder.mkdir()
        save_own(folder)
        for file in folder_of("llama").glob("token*"):
            shutil.copy(file, folder)
        model = load("own", folder, Loading(trust_remote_code=True, offline=True))
        assert model.card.stacks[Kind.ENCODER].layers == (0, 1, 2)
        assert model.attend("the animal did not")[0].shape == (3, 1, 4, 4)

    def test_a_model_that_the_library_knows_runs_without_the_code_beside_it(self, own_code: Path) -> None:
        change(own_code / "config.json", model_type="bert")
        assert load("bert", own_code, Loading()).attend("the animal")


class TestNoAttention:
    @pytest.mark.parametrize(
        ("model", "config", "sizes", "message"),
        [
            ("MambaModel", "MambaConfig", {}, "computes no attention weights"),
            ("FNetModel", "FNetConfig", {"intermediate_size": 37}, "computes no attention weights"),
            (
                "SqueezeBertModel",
                "SqueezeBertConfig",
                {"num_attention_heads": 4, "embedding_size": 24, "intermediate_size": 32}
                | {f"{name}_groups": 2 for name in ("q", "k", "v", "intermediate", "output")},
                "that could be shown: .* encoder layer 0 (sums not to 1|holds numbers below 0)",
            ),
            (
                "CpmAntModel",
                "CpmAntConfig",
                {"num_attention_heads": 3, "dim_head": 8, "dim_ff": 37, "prompt_types": 5, "prompt_length": 7},
                "that could be shown: .* encoder layer 0 (sums not to 1|has the shape)",
            ),
            (
                "LongformerModel",
                "LongformerConfig",
                {"num_attention_heads": 3, "intermediate_size": 37, "attention_window": 4},
                "computes no attention weights that could be shown: .* encoder layer 0 has the shape",
            ),
        ],
    )
    def test_is_shown_of_a_model_that_returns_none(
        self, model: str, config: str, sizes: dict[str, Any], message: str, folder: Path, tmp_path: Path
    ) -> None:
        import transformers

        made = tmp_path / "made"
        sizes = {"vocab_size": 101, "hidden_size": 24, "num_hidden_layers": 2} | sizes
        getattr(transformers, model)(getattr(transformers, config)(**sizes)).save_pretrained(made)
        for file in folder.glob("token*"):
            shutil.copy(file, made)
        with pytest.raises(ModelError, match=message):
            load(model, made, Loading())


def test_nothing_heavy_is_imported_before_a_model_is_loaded() -> None:
    assert modules_after("import attnviz.models.pretrained").isdisjoint({"torch", "transformers"})
