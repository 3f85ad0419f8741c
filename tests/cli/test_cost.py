import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attnviz.reference.scores import SCORES, Sizes
from tests.interpreter import modules_after

Run = Callable[..., Any]

GPT3 = "--d-model", "12288", "--heads", "96", "--layers", "96"
LLAMA = "--d-model", "4096", "--heads", "32", "--key-heads", "8", "--layers", "32"
QUICK = "cost", "--measure", "--longest", "256"


def fields(run: Run, *args: str, **env: str) -> dict[str, Any]:
    done = run("cost", *args, "--format", "json", **env)
    assert (done.code, done.err) == (0, "")
    (found,) = done.records
    return dict(found)


class TestAModel:
    def test_without_a_name_the_builtin_one_is_counted_for_all_that_it_reads(self, run: Run) -> None:
        found = fields(run)
        assert (found["model"], found["tokens"], found["positions"]) == ("builtin/encoder", 512, 512)
        (attention,) = found["attention"]
        assert (attention["kind"], attention["layers"], attention["heads"]) == ("encoder", 4, 6)
        assert attention["parameters"]["together"]["model"] == found["held"]["matrices"]

    def test_the_environment_names_the_model(self, run: Run) -> None:
        found = fields(run, "--tokens", "7", ATTNVIZ_MODEL="minilm")
        assert (found["model"], found["tokens"]) == ("minilm", 7)
        assert found["attention"][0]["parameters"]["query"] == {"head": 384 * 32, "layer": 384**2, "model": 6 * 384**2}

    def test_a_model_is_counted_from_its_config_alone(self, run: Run, tmp_path: Path) -> None:
        config = {"model_type": "t5", "is_encoder_decoder": True, "d_model": 14, "num_layers": 3, "num_heads": 7}
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        found = fields(run, "--model", str(tmp_path))
        assert [each["kind"] for each in found["attention"]] == ["encoder", "decoder", "cross"]
        assert [each["cache_bytes"] is None for each in found["attention"]] == [True, False, False]
        done = run("cost", "--model", tmp_path)
        assert all(f"\n{kind} · 3 layers × 7 heads of 2" in done.out for kind in ("encoder", "decoder", "cross"))

    def test_a_config_without_a_width_is_refused(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text('{"model_type": "odd"}', encoding="utf-8")
        run("cost", "--model", tmp_path).assert_failed(1, "does not say the width", "--d-model")

    def test_offline_a_model_that_is_not_in_the_cache_is_refused(self, run_process: Run, tmp_path: Path) -> None:
        run_process("cost", "--model", "org/none", "--offline", HF_HOME=str(tmp_path)).assert_failed(
            1, "not, or not wholly"
        )


class TestAShapeAlone:
    def test_the_shape_of_gpt3_has_its_known_numbers(self, run: Run) -> None:
        found = fields(run, *GPT3)
        (attention,) = found["attention"]
        assert found["model"] is None
        assert attention["parameters"]["query"]["head"] == 1_572_864
        assert attention["parameters"]["together"]["head"] == 6_291_456
        assert attention["parameters"]["together"]["model"] == 57_982_058_496
        assert attention["cache_bytes"]["float16"] == {
            "token": 96 * 2 * 12_288 * 2,
            "tokens": 96 * 2 * 12_288 * 2 * 1024,
        }
        assert attention["weight_bytes"]["float32"]["head"] == 1024 * 1024 * 4

    def test_the_table_shows_the_numbers_of_a_shape(self, run: Run) -> None:
        out = run("cost", *GPT3).out
        for number in ("1,572,864", "6,291,456", "57,982,058,496"):
            assert number in out

    def test_shared_heads_of_keys_and_values_are_counted_once(self, run: Run) -> None:
        parts = fields(run, *LLAMA)["attention"][0]["parameters"]
        assert parts["query"]["layer"] == 4 * parts["key"]["layer"] == 4096 * 4096
        assert "Groups of 4 heads share" in run("cost", *LLAMA).out

    @pytest.mark.parametrize(
        ("key_heads", "smaller", "names"), [("32", 1, ""), ("8", 4, "grouped-query attention, GQA"), ("1", 32, "MQA")]
    )
    def test_sharing_and_the_cache_that_it_saves_have_the_names_of_the_field(
        self, run: Run, key_heads: str, smaller: int, names: str
    ) -> None:
        shape = "--d-model", "4096", "--heads", "32", "--layers", "32"
        out = " ".join(run("cost", *shape, "--key-heads", key_heads).out.split())
        assert "The key/value cache (KV cache) keeps keys and values of all layers" in out
        assert names in out and ("GQA" in out, "MQA" in out) == ("GQA" in names, "MQA" in names)
        assert (f"(KV cache) is {smaller} times smaller" in out) == (smaller > 1)
        whole, shared = (
            fields(run, *shape, *more)["attention"][0]["cache_bytes"]["float16"]["token"]
            for more in ((), ("--key-heads", key_heads))
        )
        assert whole == smaller * shared

    def test_it_needs_no_model_even_if_the_environment_names_one(self, run: Run) -> None:
        assert fields(run, *GPT3, ATTNVIZ_MODEL="org/none")["model"] is None

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (("--d-model", "12"), "give all three"),
            (("--heads", "2", "--layers", "3"), "give all three"),
            (("--d-model", "10", "--heads", "3", "--layers", "1"), "a width of 10 cannot be split among 3 heads"),
            ((*LLAMA, "--key-heads", "5"), "32 heads cannot share 5 heads"),
            ((*GPT3, "--model", "builtin"), "has no effect for a shape without a model"),
            (("--key-heads", "2"), "give all three"),
            (("--d-model", "0"), "from 1 to 1,000,000,000"),
            (("--layers", "9" * 5000), "from 1 to 1,000,000,000"),
            (("--tokens", "many"), "'many' is not a number"),
            (("--tokens", "-3"), "from 1 to 1,000,000,000"),
            (("--longest", "512"), "give --measure too"),
            (("-o", "cost.png"), "give --measure too"),
            (("--measure", "-o", "cost.txt"), "let it end in png, svg, pdf"),
            (("--measure", "-o", "cost"), "let it end in png, svg, pdf"),
            (("--measure", "--longest", "255"), "256"),
            (("--format", "csv"), "choose one of table, json"),
        ],
    )
    def test_what_does_not_fit_together_is_wrong_usage(self, run: Run, args: tuple[str, ...], said: str) -> None:
        done = run("cost", *args)
        done.assert_failed(2)
        assert said in " ".join(done.err.replace("│", " ").split())
        assert done.out == ""

    def test_a_head_may_be_of_any_width(self, run: Run) -> None:
        found = fields(run, "--d-model", "10", "--heads", "3", "--layers", "1", "--head-width", "7")
        assert found["attention"][0]["parameters"]["query"]["head"] == 70


