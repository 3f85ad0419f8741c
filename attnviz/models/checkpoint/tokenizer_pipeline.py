"""The pipelines that the tokenizer classes of transformers 5 build around the vocabulary of a tokenizer.json.

The classes take the vocabulary and the special tokens from that file, and build the other parts themselves, whatever
the file says of them. The table `KNOWN` follows their code; tests compare it with AutoTokenizer.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors

from attnviz.models.checkpoint.tokenizer_class import AS_STORED

Settings = Mapping[str, Any]
"""The settings of a class: its own defaults, overridden by the files."""

KEPT: Literal["kept"] = "kept"
"""A mark that stands for the part in the file."""


class Pipeline(Struct, frozen=True, kw_only=True):
    """The parts that a class builds, `model` without the vocabulary. Parts that are KEPT come from the file."""

    model: Mapping[str, Any] | Literal["kept"] = KEPT
    normalizer: Any = None
    pre_tokenizer: Any = None
    post_processor: Any = KEPT


class Known(Struct, frozen=True, kw_only=True):
    """A class of tokenizers: its defaults, and what it `builds` with such settings around the ids of a vocabulary.

    `typed` says that it gives token types, `bare` that its special tokens take no blanks with them.
    """

    builds: Callable[[Settings, Tokenizer], Pipeline]
    defaults: Settings = field(default_factory=dict)
    typed: bool = False
    bare: bool = False


def find_differences(tokenizer: Tokenizer, built: Pipeline) -> Iterator[str]:
    """Yield the names of the parts of a stored tokenizer that are not what a class builds."""
    parts = ("normalizer", "pre_tokenizer", "post_processor")
    both = {part: (getattr(built, part), getattr(tokenizer, part)) for part in parts}
    yield from (
        part for part, (own, stored) in both.items() if own is not KEPT and _read_state(own) != _read_state(stored)
    )
    if built.model is not KEPT and built.model != _read_model_state(tokenizer):
        yield "model"


def read_content(token: Any) -> str:
    """Return what a special token is called, which the files give as a string or with how it is matched."""
    return str(token["content"] if isinstance(token, Mapping) else token)


def _number(token: str, tokenizer: Tokenizer) -> tuple[str, int]:
    id_ = tokenizer.token_to_id(token)
    if id_ is None:
        raise LookupError(f"{token!r} has no number")
    return token, id_


def _read_state(part: Any) -> Any:
    return None if part is None else _drop_idle(json.loads(part.__getstate__()))


def _drop_idle(state: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a part without those that change nothing."""
    if "pretokenizers" in state:
        return state | {"pretokenizers": [_drop_idle(part) for part in state["pretokenizers"]]}
    if state["type"] == "ByteLevel":
        return {key: value for key, value in state.items() if key != "trim_offsets"}  # read after the model only
    return state


def _read_model_state(tokenizer: Tokenizer) -> dict[str, Any]:
    model = tokenizer.model
    match kind := type(model).__name__:
        case "BPE":
            names = ("dropout", "continuing_subword_prefix", "end_of_word_suffix")
            flags = ("fuse_unk", "byte_fallback", "ignore_merges")
            state = {name: getattr(model, name) or None for name in names} | {f: getattr(model, f) for f in flags}
            pieces = [f"<0x{byte:02X}>" for byte in range(256)] if model.byte_fallback else _BYTES
            whole = all(model.token_to_id(piece) is not None for piece in pieces)
            return {"type": kind, "unk_token": None if whole else model.unk_token} | state
        case "WordPiece":
            names = ("unk_token", "continuing_subword_prefix", "max_input_chars_per_word")
            return {"type": kind} | {name: getattr(model, name) for name in names}
        case "Unigram":
            before, vocab, rest = model.__getstate__().partition(b'"vocab":[')  # 10 MB of pieces, a fifth of a second
            state = json.loads(before + vocab + rest[rest.rindex(b"]") :])
            return {key: value for key, value in state.items() if key != "vocab"}
        case _:
            return {"type": kind}


_BYTES = pre_tokenizers.ByteLevel.alphabet()
_BPE = {
    "type": "BPE",
    "unk_token": None,  # or any, if there is a piece for every byte
    "dropout": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "fuse_unk": False,
    "byte_fallback": False,
    "ignore_merges": False,
}
_UNIGRAM = {"type": "Unigram", "unk_id": 3, "byte_fallback": False}


def _build_as_stored(given: Settings, tokenizer: Tokenizer) -> Pipeline:
    return Pipeline(normalizer=KEPT, pre_tokenizer=KEPT)


