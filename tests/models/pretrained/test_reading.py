from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attnviz.errors import ModelError, TextError, UsageError
from attnviz.models.loading import Loading
from attnviz.models.passages import Passage
from attnviz.models.pretrained import load
from attnviz.models.pretrained.edge import quiet
from attnviz.text import By, Token

TEXT = "the animal, did it cross"
Models = Callable[[str], Any]


def shown(tokens: tuple[Token, ...]) -> list[str]:
    return [token.text for token in tokens]


class TestTexts:
    def test_a_token_stands_for_the_characters_that_the_tokenizer_says(self, model_of: Models) -> None:
        reading = model_of("bert").read(Passage(text=TEXT))
        assert shown(reading.tokens) == ["[CLS]", "the", "animal", ",", "did", "it", "cross", "[SEP]"]
        assert [token.span for token in reading.tokens[1:3]] == [(0, 3), (4, 10)]
        assert [token.special for token in reading.tokens] == [True, *[False] * 6, True]

    def test_an_unknown_word_is_shown_as_it_stands_in_the_text(self, model_of: Models) -> None:
        assert shown(model_of("bert").read(Passage(text="the zebra")).tokens) == ["[CLS]", "the", "zebra", "[SEP]"]

    def test_it_is_said_to_be_unknown(self, model_of: Models) -> None:
        tokens = model_of("bert").read(Passage(text="the zebra")).tokens
        assert [token.unknown for token in tokens] == [False, False, True, False]
        assert [token.label for token in tokens] == ["[CLS]", "the", "[UNK] zebra", "[SEP]"]
        assert [(token.id, token.piece) for token in tokens][1:3] == [(4, "the"), (1, "[UNK]")]

    def test_a_special_token_that_is_written_is_special(self, model_of: Models) -> None:
        (attention,) = model_of("bert").attend("the [SEP] animal [UNK] it")
        assert shown(attention.without_special().key_tokens) == ["the", "animal", "it"]

    def test_a_pair_has_segments_and_token_types(self, model_of: Models) -> None:
        reading = model_of("bert").read(Passage(text="the animal", pair="it was"))
        assert shown(reading.tokens) == ["[CLS]", "the", "animal", "[SEP]", "it", "was", "[SEP]"]
        assert [token.segment for token in reading.tokens if not token.special] == [0, 0, 1, 1]
        assert reading.types == (0, 0, 0, 0, 1, 1, 1)

    def test_token_types_that_a_model_has_no_embeddings_for_are_left_out(self, model_of: Models) -> None:
        sizes = model_of("distilbert").read(Passage(text="the animal", pair="it was"))
        assert len(model_of("distilbert").weights(sizes)) == 1

    def test_the_texts_of_a_pair_are_groups_by_segment(self, model_of: Models) -> None:
        model = model_of("bert")
        (attention,) = model.attend("the animal", "it was", by=By.SEGMENT)
        assert shown(attention.key_tokens) == ["[CLS]", "the animal", "[SEP]", "it was", "[SEP]"]

    @pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "gpt-j", "opt", "bart", "ctrl"])
    def test_a_text_longer_than_the_table_of_positions_is_refused(self, family: str, model_of: Models) -> None:
        model = model_of(family)
        special = len(model.read(Passage(text="a", target="a" if family == "bart" else None)).tokens) - 1
        fits = 63 if family == "roberta" else 64  # RoBERTa's table begins after the position for padding
        assert model.card.positions == fits
        model.attend("a " * (fits - special), target="a" if family == "bart" else None)
        with pytest.raises(TextError, match=rf"{fits + 1} tokens long.*reads at most {fits}\. Read only its beginning"):
            model.read(Passage(text="a " * (fits - special + 1), target="a" if family == "bart" else None))

    @pytest.mark.parametrize("family", ["llama", "bloom", "t5", "xlnet", "deberta-v2"])
    def test_a_text_may_be_any_length_where_positions_are_computed(self, family: str, model_of: Models) -> None:
        model = model_of(family)
        assert model.card.positions is None if family != "deberta-v2" else 64
        if model.card.positions is None:
            model.attend("a " * 70, target="a" if family == "t5" else None)

    @pytest.mark.parametrize("text", ["", " \n", "half \ud800"])
    def test_what_cannot_be_read_is_refused(self, text: str, model_of: Models) -> None:
        with pytest.raises(TextError):
            model_of("bert").read(Passage(text=text))
        with pytest.raises(TextError):
            model_of("bert").read(Passage(text="the", pair=text))
        with pytest.raises(TextError):
            model_of("t5").read(Passage(text="the", target=text))

    def test_a_tokenizer_that_does_not_fit_the_network_is_refused(
        self, folder_of: Callable[[str], Path], tmp_path: Path
    ) -> None:
        from transformers import BertConfig, BertModel

        config = BertConfig(
            vocab_size=11, hidden_size=24, num_hidden_layers=1, num_attention_heads=3, intermediate_size=37
        )
        with quiet():
            BertModel(config).save_pretrained(tmp_path)
        for file in folder_of("bert").glob("token*"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
        with pytest.raises(ModelError, match=r"do not fit: a token has the number \d+, and the network knows 11"):
            load("small", tmp_path, Loading()).read(Passage(text="a b c d e f g h"))


PIECES = ["▁The", "▁cat", "▁sa", "t", "▁", "o", "n", "▁the", "Q", "u", "a"]


class TestSentencePieces:
    """Fast tokenizers that say of a lone blank that it stands for the letter after it."""

    @pytest.mark.parametrize(
        ("name", "first", "text", "expected"),
        [
            ("T5Tokenizer", ["<pad>", "</s>", "<unk>"], "The cat sat on the", "The|cat|sa|t|␣|o|n|the"),
            ("XLMRobertaTokenizer", ["<s>", "<pad>", "</s>", "<unk>"], "Qua on", "␣|Q|u|a|␣|o|n"),
            ("MBartTokenizer", ["<s>", "<pad>", "</s>", "<unk>"], "Qua on", "␣|Q|u|a|␣|o|n"),
        ],
    )
    def test_a_lone_blank_shows_as_one_and_stands_for_nothing(
        self, name: str, first: list[str], text: str, expected: str
    ) -> None:
        import transformers

        from attnviz.models.pretrained.encoding import encode

        with quiet():
            tokenizer = getattr(transformers, name)(vocab=[(piece, -1.0) for piece in [*first, *PIECES, "<mask>"]])
            ids, tokens, _ = encode(tokenizer, text)
        own = [token for token in tokens if not token.special]
        assert [token.text for token in own] == expected.split("|")
        assert all(token.span[0] == token.span[1] and token.word is None for token in own if token.piece == "▁")
        assert [token.id for token in tokens] == ids


class TestWhatAModelDoesNotTake:
    def test_a_decoder_reads_no_pair(self, model_of: Models) -> None:
        with pytest.raises(UsageError, match="no second text"):
            model_of("gpt2").read(Passage(text="the", pair="animal"))

    @pytest.mark.parametrize("family", ["bert", "gpt2"])
    def test_only_an_encoder_decoder_takes_a_target(self, family: str, model_of: Models) -> None:
        with pytest.raises(UsageError, match="takes no target"):
            model_of(family).read(Passage(text="the", target="animal"))

    @pytest.mark.parametrize("family", ["bert", "t5"])
    def test_only_a_decoder_continues_a_text(self, family: str, model_of: Models) -> None:
        with pytest.raises(UsageError, match="does not continue a text"):
            model_of(family).read(Passage(text="the", generate=3))

    def test_a_model_of_one_language_has_none_to_choose(self, folder_of: Callable[[str], Path]) -> None:
        with pytest.raises(UsageError, match="no languages"):
            load("t5", folder_of("t5"), Loading(target_language="fra_Latn"))


class TestSlowTokenizers:
    """Tokenizers that do not say where their tokens stand."""

    @pytest.fixture
    def model(self, tmp_path_factory: pytest.TempPathFactory) -> Any:
        from transformers import ByT5Tokenizer, T5Config, T5ForConditionalGeneration

        folder = tmp_path_factory.mktemp("byt5")
        config = T5Config(
            vocab_size=384, d_model=24, d_kv=10, d_ff=37, num_layers=2, num_heads=3, decoder_start_token_id=0
        )
        with quiet():
            T5ForConditionalGeneration(config).save_pretrained(folder)
            ByT5Tokenizer().save_pretrained(folder)
        return load("byt5", folder, Loading())

    def test_their_tokens_are_found_in_the_text(self, model: Any) -> None:
        assert not model.reader.tokenizer.is_fast
        reading = model.read(Passage(text="to ü!", target="ab"))
        assert [token.span for token in reading.tokens if not token.special][:2] == [(0, 1), (1, 2)]
        assert shown(reading.tokens)[-2:] == ["!", "</s>"]

    def test_the_bytes_of_a_character_share_its_span(self, model: Any) -> None:
        reading = model.read(Passage(text="aüb", target="ab"))
        assert [token.span for token in reading.tokens] == [(0, 1), (1, 2), (1, 2), (2, 3), None]

    def test_special_tokens_that_are_written_in_a_text_are_passed_over(self, model: Any) -> None:
        reading = model.read(Passage(text="ü </s> é", target="ab"))
        assert [(token.text, token.span, token.added) for token in reading.tokens] == [
            *[("ü", (0, 1), False)] * 2,
            ("</s>", None, False),
            *[("é", (7, 8), False)] * 2,
            ("</s>", None, True),
        ]

    @pytest.mark.parametrize("name", ["ByT5Tokenizer", "PerceiverTokenizer", "CanineTokenizer"])
    def test_every_byte_or_character_of_any_text_has_its_own_span(self, name: str) -> None:
        import transformers

        from attnviz.models.pretrained.encoding import encode

        text = "हि 🙂\n東 e\u0301"
        size = 1 if name == "CanineTokenizer" else None
        with quiet():
            _, tokens, _ = encode(getattr(transformers, name)(), text)
        expected = [(i, i + 1) for i, char in enumerate(text) for _ in range(size or len(char.encode()))]
        assert [token.span for token in tokens if not token.special] == expected

    def test_pieces_that_carry_on_a_word_are_told_by_their_marks(self, tmp_path: Path, model_of: Models) -> None:
        from transformers import CTRLTokenizer

        (tmp_path / "vocab.json").write_text('{"<unk>": 0, "un@@": 1, "do": 2, "it": 3}')
        (tmp_path / "merges.txt").write_text("#version: 0.2\nu n\nd o</w>\ni t</w>\n")
        from attnviz.models.pretrained.encoding import encode

        with quiet():
            tokenizer = CTRLTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
        _, tokens, _ = encode(tokenizer, "undo it ?")
        assert [(token.text, token.span) for token in tokens] == [
            ("un", (0, 2)),
            ("do", (2, 4)),
            ("it", (5, 7)),
            ("?", (8, 9)),
        ]
