"""One text has one tokenization: what reads for the reference engine is held to AutoTokenizer on nasty texts."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer

from attnviz.errors import AttnvizError, ModelError, TextError
from attnviz.models.base import Card
from attnviz.models.checkpoint.families import FAMILIES
from attnviz.models.checkpoint.readers import choose_reader, find_reasons
from attnviz.models.checkpoint.tokenizer_class import find_class
from attnviz.models.checkpoint.tokenizer_pipeline import KNOWN
from attnviz.models.configuration import read_config
from attnviz.models.passages import Passage
from attnviz.models.pretrained.edge import quiet
from attnviz.models.pretrained.tokenizers import TransformersReader
from attnviz.models.tokenization import TextReader
from attnviz.text.boundaries import trim
from tests.interpreter import modules_after

CARD = Card(name="some model", purpose="", stacks={}, parameters=0, positions=None, config={})
Texts = list[tuple[str, str | None]]


@pytest.fixture(scope="module", autouse=True)
def quietly() -> Iterator[None]:
    """Keeps transformers quiet all along: to silence it and to let it speak again takes longer than most texts."""
    with quiet():
        yield


def reader_of(folder: Path) -> Any:
    return choose_reader("some model", folder, read_config(folder))


def theirs(folder: Path) -> Any:
    with quiet():
        return AutoTokenizer.from_pretrained(folder)


def check_alike(folder: Path, texts: Texts) -> Any:
    """Compare all that a reading says with what AutoTokenizer says; None where AutoTokenizer itself fails."""
    try:
        tokenizer = theirs(folder)
    except Exception:
        with pytest.raises(AttnvizError):
            reader_of(folder)
        return None
    reader = reader_of(folder)
    for text, pair in texts:
        try:
            given = tokenizer(text, pair, return_special_tokens_mask=True, return_offsets_mapping=True)
        except Exception:  # as of one that knows no token for what it does not know
            given = {}
        if not given.get("input_ids"):
            with pytest.raises(TextError if given else ModelError):
                reader.read(Passage(text=text, pair=pair), CARD)
            continue
        reading = reader.read(Passage(text=text, pair=pair), CARD)
        assert list(reading.ids) == given["input_ids"], (text, pair)
        assert list(reading.types) == given.get("token_type_ids", []), (text, pair)
        assert [token.added for token in reading.tokens] == [bool(m) for m in given["special_tokens_mask"]]
        numbers = given.sequence_ids()
        for token, span, number in zip(reading.tokens, given["offset_mapping"], numbers, strict=True):
            if not token.special:
                source = (text, pair)[number]
                claimed = source[slice(*span)]
                blank = token.piece == "</w>" or set(token.piece) <= set("▁ĠĊĉč")
                if blank and token.piece not in claimed:  # some tokenizers say that it is the letter after it
                    span = span[0], span[0] + len(claimed) - len(claimed.lstrip())
                start, end = trim(source, span)
                assert token.span == ((start, end) if start < end else tuple(span)), (text, pair)
                assert token.segment == number
    return reader


def test_what_is_known_is_read_without_transformers_and_as_it_reads(
    any_stored: str, stored: dict[str, Any], nasty: Texts, tmp_path: Path
) -> None:
    assert isinstance(check_alike(stored[any_stored].save(tmp_path), nasty), TextReader)


def test_every_class_of_the_table_is_held_to_transformers(stored: dict[str, Any], tmp_path: Path) -> None:
    held = set()
    for number, files in enumerate(stored.values()):
        (folder := tmp_path / str(number)).mkdir()
        files.save(folder)
        held.add(find_class(folder, read_config(folder), {"tokenizer_class": files.kind}))
    assert held == set(KNOWN)


def set_part(part: str, value: Callable[[], Any]) -> Callable[[Tokenizer], None]:
    return lambda made: setattr(made, part, value())


def set_model(**settings: Any) -> Callable[[Tokenizer], None]:
    def change(made: Tokenizer) -> None:
        for name, value in settings.items():
            if hasattr(made.model, name):
                setattr(made.model, name, value)

    return change


def sequence(first: Callable[[], Any], part: str) -> Callable[[Tokenizer], None]:
    def change(made: Tokenizer) -> None:
        kind = normalizers.Sequence if part == "normalizer" else pre_tokenizers.Sequence
        setattr(made, part, kind([first(), *([getattr(made, part)] if getattr(made, part) else [])]))

    return change


def template(single: str, pair: str) -> Callable[[Tokenizer], None]:
    def change(made: Tokenizer) -> None:
        made.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=[("the", 5)])

    return change


def rebuilt(kind: Any, **settings: Any) -> Callable[[Tokenizer], None]:
    """The same vocabulary in a model of another kind."""

    def change(made: Tokenizer) -> None:
        vocab = made.get_vocab(with_added_tokens=False)
        made.model = kind(vocab, **settings)

    return change


CHANGED_FILES: dict[str, Callable[[Tokenizer], None]] = {
    "no normalizer": set_part("normalizer", lambda: None),
    "nfc": set_part("normalizer", normalizers.NFC),
    "nfkc first": sequence(normalizers.NFKC, "normalizer"),
    "lowercase": set_part("normalizer", normalizers.Lowercase),
    "lowercase first": sequence(normalizers.Lowercase, "normalizer"),
    "prepend and replace": set_part(
        "normalizer", lambda: normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    ),
    "cased": set_part("normalizer", lambda: normalizers.BertNormalizer(lowercase=False)),
    "accents kept": set_part("normalizer", lambda: normalizers.BertNormalizer(strip_accents=False)),
    "chinese together": set_part("normalizer", lambda: normalizers.BertNormalizer(handle_chinese_chars=False)),
    "control kept": set_part("normalizer", lambda: normalizers.BertNormalizer(clean_text=False)),
    "no pre-tokenizer": set_part("pre_tokenizer", lambda: None),
    "whitespace": set_part("pre_tokenizer", pre_tokenizers.Whitespace),
    "whitespace split": set_part("pre_tokenizer", pre_tokenizers.WhitespaceSplit),
    "digits first": sequence(pre_tokenizers.Digits, "pre_tokenizer"),
    "single digits first": sequence(lambda: pre_tokenizers.Digits(individual_digits=True), "pre_tokenizer"),
    "punctuation": set_part("pre_tokenizer", pre_tokenizers.Punctuation),
    "bytes": set_part("pre_tokenizer", lambda: pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "bytes after a blank": set_part("pre_tokenizer", lambda: pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "bytes of all": set_part("pre_tokenizer", lambda: pre_tokenizers.ByteLevel(False, use_regex=False)),
    "blanks always": set_part("pre_tokenizer", lambda: pre_tokenizers.Metaspace(split=False)),
    "blanks never": set_part("pre_tokenizer", lambda: pre_tokenizers.Metaspace(prepend_scheme="never")),
    "another regex": set_part("pre_tokenizer", lambda: pre_tokenizers.Split(Regex(r"\d|\w+|\W"), "isolated")),
    "no post-processor": set_part("post_processor", lambda: None),
    "bytes after all": set_part("post_processor", lambda: processors.ByteLevel(trim_offsets=True)),
    "a word round it": template("the $A the", "the $A the $B:1 the:1"),
    "nothing round it": template("$A", "$A $B"),
    "short words": set_model(max_input_chars_per_word=7),
    "another prefix": set_model(continuing_subword_prefix="#"),
    "another unknown": set_model(unk_token="the"),
    "unknown together": set_model(fuse_unk=True),
    "whole words": set_model(ignore_merges=True),
    "fallback": set_model(byte_fallback=True),
    "no fallback": set_model(byte_fallback=False),
    "words as a model": rebuilt(models.WordLevel, unk_token="the"),
    "added, not special": lambda made: made.add_tokens(["Straße"]),
    "added, special": lambda made: made.add_special_tokens(["<new>", "Ça va"]),
    "the as special": lambda made: made.add_special_tokens(["the"]),
    "a mask that strips": lambda made: made.add_special_tokens([AddedToken("[MASK]", rstrip=True, special=True)]),
    "an end that strips": lambda made: made.add_special_tokens([AddedToken("</s>", lstrip=True, rstrip=True)]),
    "a start in words only": lambda made: made.add_special_tokens([AddedToken("<s>", single_word=True)]),
    "normalized specials": lambda made: made.add_special_tokens([AddedToken("[MASK]", normalized=True, special=True)]),
    "padded by a word": lambda made: made.enable_padding(pad_token="cat", pad_id=7),
    "cut": lambda made: made.enable_truncation(3),
}

CHANGED_CONFIGS: dict[str, dict[str, Any]] = {
    "split": {"split_special_tokens": True},
    "not split": {"split_special_tokens": False},
    "split, oddly": {"split_special_tokens": "yes"},
    "additional": {"additional_special_tokens": ["cat", "<new>"]},
    "extra": {"extra_special_tokens": ["the"]},
    "extra, named": {"extra_special_tokens": {"image_token": "Straße"}},
    "both": {"additional_special_tokens": ["cat"], "extra_special_tokens": ["the"]},
    "mask": {"mask_token": "cat"},
    "mask, new": {"mask_token": "<new mask>"},
    "mask, of its own kind": {
        "mask_token": {"__type": "AddedToken", "content": "[MASK]", "lstrip": True, "rstrip": True}
    },
    "no unknown": {"unk_token": None},
    "another unknown": {"unk_token": "the"},
    "another start": {"cls_token": "the", "bos_token": "the"},
    "another end": {"sep_token": "cat", "eos_token": "cat"},
    "another padding": {"pad_token": "cat"},
    "a token of its own": {"image_token": "cat"},
    "cased": {"do_lower_case": False},
    "accents": {"strip_accents": False},
    "accents off": {"strip_accents": True},
    "chinese": {"tokenize_chinese_chars": False},
    "blank before": {"add_prefix_space": True},
    "no blank before": {"add_prefix_space": False},
    "blank before, null": {"add_prefix_space": None},
    "legacy": {"legacy": True},
    "not trimmed": {"trim_offsets": False},
    "start and end": {"add_bos_token": True, "add_eos_token": True},
    "neither": {"add_bos_token": False, "add_eos_token": False},
    "types": {"model_input_names": ["input_ids", "token_type_ids"]},
    "no types": {"model_input_names": ["input_ids", "attention_mask"]},
    "names that are none": {"model_input_names": 5},
    "left": {"padding_side": "left", "truncation_side": "left"},
    "short": {"model_max_length": 3, "max_len": 3, "max_length": 2, "stride": 1, "truncation_strategy": "only_first"},
    "cleaned": {"clean_up_tokenization_spaces": True},
    "never split": {"never_split": ["the"], "do_basic_tokenize": False},
    "elsewhere": {"tokenizer_file": "/nowhere", "vocab_file": "/nowhere", "name_or_path": "google/umt5-small"},
    "of old": {"full_tokenizer_file": None, "special_tokens_map_file": "/nowhere", "sp_model_kwargs": {}},
    "said": {"chat_template": "{{ messages }}", "use_default_system_prompt": True, "processor_class": "AProcessor"},
    "kept": {"errors": "ignore", "backend": "tokenizers", "is_local": True, "local_files_only": False},
    "padded": {"pad_to_multiple_of": 8, "pad_token_type_id": 3, "spaces_between_special_tokens": False},
    "unheard of": {"unheard_of": 3},
    "regex": {"fix_mistral_regex": True},
    "added": {"added_tokens_decoder": {"5": {"content": "the", "special": True}}},
    "none added": {"added_tokens_decoder": {}},
    "added, far": {"added_tokens_decoder": {"999": {"content": "<new>", "special": True}}},
    "added, without sense": {"added_tokens_decoder": {"5": {"contents": "the"}}},
    "no class": {"tokenizer_class": None},
    "of no family": {"tokenizer_class": "PreTrainedTokenizerFast"},
    "bert's": {"tokenizer_class": "BertTokenizer"},
    "gpt2's": {"tokenizer_class": "GPT2Tokenizer"},
    "roberta's": {"tokenizer_class": "RobertaTokenizerFast"},
    "llama's": {"tokenizer_class": "LlamaTokenizerFast"},
    "camembert's": {"tokenizer_class": "CamembertTokenizer"},
    "t5's": {"tokenizer_class": "T5TokenizerFast"},
    "unknown": {"tokenizer_class": "NobodysTokenizer"},
}

OTHER_FILES: dict[str, dict[str, Any]] = {
    "added": {"added_tokens.json": {"<new>": 999}},
    "added words": {"added_tokens.json": {"cat": 7}},
    "nothing added": {"added_tokens.json": {}},
    "map": {"special_tokens_map.json": {"mask_token": "cat", "additional_special_tokens": ["the"]}},
    "map of kinds": {"special_tokens_map.json": {"mask_token": {"content": "cat", "lstrip": True}}},
    "map of extra": {"special_tokens_map.json": {"extra_special_tokens": [{"content": "the"}, "cat"]}},
    "map of more": {"special_tokens_map.json": {"add_prefix_space": True, "do_lower_case": False}},
    "map of ends": {"special_tokens_map.json": {"add_bos_token": True, "add_eos_token": True}},
    "model": {"config.json": {"tokenizer_class": "GPT2Tokenizer"}},
}


@pytest.mark.parametrize("change", CHANGED_FILES)
def test_another_pipeline_is_read_as_the_class_that_is_named_reads_it(
    one_of_each: str, change: str, stored: dict[str, Any], nasty: Texts, tmp_path: Path
) -> None:
    made = stored[one_of_each].tokenizer()
    CHANGED_FILES[change](made)
    check_alike(stored[one_of_each].save(tmp_path, made), nasty)


@pytest.mark.parametrize("change", CHANGED_CONFIGS)
def test_what_a_tokenizer_config_says_counts_as_it_does_in_transformers(
    one_of_each: str, change: str, stored: dict[str, Any], nasty: Texts, tmp_path: Path
) -> None:
    check_alike(stored[one_of_each].save(tmp_path, **CHANGED_CONFIGS[change]), nasty)


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("change", OTHER_FILES)
def test_the_files_beside_it_count_as_they_do_in_transformers(
    one_of_each: str, change: str, numbered: bool, stored: dict[str, Any], nasty: Texts, tmp_path: Path
) -> None:
    files = stored[one_of_each]
    files.save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    config = json.loads(path.read_text())
    if not numbered:
        config.pop("added_tokens_decoder", None)
    if "config.json" in OTHER_FILES[change]:
        del config["tokenizer_class"]
    path.write_text(json.dumps(config))
    for name, more in OTHER_FILES[change].items():
        before = json.loads((tmp_path / name).read_text()) if (tmp_path / name).exists() else {}
        (tmp_path / name).write_text(json.dumps(before | more))
    check_alike(tmp_path, nasty)


def test_special_tokens_stored_out_of_order_are_numbered_as_in_transformers(
    one_of_each: str, stored: dict[str, Any], nasty: Texts, tmp_path: Path
) -> None:
    made = stored[one_of_each].tokenizer()
    made.add_special_tokens(["<new>", "<newer>"])
    folder = stored[one_of_each].save(tmp_path, made)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("added_tokens_decoder", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    written = json.loads((folder / "tokenizer.json").read_text())
    written["added_tokens"].reverse()
    (folder / "tokenizer.json").write_text(json.dumps(written))
    check_alike(folder, [*nasty, ("<new> or <newer>", None)])


def test_a_file_for_this_version_of_transformers_is_read_instead(
    one_of_each: str, stored: dict[str, Any], nasty: Texts, tmp_path: Path
) -> None:
    made = stored[one_of_each].tokenizer()
    made.add_special_tokens(["cat"])
    made.save(str(tmp_path / "tokenizer.5.0.0.json"))
    check_alike(stored[one_of_each].save(tmp_path, fast_tokenizer_files=["tokenizer.5.0.0.json"]), nasty)


NAMES = [None, "PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend", "BertTokenizer", "T5Tokenizer"]
NAMES += ["BertTokenizerFast", "ElectraTokenizer", "DistilBertTokenizerFast", "GPT2Tokenizer", "RobertaTokenizerFast"]
NAMES += ["LlamaTokenizer", "LlamaTokenizerFast", "XLMRobertaTokenizer", "CamembertTokenizerFast", "Qwen2TokenizerFast"]
NAMES += ["BartTokenizer", "NobodysTokenizer", "BloomTokenizerFast"]


@pytest.mark.parametrize("where", ["tokenizer_config.json", "config.json"])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_class_that_is_taken_without_asking_is_the_one_that_transformers_takes(
    model_type: str, where: str, stored: dict[str, Any], tmp_path: Path
) -> None:
    told = set()
    for made in ("gpt2", "xlm-roberta"):
        stored[made].tokenizer().save(str(tmp_path / "tokenizer.json"))
        for name in NAMES:
            config = {"model_type": model_type}
            given = {} if where == "config.json" else {"tokenizer_class": name}
            config |= {"tokenizer_class": name} if where == "config.json" and name else {}
            (tmp_path / "tokenizer_config.json").write_text(json.dumps(given))
            (tmp_path / "config.json").write_text(json.dumps(config))
            taken = find_class(tmp_path, config, given)
            try:
                expected = type(theirs(tmp_path)).__name__
            except Exception:  # as of a class that cannot be made from such a vocabulary
                continue
            assert taken in (None, expected), name
            told.add(taken)
    assert told - {None}


def test_a_tokenizer_is_loaded_without_torch_where_its_class_is_known(stored: dict[str, Any], tmp_path: Path) -> None:
    made = stored["gpt2"].tokenizer()
    made.normalizer = normalizers.Lowercase()
    stored["gpt2"].save(tmp_path, made)
    loaded = modules_after(
        "from pathlib import Path; from attnviz.models.checkpoint.readers import choose_reader\n"
        f"reader = choose_reader('some', Path({str(tmp_path)!r}), {{'model_type': 'gpt2'}})\n"
        "assert type(reader).__name__ == 'TransformersReader', reader"
    )
    assert "transformers" in loaded and "torch" not in loaded


def test_a_vocabulary_without_a_tokenizer_json_is_read(stored: dict[str, Any], nasty: Texts, tmp_path: Path) -> None:
    vocabulary = stored["bert"].tokenizer().get_vocab()
    stored["bert"].save(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)))
    assert isinstance(check_alike(tmp_path, nasty), TransformersReader)


@pytest.mark.parametrize(
    ("model_type", "kind", "name"),
    [
        ("llama", "LlamaTokenizer", "tokenizer.model"),
        ("mistral", "LlamaTokenizer", "tokenizer.model"),
        ("xlm-roberta", "XLMRobertaTokenizer", "sentencepiece.bpe.model"),
        ("camembert", "CamembertTokenizer", "sentencepiece.bpe.model"),
        ("t5", "T5Tokenizer", "spiece.model"),
        ("deberta-v2", "DebertaV2Tokenizer", "spm.model"),
    ],
)
def test_a_sentencepiece_model_alone_is_read(
    model_type: str, kind: str, name: str, sentencepiece_model: bytes, nasty: Texts, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}))
    (tmp_path / name).write_bytes(sentencepiece_model)
    reader = check_alike(tmp_path, nasty)
    assert reader is not None
    tokens = reader.read(Passage(text="the cat"), CARD).tokens
    assert "".join(token.text for token in tokens if not token.special).replace("␣", "") == "thecat"


def test_without_any_tokenizer_it_is_said_that_there_is_none(stored: dict[str, Any], tmp_path: Path) -> None:
    stored["bert"].save(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="has no tokenizer"):
        reader_of(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
def test_a_damaged_file_is_refused(name: str, stored: dict[str, Any], tmp_path: Path) -> None:
    stored["bert"].save(tmp_path)
    (tmp_path / name).write_text('{"')
    with pytest.raises(ModelError, match="not valid JSON"):
        reader_of(tmp_path)


@pytest.mark.parametrize(
    ("of", "change", "config", "why"),
    [
        ("gpt2", normalizers.NFC, {}, "GPT2Tokenizer builds another normalizer"),
        ("llama", normalizers.Lowercase, {}, "LlamaTokenizer builds another normalizer"),
        ("bert", None, {"do_lower_case": False}, "BertTokenizer builds another normalizer"),
        ("roberta", None, {"add_prefix_space": True}, "RobertaTokenizer builds another pre_tokenizer"),
        ("bert", None, {"mask_token": "cat"}, "'cat' is no special token in tokenizer.json"),
        (
            "llama 2",
            None,
            {"added_tokens_decoder": {"1": {"content": "<new>"}}},
            "added_tokens_decoder has other tokens",
        ),
        ("llama 3", None, {"fix_mistral_regex": True}, "tokenizer_config.json sets fix_mistral_regex"),
    ],
)
def test_why_a_tokenizer_json_may_not_say_all_is_known(
    of: str, change: Callable[[], Any] | None, config: dict[str, Any], why: str, stored: dict[str, Any], tmp_path: Path
) -> None:
    made = stored[of].tokenizer()
    if change is not None:
        made.normalizer = change()
    folder = stored[of].save(tmp_path, made, **config)
    given = json.loads((folder / "tokenizer_config.json").read_text())
    kind = find_class(folder, read_config(folder), given)
    assert kind is not None
    assert why in next(find_reasons(folder, given, made, kind))
    assert isinstance(reader_of(folder), TransformersReader)
