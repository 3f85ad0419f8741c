"""Tiny random models of many families, and a tiny tokenizer, in folders as `save_pretrained` leaves them."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from attnviz.models.loading import Loading
from attnviz.models.pretrained import load
from attnviz.models.pretrained.edge import quiet

VOCABULARY = 101
WORDS = ["the", "animal", "did", "not", "cross", "street", "because", "it", "was", "too", "tired", "wide", *"abcdefgh"]
FILLERS = [f"w{number}" for number in range(VOCABULARY - 4 - len(WORDS))]

_SIZES = {"vocab_size": VOCABULARY, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3}
_ENCODER = _SIZES | {"intermediate_size": 37, "max_position_embeddings": 64, "pad_token_id": 0}
_DECODER = _ENCODER | {"num_key_value_heads": 1, "head_dim": 10}
_PLAIN = _ENCODER | {"num_key_value_heads": 1}
_GPT = {"vocab_size": VOCABULARY, "n_embd": 24, "n_layer": 3, "n_head": 3, "n_positions": 64}
_EXPERTS = {"num_experts": 5, "num_experts_per_tok": 2, "experts_implementation": "eager"}
_TRANSLATOR = {
    "vocab_size": VOCABULARY,
    "d_model": 24,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 37,
    "decoder_ffn_dim": 41,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "decoder_start_token_id": 3,
    "forced_eos_token_id": None,
}
_T5 = {
    "vocab_size": VOCABULARY,
    "d_model": 24,
    "d_kv": 10,
    "d_ff": 37,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 3,
    "decoder_start_token_id": 0,
    "eos_token_id": 3,
}


@dataclass(frozen=True)
class Family:
    """A tiny model: the class that has all of it, its config's class and sizes, and what attends in it."""

    model: str
    config: str
    sizes: dict[str, Any]
    layers: tuple[int, ...] = (0, 1, 2)

    @property
    def encodes(self) -> bool:
        return self in ENCODERS.values()

    @property
    def translates(self) -> bool:
        return self.model.endswith("ForConditionalGeneration") or self.model.endswith("MTModel")


def _family(model: str, config: str, sizes: dict[str, Any], layers: tuple[int, ...] = (0, 1, 2), **more: Any) -> Family:
    return Family(model, config, sizes | more, layers)