class TestTables:
    @pytest.mark.parametrize("columns", [60, 80, 200])
    def test_on_a_terminal_each_line_fits_and_no_number_is_cut(self, on_terminal: Run, columns: int) -> None:
        out = on_terminal(columns, "cost", *GPT3, "--color", "never").out
        assert max(map(len, out.splitlines())) <= columns
        assert "…" not in out
        assert "together    6,291,456  603,979,776  57,982,058,496" in out

    def test_piped_they_have_no_colour_and_sentences_are_not_broken(self, run: Run) -> None:
        out = run("cost", *LLAMA, COLUMNS="500").out
        assert "\x1b" not in out
        assert out == run("cost", *LLAMA, "--color", "never", "--width", "500").out
        assert any(line.startswith("Steps wait") and line.endswith("left out).") for line in out.splitlines())

    def test_color_always_colours_a_piped_table(self, run: Run) -> None:
        assert "\x1b[1m" in run("cost", *LLAMA, "--color", "always").out

    def test_the_table_compares_attention_with_recurrent_layers(self, run: Run) -> None:
        lines = [line.split() for line in run("cost", *LLAMA, "--tokens", "101").out.splitlines()]
        assert next(line for line in lines if line[:1] == ["self-attention"])[-2:] == ["1", "1"]
        assert next(line for line in lines if line[:1] == ["recurrent"])[-2:] == ["101", "101"]


