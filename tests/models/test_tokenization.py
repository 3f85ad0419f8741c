"""What tokens show: the text that they cover, however a tokenizer writes its pieces."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from attnviz.errors import ModelError, TextError
from attnviz.models import lengths
from attnviz.models.base import Card
from attnviz.models.lengths import cut, fit_length
from attnviz.models.passages import Overlong, Passage
from attnviz.models.token_names import Vocabulary
from attnviz.models.tokenization import TextReader, tokenize_written
from attnviz.text import By, group_tokens

CARD = Card(name="some model", purpose="", stacks={}, parameters=0, positions=31, config={})


def byte_level(*merges: tuple[str, str]) -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*alphabet, *("".join(merge) for merge in merges)]
    made = Tokenizer(models.BPE({name: index for index, name in enumerate(names)}, list(merges)))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def sentence_piece(*pieces: str) -> Tokenizer:
    made = Tokenizer(models.Unigram([("<unk>", 0.0), *((piece, -1.0) for piece in pieces)], 0, False))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    return made


def llama() -> Tokenizer:
    """Blanks as `▁` by normalisation, as Llama 2 has it, and bytes for what the vocabulary lacks."""
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "t", "h", "e", "▁t", "▁th", "▁the"]
    merges = [("▁", "t"), ("▁t", "h"), ("▁th", "e")]
    made = Tokenizer(
        models.BPE({p: i for i, p in enumerate(pieces)}, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return made


def with_blank_before(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer


def fused() -> Tokenizer:
    return Tokenizer(models.BPE({"<unk>": 0, "c": 1}, [], unk_token="<unk>", fuse_unk=True))


def word_piece() -> Tokenizer:
    names = ["[UNK]", "un", "##seen", "##ab", "cat", "##s"]
    made = Tokenizer(models.WordPiece({name: index for index, name in enumerate(names)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


def shown(tokenizer: Tokenizer, text: str, folder: Path) -> list[str]:
    return [token.text for token in read(tokenizer, folder, text=text).tokens]


def read(tokenizer: Tokenizer, folder: Path, **passage: Any):
    tokenizer.save(str(folder / "tokenizer.json"))
    return TextReader(folder / "tokenizer.json").read(Passage(**passage), CARD)


@pytest.mark.parametrize(
    ("tokenizer", "text", "expected"),
    [
        (byte_level(("Ġ", "c"), ("a", "t")), "a cat", ["a", "c", "at"]),
        (byte_level(("c", "a"), ("ca", "t"), ("Ġ", "cat")), "a cat", ["a", "cat"]),
        (byte_level(), "é", ["é", "é"]),  # two bytes of one character
        (byte_level(), "🙂!", ["🙂"] * 4 + ["!"]),
        (byte_level(), "a\n b", ["a", "⏎", "␣", "b"]),
        (sentence_piece("▁the", "▁c", "at", "▁"), "the cat", ["the", "c", "at"]),
        (llama(), "the the", ["the", "the"]),
        (llama(), "the é", ["the", "␣", "é", "é"]),
        (word_piece(), "Unseen CATS", ["Un", "seen", "CAT", "S"]),
        (word_piece(), "unséen 東", ["un", "séen", "東"]),
    ],
)
def test_tokens_show_the_text_that_they_cover(tokenizer, text, expected, tmp_path):
    assert shown(tokenizer, text, tmp_path) == expected


def test_a_word_in_bytes_is_whole_again_as_a_group(tmp_path):
    tokens = read(byte_level(), tmp_path, text="naïve 🙂 cat").tokens
    assert [group.text for group in group_tokens(tokens, By.WORD).tokens if group.word is not None] == [
        "naïve",
        "🙂",
        "cat",
    ]


@pytest.mark.parametrize(
    ("tokenizer", "text", "expected"),
    [
        (sentence_piece("▁The", "▁", "c", "at"), "cat", [("␣", (0, 0)), ("c", (0, 1)), ("at", (1, 3))]),
        (
            sentence_piece("▁The", "▁", "c", "at"),
            "The cat",
            [("The", (0, 3)), ("␣", (3, 4)), ("c", (4, 5)), ("at", (5, 7))],
        ),
        (sentence_piece("▁", "▁▁", "c"), "▁c", [("▁", (0, 1)), ("c", (1, 2))]),
        (llama(), "é", [("␣", (0, 0)), ("é", (0, 1)), ("é", (0, 1))]),
        (with_blank_before(byte_level()), "a b", [("␣", (0, 0)), ("a", (0, 1)), ("␣", (1, 2)), ("b", (2, 3))]),
    ],
    ids=["at the start", "between", "written", "before bytes", "byte level"],
)
def test_a_piece_that_is_only_a_blank_claims_no_letter(tokenizer, text, expected, tmp_path):
    tokens = read(tokenizer, tmp_path, text=text).tokens
    assert [(token.text, token.span) for token in tokens] == expected


def with_special_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """`[CLS]` before a text and `[SEP]` after it."""
    tokenizer.add_special_tokens(["[CLS]", "[SEP]", "[UNK]"])
    special = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    return tokenizer


def test_a_special_token_is_special_wherever_it_comes_from(tmp_path):
    reading = read(with_special_tokens(word_piece()), tmp_path, text="cat [SEP] cat 東 [UNK]")
    shown = [(token.text, token.span, token.special, token.added) for token in reading.tokens]
    assert shown == [
        ("[CLS]", None, True, True),
        ("cat", (0, 3), False, False),
        ("[SEP]", None, True, False),
        ("cat", (10, 13), False, False),
        ("東", (14, 15), False, False),
        ("[UNK]", None, True, False),
        ("[SEP]", None, True, True),
    ]
    assert reading.warnings == ()


def test_a_token_knows_its_id_its_name_and_whether_it_is_unknown(tmp_path):
    tokenizer = with_special_tokens(word_piece())
    reading = read(tokenizer, tmp_path, text="unseen 東")
    assert tuple(token.id for token in reading.tokens) == reading.ids
    assert [token.piece for token in reading.tokens] == ["[CLS]", "un", "##seen", "[UNK]", "[SEP]"]
    assert [token.unknown for token in reading.tokens] == [False, False, False, True, False]
    assert reading.tokens[3].label == "[UNK] 東"
    word = group_tokens(reading.tokens, By.WORD).tokens[1]
    assert (word.text, word.id, word.piece, word.unknown) == ("unseen", None, None, False)


@pytest.mark.parametrize(
    "tokenizer", [sentence_piece("▁c"), word_piece(), fused()], ids=["Unigram", "WordPiece", "BPE"]
)
def test_what_a_vocabulary_lacks_is_unknown_in_every_kind_of_model(tokenizer, tmp_path):
    tokens = read(tokenizer, tmp_path, text="東").tokens
    assert [token.text for token in tokens if token.unknown] == ["東"]


def test_bytes_are_never_unknown(tmp_path):
    assert not any(token.unknown for token in read(llama(), tmp_path, text="東").tokens)


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("[CLS] cat", ["[CLS] stands twice at the beginning"]),
        (" [CLS] cat [SEP]", ["[CLS] stands twice at the beginning", "[SEP] stands twice at the end"]),
        ("cat [CLS] cat", []),
        ("[SEP] cat", []),
    ],
)
def test_a_special_token_that_is_both_written_and_added_is_said(text, warnings, tmp_path):
    found = read(with_special_tokens(word_piece()), tmp_path, text=text).warnings
    assert [warning.partition(":")[0] for warning in found] == warnings


def test_a_tokenizer_that_adds_the_same_token_twice_means_it(tmp_path):
    tokenizer = with_special_tokens(word_piece())
    special = [("[CLS]", tokenizer.token_to_id("[CLS]"))]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] [CLS] $A", special_tokens=special)
    assert read(tokenizer, tmp_path, text="cat").warnings == ()


def test_no_tokens_are_added_to_a_text_if_so_asked(tmp_path):
    tokenizer = with_special_tokens(word_piece())
    reading = read(tokenizer, tmp_path, text="[CLS] cat", added_tokens=False)
    assert [(token.text, token.special) for token in reading.tokens] == [("[CLS]", True), ("cat", False)]
    assert reading.warnings == ()


def test_the_second_of_two_texts_has_spans_and_words_of_its_own(tmp_path):
    reading = read(word_piece(), tmp_path, text="cats cat", pair="unseen cat")
    assert [(t.text, t.segment, t.span, t.word) for t in reading.tokens] == [
        ("cat", 0, (0, 3), 0),
        ("s", 0, (3, 4), 0),
        ("cat", 0, (5, 8), 1),
        ("un", 1, (0, 2), 0),
        ("seen", 1, (2, 6), 0),
        ("cat", 1, (7, 10), 1),
    ]


def test_a_second_text_that_is_empty_is_refused(tmp_path):
    with pytest.raises(TextError, match="empty"):
        read(word_piece(), tmp_path, text="cat", pair=" ")


def test_what_no_tokenizer_makes_a_token_of_is_refused(tmp_path):
    with pytest.raises(TextError, match="has no tokens for"):
        read(word_piece(), tmp_path, text="\u200b")


@pytest.mark.parametrize("content", ["", "{}", '{"model": 3}', "\x00"])
def test_a_file_that_is_no_tokenizer_is_refused(content, tmp_path):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read"):
        TextReader(tmp_path / "tokenizer.json").read(Passage(text="cat"), CARD)


def test_a_tokenizer_is_read_from_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")  # as Latin-1 writes it, which is not UTF-8
    folder.mkdir()
    path = folder / "tokenizer.json"
    path.write_text(byte_level().to_str(), encoding="utf-8")
    assert [token.text for token in TextReader(path).read(Passage(text="at"), CARD).tokens] == ["a", "t"]


def test_a_blank_that_begins_what_was_written_shares_nothing_with_what_follows() -> None:
    pieces = {1: " ", 2: "o", 3: "li", 4: " vi"}

    def decode(ids: Sequence[int]) -> str:
        return "".join(pieces[id_] for id_ in ids).lstrip()

    text, tokens = tokenize_written(Vocabulary(str, ()), decode, [1, 2, 3, 4], 1)
    assert text == "oli vi"
    assert [token.span for token in tokens] == [(0, 0), (0, 1), (1, 3), (4, 6)]


@pytest.mark.parametrize(
    "tokenizer",
    [
        byte_level(("Ġ", "t"), ("h", "e"), ("a", "a"), ("aa", "aa")),
        with_blank_before(byte_level(("Ġ", "t"), ("Ġt", "he"), ("h", "e"))),
        sentence_piece("▁the", "▁", "a", "aa", "the", "un", "seen", "▁unseen"),
        llama(),
        word_piece(),
        fused(),
    ],
    ids=["byte level", "blank before", "sentence piece", "llama", "word piece", "fused"],
)
@given(words=st.lists(st.sampled_from(["the", "unseen", "aaa", "é", "🙂", "cat.", "\n", " ", "a" * 131]), min_size=1))
def test_a_long_text_is_cut_to_the_tokens_with_which_all_of_it_begins(tokenizer: Tokenizer, words: list[str]) -> None:
    reader, few = TextReader(tokenizer), replace(CARD, positions=7)
    passage = Passage(text=("x " + " ".join(words)) * 31, overlong=Overlong.CUT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lengths, "_SOON_READ", 0)
        found = fit_length(reader.read(passage, few), few)
    whole = cut(reader.read(passage, replace(CARD, positions=None)), 7)
    assert (found.ids, found.tokens) == (whole.ids, whole.tokens)
    assert [token.sentence for token in found.tokens] == [token.sentence for token in whole.tokens]
    assert found.passage is passage
