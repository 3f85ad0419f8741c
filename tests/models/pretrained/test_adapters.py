"""LoRA adapters beside the models that they were trained for, held to peft's own models."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose

from attnviz import load as load_by_name
from attnviz.errors import ModelError
from attnviz.models import automatic
from attnviz.models.configuration import UnsupportedError
from attnviz.models.loading import Loading
from attnviz.models.passages import Passage
from attnviz.models.pretrained.edge import quiet
from attnviz.vocabulary import Engine
from tests.interpreter import modules_after

TEXT = "the animal did not cross the street"
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "decoder": ("llama", "LlamaForCausalLM", {"task_type": "CAUSAL_LM", "target_modules": ["q_proj", "v_proj"]}),
    "bare encoder": ("bert", "BertModel", {"target_modules": ["query", "value"]}),
    "with a head": ("bert", "BertForSequenceClassification", {"task_type": "SEQ_CLS", "target_modules": ["query"]}),
    "fused and transposed": ("gpt2", "GPT2LMHeadModel", {"target_modules": ["c_attn"], "fan_in_fan_out": True}),
    "weights split by length, and a whole table": (
        "llama",
        "LlamaForCausalLM",
        {"use_dora": True, "target_modules": "all-linear", "modules_to_save": ["embed_tokens"]},
    ),
}


@pytest.fixture
def adapted(folder_of: Callable[[str], Path], tmp_path: Path) -> Callable[[str], tuple[Path, Any]]:
    """A model's folder with an adapter in it, and peft's own model of the two."""
    import transformers
    from peft import LoraConfig, get_peft_model

    def make(case: str) -> tuple[Path, Any]:
        family, cls, settings = CASES[case]
        folder = Path(shutil.copytree(folder_of(family), tmp_path / "adapted"))
        with quiet():
            base = getattr(transformers, cls).from_pretrained(folder_of(family), attn_implementation="eager")
            model = get_peft_model(base, LoraConfig(r=3, lora_alpha=8, **settings)).eval()
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if "lora_" in name or "modules_to_save" in name:
                        parameter.normal_(std=0.3)
            model.save_pretrained(folder)
        return folder, model

    return make


def load(folder: Path, engine: Engine | None = None) -> Any:
    return automatic.load("tiny", folder, Loading(engine=engine))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("case", CASES)
def test_an_adapter_is_merged_into_the_model_beside_it(
    case: str, adapted: Callable[[str], tuple[Path, Any]], folder_of: Callable[[str], Path]
) -> None:
    folder, theirs = adapted(case)
    model = load(folder)
    reading = model.read(Passage(text=TEXT))
    with torch.no_grad():
        expected = torch.cat(theirs.base_model.model(torch.tensor([reading.ids]), output_attentions=True).attentions)
    (attention,) = model.weights(reading)
    assert_allclose(attention.weights, expected.numpy(), atol=1e-5)
    (without,) = load(folder_of(CASES[case][0])).weights(reading)
    assert abs(without.weights - attention.weights).max() > 0.05


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
class TestRefused:
    @pytest.fixture
    def folder(self, adapted: Callable[[str], tuple[Path, Any]]) -> Path:
        return adapted("decoder")[0]

    def write(self, folder: Path, **changes: Any) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def test_by_the_reference_engine(self, folder: Path) -> None:
        with pytest.raises(UnsupportedError, match="reads no adapters"):
            load(folder, Engine.REFERENCE)

    def test_an_adapter_is_refused_without_peft(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("attnviz.models.adapters.find_spec", lambda name: None)
        with pytest.raises(ModelError, match=r"pip install 'attnviz\[peft\]'"):
            load(folder)

    def test_an_adapter_of_another_kind_is_refused(self, folder: Path) -> None:
        self.write(folder, peft_type="PREFIX_TUNING")
        with pytest.raises(ModelError, match="PREFIX_TUNING beside it, and only LORA"):
            load(folder)

    def test_with_a_setting_that_peft_does_not_know(self, folder: Path) -> None:
        self.write(folder, a_thing_of_tomorrow=5)
        with pytest.raises(ModelError, match="a_thing_of_tomorrow"):
            load(folder)

    def test_an_adapter_in_a_pickle_is_refused(self, folder: Path) -> None:
        (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
        with pytest.raises(ModelError, match=r"no adapter_model\.safetensors, only a pickle"):
            load(folder)

    @pytest.mark.parametrize("kept", [0, 2])
    def test_an_adapter_of_other_layers_or_cut_short_is_refused(self, folder: Path, kept: int) -> None:
        from safetensors.torch import load_file, save_file

        path = folder / "adapter_model.safetensors"
        moved = {name.replace("layers.2.", "layers.7.") if kept else name: t for name, t in load_file(path).items()}
        save_file(moved if kept else {name: t for name, t in moved.items() if "layers.2." not in name}, path)
        with pytest.raises(ModelError, match=r"not one of this model: .*layers\.[27]"):
            load(folder)

    def test_an_adapter_without_its_base_model_is_refused(self, folder: Path, tmp_path: Path) -> None:
        self.write(folder, base_model_name_or_path="meta-llama/Llama\x1b[31m")
        alone = tmp_path / "alone"
        alone.mkdir()
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copy(folder / name, alone)
        with pytest.raises(ModelError, match=r"only an adapter \(LORA\) of meta-llama/Llama␛\[31m, and no model: put"):
            load_by_name(str(alone))


def test_peft_is_not_imported_for_a_model_without_an_adapter(folder_of: Callable[[str], Path]) -> None:
    folder = str(folder_of("bert"))
    loaded = modules_after(f"import attnviz; attnviz.load({folder!r}, engine='transformers').attend('the animal')")
    assert "transformers" in loaded and "peft" not in loaded
