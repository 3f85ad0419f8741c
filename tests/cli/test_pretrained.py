"""Pretrained models as their users meet them: folders with tiny random models, and a real one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tokenizers import Tokenizer, models, pre_tokenizers, processors

TEXT = "the animal did not cross the street because it was too tired"
TARGET = "it was too wide"
NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys(f"{TEXT} {TARGET}".split())]
COMMON = {"vocab_size": len(NAMES), "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
TINY: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": (
        "BertModel",
        {"hidden_size": 15, "num_hidden_layers": 2, "num_attention_heads": 5, "intermediate_size": 7},
    ),
    "gpt2": ("GPT2LMHeadModel", {"n_embd": 15, "n_layer": 2, "n_head": 5}),
    "t5": (
        "T5ForConditionalGeneration",
        {"d_model": 14, "d_kv": 7, "d_ff": 11, "num_layers": 3, "num_decoder_layers": 2, "num_heads": 5}
        | {"decoder_start_token_id": 0},
    ),
    "mamba": ("MambaModel", {"hidden_size": 14, "num_hidden_layers": 2, "state_size": 3}),
}
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The folder of a tiny random model."""
    import torch
    import transformers

    made: dict[str, Path] = {}

    def folder(name: str) -> str:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            cls, sizes = TINY[name]
            torch.manual_seed(3)
            model_class = getattr(transformers, cls)
            model_class(model_class.config_class(**COMMON | sizes)).save_pretrained(made[name])
            tokenizer = Tokenizer(models.WordLevel({text: index for index, text in enumerate(NAMES)}, "[UNK]"))
            tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
            if name != "gpt2":
                tokenizer.post_processor = processors.TemplateProcessing(
                    single="$A [SEP]", pair="$A [SEP] $B:1 [SEP]:1", special_tokens=[("[SEP]", 3)]
                )
            fast = transformers.PreTrainedTokenizerFast(
                tokenizer_object=tokenizer, unk_token="[UNK]", eos_token="[SEP]", pad_token="[PAD]"
            )
            fast.save_pretrained(made[name])
        return str(made[name])

    return folder


def record(run: Run, *args: str) -> dict[str, Any]:
    done = run("show", *args, "--format", "json")
    assert (done.code, done.err) == (0, "")
    (found,) = done.records
    return found


class TestEngines:
    def test_both_engines_give_the_same_weights_and_say_which_ran(self, run: Run, tiny: Callable[[str], str]) -> None:
        mine, theirs = (
            record(run, TEXT, "--pair", TARGET, "--model", tiny("bert"), "--engine", engine)
            for engine in ("reference", "transformers")
        )
        assert (mine["engine"], theirs["engine"]) == ("reference", "transformers")
        assert_allclose(mine["attention"][0]["weights"], theirs["attention"][0]["weights"], atol=1e-5)
        for name in ("query_tokens", "key_spans", "query_segments"):
            assert mine["attention"][0][name] == theirs["attention"][0][name]

    def test_a_folder_takes_one_command_to_become_a_picture(
        self, run: Run, tiny: Callable[[str], str], tmp_path: Path
    ) -> None:
        done = run("export", TEXT, "--model", tiny("bert"), "--vmax", "auto", "-o", "it.png", cwd=tmp_path)
        assert (done.code, done.err) == (0, "")
        assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG")

    def test_a_device_that_is_not_there_is_a_wrong_request(self, run: Run, tiny: Callable[[str], str]) -> None:
        done = run("show", TEXT, "--model", tiny("bert"), "--device", "cuda", CUDA_VISIBLE_DEVICES="")
        done.assert_failed(2, "--device")

    def test_half_precision_is_said(self, run: Run, tiny: Callable[[str], str]) -> None:
        found = record(run, TEXT, "--model", tiny("bert"), "--dtype", "bfloat16", "--layer", "0")
        assert (found["engine"], found["attention"][0]["precision"]) == ("transformers", "bfloat16")


class TestPairs:
    def test_the_two_texts_are_there_with_spans_of_their_own(self, run: Run) -> None:
        found = record(run, "Dogs bark.", "--pair", "They do.", "--model", "minilm", "--head", "0")
        assert (found["text"], found["pair"]) == ("Dogs bark.", "They do.")
        (attention,) = found["attention"]
        texts = {0: found["text"], 1: found["pair"]}
        cut = [
            texts[segment][slice(*span)]
            for segment, span in zip(attention["key_segments"], attention["key_spans"], strict=True)
            if span
        ]
        assert cut == ["Dogs", "bark", ".", "They", "do", "."]

    def test_segments_are_the_two_texts(self, run: Run) -> None:
        rows = run(
            "show", "Dogs bark.", "--pair", "They do.", "--model", "minilm", "--by", "segment", "--format", "tsv"
        )
        tokens = list(dict.fromkeys(row["query_token"] for row in rows.rows("\t")))
        assert tokens == ["[CLS]", "Dogs bark.", "[SEP]", "They do."]  # of two [SEP] the text is the same

    def test_what_the_built_in_model_was_not_trained_on_is_refused(self, run: Run) -> None:
        run("show", "the cat", "--pair", "a dog").assert_failed(2, "no second text")


