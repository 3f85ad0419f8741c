"""Models whose layers have different numbers of heads: a record for the layers that have the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from attnviz.errors import UsageError
from attnviz.formats.reading import READERS
from attnviz.formats.writing import FILES, Result
from attnviz.models.loading import Loading
from attnviz.models.model import Model
from attnviz.models.pretrained import load
from attnviz.models.pretrained.edge import quiet
from attnviz.records import Selection
from attnviz.vocabulary import Kind

TEXT = "the animal did not cross the street because it was too tired"
LAGUNA: dict[str, Any] = {
    "vocab_size": 101,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads_per_layer": [2, 6, 2],
    "num_key_value_heads": 2,
    "head_dim": 10,
    "max_position_embeddings": 64,
    "sliding_window": 5,
    "layer_types": ["full_attention", "sliding_attention", "full_attention"],
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "num_experts": 5,
    "num_experts_per_tok": 2,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make: Callable[..., None]) -> Path:
    folder = tmp_path_factory.mktemp("laguna")
    make(folder, "LagunaForCausalLM", "LagunaConfig", LAGUNA, "$A")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load("laguna", folder, Loading())


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[np.ndarray]:
    """What the library returns for each layer: [heads, queries, keys]."""
    import torch
    import transformers

    with quiet(), torch.inference_mode():
        network = transformers.LagunaForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
        ids = transformers.AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt").input_ids
        return [layer[0].numpy() for layer in network(ids, output_attentions=True).attentions]


@pytest.mark.usefixtures("small_blocks")
def test_each_record_holds_the_layers_that_have_the_same_heads_and_their_weights(
    model: Model, expected: list[np.ndarray]
) -> None:
    few, many = model.attend(TEXT)
    assert (few.layers, few.heads) == ((0, 2), (0, 1))
    assert (many.layers, many.heads) == ((1,), (0, 1, 2, 3, 4, 5))
    for found in (few, many):
        assert_allclose(found.weights, np.stack([expected[layer] for layer in found.layers]), atol=1e-5)


def test_where_only_heads_are_named_layers_that_lack_them_are_left_out(model: Model) -> None:
    (found,) = model.attend(TEXT, select=Selection(heads=(4,)))
    assert (found.layers, found.heads) == ((1,), (4,))
    few, many = model.attend(TEXT, select=Selection(heads=(4, 1)))
    assert (few.layers, few.heads, many.layers, many.heads) == ((0, 2), (1,), (1,), (4, 1))


def test_a_head_that_a_named_layer_lacks_is_refused_with_the_layers_that_have_it(model: Model) -> None:
    with pytest.raises(UsageError, match=r"no head 4 in layer 2 of laguna, which has heads 0 to 1: layers 1 have it"):
        model.attend(TEXT, select=Selection(layers=(1, 2), heads=(4,)))
    with pytest.raises(UsageError, match=r"no head 6: laguna has heads 0 to 5"):
        model.attend(TEXT, select=Selection(heads=(6,)))
    with pytest.raises(UsageError, match=r"no layer 3: laguna has layers 0 to 2"):
        model.attend(TEXT, select=Selection(layers=(3,), heads=(0,)))


def test_texts_that_are_read_together_get_the_weights_that_each_gets_alone(model: Model) -> None:
    from attnviz.models.passages import Passage

    texts = ["the animal did", "the street was"]
    readings = [model.read(Passage(text=text)) for text in texts]
    for text, records in zip(texts, model.weights_of(readings), strict=True):
        for together, alone in zip(records, model.attend(text), strict=True):
            assert_allclose(together.weights, alone.weights, atol=1e-6)


@pytest.mark.parametrize("form", ["json", "npz"])
def test_saved_records_come_back_as_they_were(model: Model, form: str) -> None:
    records = model.attend(TEXT)
    back = READERS[form](FILES[form].encode(Result(0, TEXT, records))).attention
    assert [one.kind for one in back] == [Kind.DECODER, Kind.DECODER]
    for found, saved in zip(back, records, strict=True):
        assert (found.layers, found.heads) == (saved.layers, saved.heads)
        np.testing.assert_array_equal(found.weights, saved.weights)


def test_an_archive_without_our_own_array_comes_back_too(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "uneven.npz"
    path.write_bytes(FILES["npz"].encode(Result(0, TEXT, model.attend(TEXT))))
    with np.load(path) as arrays:
        assert {name for name in arrays if name.endswith("weights")} == {"decoder_0_weights", "decoder_1_weights"}
        kept = {name: arrays[name] for name in arrays if name != "record"}
    np.savez(path, **kept)
    assert [one.layers for one in READERS["npz"](path.read_bytes()).attention] == [(0, 2), (1,)]
