"""Checks against published figures: what they measure is held to transformers and NumPy, on tiny random models."""

import json
import math
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

import attnviz
from attnviz.errors import ModelError, UsageError
from attnviz.models.builtin import find_folders
from attnviz.models.generated import draw_ids, find_frame
from attnviz.models.loading import Loading
from attnviz.models.model import Model
from attnviz.models.passages import Passage
from attnviz.pipeline import checks
from attnviz.pipeline.checks import CHECKS, PUBLISHED, Check
from attnviz.pipeline.verifying import find_checks, run_check, verify
from attnviz.records import Figure, Verified
from attnviz.vocabulary import Verdict
from tests.models.exact import DUPLICATE, INDUCTION, PREVIOUS, exact_model
from tests.pages import ROOT

LAYERS, HEADS, WIDTH = 3, 5, 40
VOCABULARY = 20_011  # more than the largest published id
START = "<|endoftext|>"
WORDS = [
    *("After", "John", "and", "Mary", "went", "to", "the", "store", ",", "gave", "a", "bottle", "of", "milk"),
    *("Claire", "shops", "then", "them", "his", "Hello", "world", "!"),
]

SIZES = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 233,
}
FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gpt2": (
        "GPT2LMHeadModel",
        "GPT2Config",
        {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 233},
    ),
    "gpt-neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", SIZES | {"intermediate_size": 37}),
    "llama": (
        "LlamaForCausalLM",
        "LlamaConfig",
        SIZES | {"intermediate_size": 37, "num_key_value_heads": 1, "tie_word_embeddings": False},
    ),
    "opt": ("OPTForCausalLM", "OPTConfig", SIZES | {"ffn_dim": 37, "word_embed_proj_dim": WIDTH}),
}


def save_tokenizer(folder: Path) -> None:
    names = [START, "[UNK]", *WORDS, *(f"w{i}" for i in range(VOCABULARY - 2 - len(WORDS)))]
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=START, unk_token="[UNK]")
    fast.save_pretrained(folder)


def save_family(folder: Path, name: str, cut: Callable[[Any], Any] = lambda network: network) -> None:
    kind, config, sizes = FAMILIES[name]
    torch.manual_seed(7)
    ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
    network = getattr(transformers, kind)(getattr(transformers, config)(vocab_size=VOCABULARY, **sizes, **ids))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
    cut(network).save_pretrained(folder)
    save_tokenizer(folder)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's model, made when it is first asked for."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("models") / name
            save_family(made[name], name)
        return made[name]

    return folder


RUNS = [
    *(("gpt2", "reference"), ("llama", "reference")),
    *(("gpt2", "transformers"), ("gpt-neox", "transformers"), ("opt", "transformers")),
]


@pytest.fixture(params=RUNS, ids="-".join)
def both(request: pytest.FixtureRequest, folder_of: Callable[[str], Path]) -> tuple[Model, Any]:
    """A model of ours, and the same network by transformers alone, in double precision."""
    name, engine = request.param
    folder = folder_of(name)
    network = transformers.AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float64
    )
    return attnviz.load(str(folder), engine=engine), network.eval()


def named(table: np.ndarray) -> dict[str, float]:
    return {f"{layer}.{head}": float(table[layer, head]) for layer, head in np.ndindex(table.shape)}


def log_probabilities(network: Any, words: str) -> np.ndarray:
    """Of each next word after these, with the network's own output: [tokens, words]."""
    names = [START, "[UNK]", *WORDS]
    with torch.no_grad():
        logits = network(torch.tensor([[names.index(word) for word in words.split()]])).logits[0].numpy()
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def of_word(word: str) -> int:
    return 2 + WORDS.index(word)


