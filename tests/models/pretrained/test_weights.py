from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from attnviz.models.passages import Passage, Reading
from attnviz.models.pretrained.edge import quiet
from attnviz.records import Selection
from attnviz.vocabulary import Kind

TEXT = "the animal did not cross the street because it was too tired"
TARGET = "it was too wide because the street"


def passage(family: Any) -> Passage:
    return Passage(text=TEXT, target=TARGET if family.translates else None)


def by_transformers(folder: Path, family: Any, reading: Reading) -> dict[Kind, np.ndarray]:
    """What the library itself returns for the same text: [layers, heads, queries, keys] a kind."""
    import torch
    import transformers

    with quiet(), torch.inference_mode():
        network = getattr(transformers, family.model).from_pretrained(folder, attn_implementation="eager").eval()
        inputs = transformers.AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt")
        if not family.encodes:
            inputs.pop("token_type_ids")  # theirs have none
        if reading.target is None:
            attentions = network(**inputs, output_attentions=True).attentions
            kind = Kind.ENCODER if attentions[0].triu(1).any() else Kind.DECODER
            return {kind: stacked(attentions, family.layers)}
        ids = torch.tensor([reading.target.ids])
        output = network(**inputs, decoder_input_ids=ids, output_attentions=True, use_cache=False)
    return {
        Kind.ENCODER: stacked(output.encoder_attentions, (0, 1, 2)),
        Kind.DECODER: stacked(output.decoder_attentions, (0, 1)),
        Kind.CROSS: stacked(output.cross_attentions, (0, 1)),
    }


def stacked(returned: Any, attending: tuple[int, ...]) -> np.ndarray:
    """The layers that attend; some models return only those, others something for each layer."""
    layers = returned if len(returned) == len(attending) else [returned[layer] for layer in attending]
    return np.stack([layer[0].numpy() for layer in layers])


@pytest.mark.usefixtures("small_blocks")
def test_all_weights_are_those_that_the_library_returns(
    any_family: str, folder_of: Callable[[str], Path], model_of: Callable[[str], Any], families: dict[str, Any]
) -> None:
    model = model_of(any_family)
    reading = model.read(passage(families[any_family]))
    expected = by_transformers(folder_of(any_family), families[any_family], reading)
    found = {attention.kind: attention for attention in model.weights(reading)}
    assert found.keys() == expected.keys()
    for kind, attention in found.items():
        assert_allclose(attention.weights, expected[kind], atol=1e-5, err_msg=str(kind))


@pytest.mark.usefixtures("small_blocks")
def test_one_late_layer_alone_has_the_same_weights_as_among_all(
    any_family: str, folder_of: Callable[[str], Path], model_of: Callable[[str], Any], families: dict[str, Any]
) -> None:
    model = model_of(any_family)
    reading = model.read(passage(families[any_family]))
    for kind, weights in by_transformers(folder_of(any_family), families[any_family], reading).items():
        last = model.card.stacks[kind].layers[-1]
        (attention,) = model.weights(reading, Selection(kinds=(kind,), layers=(last,), heads=(2, 0)))
        assert (attention.layers, attention.heads) == ((last,), (2, 0))
        assert_allclose(attention.weights[0], weights[-1][[2, 0]], atol=1e-5)
