"""The two engines on the same checkpoints: one is the other's independent oracle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose
from tokenizers import Tokenizer, normalizers

from attnviz.models import automatic
from attnviz.models.checkpoint.checkpoint_reader import load as load_checkpoint
from attnviz.models.loading import Loading
from attnviz.models.model import Model
from attnviz.models.passages import Passage
from attnviz.models.pretrained import load
from attnviz.models.pretrained.edge import quiet
from attnviz.vocabulary import Engine

BOTH = ["bert", "roberta", "electra", "distilbert", "gpt2", "llama", "mistral", "qwen2", "qwen3"]
TEXT = "the animal did not cross the street because it was too tired"
PAIR = "it was wide"


def on_reference(folder: Path) -> Model:
    return load_checkpoint("tiny", folder, sorted(folder.glob("*.safetensors")))


def passages(name: str) -> list[Passage]:
    pair = [Passage(text=TEXT, pair=PAIR)] if name in ("bert", "roberta", "electra", "distilbert") else []
    return [Passage(text=TEXT), *pair]


@pytest.mark.parametrize("name", BOTH)
def test_both_engines_read_alike_and_give_the_same_weights_for_either_reading(
    name: str, folder_of: Callable[[str], Path], model_of: Callable[[str], Any]
) -> None:
    reference, transformers = on_reference(folder_of(name)), model_of(name)
    for passage in passages(name):
        readings = [reference.read(passage), transformers.read(passage)]
        assert readings[0].ids == readings[1].ids
        assert readings[0].tokens == readings[1].tokens
        for reading in readings:
            (mine,), (theirs,) = reference.weights(reading), transformers.weights(reading)
            assert_allclose(mine.weights, theirs.weights, atol=1e-5)
            assert (mine.kind, mine.layers, mine.heads) == (theirs.kind, theirs.layers, theirs.heads)


@pytest.mark.parametrize("name", BOTH)
def test_both_engines_read_as_many_tokens(
    name: str, folder_of: Callable[[str], Path], model_of: Callable[[str], Any]
) -> None:
    assert on_reference(folder_of(name)).card.positions == model_of(name).card.positions


def saved(folder: Path, files: Any, made: Tokenizer | None = None) -> Path:
    """A tiny model, random, that knows all that a tokenizer may give it."""
    import torch
    import transformers

    made = made or files.tokenizer()
    sizes = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 7}
    sizes |= {"num_key_value_heads": 1} if "llama" in files.model_type or "qwen" in files.model_type else {}
    torch.manual_seed(5)
    with quiet():
        config = transformers.AutoConfig.for_model(files.model_type, vocab_size=made.get_vocab_size() + 11, **sizes)
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    written = (folder / "config.json").read_bytes()
    files.save(folder, made)
    (folder / "config.json").write_bytes(written)
    return folder


@pytest.mark.parametrize("changed", [False, True])
def test_nasty_texts_are_cut_alike_whichever_engine_runs_them(
    one_of_each: str, changed: bool, stored: dict[str, Any], nasty: list[tuple[str, str | None]], tmp_path: Path
) -> None:
    made = stored[one_of_each].tokenizer()
    if changed:
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    folder = saved(tmp_path, stored[one_of_each], made)
    reference, transformers = on_reference(folder), load("tiny", folder, Loading())
    takes_pairs = stored[one_of_each].model_type in ("bert", "roberta", "xlm-roberta")
    for text, pair in nasty:
        if pair is not None and not takes_pairs:
            continue
        mine, theirs = (model.read(Passage(text=text, pair=pair)) for model in (reference, transformers))
        assert (mine.ids, mine.tokens, mine.types) == (theirs.ids, theirs.tokens, theirs.types)


@pytest.mark.parametrize("text", [" Hello", "</s>\nHi", "the cat"])
def test_to_write_on_changes_no_token_of_the_text_and_names_the_engine_that_ran(
    text: str, stored: dict[str, Any], tmp_path: Path
) -> None:
    made = stored["llama"].tokenizer()
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    model = automatic.load("tiny", saved(tmp_path, stored["llama"], made), Loading())
    assert model.choose is not None
    readings = [model.read(Passage(text=text, generate=count)) for count in (0, 1)]
    assert readings[1].tokens[:-1] == readings[0].tokens
    assert readings[1].ids[:-1] == readings[0].ids
    (without,), (with_one,) = (model.weights(reading) for reading in readings)
    assert (without.engine, with_one.engine) == (Engine.REFERENCE, Engine.TRANSFORMERS)
    assert_allclose(with_one.weights[:, :, :-1, :-1], without.weights, atol=1e-5)
