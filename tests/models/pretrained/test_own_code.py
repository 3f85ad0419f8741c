"""Models that come with Python code of their own, though their type is one that transformers knows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.errors import ModelError
from attnviz.models import automatic
from attnviz.models.configuration import UnsupportedError
from attnviz.models.loading import Loading
from attnviz.vocabulary import Engine

Edited = Callable[..., Path]
TEXT = "the animal did not cross the street"

BOTH_WAYS = """
from transformers import LlamaModel

class BothWays(LlamaModel):
    def __init__(self, config):
        config.is_causal = False
        super().__init__(config)
"""
NO_POSITIONS = """
import torch
from transformers import BertConfig, BertModel
from transformers.models.bert.modeling_bert import BertEmbeddings

class OwnConfig(BertConfig):
    model_type = "bert"

class NoPositions(BertEmbeddings):
    def __init__(self, config):
        super().__init__(config)
        del self.position_embeddings

    def forward(self, input_ids=None, token_type_ids=None, **others):
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        return self.LayerNorm(self.word_embeddings(input_ids) + self.token_type_embeddings(types))

class OwnModel(BertModel):
    config_class = OwnConfig

    def __init__(self, config, add_pooling_layer=True):
        super().__init__(config, add_pooling_layer)
        self.embeddings = NoPositions(config)
        self.post_init()
"""
PLACES = [
    {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"},
    {"AutoModel": "own.OwnModel"},
    {"AutoConfig": "own.OwnConfig", "AutoModelForMaskedLM": "own.OwnModel"},
]


@pytest.fixture(autouse=True)
def modules(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Code is copied to a folder that is gone afterwards."""
    made = str(tmp_path_factory.mktemp("modules"))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", made)
    yield


def load(folder: Path, engine: Engine | None = None, trusted: bool = False) -> Any:
    return automatic.load("tiny", folder, Loading(engine=engine, trust_remote_code=trusted, offline=True))


def weights(folder: Path, **options: Any) -> Any:
    (attention,) = load(folder, **options).attend(TEXT)
    return attention.weights


@pytest.fixture
def both_ways(edited: Edited) -> Path:
    folder = edited("llama", auto_map={"AutoModel": "own.BothWays"})
    (folder / "own.py").write_text(BOTH_WAYS)
    return folder


def test_without_trust_the_plain_model_runs_and_that_is_said(both_ways: Path, folder_of: Callable[[str], Path]) -> None:
    (note,) = load(both_ways).card.notes
    assert "code of its own (own.py), which did not run: these are the weights of a plain llama model" in note
    assert "`trust_remote_code=True`" in note
    assert_array_equal(weights(both_ways), weights(folder_of("llama"), engine=Engine.TRANSFORMERS))
    with pytest.raises(UnsupportedError, match="auto_map"):
        load(both_ways, Engine.REFERENCE)


def test_with_trust_its_own_code_runs(both_ways: Path, edited: Edited) -> None:
    assert load(both_ways, trusted=True).card.notes == ()
    assert_allclose(weights(both_ways, trusted=True), weights(edited("llama", is_causal=False)), atol=1e-6)


def test_code_for_the_tokenizer_alone_is_no_matter_of_weights(edited: Edited) -> None:
    assert load(edited("llama", auto_map={"AutoTokenizer": ["own.T", None]})).card.notes == ()


@pytest.mark.parametrize("places", PLACES)
def test_a_model_that_its_own_code_makes_whole_is_not_said_to_be_cut_short(
    edited: Edited, places: dict[str, str]
) -> None:
    def without_positions(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor for name, tensor in found.items() if "position_embeddings" not in name}

    folder = edited("bert", without_positions, auto_map=places, position_embedding_type="alibi")
    (folder / "own.py").write_text(NO_POSITIONS)
    with pytest.raises(ModelError, match=r"Python code that may do without them.* `trust_remote_code=True`"):
        load(folder)
    found = weights(folder, trusted=True)
    expected = weights(edited("bert", lambda found: found | _still(found)))
    assert_allclose(found, expected, atol=1e-5)


def _still(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Positions that change nothing."""
    return {name: torch.zeros_like(tensor) for name, tensor in found.items() if "position_embeddings" in name}