ENCODERS = {
    "bert": _family("BertModel", "BertConfig", _ENCODER),
    "roberta": _family("RobertaModel", "RobertaConfig", _ENCODER),
    "albert": _family("AlbertModel", "AlbertConfig", _ENCODER, embedding_size=16),
    "electra": _family("ElectraModel", "ElectraConfig", _ENCODER, embedding_size=16),
    "distilbert": _family(
        "DistilBertModel",
        "DistilBertConfig",
        {"vocab_size": VOCABULARY, "dim": 24, "n_layers": 3, "n_heads": 3, "hidden_dim": 37},
    ),
    "deberta-v2": _family(
        "DebertaV2Model", "DebertaV2Config", _ENCODER, relative_attention=True, pos_att_type=["p2c", "c2p"]
    ),
    "mpnet": _family("MPNetModel", "MPNetConfig", _ENCODER | {"pad_token_id": 1}),
    "modernbert": _family(
        "ModernBertModel", "ModernBertConfig", _ENCODER, local_attention=4, global_attn_every_n_layers=2
    ),
    "xlnet": _family(
        "XLNetModel", "XLNetConfig", {"vocab_size": VOCABULARY, "d_model": 24, "n_layer": 3, "n_head": 3, "d_inner": 37}
    ),
    "xlm": _family("XLMModel", "XLMConfig", {"vocab_size": VOCABULARY, "emb_dim": 24, "n_layers": 3, "n_heads": 3}),
    "flaubert": _family(
        "FlaubertModel", "FlaubertConfig", {"vocab_size": VOCABULARY, "emb_dim": 24, "n_layers": 3, "n_heads": 3}
    ),
    "roformer": _family("RoFormerModel", "RoFormerConfig", _ENCODER, embedding_size=16),
    "convbert": _family("ConvBertModel", "ConvBertConfig", _ENCODER | {"num_attention_heads": 6}, embedding_size=24),
    "esm": _family("EsmModel", "EsmConfig", _ENCODER, position_embedding_type="rotary", emb_layer_norm_before=False),
    "encoder-only-t5": _family("T5EncoderModel", "T5Config", _T5),
}
DECODERS = {
    "gpt2": _family("GPT2LMHeadModel", "GPT2Config", _GPT),
    "gpt-j": _family("GPTJForCausalLM", "GPTJConfig", _GPT, rotary_dim=4),
    "gpt-neo": _family(
        "GPTNeoForCausalLM",
        "GPTNeoConfig",
        {"vocab_size": VOCABULARY, "hidden_size": 24, "num_layers": 3, "num_heads": 3, "max_position_embeddings": 64},
        attention_types=[[["global", "local", "global"], 1]],
        window_size=5,
    ),
    "gpt-neox": _family("GPTNeoXForCausalLM", "GPTNeoXConfig", _ENCODER),
    "opt": _family("OPTForCausalLM", "OPTConfig", _ENCODER, ffn_dim=37, word_embed_proj_dim=24),
    "bloom": _family(
        "BloomForCausalLM", "BloomConfig", {"vocab_size": VOCABULARY, "hidden_size": 24, "n_layer": 3, "n_head": 3}
    ),
    "mpt": _family(
        "MptForCausalLM",
        "MptConfig",
        {"vocab_size": VOCABULARY, "d_model": 24, "n_layers": 3, "n_heads": 3, "max_seq_len": 64},
    ),
    "falcon": _family("FalconForCausalLM", "FalconConfig", _SIZES),
    "llama": _family("LlamaForCausalLM", "LlamaConfig", _DECODER),
    "mistral": _family("MistralForCausalLM", "MistralConfig", _DECODER, sliding_window=5),
    "mixtral": _family(
        "MixtralForCausalLM",
        "MixtralConfig",
        _DECODER | {"intermediate_size": 32, "hidden_size": 32},
        num_local_experts=5,
    ),
    "qwen2": _family("Qwen2ForCausalLM", "Qwen2Config", _PLAIN),
    "qwen3": _family("Qwen3ForCausalLM", "Qwen3Config", _DECODER),
    "gemma2": _family("Gemma2ForCausalLM", "Gemma2Config", _DECODER, sliding_window=5, attn_logit_softcapping=0.3),
    "gemma3": _family("Gemma3ForCausalLM", "Gemma3TextConfig", _DECODER, sliding_window=5),
    "phi3": _family("Phi3ForCausalLM", "Phi3Config", _PLAIN),
    "olmo2": _family("Olmo2ForCausalLM", "Olmo2Config", _PLAIN),
    "cohere": _family("CohereForCausalLM", "CohereConfig", _PLAIN),
    "starcoder2": _family("Starcoder2ForCausalLM", "Starcoder2Config", _PLAIN, sliding_window=5),
    "gpt-oss": _family(
        "GptOssForCausalLM",
        "GptOssConfig",
        _DECODER | {"intermediate_size": 32, "hidden_size": 32},
        num_local_experts=5,
        num_experts_per_tok=2,
        sliding_window=5,
    ),
    "deepseek-v3": _family(
        "DeepseekV3ForCausalLM",
        "DeepseekV3Config",
        _ENCODER | {"intermediate_size": 32, "hidden_size": 32, "num_key_value_heads": 3},
        q_lora_rank=11,
        kv_lora_rank=13,
        qk_rope_head_dim=8,
        qk_nope_head_dim=6,
        v_head_dim=10,
        n_routed_experts=4,
        num_experts_per_tok=2,
        n_group=2,
        topk_group=1,
        moe_intermediate_size=16,
        first_k_dense_replace=1,
    ),
    "gemma": _family("GemmaForCausalLM", "GemmaConfig", _DECODER),
    "phi": _family("PhiForCausalLM", "PhiConfig", _ENCODER | {"num_key_value_heads": 3}),
    "stablelm": _family("StableLmForCausalLM", "StableLmConfig", _ENCODER | {"num_key_value_heads": 3}),
    "codegen": _family("CodeGenForCausalLM", "CodeGenConfig", _GPT | {"n_embd": 32, "n_head": 4}, rotary_dim=4),
    "gpt-bigcode": _family("GPTBigCodeForCausalLM", "GPTBigCodeConfig", _GPT),
    "biogpt": _family("BioGptForCausalLM", "BioGptConfig", _ENCODER),
    "jamba": _family(
        "JambaForCausalLM",
        "JambaConfig",
        _PLAIN | {"hidden_size": 48, "intermediate_size": 32, "num_hidden_layers": 4},
        (1, 3),
        attn_layer_period=2,
        attn_layer_offset=1,
        num_experts=2,
        use_mamba_kernels=False,
    ),
    "bamba": _family(
        "BambaForCausalLM",
        "BambaConfig",
        _PLAIN | {"num_hidden_layers": 4},
        (1, 3),
        attn_layer_indices=[1, 3],
        mamba_n_heads=6,
        mamba_d_head=8,
        mamba_d_state=8,
    ),
    "minimax": _family(
        "MiniMaxForCausalLM",
        "MiniMaxConfig",
        _DECODER | {"hidden_size": 48, "intermediate_size": 32},
        (0, 2),
        layer_types=["full_attention", "linear_attention", "full_attention"],
        num_local_experts=2,
    ),
    "ctrl": _family("CTRLLMHeadModel", "CTRLConfig", _GPT, dff=37),
    "openai-gpt": _family("OpenAIGPTLMHeadModel", "OpenAIGPTConfig", _GPT),
    "lfm2": _family(
        "Lfm2ForCausalLM",
        "Lfm2Config",
        _PLAIN | {"num_hidden_layers": 4},
        (1, 3),
        layer_types=["conv", "full_attention", "conv", "full_attention"],
        block_multiple_of=8,
    ),
    "zamba2": _family(
        "Zamba2ForCausalLM",
        "Zamba2Config",
        _ENCODER | {"num_hidden_layers": 4, "num_key_value_heads": 3},
        (1, 3),
        layers_block_type=["mamba", "hybrid", "mamba", "hybrid"],
        hybrid_layer_ids=[1, 3],
        mamba_d_state=8,
        n_mamba_heads=2,
        num_mem_blocks=1,
    ),
}
TRANSLATORS = {
    "t5": _family("T5ForConditionalGeneration", "T5Config", _T5),
    "bart": _family("BartForConditionalGeneration", "BartConfig", _TRANSLATOR),
    "mbart": _family("MBartForConditionalGeneration", "MBartConfig", _TRANSLATOR),
    "marian": _family("MarianMTModel", "MarianConfig", _TRANSLATOR),
    "pegasus": _family("PegasusForConditionalGeneration", "PegasusConfig", _TRANSLATOR),
    "blenderbot": _family("BlenderbotForConditionalGeneration", "BlenderbotConfig", _TRANSLATOR),
    "t5gemma": _family(
        "T5GemmaForConditionalGeneration",
        "T5GemmaConfig",
        {
            "vocab_size": VOCABULARY,
            "encoder": _DECODER | {"sliding_window": 5},
            "decoder": _DECODER | {"sliding_window": 5, "num_hidden_layers": 2},
        },
    ),
    "umt5": _family("UMT5ForConditionalGeneration", "UMT5Config", _T5),
    "fsmt": _family(
        "FSMTForConditionalGeneration",
        "FSMTConfig",
        _TRANSLATOR | {"src_vocab_size": VOCABULARY, "tgt_vocab_size": VOCABULARY, "langs": ["en", "de"]},
    ),
    "m2m-100": _family("M2M100ForConditionalGeneration", "M2M100Config", _TRANSLATOR),
}
FAMILIES = ENCODERS | DECODERS | TRANSLATORS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "any_family" in metafunc.fixturenames:
        metafunc.parametrize("any_family", FAMILIES)