class TestTargets:
    def test_a_target_gives_three_kinds_between_its_tokens_and_those_of_the_text(
        self, run: Run, tiny: Callable[[str], str]
    ) -> None:
        found = record(run, TEXT, "--target", TARGET, "--model", tiny("t5"))
        assert found["target"] == TARGET
        assert "written" not in found
        encoder, decoder, cross = found["attention"]
        assert [part["kind"] for part in found["attention"]] == ["encoder", "decoder", "cross"]
        source, target = [*TEXT.split(), "[SEP]"], ["[PAD]", *TARGET.split()]
        assert encoder["query_tokens"] == encoder["key_tokens"] == cross["key_tokens"] == source
        assert decoder["query_tokens"] == decoder["key_tokens"] == cross["query_tokens"] == target
        assert cross["query_predicts"] == [*TARGET.split(), None]
        assert np.shape(encoder["weights"]) == (3, 5, 13, 13)
        assert np.shape(decoder["weights"]) == (2, 5, 5, 5)
        assert np.shape(cross["weights"]) == (2, 5, 5, 13)

    def test_a_target_that_is_left_out_is_written_and_shown(self, run: Run, tiny: Callable[[str], str]) -> None:
        options = TEXT, "--model", tiny("t5"), "--max-new-tokens", "3", "--kind", "decoder"
        found = record(run, *options)
        assert found["written"] is True
        (decoder,) = found["attention"]
        assert len(decoder["query_tokens"]) <= 4
        heading = f"… {found['target'] or '(no text)'}" + ("" if found["ended"] else " … (cut here)")
        assert run("show", *options, "--layer", "0", "--head", "0").out.startswith(f"{heading}\n")

    def test_a_word_is_found_on_the_side_where_it_is(self, run: Run, tiny: Callable[[str], str]) -> None:
        options = "--target", TARGET, "--model", tiny("t5"), "--head", "0", "--layer", "0"
        street, wide = (run("show", TEXT, *options, "--token", word).out for word in ("street", "wide"))
        assert (street.count("looks at"), street.count("looked at by")) == (1, 2)  # as a key of the cross attention too
        assert (wide.count("looks at"), wide.count("looked at by")) == (2, 1)
        run("show", TEXT, *options, "--token", "moon").assert_failed(1, "no token 'moon'", "street", "wide")


class TestContinuing:
    def test_a_decoder_goes_on_and_the_new_tokens_are_there(self, run: Run, tiny: Callable[[str], str]) -> None:
        found = record(run, TEXT, "--model", tiny("gpt2"), "--generate", "3")
        (decoder,) = found["attention"]
        assert found["written"] is True
        assert decoder["query_tokens"][:12] == TEXT.split()
        assert len(decoder["query_tokens"]) == 15
        assert decoder["query_predicts"] == [None] * 11 + decoder["query_tokens"][12:] + [None]

    def test_an_encoder_refuses_to_generate(self, run: Run) -> None:
        run("show", "the cat", "--generate", "3").assert_failed(2, "which only reads")


