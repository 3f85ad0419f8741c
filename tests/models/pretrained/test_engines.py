"""The two engines on the same checkpoints: one is the other's independent oracle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose

from attnviz.models.checkpoint.model import CheckpointModel
from attnviz.models.reading import Passage

BOTH = ["bert", "roberta", "electra", "distilbert", "gpt2", "llama", "mistral", "qwen2", "qwen3"]
TEXT = "the animal did not cross the street because it was too tired"
PAIR = "it was wide"


def on_reference(folder: Path) -> CheckpointModel:
    return CheckpointModel("tiny", folder, sorted(folder.glob("*.safetensors")))


def passages(name: str) -> list[Passage]:
    pair = [Passage(text=TEXT, pair=PAIR)] if name in ("bert", "roberta", "electra", "distilbert") else []
    return [Passage(text=TEXT), *pair]


@pytest.mark.parametrize("name", BOTH)
def test_they_read_alike_and_give_the_same_weights_for_what_either_has_read(
    name: str, folder_of: Callable[[str], Path], model_of: Callable[[str], Any]
) -> None:
    reference, transformers = on_reference(folder_of(name)), model_of(name)
    for passage in passages(name):
        readings = [reference.read(passage), transformers.read(passage)]
        if name != "qwen2":  # for which transformers makes up a tokenizer of another kind than the tiny one here
            assert readings[0].ids == readings[1].ids
            assert readings[0].tokens == readings[1].tokens
        for reading in readings:
            (mine,), (theirs,) = reference.weights(reading), transformers.weights(reading)
            assert_allclose(mine.weights, theirs.weights, atol=1e-5)
            assert (mine.kind, mine.layers, mine.heads) == (theirs.kind, theirs.layers, theirs.heads)


@pytest.mark.parametrize("name", BOTH)
def test_they_read_as_much(name: str, folder_of: Callable[[str], Path], model_of: Callable[[str], Any]) -> None:
    assert on_reference(folder_of(name)).card.positions == model_of(name).card.positions
