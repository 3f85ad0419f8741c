"""Models of transformers that are in memory already."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from numpy.testing import assert_allclose
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import attnviz
from attnviz.errors import UsageError
from attnviz.vocabulary import Engine, Kind

WORDS = ["the", "old", "cat", "saw", "it", "run", "by"]
TEXT = "the cat saw it run"
SIZES: dict[str, dict[str, Any]] = {
    "BertModel": {"hidden_size": 20, "num_attention_heads": 5, "num_hidden_layers": 3, "intermediate_size": 11},
    "GPT2LMHeadModel": {"n_embd": 20, "n_head": 5, "n_layer": 3},
    "LlamaForCausalLM": {
        "hidden_size": 20,
        "num_attention_heads": 5,
        "num_key_value_heads": 5,
        "num_hidden_layers": 3,
        "intermediate_size": 11,
    },
}


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    cutting = Tokenizer(models.WordLevel({word: id_ for id_, word in enumerate(["[UNK]", *WORDS])}, unk_token="[UNK]"))
    cutting.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=cutting, unk_token="[UNK]")


def make(kind: str) -> Any:
    torch.manual_seed(3)
    cls = getattr(transformers, kind)
    model = cls(cls.config_class(vocab_size=len(WORDS) + 1, **SIZES[kind]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model


@pytest.mark.parametrize("kind", SIZES)
def test_it_gives_the_weights_that_it_returns_itself(kind: str, tokenizer: PreTrainedTokenizerFast) -> None:
    whole = make(kind)
    (record,) = attnviz.load(whole, tokenizer).attend(TEXT)
    ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
    with torch.no_grad():
        own = whole(ids, output_attentions=True).attentions
    assert record.shape == (3, 5, 5, 5)
    assert_allclose(record.weights, torch.cat(own).numpy(), atol=1e-5)
    assert (record.model, record.engine) == (kind, Engine.TRANSFORMERS)
    assert record.kind is (Kind.ENCODER if kind == "BertModel" else Kind.DECODER)


def test_it_is_called_by_the_name_that_it_was_loaded_by(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    make("BertModel").save_pretrained(tmp_path)
    loaded = transformers.BertModel.from_pretrained(tmp_path)
    assert attnviz.load(loaded, tokenizer).card.name == str(tmp_path)


def test_numbers_over_texts_are_those_of_the_weights_that_it_returns_itself(tokenizer: PreTrainedTokenizerFast) -> None:
    whole, texts = make("GPT2LMHeadModel"), (TEXT, "it saw the old cat", "run by the cat it saw run")
    (table,) = attnviz.heads(attnviz.load(whole, tokenizer), texts, ["previous", "same"])
    with torch.no_grad():
        returned = [whole(torch.tensor([tokenizer(text)["input_ids"]]), output_attentions=True) for text in texts]
    weights = [torch.cat(one.attentions) for one in returned]  # [layers, heads, queries, keys] of each text
    for name, offset in (("previous", -1), ("same", 0)):
        each = [one.diagonal(offset, -2, -1).sum(-1) / one.shape[-1] for one in weights]
        assert_allclose(table[name], torch.stack(each).mean(0).numpy(), atol=1e-6)
        assert_allclose(table.columns[name].errors, torch.stack(each).std(0).numpy() / 3**0.5, atol=1e-6)


def test_it_runs_as_it_is_whatever_else_is_asked_for(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UsageError, match="leave engine, device"):
        attnviz.load(make("BertModel"), tokenizer, dtype="float16")


def test_without_a_tokenizer_it_is_refused() -> None:
    with pytest.raises(UsageError, match=r"attnviz\.load\(model, tokenizer\)"):
        attnviz.load(make("BertModel"))
