"""The config.json of well-known checkpoints, which the reference engine runs."""

from typing import Any

import pytest

from attnviz.models.checkpoint.recognition import describe
from attnviz.models.configuration import UnsupportedError

_BERT_BASE = {
    "architectures": ["BertForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "gradient_checkpointing": False,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "transformers_version": "4.6.0.dev0",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": 30522,
}
_ROBERTA_BASE = _BERT_BASE | {
    "architectures": ["RobertaForMaskedLM"],
    "bos_token_id": 0,
    "eos_token_id": 2,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 514,
    "model_type": "roberta",
    "pad_token_id": 1,
    "type_vocab_size": 1,
    "vocab_size": 50265,
}
_LLAMA_2 = {
    "_name_or_path": "meta-llama/Llama-2-7b-hf",
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "initializer_range": 0.02,
    "intermediate_size": 11008,
    "max_position_embeddings": 4096,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 32,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
    "transformers_version": "4.31.0.dev0",
    "use_cache": True,
    "vocab_size": 32000,
}
_QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151643,
    "hidden_act": "silu",
    "hidden_size": 896,
    "initializer_range": 0.02,
    "intermediate_size": 4864,
    "max_position_embeddings": 32768,
    "max_window_layers": 24,
    "model_type": "qwen2",
    "num_attention_heads": 14,
    "num_hidden_layers": 24,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.40.1",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 151936,
}
WELL_KNOWN: dict[str, dict[str, Any]] = {
    "bert-base-uncased": _BERT_BASE,
    "bert-base-multilingual-cased": _BERT_BASE
    | {"directionality": "bidi", "pooler_fc_size": 768, "pooler_num_attention_heads": 12, "pooler_num_fc_layers": 3}
    | {"pooler_size_per_head": 128, "pooler_type": "first_token_transform", "vocab_size": 119547},
    "all-MiniLM-L6-v2": _BERT_BASE
    | {"_name_or_path": "nreimers/MiniLM-L6-H384-uncased", "architectures": ["BertModel"], "hidden_size": 384}
    | {"intermediate_size": 1536, "num_hidden_layers": 6},
    "roberta-base": _ROBERTA_BASE,
    "xlm-roberta-base": _ROBERTA_BASE | {"model_type": "xlm-roberta", "output_past": True, "vocab_size": 250002},
    "camembert-base": _ROBERTA_BASE | {"model_type": "camembert", "output_past": True, "vocab_size": 32005},
    "cross-encoder/nli-distilroberta-base": _ROBERTA_BASE
    | {"id2label": {"0": "contradiction"}, "label2id": {"contradiction": 0}, "num_hidden_layers": 6}
    | {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}},
    "electra-small-discriminator": _BERT_BASE
    | {"embedding_size": 128, "hidden_size": 256, "intermediate_size": 1024, "model_type": "electra"}
    | {"num_attention_heads": 4, "summary_activation": "gelu", "summary_last_dropout": 0.1, "summary_type": "first"}
    | {"summary_use_proj": True},
    "distilbert-base-uncased": {
        "activation": "gelu",
        "architectures": ["DistilBertForMaskedLM"],
        "attention_dropout": 0.1,
        "dim": 768,
        "dropout": 0.1,
        "hidden_dim": 3072,
        "initializer_range": 0.02,
        "max_position_embeddings": 512,
        "model_type": "distilbert",
        "n_heads": 12,
        "n_layers": 6,
        "pad_token_id": 0,
        "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "sinusoidal_pos_embds": False,
        "tie_weights_": True,
        "transformers_version": "4.10.0.dev0",
        "vocab_size": 30522,
    },
    "gpt2": {
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.1,
        "bos_token_id": 50256,
        "embd_pdrop": 0.1,
        "eos_token_id": 50256,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05,
        "model_type": "gpt2",
        "n_ctx": 1024,
        "n_embd": 768,
        "n_head": 12,
        "n_layer": 12,
        "n_positions": 1024,
        "resid_pdrop": 0.1,
        "summary_activation": None,
        "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True,
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
        "vocab_size": 50257,
    },
    "Llama-2-7b-hf": _LLAMA_2,
    "Llama-3.2-1B": _LLAMA_2
    | {"attention_dropout": 0.0, "head_dim": 64, "hidden_size": 2048, "max_position_embeddings": 131072}
    | {"mlp_bias": False, "num_hidden_layers": 16, "num_key_value_heads": 8, "rope_theta": 500000.0}
    | {"eos_token_id": [128001, 128008, 128009], "tie_word_embeddings": True, "torch_dtype": "bfloat16"}
    | {
        "rope_scaling": {
            "factor": 32.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3",
        }
    },
    "Mistral-7B-v0.1": {
        key: value for key, value in _LLAMA_2.items() if key not in ("attention_bias", "pretraining_tp")
    }
    | {"model_type": "mistral", "num_key_value_heads": 8, "rope_theta": 10000.0, "sliding_window": 4096},
    "Mistral-7B-v0.3": {key: value for key, value in _LLAMA_2.items() if key != "attention_bias"}
    | {"attention_dropout": 0.0, "head_dim": 128, "model_type": "mistral", "num_key_value_heads": 8}
    | {"rope_theta": 1000000.0, "sliding_window": None},
    "Qwen2-0.5B": _QWEN2,
    "Qwen2.5-0.5B": _QWEN2 | {"use_mrope": False, "transformers_version": "4.40.1"},
    "Qwen2.5-7B, with YaRN": _QWEN2
    | {"rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn"}},
    "Qwen3-0.6B": _QWEN2
    | {"attention_bias": False, "head_dim": 128, "max_window_layers": 28, "model_type": "qwen3", "hidden_size": 1024}
    | {"num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8, "rope_scaling": None}
    | {"sliding_window": None},
}


@pytest.mark.parametrize("name", WELL_KNOWN)
def test_what_well_known_checkpoints_say_of_themselves_is_understood(name: str) -> None:
    config = WELL_KNOWN[name]
    describe(config)
    describe(
        config | {"pruned_heads": {}, "is_decoder": False, "output_attentions": False, "chunk_size_feed_forward": 0}
    )


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"rope_type": "default", "factor": 2.0}, r"rope_parameters\.factor: 2\.0"),
        ({"rope_type": "linear", "factor": 2.0, "beta_fast": 3.0}, r"rope_parameters\.beta_fast"),
        ({"rope_type": "yarn", "factor": 2.0, "mrope_section": [16, 24, 24]}, r"rope_parameters\.mrope_section"),
        ({"rope_type": "dynamic", "factor": 2.0, "alpha": 1000.0}, r"rope_parameters\.alpha"),
        ({"full_attention": {"rope_type": "default", "rope_theta": 77.0}}, r"rope_parameters\.full_attention"),
    ],
)
def test_a_rotary_parameter_that_its_kind_does_not_take_sends_it_away(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        describe(WELL_KNOWN["Qwen3-0.6B"] | {"rope_parameters": parameters})


def test_two_names_of_one_size_may_say_the_same_only() -> None:
    both = WELL_KNOWN["gpt2"] | {"hidden_size": 768}
    describe(both)
    with pytest.raises(UnsupportedError, match="n_embd and hidden_size"):
        describe(both | {"hidden_size": 24})