class TestPublished:
    def test_the_ids_are_those_that_the_generator_of_the_source_draws_from_seed_0(self) -> None:
        generator = np.random.MT19937()
        generator._legacy_seeding(0)  # type: ignore[attr-defined]
        drawn = generator.random_raw(200) % (20_000 - 100) + 100
        assert np.array_equal(PUBLISHED["tokens"], drawn.reshape(2, 100))

    def test_the_ids_are_those_that_torch_draws_from_seed_0(self) -> None:
        torch.manual_seed(0)
        assert torch.equal(torch.tensor(PUBLISHED["tokens"]), torch.randint(100, 20_000, (2, 100)))

    @pytest.mark.parametrize(
        ("name", "highest"),
        [
            ("gpt2-induction", {"5.1": 0.931, "5.5": 0.926, "6.9": 0.926, "7.10": 0.904, "7.2": 0.851, "10.1": 0.482}),
            ("gpt2-previous-token", {"4.11": 0.992, "3.7": 0.529, "6.8": 0.499, "2.2": 0.482}),
            ("gpt2-duplicate-token", {"0.5": 0.703, "3.0": 0.678, "0.1": 0.132}),
        ],
    )
    def test_the_highest_of_144_heads_are_those_that_the_source_names(
        self, name: str, highest: dict[str, float]
    ) -> None:
        published = CHECKS[name].published
        assert len(published) == 144
        found = sorted(published, key=lambda head: -published[head])[: len(highest)]
        assert {head: round(published[head], 3) for head in found} == highest

    def test_the_package_holds_the_tables(self) -> None:
        packed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
        found = {path for pattern in packed["attnviz"] for path in (ROOT / "attnviz").glob(pattern)}
        assert ROOT / "attnviz" / "pipeline" / "published" / "gpt2.json" in found

    def test_every_check_says_what_it_is_of_how_it_is_computed_and_who_says_so(self) -> None:
        assert {*CHECKS} == {check.name for check in CHECKS.values()}
        for check in CHECKS.values():
            assert all((check.model, check.how, check.source, check.published))
            assert check.tolerance >= 0


