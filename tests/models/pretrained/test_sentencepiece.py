"""A translation model with SentencePiece tokenizers, which say nothing of where their pieces stand in a text."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from attnviz.errors import UsageError
from attnviz.models.loading import Loading
from attnviz.models.passages import Passage
from attnviz.models.pretrained import load
from attnviz.models.pretrained.edge import quiet
from attnviz.text import By
from attnviz.vocabulary import Kind

LINES = {
    "source": ["The animal didn't cross the street because it was too tired.", "the cat sat on the mat"],
    "target": ["Das Tier überquerte die Straße nicht, weil es zu müde war.", "die Katze saß auf der Matte"],
}
SPECIAL = ("<s>", "</s>", "<unk>")


def trained(folder: Path, side: str) -> list[str]:
    """A SentencePiece model of one language; its pieces."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES[side] * 20),
        model_writer=written,
        vocab_size=60,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
    )
    (folder / f"{side}.spm").write_bytes(written.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    pieces = map(processor.id_to_piece, range(processor.get_piece_size()))
    return [piece for piece in pieces if piece not in SPECIAL]


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("marian")
    pieces = ["</s>", "<unk>", *dict.fromkeys(trained(folder, "source") + trained(folder, "target")), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({piece: index for index, piece in enumerate(pieces)}))
    written = {"source_lang": "en", "target_lang": "de", "tokenizer_class": "MarianTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(written))
    sizes = {"d_model": 24, "encoder_layers": 3, "decoder_layers": 2, "encoder_ffn_dim": 37, "decoder_ffn_dim": 37}
    heads = {"encoder_attention_heads": 3, "decoder_attention_heads": 3, "max_position_embeddings": 64}
    last = len(pieces) - 1
    special = {"pad_token_id": last, "decoder_start_token_id": last, "eos_token_id": 0, "forced_eos_token_id": 0}
    torch.manual_seed(3)
    with quiet():
        config = transformers.MarianConfig(vocab_size=len(pieces), **sizes, **heads, **special)
        transformers.MarianMTModel(config).save_pretrained(folder)
    return load("marian", folder, Loading())


def test_pieces_show_the_text_that_they_cover_a_lone_blank_as_a_blank(marian: Any) -> None:
    text = "The animal 東京 didn't cross"
    tokens = marian.read(Passage(text=text, target="Das Tier war müde")).tokens
    assert tokens[-1].special
    spans = [token.span for token in tokens[:-1]]
    assert spans == sorted(spans)
    covered = {index for start, end in spans for index in range(start, end)}
    assert covered >= {index for index, char in enumerate(text) if char != " "}
    for token in tokens[:-1]:
        start, end = token.span
        assert token.text == (text[start:end].strip() or "␣")
    assert "東京" in [token.text for token in tokens]  # of which the vocabulary knows nothing


def test_words_are_whole_again_as_groups_in_both_languages(marian: Any) -> None:
    encoder, decoder, cross = marian.attend("The animal didn't cross", target="Das Tier war müde", by=By.WORD)
    assert [group.text for group in encoder.key_tokens if group.word is not None] == [
        "The",
        "animal",
        "didn't",
        "cross",
    ]
    target = [group.text for group in decoder.query_tokens if group.word is not None]
    assert target == ["Das", "Tier", "war", "müde"]
    assert (decoder.query_tokens[0].text, decoder.query_tokens[0].special) == ("<pad>", True)
    assert cross.kind is Kind.CROSS
    assert cross.key_tokens == encoder.key_tokens


def test_what_it_writes_has_tokens_that_make_up_its_text(marian: Any) -> None:
    reading = marian.read(Passage(text="the cat sat", max_new_tokens=7))
    assert reading.passage.written
    assert reading.target is not None
    start, *written = reading.target.tokens
    assert start.text == "<pad>"
    assert len(written) <= 7
    ends = [token.span[1] for token in written if token.span]
    assert ends == sorted(ends)
    assert max(ends, default=0) <= len(reading.passage.target)


@pytest.fixture(scope="module")
def m2m_100(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("m2m")
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *trained(folder, "source")]
    (folder / "source.spm").rename(folder / "sentencepiece.bpe.model")
    (folder / "vocab.json").write_text(json.dumps({piece: index for index, piece in enumerate(pieces)}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "M2M100Tokenizer", "src_lang": "en"}))
    sizes = {"d_model": 24, "encoder_layers": 3, "decoder_layers": 2, "encoder_ffn_dim": 37, "decoder_ffn_dim": 37}
    heads = {"encoder_attention_heads": 3, "decoder_attention_heads": 3, "max_position_embeddings": 64}
    special = {"decoder_start_token_id": 2, "pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0}
    torch.manual_seed(3)
    with quiet():
        config = transformers.M2M100Config(vocab_size=len(pieces) + 150, **sizes, **heads, **special)
        transformers.M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_languages_are_special_tokens_at_the_head_of_what_is_read_and_written(m2m_100: Path) -> None:
    model = load("m2m", m2m_100, Loading(source_language="de", target_language="fr"))
    for target in ("the mat", None):
        reading = model.read(Passage(text="the cat", target=target, max_new_tokens=4))
        assert reading.target is not None
        assert [token.text for token in reading.tokens if token.special] == ["__de__", "</s>"]
        assert [(token.text, token.special) for token in reading.target.tokens[:2]] == [
            ("</s>", True),
            ("__fr__", True),
        ]
        assert "__" not in reading.passage.target
    assert "".join(token.text for token in reading.tokens[1:-1]).replace("␣", "") == "thecat"


def test_a_language_must_be_chosen_and_known(m2m_100: Path) -> None:
    with pytest.raises(UsageError, match="`target_language`"):
        load("m2m", m2m_100, Loading()).read(Passage(text="the cat"))
    with pytest.raises(UsageError, match="does not know the language 'xx', only: af"):
        load("m2m", m2m_100, Loading(target_language="xx"))