@pytest.fixture(scope="module")
def measured(run_process: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    picture = tmp_path_factory.mktemp("cost") / "deep" / "cost.svg"
    done = run_process(*QUICK, "-o", picture, "--format", "json", MPLBACKEND="unknown")
    assert (done.code, done.err) == (0, "")
    return done, picture


class TestMeasuring:
    def test_as_data_it_stands_beside_what_was_counted(self, measured: tuple[Any, Path]) -> None:
        (found,) = measured[0].records
        assert found["attention"]
        attention, by_tokens, by_width = found["measured"]
        assert [series["method"] for series in attention["series"]] == ["naive", "online softmax", "PyTorch fused"]
        for experiment in (by_tokens, by_width):
            assert [series["method"] for series in experiment["series"]] == ["dot product", "additive"]
        point = attention["series"][0]["points"][-1]
        assert set(point) == {"size", "seconds", "memory"}
        assert point["size"] == 256
        assert point["seconds"] > 0

    def test_the_picture_is_saved_where_it_was_asked_for_and_nothing_beside_it(
        self, measured: tuple[Any, Path]
    ) -> None:
        _, picture = measured
        assert list(picture.parent.iterdir()) == [picture]
        text = picture.read_text(encoding="utf-8")
        for words in ("naive", "online softmax", "PyTorch fused", "dot product", "additive", "peak memory in bytes"):
            assert words in text

    def test_as_tables_exponents_stand_below_what_was_measured(self, run: Run) -> None:
        done = run(*QUICK, "--width", "60")
        assert (done.code, done.err) == (0, "")
        lines = done.out.splitlines()
        assert sum(line.startswith("grows as") for line in lines) == 6
        assert "Attention, d = 64: peak memory" in lines
        assert max(map(len, lines)) <= 60

    def test_a_terminal_is_told_what_is_being_measured(self, on_terminal: Run) -> None:
        out = on_terminal(80, *QUICK).out
        assert "measuring" in out
        assert "Scores alone" in out

    def test_a_picture_that_cannot_be_written_is_an_error_after_the_tables(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        done = run(*QUICK, "-o", tmp_path / "file" / "cost.png")
        done.assert_failed(1, "cannot be written")
        assert "grows as" in done.out

    def test_too_little_memory_ends_in_a_sentence(self) -> None:
        limit = 700_000_000
        done = subprocess.run(
            [sys.executable, "-m", "attnviz", "cost", "--measure", "--longest", "65536"],
            capture_output=True,
            encoding="utf-8",
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
            timeout=600,
        )
        assert done.returncode == 1
        assert done.stderr.splitlines() == [done.stderr.strip()]
        assert "there is too little memory, so give a smaller --longest" in done.stderr


def test_counting_loads_no_torch_and_no_matplotlib() -> None:
    loaded = modules_after("from attnviz.cli.app import app; app(['cost'], standalone_mode=False)")
    assert loaded.isdisjoint({"torch", "transformers", "matplotlib"})


def test_more_tokens_than_a_model_reads_are_counted_and_said_to_be(run: Run) -> None:
    done = run("cost", "--tokens", "100000")
    assert done.code == 0
    assert "Counted for 100,000 tokens, although the model reads at most 512." in done.out


def test_an_option_of_loading_is_refused_for_a_shape(run: Run) -> None:
    shape = ("--d-model", "8", "--heads", "2", "--layers", "1")
    run("cost", *shape, "--offline").assert_failed(2, "--offline has no effect for a shape")


def test_with_more_heads_parameters_stay_and_weights_grow_as_is_said(run: Run) -> None:
    shape = ("--d-model", "96", "--layers", "4")
    few, many = (fields(run, *shape, "--heads", heads)["attention"][0] for heads in ("6", "12"))
    assert few["parameters"]["together"] | {"head": 0} == many["parameters"]["together"] | {"head": 0}
    operations = [each["operations"]["together"]["model"] for each in (few, many)]
    assert operations[0] < operations[1] < 1.05 * operations[0]  # nearly the same: each head scales its scores
    said = "with more of them, parameters stay the same and operations nearly so"
    assert said in " ".join(run("cost", *shape, "--heads", "6").out.split())
    assert said not in " ".join(run("cost", *shape, "--heads", "1").out.split())
    assert said not in " ".join(run("cost", *shape, "--heads", "6", "--head-width", "32").out.split())
    assert few["weight_bytes"]["float32"]["layer"] * 2 == many["weight_bytes"]["float32"]["layer"]


def test_what_grows_as_the_square_is_said_to(run: Run) -> None:
    short, long = (fields(run, "--tokens", tokens)["attention"][0] for tokens in ("128", "256"))
    grown = {name: each["model"] / short["operations"][name]["model"] for name, each in long["operations"].items()}
    assert grown["scores"] == grown["weighted_sum"] == 4 and grown["projections"] == 2
    told = " ".join(run("cost").out.split())
    assert "Scores and the weighted sum grow as N²" in told
    assert "projections (W_Q, W_K, W_V and W_O) grow as N." in told
    assert "Online softmax (FlashAttention) holds no more than a tile of them; its time stays N²." in told


def sizes(tokens: int, width: int) -> Sizes:
    return Sizes(queries=tokens, keys=tokens, query_width=width, key_width=width)


def test_additive_scores_need_d_times_the_memory_at_any_length_and_what_products_save_grows_as_n_squared(
    run: Run,
) -> None:
    dot, additive = SCORES["scaled-dot"], SCORES["additive"]
    for width in (16, 64, 256):
        for tokens in (16, 128, 1024):
            ratio = additive.memory(sizes(tokens, width)) / dot.memory(sizes(tokens, width))
            assert width < ratio < 1.2 * width
    for saved in (
        lambda n: additive.memory(sizes(n, 64)) - dot.memory(sizes(n, 64)),
        lambda n: additive.operations(sizes(n, 64)) - dot.operations(sizes(n, 64)),
    ):
        assert 3.5 < saved(1024) / saved(512) < 4.1
    told = " ".join(run(*QUICK, "--width", "90").out.split())
    assert (
        "additive scores, which hold d numbers for each pair: about d times the memory of dot products at any length"
        in told
    )
    assert "What products save grows as N²." in told
    assert "the longer the text" not in told and "On random vectors, not on this model." in told
    assert "read the last rows" in told
    assert "Expected: time grows as N², because every query is compared with every key." in told


def test_what_a_score_is_made_of_is_said_of_the_function_that_the_model_has(run: Run) -> None:
    for model, said in (
        ("builtin", "Scores include N² divisions by √d_k for each head."),
        (
            "builtin/bahdanau",
            "For each pair, scores are a sum, a tanh and a product with a learned vector, of d numbers each.",
        ),
    ):
        told = " ".join(run("cost", "--model", model).out.split())
        assert said in told and told.count("Scores include") + told.count("For each pair, scores") == 1
        assert "Counted from the shape, not measured:" in told
    scores = fields(run, "--tokens", "100")["attention"][0]["operations"]["scores"]["head"]
    assert scores == 100 * 100 * (2 * 16 + 1)  # a product, and a division


def test_scores_alone_are_measured_as_far_as_is_said(run: Run) -> None:
    attention, by_tokens, by_width = fields(run, *QUICK[1:])["measured"]
    last = attention["series"][0]["points"][-1]["size"]
    assert by_tokens["series"][0]["points"][-1]["size"] * 8 == last
    assert by_width["fixed"] == f"N = {last // 16}"
    told = " ".join(run(*QUICK).out.split())
    assert "with up to 1/8 as many as attention, and where d grows with 1/16 as many." in told


def test_no_growth_has_a_constant_factor_and_operations_are_said_to(run: Run) -> None:
    found = fields(run)
    assert [each["order"] for each in found["layer_types"]] == ["N²·d + N·d²", "N·d²", "N·d²"]
    assert "leave out constant factors, which operations have" in " ".join(run("cost").out.split())