class TestMeasures:
    @pytest.fixture
    def few(self, monkeypatch: pytest.MonkeyPatch) -> int:
        """How many tokens are said, by a model that knows only 101."""
        generator = np.random.default_rng(3)
        texts = [generator.choice(101, 23, replace=False).tolist() for _ in range(2)]
        monkeypatch.setattr(checks, "PUBLISHED", {"tokens": texts})
        return 23

    @pytest.mark.parametrize(
        ("name", "head", "expected"),
        [
            ("gpt2-previous-token", PREVIOUS, 1.0),
            ("gpt2-duplicate-token", DUPLICATE, 1.0),
            ("gpt2-induction", INDUCTION, 23 / 24),  # the diagonal has one entry more, of the last of the first copy
        ],
    )
    def test_of_a_model_whose_induction_is_exact_the_head_has_all_and_others_little(
        self, few: int, name: str, head: tuple[int, int], expected: float
    ) -> None:
        found = CHECKS[name].measure(exact_model())
        its = "{}.{}".format(*head)
        assert found[its] == pytest.approx(expected, abs=1e-5)
        assert max(number for other, number in found.items() if other != its) < 0.15

    @pytest.mark.parametrize(
        ("name", "offset"), [("gpt2-previous-token", -1), ("gpt2-duplicate-token", -100), ("gpt2-induction", -99)]
    )
    def test_a_diagonal_is_that_of_the_weights_that_transformers_returns(
        self, both: tuple[Model, Any], name: str, offset: int
    ) -> None:
        model, network = both
        twice = torch.tensor(PUBLISHED["tokens"]).repeat(1, 2)
        with torch.no_grad():
            weights = torch.stack(network(twice, output_attentions=True).attentions).numpy()
        expected = np.diagonal(weights, offset, -2, -1).mean((1, -1))  # [layers, heads]
        assert expected.shape == (LAYERS, HEADS) and expected.std() > 1e-4
        found = CHECKS[name].measure(model)
        assert {*found} == {*named(expected)}
        for head, number in named(expected).items():
            assert found[head] == pytest.approx(number, abs=1e-6)

    def test_probabilities_of_next_words_are_those_of_transformers(self, both: tuple[Model, Any]) -> None:
        model, network = both
        text = f"{START} After John and Mary went to the store , John gave a bottle of milk to"
        expected = log_probabilities(network, text)[-1]
        found = CHECKS["gpt2-next-word"].measure(model)
        assert [*found] == [" Mary", " the", " John", " them", " his"]
        for word, percent in found.items():
            assert percent == pytest.approx(100 * np.exp(expected[of_word(word.strip())]), rel=1e-4)

    def test_differences_of_logits_are_those_of_transformers(self, both: tuple[Model, Any]) -> None:
        model, network = both
        found = CHECKS["gpt2-names"].measure(model)
        for name in ("Mary", "John"):
            text = f"{START} After John and Mary went to the store , {name} gave a bottle of milk to"
            last = log_probabilities(network, text)[-1]
            expected = last[of_word("John")] - last[of_word("Mary")]
            assert found[f"{name} gave"] == pytest.approx(expected, abs=1e-4)

    def test_a_start_token_is_read_where_the_check_says_so(self, both: tuple[Model, Any]) -> None:
        model, network = both
        found = CHECKS["gpt2-start-token"].measure(model)
        text = "Claire and Mary went to the shops , then Mary gave a bottle of milk to"
        for name, words in {"with": f"{START} {text}", "without": text}.items():
            last = log_probabilities(network, words)[-1]
            expected = last[of_word("Claire")] - last[of_word("Mary")]
            assert found[name] == pytest.approx(expected, abs=1e-4)
        assert abs(found["with"] - found["without"]) > 1e-2

    def test_the_loss_is_the_mean_over_all_tokens_after_the_start(self, both: tuple[Model, Any]) -> None:
        model, network = both
        ids = torch.tensor([[0, *map(of_word, ("Hello", "world", "!"))]])
        with torch.no_grad():
            expected = float(network(ids, labels=ids).loss)
        assert CHECKS["gpt2-loss"].measure(model) == {"Hello world!": pytest.approx(expected, abs=1e-4)}

    def test_the_figures_of_minilm_are_those_of_transformers(self) -> None:
        folder = attnviz.models.registry.locate_minilm()
        network = transformers.AutoModel.from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float64
        ).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        inputs = tokenizer("The animal didn't cross the street because it was too tired", return_tensors="pt")
        names = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
        with torch.no_grad():
            weights = torch.cat(network(**inputs, output_attentions=True).attentions).numpy()
        of_link = named(weights[..., names.index("it"), names.index("animal")])
        published = CHECKS["minilm-pronoun"].published
        assert [int(head.partition(".")[0]) for head in published] == [*range(len(weights))]
        for head, number in published.items():
            assert number == pytest.approx(of_link[head], abs=1e-6)

    def test_scores_of_what_is_said_twice_are_those_of_the_weights_that_transformers_returns(
        self, both: tuple[Model, Any]
    ) -> None:
        model, network = both
        frame, tokens = find_frame(model), 37
        found = checks.measure_repetition(model)
        texts = []
        for seed in range(10):
            ids = [*(token.id for token in frame.before), *draw_ids(model, tokens, seed) * 2]
            with torch.no_grad():
                weights = torch.stack(network(torch.tensor([ids]), output_attentions=True).attentions)[:, 0].numpy()
            texts.append(weights[..., -2 * tokens :, -2 * tokens :])  # [layers, heads, said, said]
        said = np.stack(texts)
        expected = {
            "induction": np.diagonal(said, 1 - tokens, -2, -1)[..., 1:].mean((0, -1)),  # not the end of the first copy
            "previous_token": np.diagonal(said, -1, -2, -1).mean((0, -1)),
        }
        assert {*found} == {f"{name} {head}" for name, table in expected.items() for head in named(table)}
        for name, table in expected.items():
            for head, number in named(table).items():
                assert found[f"{name} {head}"] == pytest.approx(number, abs=1e-6)

    def test_what_a_pronoun_looks_at_is_the_entry_of_the_weights_for_the_two_words(self) -> None:
        found = checks.measure_pronoun(attnviz.load("builtin"), "3.1")
        assert {*found} == {*CHECKS["encoder-pronoun"].published}
        for last in ("tired", "wide"):
            (attention,) = attnviz.load("builtin").attend(
                f"The animal didn't cross the street because it was too {last}"
            )
            names = [token.text for token in attention.query_tokens]
            for noun in ("animal", "street"):
                weight = attention.weights[3, 1, names.index("it"), names.index(noun)]
                assert found[f"{last}: it → {noun}"] == pytest.approx(float(weight), abs=1e-7)

    @pytest.mark.parametrize("name", ["encoder", "decoder", "translator", "bahdanau"])
    def test_parameters_are_counted_in_the_file_of_weights_itself(self, name: str) -> None:
        check = CHECKS[f"{name}-parameters"]
        (file,) = find_folders()[check.model].glob("*.safetensors")
        raw = file.read_bytes()
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])  # the format of safetensors
        shapes = [tensor["shape"] for key, tensor in header.items() if key != "__metadata__"]
        assert check.measure(attnviz.load(check.model)) == {"parameters": sum(map(math.prod, shapes))}

    def test_a_translation_that_is_another_one_counts_0(self) -> None:
        model = attnviz.load("builtin/translator")
        examples = [("The red car.", "la voiture rouge."), ("Two small dogs.", "la voiture rouge.")]
        assert checks.count_translations(model, examples) == {"The red car.": 1, "Two small dogs.": 0}

    def test_a_model_that_knows_too_few_tokens_is_refused(self) -> None:
        with pytest.raises(UsageError, match="The vocabulary of exact has 101 tokens, none with the number 19,969"):
            CHECKS["gpt2-induction"].measure(exact_model())

    def test_a_word_of_several_tokens_is_refused(self, folder_of: Callable[[str], Path]) -> None:
        model = attnviz.load(str(folder_of("gpt2")))
        with pytest.raises(ModelError, match="'Mary gave' is 2 tokens of "):
            checks.measure_probabilities(model, "Hello", ["Mary gave"])

    @pytest.mark.parametrize("name", ["builtin", "builtin/translator", "minilm"])
    def test_a_model_without_logits_says_so(self, name: str) -> None:
        model = attnviz.load(name)
        with pytest.raises(UsageError, match="gives no logits"):
            model.runner.score_words(model.read(Passage(text="Hello world!")))