def _build_bert(given: Settings, tokenizer: Tokenizer) -> Pipeline:
    start, end = read_content(given["cls_token"]), read_content(given["sep_token"])
    return Pipeline(
        model={
            "type": "WordPiece",
            "unk_token": read_content(given["unk_token"]),
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
        },
        normalizer=normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=given["tokenize_chinese_chars"],
            strip_accents=given["strip_accents"],
            lowercase=given["do_lower_case"],
        ),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        post_processor=processors.TemplateProcessing(
            single=f"{start}:0 $A:0 {end}:0",
            pair=f"{start}:0 $A:0 {end}:0 $B:1 {end}:1",
            special_tokens=[_number(start, tokenizer), _number(end, tokenizer)],
        ),
    )


def _build_gpt2(given: Settings, tokenizer: Tokenizer) -> Pipeline:
    return Pipeline(model=_BPE, pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=given["add_prefix_space"]))


def _build_roberta(given: Settings, tokenizer: Tokenizer) -> Pipeline:
    start, end = read_content(given["cls_token"]), read_content(given["sep_token"])
    ends = _number(end, tokenizer), _number(start, tokenizer)
    processor = processors.RobertaProcessing(*ends, given["trim_offsets"], given["add_prefix_space"])
    return replace(_build_gpt2(given, tokenizer), post_processor=processor)


def _build_qwen2(given: Settings, tokenizer: Tokenizer) -> Pipeline:
    words = pre_tokenizers.Split(Regex(_QWEN2_WORDS), behavior="isolated", invert=False)
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=given["add_prefix_space"] or False, use_regex=False)
    return Pipeline(model=_BPE, normalizer=normalizers.NFC(), pre_tokenizer=pre_tokenizers.Sequence([words, pieces]))


def _build_llama(given: Settings, tokenizer: Tokenizer) -> Pipeline:
    before = "always" if given["legacy"] else "first"
    adds = given["add_prefix_space"] in (None, True)
    return Pipeline(
        model=_BPE | {"fuse_unk": True, "byte_fallback": True},
        pre_tokenizer=pre_tokenizers.Metaspace(
            replacement="▁", prepend_scheme=before if adds else "never", split=False
        ),
    )


def _build_xlm_roberta(given: Settings, tokenizer: Tokenizer) -> Pipeline:
    start, end = read_content(given["bos_token"]), read_content(given["eos_token"])
    scheme = "always" if given["add_prefix_space"] else "never"
    charsmap = isinstance(tokenizer.normalizer, normalizers.Precompiled)
    return Pipeline(
        model=_UNIGRAM,
        normalizer=KEPT if charsmap else None,
        pre_tokenizer=pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme)]
        ),
        post_processor=processors.TemplateProcessing(
            single=[start, "$A", end],
            pair=[start, "$A", end, end, "$B", end],
            special_tokens=[_number(start, tokenizer), _number(end, tokenizer)],
        ),
    )


_QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BERT_DEFAULTS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
    "do_lower_case": True,
    "tokenize_chinese_chars": True,
    "strip_accents": None,
}
_ROBERTA_DEFAULTS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
    "add_prefix_space": False,
    "trim_offsets": True,
}
_END = "<|endoftext|>"
_GPT2_DEFAULTS = {"unk_token": _END, "bos_token": _END, "eos_token": _END, "add_prefix_space": False}
_QWEN2_DEFAULTS = {"unk_token": _END, "eos_token": _END, "pad_token": _END, "add_prefix_space": None}
_LLAMA_DEFAULTS = {
    "unk_token": "<unk>",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "legacy": False,
    "add_prefix_space": None,
}

KNOWN = {
    AS_STORED: Known(builds=_build_as_stored),
    "BertTokenizer": Known(builds=_build_bert, defaults=_BERT_DEFAULTS, typed=True),
    "DistilBertTokenizer": Known(builds=_build_bert, defaults=_BERT_DEFAULTS),
    "GPT2Tokenizer": Known(builds=_build_gpt2, defaults=_GPT2_DEFAULTS),
    "RobertaTokenizer": Known(builds=_build_roberta, defaults=_ROBERTA_DEFAULTS),
    "Qwen2Tokenizer": Known(builds=_build_qwen2, defaults=_QWEN2_DEFAULTS, bare=True),
    "LlamaTokenizer": Known(builds=_build_llama, defaults=_LLAMA_DEFAULTS),
    "XLMRobertaTokenizer": Known(builds=_build_xlm_roberta, defaults=_ROBERTA_DEFAULTS | {"add_prefix_space": True}),
}
"""The classes whose pipelines are known."""
