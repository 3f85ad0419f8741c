"""Every key of config.json is understood, harmless, or sends the model to transformers."""

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose
from tokenizers import Tokenizer, models
from transformers.initialization import no_init_weights

from attnviz.errors import AttnvizError
from attnviz.models.checkpoint.checkpoint_reader import load
from attnviz.models.checkpoint.families import FAMILIES
from attnviz.models.checkpoint.understanding import HARMLESS, Watched, check_understood
from attnviz.models.configuration import UnsupportedError

LETTERS = "abcdefghijklmnopqrs"
TEXT = "dhflcnrgijk"
_SIZES = {"hidden_size": 30, "num_hidden_layers": 3, "num_attention_heads": 5, "intermediate_size": 37}
_ENCODER = _SIZES | {"max_position_embeddings": 41}
_DECODER = _SIZES | {"hidden_size": 36, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 6}
_WINDOWS = {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}
TINY: dict[str, dict[str, Any]] = {
    "distilbert": {"dim": 30, "n_layers": 3, "n_heads": 5, "hidden_dim": 37, "max_position_embeddings": 41},
    "gpt2": {"n_embd": 30, "n_layer": 3, "n_head": 5, "n_positions": 41},
    "electra": _ENCODER | {"embedding_size": 17},
    "llama": _DECODER,
    "mistral": _DECODER | {"sliding_window": 3},
    "qwen2": _DECODER | _WINDOWS,
    "qwen3": _DECODER | _WINDOWS,
}


@pytest.fixture(scope="module", params=FAMILIES)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Tiny":
    """A tiny random model of each family."""
    return Tiny(request.param, tmp_path_factory.mktemp(request.param.replace("-", "")))