class TestFailing:
    def test_a_model_without_attention_is_named(self, run: Run, tiny: Callable[[str], str]) -> None:
        done = run("show", TEXT, "--model", tiny("mamba"))
        done.assert_failed(1, tiny("mamba"), "no attention")
        assert done.stdout == b""

    def test_a_damaged_file_is_named_and_leaves_nothing(
        self, run: Run, tiny: Callable[[str], str], tmp_path: Path
    ) -> None:
        for path in Path(tiny("bert")).iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes()[: 3000 if path.suffix == ".safetensors" else None])
        done = run("export", TEXT, "--model", str(tmp_path), "-o", str(tmp_path / "out.png"))
        done.assert_failed(1, "model.safetensors", "damaged")
        assert not (tmp_path / "out.png").exists()

    def test_pickled_weights_are_not_loaded(self, run: Run, tiny: Callable[[str], str], tmp_path: Path) -> None:
        (tmp_path / "config.json").write_bytes((Path(tiny("bert")) / "config.json").read_bytes())
        (tmp_path / "pytorch_model.bin").write_bytes(b"cposix\nsystem\n(S'touch ran'\ntR.")
        run("show", TEXT, "--model", str(tmp_path), cwd=tmp_path).assert_failed(1, "safetensors", "pytorch_model.bin")
        assert not (tmp_path / "ran").exists()

    def test_code_of_a_model_is_not_run_unasked(self, run: Run, tiny: Callable[[str], str], tmp_path: Path) -> None:
        for path in Path(tiny("bert")).iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        config = json.loads((tmp_path / "config.json").read_bytes())
        theirs = {"model_type": "its own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
        (tmp_path / "config.json").write_text(json.dumps(config | theirs))
        (tmp_path / "own.py").write_text("import pathlib\npathlib.Path('ran').touch()\n")
        run("show", TEXT, "--model", str(tmp_path), cwd=tmp_path).assert_failed(1, "--trust-remote-code")
        assert not (tmp_path / "ran").exists()


class TestNotes:
    """What must be said of a model that was loaded: on standard error, once."""

    @pytest.fixture
    def fewer(self, tiny: Callable[[str], str], tmp_path: Path) -> str:
        folder = tmp_path / "fewer"
        folder.mkdir()
        for path in Path(tiny("bert")).iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        config = json.loads((folder / "config.json").read_bytes())
        (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
        return str(folder)

    SAID = "Note: The files hold 2 layers, of which config.json asks for 1: the others are not run.\n"

    @pytest.mark.parametrize("engine", ["reference", "transformers"])
    def test_a_note_is_printed_once_for_several_texts(self, run: Run, fewer: str, engine: str) -> None:
        done = run("show", TEXT, TARGET, "--model", fewer, "--engine", engine, "--format", "json")
        assert (done.code, done.err, len(done.records)) == (0, self.SAID, 2)

    def test_a_note_is_printed_once_for_several_processes(self, run: Run, fewer: str, tmp_path: Path) -> None:
        options = "--model", fewer, "--jobs", "2", "--format", "npz", "-o", "out"
        done = run("export", *[f"{TEXT} {TARGET}"] * 17, *options, cwd=tmp_path)
        assert done.code == 0
        assert done.err.count(self.SAID.strip()) == 1

    def test_explain_prints_the_notes_of_a_model(self, run: Run, fewer: str) -> None:
        done = run("explain", TEXT, TARGET, "--model", fewer, "--layer", "0", "--head", "0")
        assert (done.code, done.err) == (0, self.SAID)


class TestPrompts:
    @pytest.fixture
    def chat(self, tiny: Callable[[str], str], tmp_path: Path) -> str:
        for file in Path(tiny("t5")).iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        template = "{% for message in messages %}{{ message.content }} [SEP] {% endfor %}it was"
        (tmp_path / "chat_template.jinja").write_text(template)
        return str(tmp_path)

    def test_a_chat_is_read_as_the_template_makes_it_and_spans_are_of_that(self, run: Run, chat: str) -> None:
        found = record(run, "the animal", "--chat", "--model", chat, "--target", TARGET)
        assert found["text"] == "the animal [SEP] it was"
        encoder = found["attention"][0]
        assert encoder["key_tokens"] == ["the", "animal", "[SEP]", "it", "was"]
        assert encoder["key_spans"] == [[0, 3], [4, 10], None, [17, 19], [20, 23]]
        assert encoder["key_pieces"] == encoder["key_tokens"]

    @pytest.mark.parametrize("name", ["said.json", "said.jsonl"])
    def test_a_file_of_messages_is_a_chat(self, run: Run, chat: str, name: str) -> None:
        said = [{"role": "system", "content": "it was"}, {"role": "user", "content": "too tired"}]
        file = Path(chat) / name
        file.write_text(json.dumps(said, indent=1 if name == "said.json" else None))
        found = record(run, str(file), "--chat", "--model", chat, "--target", TARGET)
        assert found["text"] == "it was [SEP] too tired [SEP] it was"

    def test_a_special_token_that_is_both_written_and_added_is_said(self, run: Run, tiny: Callable[[str], str]) -> None:
        done = run("show", "the animal [SEP]", "--model", tiny("bert"), "--format", "json")
        said = (
            "[SEP] stands twice at the end: once in the text, and once added by the tokenizer (--no-added-tokens "
            "adds none)"
        )
        assert (done.code, done.err) == (0, f"Note: {said}.\n")
        assert done.records[0]["attention"][0]["notes"] == [said]
        for command in ("heads", "explain"):
            assert run(command, "the animal [SEP]", "--model", tiny("bert")).err == f"Note: {said}.\n"
        alone = record(run, "the animal [SEP]", "--model", tiny("bert"), "--no-added-tokens")
        assert alone["attention"][0]["key_tokens"] == ["the", "animal", "[SEP]"]

    def test_special_tokens_that_are_written_are_dropped_and_never_linked(
        self, run: Run, tiny: Callable[[str], str]
    ) -> None:
        text = "the [SEP] animal [PAD] it"
        found = record(run, text, "--model", tiny("bert"), "--no-special", "--by", "word")
        assert found["attention"][0]["key_tokens"] == ["the", "animal", "it"]
        links = run("show", text, "--model", tiny("bert"), "--layer", "0", "--head", "0", "--top", "99").out
        listed = links.partition("Strongest links")[2]
        assert "→" in listed
        assert "[" not in listed

    def test_other_ways_to_read_a_text_are_other_work(
        self, run: Run, tiny: Callable[[str], str], tmp_path: Path
    ) -> None:
        hashes = []
        for options in ([], ["--no-added-tokens"], []):
            run("export", TEXT, "--model", tiny("bert"), "--format", "json", "-o", str(tmp_path / "made"), *options)
            (line,) = (tmp_path / "made" / "manifest.jsonl").read_text().splitlines()
            hashes.append(json.loads(line)["hash"])
        assert hashes[0] == hashes[2] != hashes[1]
