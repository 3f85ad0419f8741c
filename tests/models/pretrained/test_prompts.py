"""Chats, begin tokens, and texts without the tokens that a tokenizer adds: the same on both engines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attnviz.errors import ModelError, TextError, UsageError
from attnviz.models.automatic import load
from attnviz.models.lengths import cut
from attnviz.models.loading import Loading
from attnviz.models.passages import Passage
from attnviz.models.pretrained.edge import quiet
from attnviz.text import By, group_tokens
from attnviz.vocabulary import Engine

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<turn>{{ message.role }}\n{{ message.content }}</turn>{% endfor %}"
    "{% if add_generation_prompt %}<turn>assistant\n{% endif %}"
)
SIZES = {
    "vocab_size": 271,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "intermediate_size": 17,
    "max_position_embeddings": 97,
}
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama that reads bytes, adds `<bos>`, and knows `<turn>` and `</turn>`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({name: index for index, name in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(name, special=True) for name in ("<bos>", "<turn>", "</turn>")])
    made.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", made.token_to_id("<bos>"))]
    )
    folder = tmp_path_factory.mktemp("chat")
    with quiet():
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<bos>")
        tokenizer.chat_template = TEMPLATE
        tokenizer.save_pretrained(folder)
        LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[Engine.REFERENCE, Engine.TRANSFORMERS])
def model(request: pytest.FixtureRequest, folder: Path) -> Any:
    return load("chat", folder, Loading(engine=request.param))


def shown(model: Any, text: str, **asked: Any) -> list[str]:
    return [token.text for token in model.read(Passage(text=text, **asked)).tokens]


class TestChat:
    def test_a_text_is_what_a_user_says(self, model: Any) -> None:
        reading = model.read(Passage(text="Hi", chat=True))
        assert reading.passage.text == "<bos><turn>user\nHi</turn><turn>assistant\n"
        ours = [(token.text, token.span) for token in reading.tokens if not token.special]
        assert "".join(text for text, _ in ours) == "user⏎Hiassistant⏎"
        assert all(reading.passage.text[start:end] == text.replace("⏎", "\n") for text, (start, end) in ours)
        assert [token.text for token in reading.tokens if token.special] == ["<bos>", "<turn>", "</turn>", "<turn>"]
        assert reading.warnings == ()

    def test_its_ids_are_those_of_transformers(self, model: Any, folder: Path) -> None:
        from transformers import AutoTokenizer

        said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "né 東?"}]
        tokenizer = AutoTokenizer.from_pretrained(folder)
        expected = tokenizer.apply_chat_template(said, add_generation_prompt=True, return_dict=False)
        assert list(model.read(Passage(text=json.dumps(said), chat=True)).ids) == expected

    def test_special_tokens_are_no_part_of_what_is_said(self, model: Any) -> None:
        (attention,) = model.attend("Hi", chat=True, by=By.WORD)
        assert [t.text for t in attention.without_special().key_tokens] == ["user", "⏎", "Hi", "assistant", "⏎"]
        words = [word.text for word in group_tokens(model.read(Passage(text="Hi", chat=True)).tokens, By.WORD).tokens]
        assert "turn" not in words

    @pytest.mark.parametrize("text", ["[1, 2]", "[MASK] it", "[]", '"role"', "[[[["])
    def test_what_is_no_list_of_objects_is_a_text(self, model: Any, text: str) -> None:
        assert f"user\n{text}</turn>" in model.read(Passage(text=text, chat=True)).passage.text

    @pytest.mark.parametrize(
        ("said", "wrong"),
        [
            ([{"role": "user"}], 'Message 1 of the chat has no text as its "content"'),
            ([{"role": "user", "content": "a"}, {"content": "b"}], 'Message 2 of the chat has no text as its "role"'),
            ([{"role": "user", "content": 7}], 'no text as its "content"'),
        ],
    )
    def test_messages_that_lack_something_are_named(self, model: Any, said: Any, wrong: str) -> None:
        with pytest.raises(TextError, match=wrong):
            model.read(Passage(text=json.dumps(said), chat=True))

    @pytest.mark.parametrize("text", ["", " \n"])
    def test_an_empty_text_is_refused(self, model: Any, text: str) -> None:
        with pytest.raises(TextError, match="empty"):
            model.read(Passage(text=text, chat=True))


class TestTemplates:
    @pytest.fixture
    def with_template(self, folder: Path, tmp_path: Path) -> Callable[[str | None], Any]:
        def changed(template: str | None) -> Any:
            for file in folder.iterdir():
                (tmp_path / file.name).write_bytes(file.read_bytes())
            (tmp_path / "chat_template.jinja").unlink()
            if template is not None:
                (tmp_path / "chat_template.jinja").write_text(template)
            return load("some/model", tmp_path, Loading(engine=Engine.REFERENCE))

        return changed

    def test_a_model_without_one_is_named(self, with_template: Callable[[str | None], Any]) -> None:
        with pytest.raises(UsageError, match="some/model has no chat template: leave `chat` out"):
            with_template(None).read(Passage(text="Hi", chat=True))

    def test_a_malformed_one_is_said_to_be_so(self, with_template: Callable[[str | None], Any]) -> None:
        with pytest.raises(ModelError, match=r"The chat template of some/model is malformed: .*[^.]\.$"):
            with_template("{% for message in messages %}").read(Passage(text="Hi", chat=True))

    @pytest.mark.parametrize(
        ("template", "said"),
        [
            ("{{ raise_exception('Roles must alternate.') }}", "Roles must alternate."),
            ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
            ("{{ messages.append(messages) }}", "unsafe|not callable"),
            ("{{ messages[7].content }}", "has no element 7"),
            ("{{ messages[0].content + 1 }}", "concatenate"),
        ],
        ids=["refuses", "hostile", "changes", "undefined", "fails"],
    )
    def test_one_that_fails_or_does_what_it_must_not_is_a_sentence(
        self, with_template: Callable[[str | None], Any], template: str, said: str
    ) -> None:
        with pytest.raises(TextError, match=f"does not take these messages: .*({said})"):
            with_template(template).read(Passage(text="Hi", chat=True))


class TestAddedTokens:
    def test_added_tokens_are_left_out_on_request(self, model: Any) -> None:
        assert shown(model, "ab") == ["<bos>", "a", "b"]
        assert shown(model, "ab", added_tokens=False) == ["a", "b"]

    def test_the_begin_token_is_there_once(self, model: Any) -> None:
        assert shown(model, "ab", bos=True) == ["<bos>", "a", "b"]
        assert shown(model, "<bos>ab", bos=True, added_tokens=False) == ["<bos>", "a", "b"]
        reading = model.read(Passage(text="ab", bos=True, added_tokens=False))
        assert [(token.text, token.position, token.added) for token in reading.tokens] == [
            ("<bos>", 0, True),
            ("a", 1, False),
            ("b", 2, False),
        ]
        assert shown(model, "Hi", chat=True, bos=True).count("<bos>") == 1

    def test_one_that_stands_twice_is_said_in_the_record(self, model: Any) -> None:
        (attention,) = model.attend("<bos>ab")
        assert [token.text for token in attention.key_tokens] == ["<bos>", "<bos>", "a", "b"]
        assert attention.notes[0].startswith("<bos> stands twice at the beginning")
        (alone,) = model.attend("<bos>ab", added_tokens=False)
        assert alone.notes == ()

    def test_written_special_tokens_are_cut_off_with_the_text(self, model: Any) -> None:
        reading = cut(model.read(Passage(text="<turn>a</turn>" * 4)), 7)
        assert [token.text for token in reading.tokens] == ["<bos>", *["<turn>", "a", "</turn>"] * 2]

    def test_a_model_without_a_begin_token_is_named(self, model_of: Callable[[str], Any]) -> None:
        with pytest.raises(UsageError, match="bert has no token that begins a text: leave `bos` out"):
            model_of("bert").read(Passage(text="the animal", bos=True))


def test_built_in_models_have_no_template_and_one_of_them_a_begin_token() -> None:
    import attnviz

    with pytest.raises(UsageError, match="no chat template"):
        attnviz.load("builtin").read(Passage(text="Hi", chat=True))
    with pytest.raises(UsageError, match="no token that begins"):
        attnviz.load("builtin").read(Passage(text="Hi", bos=True))
    decoder = attnviz.load("builtin/decoder")
    added = decoder.read(Passage(text="it was"))
    bare = decoder.read(Passage(text="it was", added_tokens=False))
    assert added.ids == (0, *bare.ids)
    assert decoder.read(Passage(text="it was", added_tokens=False, bos=True)).ids == added.ids
    (attention,) = decoder.attend("it was", added_tokens=False)
    assert len(attention.key_tokens) == len(bare.ids)
    translator = attnviz.load("builtin/translator").read(Passage(text="it was", added_tokens=False))
    assert not any(token.special for token in translator.tokens)