def save_tokenizer(folder: Path, template: str) -> None:
    """A tokenizer of whole words, with special tokens around each text."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *FILLERS]
    tokenizer = Tokenizer(WordLevel({name: index for index, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    special = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = TemplateProcessing(
        single=template, pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        eos_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)


def save_model(folder: Path, model: str, config: str, sizes: dict[str, Any]) -> None:
    """A model whose weights are random, and large enough for its heads to look at some keys more than at others."""
    import torch
    import transformers

    torch.manual_seed(7)
    network = getattr(transformers, model)(getattr(transformers, config)(**sizes))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1 or "sinks" in name:
                parameter.normal_(std=0.2)
    network.save_pretrained(folder)


@pytest.fixture(scope="session")
def families() -> dict[str, Family]:
    """The families by name."""
    return FAMILIES


def make_folder(folder: Path, model: str, config: str, sizes: dict[str, Any], template: str) -> None:
    """A model and a tokenizer that puts special tokens around each text after this template."""
    with quiet():
        save_model(folder, model, config, sizes)
        save_tokenizer(folder, template)


@pytest.fixture(scope="session")
def make() -> Callable[..., None]:
    """Makes a folder of a model of any kind."""
    return make_folder


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's model, made when it is first asked for."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            family = FAMILIES[name]
            made[name] = tmp_path_factory.mktemp(name)
            template = "[CLS] $A [SEP]" if name in ENCODERS else "$A" if name in DECODERS else "$A [SEP]"
            make_folder(made[name], family.model, family.config, family.sizes, template)
        return made[name]

    return folder


@pytest.fixture(scope="session")
def model_of(folder_of: Callable[[str], Path]) -> Callable[[str], Any]:
    """The model of a family, loaded when it is first asked for."""
    loaded: dict[str, Any] = {}

    def model(name: str) -> Any:
        if name not in loaded:
            loaded[name] = load(name, folder_of(name), Loading())
        return loaded[name]

    return model


Tensors = dict[str, Any]


@pytest.fixture
def edited(folder_of: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """Copies the folder of a family's model, its tensors, the name of their file, and its config.json changed."""

    def edit(
        name: str,
        tensors: Callable[[Tensors], Tensors] = lambda found: found,
        file: str = "model.safetensors",
        **config: Any,
    ) -> Path:
        from safetensors.torch import load_file, save_file

        folder = Path(shutil.copytree(folder_of(name), tmp_path / f"edited{len(list(tmp_path.iterdir()))}"))
        found = tensors(load_file(folder / "model.safetensors"))
        (folder / "model.safetensors").unlink()
        save_file({key: tensor.contiguous().clone() for key, tensor in found.items()}, folder / file, {"format": "pt"})
        written = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(written | config))
        return folder

    return edit


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Blocks of only a few rows, so that even a short text has several."""
    monkeypatch.setattr("attnviz.models.pretrained.attending.BLOCK", 1)
    monkeypatch.setattr("attnviz.models.pretrained.attending.FEWEST_ROWS", 5)
    yield
