"""Checkpoints on the reference transformer, held to transformers: tiny random models, saved as the hub has them."""

import dataclasses
import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from msgspec.structs import fields, replace
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from attnviz.errors import ModelError, RecordError, TextError, UsageError
from attnviz.lessons import WhatIf
from attnviz.lessons.explaining import HeadQuery, explain_head
from attnviz.models.checkpoint.checkpoint_reader import load as load_checkpoint
from attnviz.models.checkpoint.families import FAMILIES
from attnviz.models.configuration import UnsupportedError
from attnviz.models.model import Model
from attnviz.models.passages import Passage
from attnviz.records import Attention, Selection
from attnviz.reference import multi_head
from attnviz.reference.parameters import Parameters
from attnviz.vocabulary import Engine, Kind

LAYERS, HEADS, DEPTH, INNER, POSITIONS = 3, 5, 6, 37, 41
WORDS = ["the", "animal", "didn't", "cross", "street", "because", "it", "was", "too", "tired", "a", "dog", "saw", "cat"]
TEXT = "the animal didn't cross the street because it was too tired"

BERT = {
    "hidden_size": HEADS * DEPTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": INNER,
    "max_position_embeddings": POSITIONS,
}
LLAMA = BERT | {"num_attention_heads": 6, "num_key_value_heads": 2, "hidden_size": 6 * DEPTH}
GPT2 = {"n_embd": HEADS * DEPTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": POSITIONS}
DISTILBERT = {
    "dim": HEADS * DEPTH,
    "n_layers": LAYERS,
    "n_heads": HEADS,
    "hidden_dim": INNER,
    "max_position_embeddings": POSITIONS,
}


def rope(kind: str, **parameters: Any) -> dict[str, Any]:
    return LLAMA | {"rope_parameters": {"rope_type": kind, "rope_theta": 1000.0, **parameters}}


LONG_ROPE = rope("longrope", short_factor=[1.0, 1.5, 2.0], long_factor=[2.0, 3.0, 5.0])

# The type of the model, what is set in its config, and which of transformers' classes saves it.
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "bert": ("bert", BERT, "AutoModel"),
    "bert with a head": ("bert", BERT, "AutoModelForMaskedLM"),
    "bert, untied": ("bert", BERT | {"tie_word_embeddings": False}, "AutoModelForMaskedLM"),
    "bert for classes, with relu": ("bert", BERT | {"hidden_act": "relu"}, "AutoModelForSequenceClassification"),
    "roberta": ("roberta", BERT | {"type_vocab_size": 1, "layer_norm_eps": 1e-5}, "AutoModel"),
    "roberta with a head": ("roberta", BERT, "AutoModelForMaskedLM"),
    "xlm-roberta": ("xlm-roberta", BERT | {"pad_token_id": 4}, "AutoModel"),
    "camembert with a head": ("camembert", BERT, "AutoModelForMaskedLM"),
    "distilbert": ("distilbert", DISTILBERT, "AutoModel"),
    "distilbert with a head": ("distilbert", DISTILBERT, "AutoModelForMaskedLM"),
    "electra": ("electra", BERT | {"embedding_size": 17}, "AutoModel"),
    "electra with a head, as wide": ("electra", BERT | {"embedding_size": HEADS * DEPTH}, "AutoModelForPreTraining"),
    "gpt2": ("gpt2", GPT2, "AutoModel"),
    "gpt2 with a head": ("gpt2", GPT2, "AutoModelForCausalLM"),
    "gpt2, untied": ("gpt2", GPT2 | {"tie_word_embeddings": False}, "AutoModelForCausalLM"),
    "llama": ("llama", LLAMA, "AutoModel"),
    "llama with a head": ("llama", LLAMA, "AutoModelForCausalLM"),
    "llama, tied, with biases": (
        "llama",
        LLAMA | {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
        "AutoModelForCausalLM",
    ),
    "llama with heads of another width": ("llama", LLAMA | {"head_dim": 10}, "AutoModel"),
    "llama, linear": ("llama", rope("linear", factor=3.0), "AutoModel"),
    "llama, dynamic": ("llama", rope("dynamic", factor=3.0) | {"max_position_embeddings": 7}, "AutoModel"),
    "llama 3": (
        "llama",
        rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64),
        "AutoModel",
    ),
    "llama, yarn": ("llama", rope("yarn", factor=4.0, original_max_position_embeddings=64), "AutoModel"),
    "llama, yarn, sharpened": (
        "llama",
        rope("yarn", factor=4.0, mscale=1.5, mscale_all_dim=0.7, beta_fast=3.0, truncate=False),
        "AutoModel",
    ),
    "llama, yarn, of a given magnitude": (
        "llama",
        rope("yarn", factor=4.0, attention_factor=1.3, original_max_position_embeddings=64),
        "AutoModel",
    ),
    "llama, yarn, without a ramp": (
        "llama",
        rope("yarn", factor=4.0, beta_fast=1.0, original_max_position_embeddings=7),
        "AutoModel",
    ),
    "llama, yarn, twice": (
        "llama",
        rope("yarn", factor=4.0, original_max_position_embeddings=64) | {"original_max_position_embeddings": 9},
        "AutoModel",
    ),
    "llama, longrope, short": ("llama", LONG_ROPE | {"original_max_position_embeddings": 17}, "AutoModel"),
    "llama, longrope, long": ("llama", LONG_ROPE | {"original_max_position_embeddings": 5}, "AutoModel"),
    "mistral": ("mistral", LLAMA | {"sliding_window": 3}, "AutoModelForCausalLM"),
    "mistral without a window": ("mistral", LLAMA | {"sliding_window": None}, "AutoModel"),
    "qwen2": ("qwen2", LLAMA, "AutoModelForCausalLM"),
    "qwen2 with windows": (
        "qwen2",
        LLAMA | {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1},
        "AutoModel",
    ),
    "qwen3": ("qwen3", LLAMA | {"head_dim": 10}, "AutoModelForCausalLM"),
    "qwen3 with windows": (
        "qwen3",
        LLAMA
        | {
            "head_dim": 4,
            "use_sliding_window": True,
            "sliding_window": 2,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
        "AutoModel",
    ),
}


ENCODERS = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra")
AS_STORED = {"tokenizer_class": "PreTrainedTokenizerFast"}
LLAMAS = "llama", "mistral", "qwen2", "qwen3"


def tokenizer(*, special: bool) -> Tokenizer:
    """Words as tokens; `[CLS] … [SEP]` around, a pair as BERT has it, and truncation and padding stored with it."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    made = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(names[:5])
    if special:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    made.enable_truncation(5)
    made.enable_padding(length=23)
    return made


def byte_level() -> Tokenizer:
    """Words as tokens for Qwen 2, whose tokenizer class is always its own."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(special_tokens=["<|endoftext|>"], min_frequency=1, show_progress=False)
    made.train_from_iterator([" ".join(WORDS)], trainer)
    return made


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Saves the tiny model of a case, once."""
    folders: dict[str, Path] = {}

    def saved(case: str) -> Path:
        if case not in folders:
            kind, settings, cls = CASES[case]
            folders[case] = save(tmp_path_factory.mktemp("model"), kind, settings, cls)
        return folders[case]

    return saved


def save(folder: Path, kind: str, settings: dict[str, Any], cls: str = "AutoModel") -> Path:
    torch.manual_seed(3)
    read_by = byte_level() if kind == "qwen2" else tokenizer(special=kind in ENCODERS)
    config = transformers.AutoConfig.for_model(kind, vocab_size=read_by.get_vocab_size(), **settings)
    model = getattr(transformers, cls).from_config(config)
    spread = 0.2 if kind in LLAMAS else 0.35  # the usual values let no head look anywhere, larger ones magnify rounding
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(mean=float(parameter.ndim == 1 and name.endswith("weight")), std=spread)
    model.save_pretrained(folder)
    read_by.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(AS_STORED))
    return folder


def load(folder: Path) -> Model:
    return load_checkpoint("tiny", folder, sorted(folder.glob("*.safetensors")))


def theirs(folder: Path, ids: tuple[int, ...], types: tuple[int, ...] | None = None) -> np.ndarray:
    """What transformers computes with its own eager attention, in float64: [layers, heads, queries, keys].

    Two results in float32, each 6e-6 away from this, may be farther apart than 1e-5 though neither is wrong.
    """
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float64).eval()
    given = {"token_type_ids": torch.tensor([types])} if types is not None else {}
    with torch.no_grad():
        attentions = model(torch.tensor([ids]), output_attentions=True, **given).attentions
    return torch.cat(attentions).numpy()


def attend(folder: Path, text: str = TEXT, **options: Any) -> Attention:
    (attention,) = load(folder).attend(text, **options)
    return attention


@pytest.mark.parametrize("case", CASES)
def test_the_weights_are_those_of_transformers(saved: Callable[[str], Path], case: str) -> None:
    folder = saved(case)
    attention = attend(folder)
    expected = theirs(folder, ids_of(folder))
    assert_allclose(attention.weights, expected, atol=1e-5)
    assert expected.max(-1).mean() > 0.25  # not so even that any weights would do
    causal = not np.triu(expected, 1).any()
    assert attention.kind is (Kind.DECODER if causal else Kind.ENCODER)


@pytest.mark.parametrize("case", CASES)
def test_what_is_explained_of_a_head_is_what_the_model_computes(saved: Callable[[str], Path], case: str) -> None:
    folder = saved(case)
    expected = theirs(folder, ids_of(folder))
    model = load(folder)
    reading = model.read(passage())
    layer, head, query = LAYERS - 1, expected.shape[1] - 1, len(reading.ids) - 2
    place = HeadQuery(kind=model.runner.shape.kind, layer=layer, head=head, query=query)
    normed = model.runner.shape.norm_heads
    what_if = WhatIf(scores=("dot",) if normed else ("dot", "general"))
    told = {quantity.name: quantity.array for quantity in explain_head(model, reading, place, what_if).quantities()}
    assert_allclose(told["weights"], expected[layer, head, query], atol=1e-5)
    assert normed or told["general_minus_dot"] < 1e-4 * np.abs(told["scores"]).max()


TYPED = {"tokenizer_class": "TokenizersBackend", "model_input_names": ["input_ids", "token_type_ids"]}


@pytest.mark.parametrize(
    ("case", "written"),
    [
        *product(
            ["bert", "electra", "distilbert"],
            [None, {}, AS_STORED, TYPED, {"model_input_names": ["input_ids", "attention_mask"]}],
        ),
        *product(["roberta", "roberta with a head"], [AS_STORED, TYPED]),
    ],
)
def test_a_pair_is_read_with_token_types_where_the_tokenizer_gives_them(
    saved: Callable[[str], Path], tmp_path: Path, case: str, written: dict[str, Any] | None
) -> None:
    folder = copied(saved(case), tmp_path)
    (folder / "tokenizer_config.json").unlink()
    if written is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(written))
    texts = TEXT, "the dog saw it"
    given = transformers.AutoTokenizer.from_pretrained(folder)(*texts)
    knows_two = getattr(transformers.AutoConfig.from_pretrained(folder), "type_vocab_size", 0) > 1
    types = tuple(given["token_type_ids"]) if "token_type_ids" in given and knows_two else None
    reading = load(folder).read(passage(*texts))
    assert reading.ids == tuple(given["input_ids"])
    assert reading.types == (types or ())
    assert_allclose(attend(folder, pair=texts[1]).weights, theirs(folder, reading.ids, types), atol=1e-5)
    assert {token.segment for token in reading.tokens if not token.special} == {0, 1}


@pytest.mark.parametrize("case", ["bert", "gpt2", "mistral", "qwen3 with windows"])
@pytest.mark.parametrize("rows", [1, 3])
def test_rows_at_a_time_are_those_of_the_whole(
    saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, case: str, rows: int
) -> None:
    expected = attend(saved(case)).weights
    monkeypatch.setattr(multi_head, "AT_ONCE", rows * HEADS * len(ids_of(saved(case))))
    assert_allclose(attend(saved(case)).weights, expected, atol=1e-5)


def test_a_layer_is_read_when_it_runs_and_none_above_the_last_one_wanted(saved: Callable[[str], Path]) -> None:
    model, read = load(saved("llama")), []
    stored = model.runner.parameters.arrays
    model = replace(model, runner=dataclasses.replace(model.runner, parameters=Parameters(Watched(stored, read))))
    (part,) = model.attend(TEXT, select=Selection(layers=(1,), heads=(3, 0)))
    assert_array_equal(part.weights[0], attend(saved("llama")).weights[1, [3, 0]])
    layers = [int(name.split(".")[1]) for name in read if name.startswith("layers.")]
    assert layers == sorted(layers)
    assert set(layers) == {0, 1}


class Watched(dict[str, Any]):
    """Arrays that note the order in which they are looked up."""

    def __init__(self, arrays: Any, read: list[str]) -> None:
        self.arrays, self.read = arrays, read

    def __getitem__(self, name: str) -> Any:
        self.read.append(name)
        return self.arrays[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.arrays.get(name, default)


def test_of_a_table_only_the_rows_in_use_are_read(saved: Callable[[str], Path]) -> None:
    table = load(saved("gpt2")).runner.parameters["embedding.weight"]
    whole = table.read()
    wanted = np.array([[7, 2, 3], [3, 11, 2]])
    assert_array_equal(table[wanted], whole[wanted])
    with pytest.raises(IndexError):
        table[np.array([len(whole)])]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("case", ["bert", "gpt2", "llama with a head"])
def test_other_precisions_are_read_as_single_precision(
    saved: Callable[[str], Path], tmp_path: Path, case: str, dtype: torch.dtype
) -> None:
    folder = copied(saved(case), tmp_path, lambda name, tensor: {name: tensor.to(dtype)})
    assert_allclose(attend(folder).weights, theirs(folder, ids_of(folder)), atol=1e-5)


def test_a_padding_token_in_the_text_has_no_position(saved: Callable[[str], Path]) -> None:
    for case, pad in (("roberta", "[UNK]"), ("xlm-roberta", "[MASK]")):
        folder, text = saved(case), f"the {pad} cat {pad} {pad} saw it"
        assert_allclose(attend(folder, text).weights, theirs(folder, ids_of(folder, text)), atol=1e-5)


@pytest.mark.parametrize(
    ("case", "spelled"),
    [
        ("gpt2", {"n_embd": "hidden_size", "n_head": "num_attention_heads", "n_layer": "num_hidden_layers"}),
        ("gpt2", {"n_positions": "max_position_embeddings"}),
        ("distilbert", {"dim": "hidden_size", "n_heads": "num_attention_heads", "n_layers": "num_hidden_layers"}),
    ],
)
def test_sizes_may_have_the_names_that_other_families_give_them(
    saved: Callable[[str], Path], tmp_path: Path, case: str, spelled: dict[str, str]
) -> None:
    folder = copied(saved(case), tmp_path)
    configure(folder, lambda config: {spelled.get(key, key): value for key, value in config.items()})
    assert_allclose(attend(folder).weights, theirs(folder, ids_of(folder)), atol=1e-5)
    assert load(folder).card.positions == load(saved(case)).card.positions


def test_windows_begin_at_a_layer_where_no_types_are_written(saved: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied(saved("qwen2 with windows"), tmp_path)
    configure(folder, lambda config: {key: value for key, value in config.items() if key != "layer_types"})
    assert load(folder).runner.shape.windows == (None, 3, 3)
    assert_allclose(attend(folder).weights, theirs(folder, ids_of(folder)), atol=1e-5)


@pytest.mark.parametrize("case", ["bert", "qwen2"])
def test_shards_are_read_as_one_checkpoint(saved: Callable[[str], Path], tmp_path: Path, case: str) -> None:
    model = transformers.AutoModel.from_pretrained(saved(case))
    model.save_pretrained(tmp_path, max_shard_size="8KB")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((saved(case) / name).read_bytes())
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    assert_array_equal(attend(tmp_path).weights, attend(saved(case)).weights)


def test_norms_may_have_the_names_that_tensorflow_gave_them(saved: Callable[[str], Path], tmp_path: Path) -> None:
    def renamed(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor}

    folder = copied(saved("bert with a head"), tmp_path, renamed)
    assert any(name.endswith("gamma") for name in load_file(folder / "model.safetensors"))
    assert_array_equal(attend(folder).weights, attend(saved("bert with a head")).weights)


def test_what_a_file_holds_beside_the_model_is_no_matter(saved: Callable[[str], Path], tmp_path: Path) -> None:
    def with_buffers(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
        buffers = {"embeddings.position_ids": torch.arange(7), "h.0.attn.bias": torch.ones(3, 3, dtype=torch.bool)}
        return {name: tensor} | buffers

    folder = copied(saved("gpt2"), tmp_path, with_buffers)
    assert_array_equal(attend(folder).weights, attend(saved("gpt2")).weights)


@pytest.mark.parametrize(
    ("case", "old"),
    [
        ("llama", {"rope_theta": 1000.0, "rope_scaling": None}),
        ("llama, linear", {"rope_theta": 1000.0, "rope_scaling": {"type": "linear", "factor": 3.0}}),
        (
            "llama 3",
            {
                "rope_theta": 1000.0,
                "rope_scaling": {
                    "rope_type": "llama3",
                    "factor": 8.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 64,
                },
            },
        ),
        (
            "llama",
            {
                "rope_scaling": {"rope_type": "linear", "factor": 3.0, "rope_theta": 1000.0},
                "rope_parameters": {"rope_type": "default", "rope_theta": 77.0},
            },
        ),
    ],
)
def test_rotary_positions_may_be_spelled_as_they_were(
    saved: Callable[[str], Path], tmp_path: Path, case: str, old: dict[str, Any]
) -> None:
    folder = copied(saved(case), tmp_path)
    configure(folder, lambda config: {k: v for k, v in config.items() if k != "rope_parameters"} | old)
    assert_allclose(attend(folder).weights, theirs(folder, ids_of(folder)), atol=1e-5)


@pytest.mark.parametrize("kind", FAMILIES)
def test_what_a_config_leaves_out_is_what_transformers_takes_for_it(kind: str) -> None:
    config = transformers.AutoConfig.for_model(kind)
    written = json.loads(config.to_json_string(use_diff=False))
    family = FAMILIES[kind]
    bare = {"model_type": kind}
    full = family.shape(written)
    left_out = family.shape(bare)
    different = {f.name for f in fields(full) if getattr(full, f.name) != getattr(left_out, f.name)}
    assert different <= {"head_width", "key_heads"}  # where None stands for what transformers writes down
    assert (left_out.key_heads or left_out.heads) == (full.key_heads or full.heads)
    assert (left_out.head_width or left_out.width // left_out.heads) == (full.head_width or full.width // full.heads)
    assert family.positions(bare, left_out) == family.positions(written, full)


def test_stored_truncation_and_padding_are_switched_off(saved: Callable[[str], Path]) -> None:
    assert len(load(saved("gpt2")).read(passage("the cat saw it")).ids) == 4
    assert len(load(saved("gpt2")).read(passage("the " * 31)).ids) == 31


@pytest.mark.parametrize(("case", "most"), [("bert", 41), ("roberta", 39), ("xlm-roberta", 36), ("gpt2", 41)])
def test_it_reads_as_many_tokens_as_it_has_positions(saved: Callable[[str], Path], case: str, most: int) -> None:
    folder = saved(case)
    around = 0 if case == "gpt2" else 2
    ids = load(folder).read(passage("the " * (most - around))).ids
    assert len(ids) == most
    assert_allclose(attend(folder, "the " * (most - around)).weights, theirs(folder, ids), atol=1e-5)
    with pytest.raises(TextError, match=f"{most + 1} tokens.*at most {most}"):
        attend(folder, "the " * (most - around + 1))


def test_rotary_positions_have_no_end(saved: Callable[[str], Path]) -> None:
    text = "the cat saw a dog " * 17
    assert_allclose(
        attend(saved("llama"), text).weights, theirs(saved("llama"), ids_of(saved("llama"), text)), atol=1e-5
    )


def test_a_special_token_named_in_the_text_is_that_token(saved: Callable[[str], Path]) -> None:
    reading = load(saved("bert")).read(passage("the [MASK] saw it"))
    assert reading.ids[2] == 4
    assert [token.text for token in reading.tokens] == ["[CLS]", "the", "[MASK]", "saw", "it", "[SEP]"]


@pytest.mark.parametrize(
    ("case", "changes", "said"),
    [
        ("bert", {"model_type": "gemma2"}, "gemma2"),
        ("bert", {"is_decoder": True}, "is_decoder"),
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ("bert", {"hidden_act": "mish"}, "mish"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights"),
        ("bert", {"add_cross_attention": True}, "add_cross_attention"),
        ("mistral", {"layer_types": ["sliding_attention"] * 3}, "layer_types"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantized"),
        ("llama", {"rope_parameters": {"rope_type": "unheard of"}}, "unheard of"),
        ("llama", {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "0.5"),
    ],
)
def test_what_the_reference_does_not_know_is_left_to_transformers(
    saved: Callable[[str], Path], tmp_path: Path, case: str, changes: dict[str, Any], said: str
) -> None:
    folder = copied(saved(case), tmp_path)
    configure(folder, lambda config: config | changes)
    with pytest.raises(UnsupportedError, match=said):
        load(folder)


def test_a_tokenizer_that_transformers_changes_is_read_by_it_and_run_here(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(saved("bert"), tmp_path)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    ids = tuple(transformers.AutoTokenizer.from_pretrained(folder)("The CAT saw")["input_ids"])
    assert load(folder).read(passage("The CAT saw")).ids == ids
    attention = attend(folder, "The CAT saw")
    assert_allclose(attention.weights, theirs(folder, ids), atol=1e-5)
    assert attention.engine is Engine.REFERENCE


def test_a_text_of_which_a_tokenizer_makes_more_than_the_model_has_is_refused(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(saved("bert"), tmp_path)
    (folder / "tokenizer_config.json").write_text(json.dumps(AS_STORED | {"mask_token": "<new>"}))
    with pytest.raises(ModelError, match="more than 19 tokens"):
        attend(folder, "the <new> dog")


@pytest.mark.parametrize("changes", [{"quantization_config": None}, {"position_embedding_type": None}])
def test_a_key_that_is_null_asks_for_nothing(
    saved: Callable[[str], Path], tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder = copied(saved("bert"), tmp_path)
    configure(folder, lambda config: config | changes)
    assert_array_equal(attend(folder).weights, attend(saved("bert")).weights)


@pytest.mark.parametrize(
    ("case", "changes", "said"),
    [
        ("bert", {"num_hidden_layers": 4}, r"encoder\.layer\.3"),
        ("bert", {"hidden_size": 35}, "does not fit"),
        ("bert", {"num_hidden_layers": "3"}, "num_hidden_layers is '3'"),
        ("bert", {"num_hidden_layers": None}, "num_hidden_layers is None"),
        ("bert", {"num_hidden_layers": 1.5}, "num_hidden_layers is 1.5"),
        ("bert", {"num_attention_heads": True}, "num_attention_heads is True"),
        ("bert", {"num_attention_heads": 0}, "num_attention_heads is 0"),
        ("bert", {"layer_norm_eps": None}, "layer_norm_eps is None"),
        ("bert", {"layer_norm_eps": "x"}, "layer_norm_eps is 'x'"),
        ("bert", {"hidden_act": ["gelu"]}, "hidden_act is"),
        ("bert", {"max_position_embeddings": None}, "max_position_embeddings is None"),
        ("roberta", {"pad_token_id": 40}, "max_position_embeddings leaves room for 0"),
        ("gpt2", {"n_positions": -3}, "n_positions is -3"),
        ("gpt2", {"n_positions": float("nan")}, "n_positions is nan"),
        ("mistral", {"num_hidden_layers": 10**11}, "num_hidden_layers is"),
        ("mistral", {"sliding_window": "3"}, "sliding_window is '3'"),
        ("llama", {"num_key_value_heads": 4}, "4 heads of keys cannot be shared evenly by 6"),
        ("llama", {"rope_scaling": "linear"}, "rope_scaling is 'linear'"),
        ("llama", {"rope_parameters": {"rope_type": "linear", "factor": 0}}, "do not fit"),
        ("llama", {"rope_parameters": {"rope_type": "linear", "factor": "x"}}, "is not valid"),
        ("llama", {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "rope_theta": None}}, "rope_theta is None"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "longrope", "short_factor": [1.0] * 3, "long_factor": [2.0]}},
            "do not fit",
        ),
        ("qwen2 with windows", {"layer_types": ["sliding_attention"]}, "layer_types is"),
    ],
)
def test_a_config_that_makes_no_sense_or_is_not_that_of_the_weights_is_refused(
    saved: Callable[[str], Path], tmp_path: Path, case: str, changes: dict[str, Any], said: str
) -> None:
    folder = copied(saved(case), tmp_path)
    configure(folder, lambda config: config | changes)
    with pytest.raises(ModelError, match=said):
        load(folder)


@pytest.mark.parametrize(
    ("case", "name", "change"),
    [
        ("gpt2", "wte.weight", torch.flatten),
        ("gpt2", "wpe.weight", lambda tensor: tensor.T),
        ("gpt2", "h.1.attn.c_proj.weight", torch.flatten),
        ("gpt2", "h.1.mlp.c_fc.weight", lambda tensor: tensor.T),
        ("gpt2", "h.0.attn.c_attn.bias", lambda tensor: tensor[:-1]),
        ("gpt2", "ln_f.weight", lambda tensor: tensor[:0]),
        ("llama", "norm.weight", lambda tensor: tensor[0]),
        ("llama, tied, with biases", "model.layers.2.mlp.up_proj.bias", lambda tensor: tensor[1:]),
        ("electra", "embeddings.LayerNorm.weight", lambda tensor: tensor[1:]),
    ],
)
def test_a_tensor_of_another_shape_is_refused_before_anything_runs(
    saved: Callable[[str], Path], tmp_path: Path, case: str, name: str, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    folder = copied(saved(case), tmp_path, lambda key, tensor: {key: change(tensor) if key == name else tensor})
    with pytest.raises(ModelError, match="does not fit its weights"):
        load(folder)


def test_it_reads_no_more_than_it_has_rows_for(saved: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied(saved("gpt2"), tmp_path)
    configure(folder, lambda config: config | {"n_positions": 500})
    with pytest.raises(TextError, match="at most 41"):
        attend(folder, "the " * 42)


def test_weights_that_are_no_numbers_give_no_picture(saved: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied(saved("gpt2"), tmp_path, lambda name, tensor: {name: tensor * torch.inf})
    with pytest.raises(RecordError, match="layer 0 head 0"):
        attend(folder)


@pytest.mark.parametrize("config", [b"{", b"[]", b"{}", b'{"model_type": 3}', b"\xff\xfe"])
def test_a_config_that_cannot_be_read_is_refused(saved: Callable[[str], Path], tmp_path: Path, config: bytes) -> None:
    folder = copied(saved("bert"), tmp_path)
    (folder / "config.json").write_bytes(config)
    with pytest.raises(ModelError, match=r"config\.json"):
        load(folder)


@pytest.mark.parametrize("kept", [0, 5, 8, 100, 5000, -1])
def test_a_file_cut_short_is_refused(saved: Callable[[str], Path], tmp_path: Path, kept: int) -> None:
    folder = copied(saved("bert"), tmp_path)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(ModelError, match="damaged"):
        load(folder)


def test_a_tokenizer_that_is_none_is_refused(saved: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied(saved("bert"), tmp_path)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="tokenizer"):
        attend(folder)


def test_a_tokenizer_of_another_model_is_refused(saved: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied(saved("bert"), tmp_path)
    larger = tokenizer(special=True)
    larger.add_tokens(["word"])
    larger.save(str(folder / "tokenizer.json"))
    with pytest.raises(ModelError, match="tokenizer"):
        attend(folder, "the word")


@pytest.mark.parametrize(("case", "options"), [("gpt2", {"pair": "it"}), ("bert", {"target": "it"})])
def test_what_a_model_does_not_take_is_refused(
    saved: Callable[[str], Path], case: str, options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match="takes no"):
        attend(saved(case), **options)


def copied(
    folder: Path,
    to: Path,
    change: Callable[[str, torch.Tensor], dict[str, torch.Tensor]] = lambda name, tensor: {name: tensor},
) -> Path:
    """A copy of a checkpoint in one file, its tensors changed or renamed."""
    kept = load_file(folder / "model.safetensors")
    changed = {k: v.contiguous() for name, tensor in kept.items() for k, v in change(name, tensor).items()}
    save_file(changed, to / "model.safetensors", {"format": "pt"})
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (to / name).write_bytes((folder / name).read_bytes())
    return to


def configure(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))))


def ids_of(folder: Path, text: str = TEXT) -> tuple[int, ...]:
    return load(folder).read(passage(text)).ids


def passage(text: str = TEXT, pair: str | None = None) -> Passage:
    return Passage(text=text, pair=pair)