def made(published: dict[str, float], measured: dict[str, float], tolerance: float = 0.5) -> Check:
    return Check(
        name="made-up",
        model="builtin/encoder",
        how="nothing",
        source="a test",
        tolerance=tolerance,
        published=published,
        measure=lambda model: measured,
    )


class TestVerdicts:
    @pytest.mark.parametrize(
        ("measured", "verdict"),
        [
            (1.5, Verdict.PASSED),
            (0.5, Verdict.PASSED),
            (1.51, Verdict.FAILED),
            (0.49, Verdict.FAILED),
            (np.nan, Verdict.FAILED),
        ],
    )
    def test_a_figure_passes_within_its_tolerance_on_both_sides(self, measured: float, verdict: Verdict) -> None:
        assert Figure("x", 1.0, measured, 0.5).verdict is verdict

    def test_a_figure_that_the_model_does_not_have_fails(self) -> None:
        found = run_check(made({"0.0": 1, "11.11": 1}, {"0.0": 1}), exact_model())
        assert [figure.verdict for figure in found.figures] == [Verdict.PASSED, Verdict.FAILED]
        assert found.verdict is Verdict.FAILED

    @pytest.mark.parametrize(
        ("error", "verdict"), [(UsageError("no such"), Verdict.SKIPPED), (ModelError("broken"), Verdict.FAILED)]
    )
    def test_a_check_is_skipped_where_the_model_has_no_such_figures_and_fails_where_it_cannot_be_run(
        self, error: Exception, verdict: Verdict
    ) -> None:
        def measure(model: Model) -> dict[str, float]:
            raise error

        found = run_check(Check(**{**vars_of(made({"x": 1}, {})), "measure": measure}), exact_model())
        assert (found.verdict, found.reason, found.figures) == (verdict, str(error), [])


def vars_of(check: Check) -> dict[str, Any]:
    return {name: getattr(check, name) for name in ("name", "model", "how", "source", "tolerance", "published")}


