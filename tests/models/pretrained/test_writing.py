import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attnviz.errors import ModelError, TextError, UsageError
from attnviz.models.loading import Loading
from attnviz.models.passages import Passage
from attnviz.models.pretrained import load
from attnviz.models.pretrained.edge import quiet
from attnviz.models.pretrained.generation import tokenize_written
from attnviz.vocabulary import Kind

TEXT = "the animal did not cross"

Models = Callable[[str], Any]
Folders = Callable[[str], Path]


def generated(folder: Path, auto: str, ids: tuple[int, ...], count: int) -> list[int]:
    """What the library's own class writes after these ids, the likeliest token each time."""
    import torch
    import transformers

    with quiet(), torch.inference_mode():
        network = getattr(transformers, auto).from_pretrained(folder).eval()
        written = network.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=count, pad_token_id=0)
    return [int(id_) for id_ in written[0]]


class TestContinuation:
    @pytest.mark.parametrize("family", ["gpt2", "llama", "gpt-j", "gemma2", "falcon"])
    def test_a_decoder_continues_the_text_with_the_likeliest_tokens(
        self, family: str, model_of: Models, folder_of: Folders
    ) -> None:
        model = model_of(family)
        prompt = model.read(Passage(text="the animal"))
        reading = model.read(Passage(text="the animal", generate=5))
        assert list(reading.ids) == generated(folder_of(family), "AutoModelForCausalLM", prompt.ids, 5)
        assert len(reading.tokens) == len(reading.ids)

    def test_what_was_written_is_a_segment_of_its_own(self, model_of: Models) -> None:
        reading = model_of("llama").read(Passage(text="the animal", generate=3))
        assert reading.passage.written
        assert reading.passage.target is not None
        assert [token.segment for token in reading.tokens if not token.special][:3] == [0, 0, 1]
        for token in reading.tokens[2:]:
            if token.span is not None and token.text != "[UNK]":
                assert reading.passage.target[slice(*token.span)] == token.text

    def test_its_weights_are_among_all_tokens(self, model_of: Models) -> None:
        (attention,) = model_of("llama").attend("the animal", generate=3)
        assert attention.shape == (3, 3, 5, 5)
        assert attention.kind is Kind.DECODER

    def test_a_checkpoint_without_a_head_shows_attention_but_does_not_write(
        self, tmp_path: Path, folder_of: Folders
    ) -> None:
        from transformers import AutoModel

        with quiet():
            AutoModel.from_pretrained(folder_of("llama")).save_pretrained(tmp_path)
        for file in folder_of("llama").glob("token*"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
        bare = load("bare", tmp_path, Loading())
        assert bare.attend("the animal")[0].shape == (3, 3, 2, 2)
        with pytest.raises(
            ModelError, match="cannot write: the weights that choose the next word are not in its files"
        ):
            bare.read(Passage(text="the animal", generate=2))


class TestTarget:
    def test_the_decoder_reads_its_start_and_the_target_without_the_end(self, model_of: Models) -> None:
        reading = model_of("bart").read(Passage(text="the animal", target="it was"))
        assert reading.target is not None
        assert reading.target.ids == (3, *model_of("bart").reader.tokenizer.convert_tokens_to_ids(["it", "was"]))
        assert [(t.text, t.position, t.special) for t in reading.target.tokens] == [
            ("[SEP]", 0, True),
            ("it", 1, False),
            ("was", 2, False),
        ]

    @pytest.mark.parametrize("family", ["t5", "bart"])
    def test_left_out_it_is_what_the_model_writes(self, family: str, model_of: Models, folder_of: Folders) -> None:
        model = model_of(family)
        reading = model.read(Passage(text="the animal", max_new_tokens=7))
        expected = generated(folder_of(family), "AutoModelForSeq2SeqLM", reading.ids, 7)
        assert list(reading.target.ids) == (expected[:-1] if expected[-1] == 3 else expected)
        assert reading.passage.written
        assert reading.target.passage.target == reading.passage.target
        assert len(model.weights(reading)) == 3

    def test_a_model_that_writes_only_the_end_leaves_the_start(
        self, model_of: Models, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = model_of("bart")
        monkeypatch.setattr(type(model.reader.writer), "write", lambda *args, **options: [3])
        reading = model.read(Passage(text="the animal"))
        assert (reading.target.ids, reading.passage.target) == ((3,), "")
        assert [attention.shape[2] for attention in model.weights(reading)] == [3, 1, 1]


class TestLanguages:
    @pytest.fixture
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

        folder = tmp_path_factory.mktemp("nllb")
        names = ["<s>", "<pad>", "</s>", "<unk>", *"▁abcd", "▁a", "▁b", "▁c", "▁d"]
        vocabulary = {name: index for index, name in enumerate(names)}
        with quiet():
            tokenizer = NllbTokenizer(vocab=vocabulary, merges=[("▁", letter) for letter in "abcd"])
            sizes = {f"{half}_{part}": 2 for half in ("encoder", "decoder") for part in ("layers", "attention_heads")}
            config = M2M100Config(
                vocab_size=len(tokenizer), d_model=16, encoder_ffn_dim=23, decoder_ffn_dim=23, **sizes
            )
            M2M100ForConditionalGeneration(config).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        return folder

    def test_texts_are_marked_as_being_in_the_languages_chosen(self, folder: Path) -> None:
        model = load("nllb", folder, Loading(source_language="deu_Latn", target_language="fra_Latn"))
        reading = model.read(Passage(text="a b", target="c d"))
        assert [token.text for token in reading.tokens] == ["deu_Latn", "a", "b", "</s>"]
        assert [token.text for token in reading.target.tokens] == ["</s>", "fra_Latn", "c", "d"]

    def test_what_the_model_writes_begins_with_the_language_chosen(self, folder: Path) -> None:
        model = load("nllb", folder, Loading(target_language="fra_Latn"))
        reading = model.read(Passage(text="a b", max_new_tokens=3))
        assert [token.text for token in reading.target.tokens][:2] == ["</s>", "fra_Latn"]

    def test_a_language_must_be_one_that_the_model_knows(self, folder: Path) -> None:
        with pytest.raises(UsageError, match="does not know the language 'klingon', only: ace_Arab, ace_Latn"):
            load("nllb", folder, Loading(target_language="klingon"))

    def test_a_model_that_writes_in_several_asks_for_one(self, folder: Path) -> None:
        with pytest.raises(UsageError, match="choose one with `target_language`"):
            load("nllb", folder, Loading()).read(Passage(text="a b", target="c d"))


class TestSpansOfWrittenTokens:
    def test_bytes_that_make_one_character_together_share_it(self) -> None:
        from transformers import ByT5Tokenizer

        tokenizer = ByT5Tokenizer()
        ids = tokenizer("aüb")["input_ids"]
        text, tokens = tokenize_written(tokenizer, ids, 5)
        assert text == "aüb"
        assert [token.span for token in tokens] == [(0, 1), (1, 2), (1, 2), (2, 3), None]
        assert [token.position for token in tokens] == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    "settings",
    [
        {"repetition_penalty": 9.0},
        {"penalty_alpha": 0.6, "top_k": 4},
        {"return_dict_in_generate": True},
        {"do_sample": True, "temperature": 9.0},
        {"num_beams": 3},
        {"max_length": 4, "min_length": 50},
        {"stop_strings": ["w"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["gpt2", "t5"])
def test_whatever_a_checkpoint_says_of_writing_the_likeliest_token_is_next(
    name: str, settings: dict[str, Any], folder_of: Callable[[str], Path], model_of: Models, tmp_path: Path
) -> None:
    for path in folder_of(name).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = tmp_path / "generation_config.json"
    config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | settings))
    passage = Passage(text=TEXT, generate=5 if name == "gpt2" else 0, max_new_tokens=5)
    mine, plain = (model.read(passage) for model in (load(name, tmp_path, Loading()), model_of(name)))
    assert mine.passage.target == plain.passage.target
    assert mine.ids == plain.ids
    if plain.target is not None and mine.target is not None:
        assert mine.target.ids == plain.target.ids


def test_a_target_that_had_to_be_cut_has_all_its_tokens_and_says_so(
    folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    for path in folder_of("t5").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = tmp_path / "generation_config.json"
    config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | {"forced_eos_token_id": 3}))
    reading = load("t5", tmp_path, Loading()).read(Passage(text=TEXT, max_new_tokens=6))
    assert reading.target is not None
    assert len(reading.target.ids) == 1 + 6
    assert not reading.passage.ended


def test_a_continuation_of_special_tokens_is_predicted_too(model_of: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("gpt2")
    monkeypatch.setattr(type(model.reader.writer), "write", lambda self, inputs, count, **options: [2, 3][:count])
    (attention,) = model.attend("the animal", generate=2)
    assert [token.predicts for token in attention.query_tokens] == [None, "[CLS]", "[SEP]", None]


def test_a_text_that_leaves_no_room_is_told_how_much_there_is(model_of: Models) -> None:
    with pytest.raises(TextError, match=r"2 tokens long, of 64.*room for 62 new ones, and 63"):
        model_of("gpt2").read(Passage(text="the animal", generate=63))