class Tiny:
    """A model in a folder, whose config.json can be changed, beside what transformers makes of the same weights."""

    def __init__(self, kind: str, folder: Path) -> None:
        torch.manual_seed(3)
        config = transformers.AutoConfig.for_model(kind, vocab_size=len(LETTERS), **TINY.get(kind, _ENCODER))
        network = transformers.AutoModel.from_config(config)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.normal_(mean=float(parameter.ndim == 1 and name.endswith("weight")), std=0.25)
        network.save_pretrained(folder)
        made = Tokenizer(models.BPE({letter: index for index, letter in enumerate(LETTERS)}, []))
        made.save(str(folder / "tokenizer.json"))
        as_stored = {"tokenizer_class": "PreTrainedTokenizerFast"}
        (folder / "tokenizer_config.json").write_text(json.dumps(as_stored))
        self.folder, self.kind, self.weights = folder, kind, network.state_dict()
        self.written: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))

    def ours(self, changes: dict[str, Any]) -> np.ndarray:
        """The weights of the reference engine, if it takes the model."""
        (self.folder / "config.json").write_text(json.dumps(self.written | changes))
        model = load("tiny", self.folder, [self.folder / "model.safetensors"])
        (attention,) = model.attend(TEXT)
        return attention.weights

    def read(self, changes: dict[str, Any]) -> Any:
        """The configuration that transformers reads."""
        (self.folder / "config.json").write_text(json.dumps(self.written | changes))
        return transformers.AutoConfig.from_pretrained(self.folder)

    def theirs(self, changes: dict[str, Any]) -> np.ndarray:
        """The weights that transformers computes with its own eager attention."""
        config = self.read(changes)
        with no_init_weights():
            network = transformers.AutoModel.from_config(config, attn_implementation="eager", dtype=torch.float32)
        network.eval().load_state_dict(self.weights)
        ids = torch.tensor([[LETTERS.index(letter) for letter in TEXT]])
        with torch.no_grad():
            return torch.cat(network(ids, output_attentions=True, return_dict=True).attentions).numpy()

    def check(self, changes: dict[str, Any]) -> bool:
        """Hold the two to each other unless one of them refuses; return whether the reference engine took the model."""
        try:
            ours = self.ours(changes)
        except AttnvizError:
            return False
        try:
            theirs = self.theirs(changes)
        except Exception:  # of many kinds, as in `works`
            return True
        assert_allclose(ours, theirs, atol=1e-5, err_msg=f"{self.kind} {changes}")
        return True

    def allowed(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the changes with which transformers reads the config, builds the model, fits the weights and runs."""
        return keep_working(keep_working(changes, self.read), self.theirs)


def keep_working(changes: dict[str, Any], do: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Return the changes with which something can be done without an error: all, or those of each half."""

    def keep(some: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
        if not some or works(do, others | some):
            return some
        if len(some) == 1:
            return {}
        keys = list(some)
        first, second = ({key: some[key] for key in half} for half in (keys[::2], keys[1::2]))
        kept = keep(first, others)
        return kept | keep(second, others | kept)

    return keep(changes, {})


def works(do: Callable[[dict[str, Any]], Any], changes: dict[str, Any]) -> bool:
    try:
        do(changes)
    except Exception:  # of many kinds: a config that is refused, a network that cannot be built or run
        return False
    return True


def others(value: Any) -> Iterator[Any]:
    """What a key could say in place of a value, of the same type where it has one."""
    if value is None:
        yield from (True, 1, 3, 0.5, "linear", [0], {"0": [1]})
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, 2 * value + 3, value / 2 if isinstance(value, float) else value // 2, 0)
    elif isinstance(value, str):
        yield from ("relu", "float16", "full_attention")
    elif isinstance(value, list):
        yield from ([], value[::-1], ["full_attention"] * len(value), ["chunked_attention"] * len(value))
    elif isinstance(value, dict):
        yield from ({}, value | {"unheard_of": 1.5}, value | {"rope_theta": 77.0}, value | {"factor": 2.0})
        yield from ({"full_attention": value, "sliding_attention": value | {"rope_theta": 77.0}},)


def test_each_key_of_its_class_changes_nothing_or_is_read_or_sends_it_away(tiny: Tiny) -> None:
    for key, value in tiny.written.items():
        for other in others(value):
            if key != "model_type":
                tiny.check({key: other})


@pytest.mark.parametrize("other", [True, 2, "relu"])
def test_harmless_keys_are_harmless_whatever_they_say(tiny: Tiny, other: Any) -> None:
    allowed = tiny.allowed(dict.fromkeys(sorted(HARMLESS - {"model_type"}), other))
    assert len(allowed) > 25
    assert_allclose(tiny.ours(allowed), tiny.theirs(allowed), atol=1e-5)


NOT_UNDERSTOOD: dict[str, Any] = {
    "is_causal": {"bert": True, "llama": False},
    "attention_chunk_size": 4,
    "use_bidirectional_attention": True,
    "text_config": {"hidden_size": 8},
    "per_layer_config": {"1": {"num_key_value_heads": 3}},
    "no_rope_layers": [1, 0, 1],
    "attn_logit_softcapping": 30.0,
    "query_pre_attn_scalar": 8,
    "rope_local_base_freq": 10.0,
    "is_encoder_decoder": True,
    "is_decoder": True,
    "add_cross_attention": True,
    "cross_attention_hidden_size": 12,
    "pruned_heads": {"0": [1]},
    "a_key_of_tomorrow": False,
    "another": [],
}


@pytest.mark.parametrize("key", NOT_UNDERSTOOD)
def test_a_key_that_nobody_has_looked_at_sends_it_away_by_name(tiny: Tiny, key: str) -> None:
    value = NOT_UNDERSTOOD[key]
    if key == "is_causal":
        value = value["bert" if FAMILIES[tiny.kind].idle["is_causal"] is False else "llama"]
    with pytest.raises(UnsupportedError, match=rf"what {key}: .* in config\.json asks for"):
        tiny.ours({key: value})
    assert tiny.check({key: None}) or key == "is_causal"  # of which transformers takes null for false


def test_every_attribute_of_its_class_is_one_that_somebody_has_looked_at(tiny: Tiny) -> None:
    """A new version of transformers with a new key fails here."""
    kind, family = tiny.kind, FAMILIES[tiny.kind]
    cls = type(transformers.AutoConfig.for_model(kind))
    config = Watched({field.name: None for field in fields(cls)} | tiny.written)
    family.settle(config)
    family.positions(config, family.shape(config))
    known = HARMLESS | family.idle.keys()
    assert {key for key, _ in config.unread() if key not in known} == set()


def test_to_see_that_a_key_is_there_is_not_to_read_it() -> None:
    config = Watched({"a": 1, "b": {"c": 2, "d": 3}, "e": None})
    assert "a" in config
    assert config["b"]["c"] == 2
    assert list(config.unread()) == [("a", 1), ("b.d", 3), ("e", None)]
    check_understood(config, {"a": 1, "b.d": 3})
    with pytest.raises(UnsupportedError, match=r"b\.d: 3"):
        check_understood(config, {"a": 1})