@pytest.fixture
def nothing_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, which the hub's cache is in too."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def by_model(found: Iterator[Verified]) -> dict[str, set[Verdict]]:
    verdicts: dict[str, set[Verdict]] = {}
    for one in found:
        verdicts.setdefault(one.claim.model, set()).add(one.verdict)
    return verdicts


class TestVerify:
    def test_what_is_not_here_is_skipped_and_all_else_passes(self, nothing_cached: Path) -> None:
        found = list(verify())
        assert [one.claim.name for one in found] == [*CHECKS]
        here = {"builtin/encoder", "builtin/decoder", "builtin/translator", "builtin/bahdanau", "minilm"}
        for one in found:
            assert one.verdict is (Verdict.PASSED if one.claim.model in here else Verdict.SKIPPED), one.claim.name
            assert bool(one.reason) is (one.claim.model not in here)

    def test_a_model_is_fetched_only_if_it_is_named(
        self, nothing_cached: Path, monkeypatch: pytest.MonkeyPatch, folder_of: Callable[[str], Path]
    ) -> None:
        fetched: list[str] = []

        def download(name: str, loading: Loading) -> Path:
            fetched.append(name)
            return folder_of("gpt2")

        monkeypatch.setattr("attnviz.models.hub.names.download", download)
        assert all(one.verdict is not Verdict.FAILED for one in verify())
        assert fetched == []
        assert {one.model for one in verify(["openai-community/gpt2"])} == {"openai-community/gpt2"}
        assert fetched == ["openai-community/gpt2"]

    def test_a_model_in_the_cache_is_checked_without_being_named(
        self, nothing_cached: Path, folder_of: Callable[[str], Path]
    ) -> None:
        snapshot = nothing_cached / "cache" / "models--openai-community--gpt2" / "snapshots" / ("a" * 40)
        snapshot.parent.mkdir(parents=True)
        snapshot.symlink_to(folder_of("gpt2"))
        (snapshot.parent.parent / "refs").mkdir()
        (snapshot.parent.parent / "refs" / "main").write_text("a" * 40)
        found = by_model(verify())
        assert found["openai-community/gpt2"] == {Verdict.FAILED}  # it is a random one
        assert found["facebook/opt-125m"] == {Verdict.SKIPPED}

    def test_a_damaged_model_fails_and_the_others_go_on(self, nothing_cached: Path) -> None:
        folder = nothing_cached / "gpt2"
        folder.mkdir()
        (folder / "config.json").write_text('{"model_type": "gpt2"}')
        found = by_model(verify())
        assert found["openai-community/gpt2"] == {Verdict.FAILED}
        assert found["minilm"] == {Verdict.PASSED}

    def test_a_network_without_what_makes_words_is_skipped_with_a_sentence(self, tmp_path: Path) -> None:
        save_family(tmp_path / "pythia-70m", "gpt-neox", lambda network: network.gpt_neox)
        (found,) = verify([str(tmp_path / "pythia-70m")])
        assert found.verdict is Verdict.SKIPPED and "gives no logits" in found.reason

    @pytest.mark.parametrize(
        "name", ["gpt2", "openai-community/gpt2", "./gpt2", "/some/where/GPT2", "somebody/gpt2", "gpt2/"]
    )
    def test_a_model_of_the_hub_is_known_by_the_last_part_of_its_name(self, name: str) -> None:
        assert {check.model for check in find_checks(name)} == {"openai-community/gpt2"}

    @pytest.mark.parametrize("name", ["builtin", "builtin/encoder"])
    def test_a_built_in_model_is_known_by_its_name(self, name: str) -> None:
        assert {check.model for check in find_checks(name)} == {"builtin/encoder"}

    @pytest.mark.parametrize("name", ["bert-base-uncased", "somebody/encoder", "distilgpt2", ""])
    def test_a_model_of_which_nothing_is_published_is_refused(self, name: str) -> None:
        with pytest.raises(UsageError, match=r"No published figures of .*openai-community/gpt2"):
            next(verify([name]))
