"""A check that every key of config.json is understood, so that none that changes attention is passed over.

A key is understood if a family reads it, harmless if no weight can depend on it, and idle if it is null or asks for
what is done anyway. Any other sends the model to transformers: a new key is unknown until somebody has looked at it.
"""

from collections import UserDict
from collections.abc import Iterator, Mapping
from typing import Any

from attnviz.models.configuration import CONFIG, UnsupportedError
from attnviz.text import visible

_LONGEST = 60  # characters of a value that a message shows


class Watched(UserDict[str, Any]):
    """A table of config.json that remembers which of its keys have been read, in the tables within it too.

    To see that a key is there is not to read it.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        super().__init__(table)
        self._read: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        """Return the value of a key, which counts as read from now on."""
        if key not in self._read:
            value = self.data[key]
            self._read[key] = Watched(value) if isinstance(value, dict) else value
        return self._read[key]

    def unread(self) -> Iterator[tuple[str, Any]]:
        """Yield the keys that nothing has read, with their values; one in a table after its name and a point."""
        for key, value in self.data.items():
            if key not in self._read:
                yield key, value
            elif isinstance(inner := self._read[key], Watched):
                yield from ((f"{key}.{name}", value) for name, value in inner.unread())


def check_understood(config: Watched, idle: Mapping[str, Any]) -> None:
    """Leave to transformers a model whose config.json asks for something that nothing here has read.

    `idle` has keys with the values at which they ask for nothing.

    Raises:
        UnsupportedError: there is such a key; the message names it.
    """
    for key, value in config.unread():
        if key in HARMLESS or _is_idle(key, value, idle):
            continue
        shown = visible(f"{key}: {value!r}"[:_LONGEST])
        raise UnsupportedError(f"The reference engine does not know what {shown} in {CONFIG} asks for.")


def _is_idle(key: str, value: Any, idle: Mapping[str, Any]) -> bool:
    """Return whether a key asks for nothing; null does, but where it is taken for false and true is needed."""
    return idle.get(key) is not True if value is None else key in idle and value == idle[key]


_HARMLESS = {
    "what the model is called, what made it, and what its outputs are called": (
        "model_type architectures _name_or_path name_or_path _commit_hash transformers_version tokenizer_class "
        "language prefix problem_type id2label label2id num_labels finetuning_task task_specific_params "
        "sentence_transformers sbert_ce_default_activation_function unsloth_version unsloth_fixed"
    ),
    "which tokens are which (a family that counts positions from the padding token reads its id)": (
        "pad_token_id bos_token_id eos_token_id sep_token_id cls_token_id mask_token_id unk_token_id "
        "decoder_start_token_id forced_bos_token_id forced_eos_token_id"
    ),
    "dropout and initial values, which are for training": (
        "attention_dropout attention_probs_dropout_prob hidden_dropout hidden_dropout_prob dropout embd_pdrop "
        "attn_pdrop resid_pdrop classifier_dropout qa_dropout seq_classif_dropout summary_first_dropout "
        "summary_last_dropout initializer_range gradient_checkpointing sinusoidal_pos_embds"
    ),
    "how it is computed: the same numbers in another order, precision or form": (
        "dtype torch_dtype use_bfloat16 use_cache torchscript chunk_size_feed_forward pretraining_tp "
        "reorder_and_upcast_attn attn_implementation _attn_implementation _attn_implementation_autoset tf_legacy_loss "
        "output_attentions output_hidden_states output_past return_dict return_dict_in_generate output_scores"
    ),
    "heads, which come after the layers": (
        "tie_word_embeddings tie_weights_ summary_type summary_use_proj summary_activation summary_proj_to_labels "
        "pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type"
    ),
    "shapes of tables and inner maps, which the tensors have": (
        "vocab_size type_vocab_size intermediate_size hidden_dim n_inner embedding_size n_ctx n_special "
        "predict_special_tokens"
    ),
    "how text is to be written": (
        "max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k "
        "top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size "
        "bad_words_ids num_return_sequences exponential_decay_length_penalty suppress_tokens begin_suppress_tokens "
        "remove_invalid_values"
    ),
}
HARMLESS = frozenset(key for keys in _HARMLESS.values() for key in keys.split())
"""Keys on which no attention weight depends when a text is read whole, whatever their values are."""
