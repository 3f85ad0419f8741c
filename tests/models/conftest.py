"""Tokenizers as the hub has them, small, one for each class of transformers whose pipeline is known."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from attnviz.records import Block, Selection
from attnviz.vocabulary import Kind

LINES = ["the animal did not cross the street because it was too tired", "The cat sat; Ça va, Straße? 10 1234 ½ cats"]
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

NASTY = [
    "the animal, did it cross?",
    *(" the cat", "the cat ", "  the   cat  ", "\tthe\tcat", "the\ncat", "the\r\n\r\n cat\n", "the\u00a0cat\u2028sat"),
    *("</s>\nHi", "<s>", "<s> the", "the<s>cat</s>", "</s></s> x", "<unk> <pad>", "a <mask> cat", "a<mask> cat"),
    *(
        "[MASK]",
        "the [MASK] sat",
        "[CLS] the [SEP] cat",
        "[mask]",
        "[ MASK ]",
        "<|endoftext|>the",
        "<|im_start|>user\nHi",
    ),
    *("½", "½ cup of ﬁsh", "Cafe\u0301", "Café", "e\u0301e\u0301", "\u0301", "a\u0301\u0302\u0303", "Ⅳ ① Å ﷺ"),
    *("東京都", "東京 and the cat", "العَرَبِيَّة", "हिन्दी", "שָׁלוֹם", "ไทย", "한국어", "İstanbul", "STRASSE Straße ẞ"),
    *("👩‍👩‍👧", "🙂!", "👍🏽 ok", "\u200b", "the\u200bcat", "a\u00adb", "\ufeffthe cat", "\u202ecat"),
    *("0", "1234567890", "3.14 10,000", "a1b2", "the\x00cat", "\x07the\x1b[31m", "\x7f\x85", "\ufffd"),
    *("▁", "▁the", "the▁cat", "##s", "Ġthe", "<0x41>", "@@", "$A", "don't I'LL we've", "_the_", "--- ... ;;"),
    *("a" * 101, "the" * 7, "x " * 7, "ab" * 51 + " the"),  # a word piece has at most 100 characters
]
"""Texts on which tokenizers that are nearly alike differ."""

PAIRS = [("the cat", "it sat"), (" the", "\ncat "), ("</s>", "<s>"), ("½", "Cafe\u0301"), ("the [MASK]", "<mask> it")]


@dataclass(frozen=True)
class Stored:
    """Files as the hub has them: tokenizer.json, what tokenizer_config.json says, and the type of the model."""

    kind: str
    model_type: str
    tokenizer: Callable[[], Tokenizer]
    config: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path, made: Tokenizer | None = None, **more: Any) -> Path:
        """Write the files, what tokenizer_config.json says being changed by `more`."""
        (made or self.tokenizer()).save(str(folder / "tokenizer.json"))
        config = {"tokenizer_class": self.kind} | self.config | more
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        (folder / "config.json").write_text(json.dumps({"model_type": self.model_type}))
        return folder


def word_piece() -> Tokenizer:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = sorted({char for line in (*LINES, *NASTY[:8]) for char in line.lower() if not char.isspace()})
    words = ["the", "cat", "##s", "sat", "did", "##ed", "東", "京", "the", "cafe", "café", "The", "İ", "strasse"]
    names = list(dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *words]))
    made = Tokenizer(models.WordPiece({name: index for index, name in enumerate(names)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.add_special_tokens(special)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.enable_truncation(5)
    made.enable_padding(length=23)
    return made


def byte_level(*special: str | AddedToken) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=311, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(LINES, trainer)
    return made


def gpt2() -> Tokenizer:
    made = byte_level("<|endoftext|>")
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    return made


def roberta() -> Tokenizer:
    made = byte_level("<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, special=True))
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    return made


def qwen2() -> Tokenizer:
    made = byte_level()
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    made.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    made.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return made


def fallback() -> Tokenizer:
    """Blanks as `▁`, and a byte for what the vocabulary lacks: Llama 2 as transformers 5 saves it."""
    letters = sorted({char for line in LINES for char in line if char.isascii() and char != " "})
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *letters]
    merges = [("▁", "t"), ("▁t", "h"), ("▁th", "e"), ("▁", "c"), ("a", "t"), ("▁c", "at"), ("l", "l"), ("▁", "▁")]
    pieces += ["".join(merge) for merge in merges]
    made = Tokenizer(
        models.BPE({p: i for i, p in enumerate(pieces)}, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    return made


def llama2() -> Tokenizer:
    """The same as the hub has it: blanks by normalisation."""
    made = fallback()
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.pre_tokenizer = None
    return made


def llama3() -> Tokenizer:
    made = byte_level("<|begin_of_text|>", "<|im_start|>")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}{1,3}|\p{L}+|[^\p{L}\p{N}]+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A",
        pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
        special_tokens=[("<|begin_of_text|>", 0)],
    )
    return made


@cache
def trained() -> bytes:
    """A SentencePiece model."""
    import sentencepiece

    written = io.BytesIO()
    sizes = {"vocab_size": 60, "hard_vocab_limit": False, "minloglevel": 3}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(LINES * 20), model_writer=written, **sizes)
    return written.getvalue()


@cache
def charsmap() -> bytes:
    """What SentencePiece normalises texts with."""
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(trained())
    return bytes(proto.normalizer_spec.precompiled_charsmap)


def unigram(special: list[str], unknown: int) -> Tokenizer:
    letters = sorted({char for line in LINES for char in line if char != " "} - {"½"})
    pieces = [*special, "▁", "▁the", "▁cat", "at", "he", "▁1", "⁄", *letters, "東"]
    made = Tokenizer(models.Unigram([(piece, -float(len(special) < i)) for i, piece in enumerate(pieces)], unknown))
    made.normalizer = normalizers.Precompiled(charsmap())
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    made.decoder = decoders.Metaspace()
    made.add_special_tokens([*special[:-1], AddedToken(special[-1], lstrip=True, special=True)])
    return made


def xlm_roberta() -> Tokenizer:
    made = unigram(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], 3)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return made


def numbered(made: Tokenizer) -> dict[str, Any]:
    """What tokenizer_config.json says of the special tokens."""
    tokens = made.get_added_tokens_decoder()
    return {"added_tokens_decoder": {str(id_): token.__getstate__() for id_, token in tokens.items()}}


GPT = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}

STORED = {
    "bert": Stored("BertTokenizer", "bert", word_piece, {"do_lower_case": True, "model_max_length": 512}),
    "distilbert": Stored("DistilBertTokenizerFast", "distilbert", word_piece),
    "electra": Stored("ElectraTokenizer", "electra", word_piece),
    "gpt2": Stored("GPT2TokenizerFast", "gpt2", gpt2, GPT | {"add_prefix_space": False}),
    "roberta": Stored("RobertaTokenizer", "roberta", roberta, {"trim_offsets": True}),
    "qwen2": Stored("Qwen2Tokenizer", "qwen2", qwen2, numbered(qwen2()) | {"bos_token": None}),
    "qwen3": Stored("PreTrainedTokenizerFast", "qwen3", qwen2, numbered(qwen2())),
    "llama": Stored("LlamaTokenizer", "llama", fallback, numbered(fallback()) | {"legacy": False}),
    "llama 2": Stored("PreTrainedTokenizerFast", "llama", llama2),
    "llama 3": Stored("PreTrainedTokenizerFast", "llama", llama3, {"bos_token": "<|begin_of_text|>"}),
    "llama 3, misnamed": Stored("LlamaTokenizerFast", "llama", llama3),
    "mistral": Stored("LlamaTokenizer", "mistral", llama2, {"add_bos_token": True, "legacy": True}),
    "xlm-roberta": Stored("XLMRobertaTokenizer", "xlm-roberta", xlm_roberta),
    "camembert, as stored": Stored("PreTrainedTokenizerFast", "camembert", xlm_roberta),
}
"""Files whose tokenizer.json is known to say all."""

ONE_OF_EACH = ("bert", "gpt2", "roberta", "qwen2", "llama", "xlm-roberta", "qwen3", "llama 2")
"""Of each class one, and two of the class that leaves all as it is stored."""


@pytest.fixture(scope="session")
def stored() -> dict[str, Stored]:
    """The files, by what they are for."""
    return STORED


@pytest.fixture(scope="session")
def sentencepiece_model() -> bytes:
    """A file of SentencePiece."""
    return trained()


@pytest.fixture(scope="session")
def nasty() -> list[tuple[str, str | None]]:
    """Texts and pairs on which tokenizers that are nearly alike differ."""
    return [*((text, None) for text in NASTY), *PAIRS]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "any_stored" in metafunc.fixturenames:
        metafunc.parametrize("any_stored", STORED)
    if "one_of_each" in metafunc.fixturenames:
        metafunc.parametrize("one_of_each", ONE_OF_EACH)


@pytest.fixture
def layers_handed_over() -> Callable[..., dict[Kind, list[int]]]:
    """The layers of each kind in the order of their blocks; one that comes again after another is there again."""

    def layers(model: Any, reading: Any, select: Selection | None = None) -> dict[Kind, list[int]]:
        seen: dict[Kind, list[int]] = {}

        def see(block: Block) -> None:
            assert len(block.weights) == 1
            assert block.weights.shape[1:] == (len(block.heads), len(block.rows), len(block.keys))
            own = seen.setdefault(block.kind, [])
            if own[-1:] != [block.layer]:
                own.append(block.layer)

        model.run([reading], select or Selection(), see)
        return seen

    return layers
