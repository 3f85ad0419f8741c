import json
from pathlib import Path
from typing import Any

import pytest

from attnviz.errors import ModelError
from attnviz.models import registry
from attnviz.models.base import Stack
from attnviz.models.catalogue import Listing, list_models
from attnviz.vocabulary import Engine, Kind

SIZES = {"num_hidden_layers": 3, "num_attention_heads": 5}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def put(cache: Path, name: str, config: Any, *, weights: bool = True, branch: str = "main") -> None:
    """A model in the cache, as the hub's client leaves it."""
    repository = cache / f"models--{name.replace('/', '--')}"
    folder = repository / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / branch).write_text(COMMIT)
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    (folder / "tokenizer.json").write_bytes((registry.locate_minilm() / "tokenizer.json").read_bytes())
    if weights:
        (folder / "model.safetensors").symlink_to(registry.locate_minilm() / "model.safetensors")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


INSTALLED = ["builtin/encoder", "builtin/decoder", "builtin/translator", "builtin/bahdanau", "minilm"]


def listed() -> dict[str, Listing]:
    return {entry.name: entry for entry in list_models()}


def test_without_a_cache_there_is_what_is_installed(cache: Path) -> None:
    cache.rmdir()
    assert list(listed()) == INSTALLED


def test_a_checkpoint_that_the_reference_runs_is_measured(cache: Path) -> None:
    put(cache, "org/mini", json.loads((registry.locate_minilm() / "config.json").read_bytes()))
    entry = listed()["org/mini"]
    assert entry.stacks == {Kind.ENCODER: Stack(tuple(range(6)), 12)}
    assert (entry.engine, entry.parameters, entry.positions) == (Engine.REFERENCE, 22_713_728, 512)
    assert entry.size > 90_000_000
    assert "bert" in entry.purpose


@pytest.mark.parametrize(
    ("config", "stacks"),
    [
        (
            {
                "model_type": "gemma2",
                "num_hidden_layers": 3,
                "num_attention_heads": 5,
                "architectures": ["XForCausalLM"],
            },
            {Kind.DECODER: Stack((0, 1, 2), 5)},
        ),
        (
            {"model_type": "albert", "num_hidden_layers": 3, "num_attention_heads": 5},
            {Kind.ENCODER: Stack((0, 1, 2), 5)},
        ),
        (
            {"model_type": "t5", "is_encoder_decoder": True, "num_layers": 3, "num_decoder_layers": 2, "num_heads": 5},
            {Kind.ENCODER: Stack((0, 1, 2), 5), Kind.DECODER: Stack((0, 1), 5), Kind.CROSS: Stack((0, 1), 5)},
        ),
        (
            {"model_type": "bart", "is_encoder_decoder": True, "encoder_layers": 3, "decoder_layers": 1}
            | {"encoder_attention_heads": 5, "decoder_attention_heads": 7},
            {Kind.ENCODER: Stack((0, 1, 2), 5), Kind.DECODER: Stack((0,), 7), Kind.CROSS: Stack((0,), 7)},
        ),
        (
            {"model_type": "laguna", "architectures": ["LagunaForCausalLM"]}
            | {"num_hidden_layers": 3, "num_attention_heads": 5, "num_attention_heads_per_layer": [5, 7, 5]},
            {Kind.DECODER: Stack((0, 1, 2), 7, {0: 5, 2: 5})},
        ),
        (
            {"model_type": "step3p7_text", "architectures": ["XForCausalLM"]}
            | {"num_hidden_layers": 3, "num_attention_heads": 5}
            | {"per_layer_config": {"1": {"num_attention_heads": 7}}},
            {Kind.DECODER: Stack((0, 1, 2), 7, {0: 5, 2: 5})},
        ),
        ({"model_type": "unheard of"}, {}),
        ({"model_type": "unheard of", "num_hidden_layers": 3, "num_attention_heads": "many"}, {}),
        ({"model_type": "unheard of", "num_hidden_layers": 10**8, "num_attention_heads": 5}, {}),
    ],
)
def test_of_others_layers_and_heads_are_what_the_config_says(cache: Path, config: Any, stacks: Any) -> None:
    put(cache, "org/other", config)
    entry = listed()["org/other"]
    assert (entry.stacks, entry.engine) == (stacks, Engine.TRANSFORMERS)


def test_a_model_that_only_a_revision_names_says_so(cache: Path) -> None:
    put(cache, "org/mini", {"model_type": "albert"}, branch="other")
    assert "`revision` other" in listed()["org/mini"].purpose


def test_what_is_damaged_or_not_wholly_there_is_passed_over(cache: Path) -> None:
    put(cache, "org/damaged", "{")
    put(cache, "org/half", {"model_type": "albert"}, weights=False)
    assert list(listed()) == INSTALLED


def test_a_cache_that_cannot_be_read_comes_after_what_can(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ModelError("The cache cannot be read.")

    monkeypatch.setattr("attnviz.models.hub.cached", refuse)
    found, entries = list_models(), []
    with pytest.raises(ModelError):
        entries.extend(entry.name for entry in found)
    assert entries == INSTALLED
