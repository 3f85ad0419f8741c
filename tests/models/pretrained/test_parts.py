"""Only what is wanted is computed: some heads, some rows, the keys these can see, several texts at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from attnviz.models.loading import Loading
from attnviz.models.passages import Passage, Reading
from attnviz.models.pretrained import load
from attnviz.records import Selection
from attnviz.vocabulary import Kind

TEXT = "the animal did not cross the street because it was too tired"
TARGET = "it was too wide because the street"
OTHERS = ["it was too wide because the street did not cross the animal", "a b c d e f g h a b c d"]  # of 12 tokens too

Models = Callable[[str], Any]


def read(model: Any, text: str = TEXT, target: str = TARGET) -> Reading:
    reading: Reading = model.read(Passage(text=text, target=target if model.card.translates else None))
    return reading


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, tuple[int, ...]]]:
    """The shapes of what the models' own attention functions are called with, and what they are."""
    from attnviz.models.pretrained.attending import Attending

    made: list[dict[str, tuple[int, ...]]] = []
    by = Attending.by

    def watched(call: Any, attention: Any) -> Any:
        shapes = {name: tuple(getattr(call, name).shape) for name in ("query", "key", "value")}
        made.append(shapes | {"fused": (attention.__name__ == "sdpa_attention_forward",)})
        return by(call, attention)

    monkeypatch.setattr(Attending, "by", watched)
    return made


@pytest.mark.usefixtures("small_blocks")
def test_some_heads_and_rows_are_those_of_the_whole(any_family: str, model_of: Models) -> None:
    model = model_of(any_family)
    reading = read(model)
    for whole in model.weights(reading):
        kind, layers = whole.kind, whole.layers
        for layer in (layers[0], layers[-1]):
            select = Selection(kinds=(kind,), layers=(layer,), heads=(2, 0), rows=("1", "4-6"))
            (some,) = model.weights(reading, select)
            assert (some.layers, some.heads) == ((layer,), (2, 0))
            expected = whole.weights[[layers.index(layer)]][:, [2, 0]][:, :, [1, 4, 5, 6]]
            assert_allclose(some.weights, expected, atol=1e-5, err_msg=f"{kind} {layer}")


@pytest.mark.usefixtures("small_blocks")
def test_texts_read_together_have_the_weights_that_they_have_alone(any_family: str, model_of: Models) -> None:
    model = model_of(any_family)
    reading = read(model)
    backwards = reading.take(range(len(reading.ids))[::-1])
    readings = [reading, backwards, reading.take([*range(3, len(reading.ids)), 0, 1, 2])]
    for reading, found in zip(readings, model.weights_of(readings), strict=True):
        for mine, alone in zip(found, model.weights(reading), strict=True):
            assert mine.kind is alone.kind
            assert_allclose(mine.weights, alone.weights, atol=1e-5)


def test_texts_of_one_size_are_one_batch(model_of: Models) -> None:
    model, batches = model_of("bert"), list[int]()
    hook = model.runner.network.register_forward_pre_hook(
        lambda module, args, given: batches.append(len(given["input_ids"])), with_kwargs=True
    )
    model.weights_of([read(model, text) for text in (TEXT, *OTHERS)])
    hook.remove()
    assert batches == [3]


def test_texts_are_read_one_by_one_where_that_makes_a_difference(
    monkeypatch: pytest.MonkeyPatch, model_of: Models
) -> None:
    model, batches = model_of("bert"), list[int]()
    monkeypatch.setattr(model.runner, "tokens_at_once", 1)
    readings = [read(model, text) for text in (TEXT, *OTHERS)]
    hook = model.runner.network.register_forward_pre_hook(
        lambda module, args, given: batches.append(len(given["input_ids"])), with_kwargs=True
    )
    found = model.weights_of(readings)
    hook.remove()
    assert batches == [1, 1, 1]
    for reading, (mine,) in zip(readings, found, strict=True):
        assert_allclose(mine.weights, model.weights(reading)[0].weights, atol=1e-6)


def test_a_model_that_mixes_texts_is_found_out(model_of: Models) -> None:
    from attnviz.models.pretrained.survey import survey_model

    network = model_of("bert").runner.network
    assert survey_model(network, "bert").together
    hook = network.embeddings.register_forward_hook(lambda module, args, vectors: vectors - vectors.mean(0) / 2)
    try:
        assert not survey_model(network, "bert").together
    finally:
        hook.remove()


def test_words_that_stand_elsewhere_in_each_text_have_their_rows(model_of: Models) -> None:
    model = model_of("llama")
    readings = [read(model, text) for text in (TEXT, OTHERS[0])]
    found = model.weights_of(readings, Selection(layers=(1,), rows=("street", "it")))
    for reading, rows, (mine,) in zip(readings, ([6, 8], [0, 6]), found, strict=True):
        (whole,) = model.weights(reading, Selection(layers=(1,)))
        assert_allclose(mine.weights, whole.weights[:, :, rows], atol=1e-6)


def test_kinds_that_have_none_of_the_rows_are_left_out(model_of: Models) -> None:
    model = model_of("bart")
    (found,) = model.weights_of([read(model)], Selection(rows=("animal",)))
    assert [attention.kind for attention in found] == [Kind.ENCODER]


def test_texts_read_together_need_not_have_the_rows_in_the_same_kinds(model_of: Models) -> None:
    model = model_of("bart")
    readings = [read(model), read(model, target=TARGET.replace("wide", "animal"))]
    first, second = model.weights_of(readings, Selection(rows=("animal",)))
    assert [attention.kind for attention in first] == [Kind.ENCODER]
    assert [attention.kind for attention in second] == list(Kind)


@pytest.mark.parametrize(
    "family", ["bert", "distilbert", "llama", "gpt2", "mistral", "gemma3", "t5", "bart", "modernbert"]
)
def test_functions_can_be_called_for_some_heads_and_without_values(family: str, model_of: Models) -> None:
    assert model_of(family).runner.way.slices


def test_a_function_that_finds_something_for_each_head_in_its_module_is_called_for_all(
    tmp_path: Path, make: Callable[..., None], families: dict[str, Any]
) -> None:
    sizes = families["gpt-oss"].sizes | {"num_attention_heads": 4, "num_key_value_heads": 2}
    make(tmp_path, "GptOssForCausalLM", "GptOssConfig", sizes, "$A")
    model = load("gpt-oss", tmp_path, Loading())
    assert not model.runner.way.slices
    reading = read(model)
    (whole,), (some,) = model.weights(reading), model.weights(reading, Selection(layers=(2,), heads=(3,)))
    assert_allclose(some.weights[0, 0], whole.weights[2, 3], atol=1e-5)


@pytest.mark.parametrize(
    ("family", "plain"),
    [
        *((family, True) for family in ("bert", "gpt2", "llama", "mistral", "gemma3", "bart")),
        *((family, False) for family in ("gemma2", "gpt-oss", "t5")),
    ],
)
def test_what_caps_scores_or_adds_to_them_or_to_their_sum_is_left_to_the_models_own_function(
    family: str, plain: bool, model_of: Models
) -> None:
    assert model_of(family).runner.way.plain is plain


def test_a_cap_that_no_score_of_a_few_tokens_comes_near_is_found_out(
    tmp_path: Path, make: Callable[..., None], families: dict[str, Any]
) -> None:
    sizes = families["gemma2"].sizes | {"attn_logit_softcapping": 50.0}
    make(tmp_path, "Gemma2ForCausalLM", "Gemma2Config", sizes, "$A")
    assert not load("gemma2", tmp_path, Loading()).runner.way.plain


def test_sinks_that_take_nothing_from_a_few_tokens_are_not_forgotten(
    folder_of: Callable[[str], Path],
) -> None:
    from attnviz.models.pretrained.survey import survey_model

    network = load("gpt-oss", folder_of("gpt-oss"), Loading()).runner.network
    for layer in network.layers:
        layer.self_attn.sinks.data.fill_(-50)
    way = survey_model(network, "gpt-oss").way
    assert (way.plain, way.fuses) == (False, False)


def test_of_a_late_layer_only_the_wanted_head_and_rows_are_computed(model_of: Models, calls: list[Any]) -> None:
    model = model_of("bert")
    calls.clear()
    model.run([read(model)], Selection(layers=(2,), heads=(1,), rows=("4-6",)), lambda block: None)
    assert calls == [{"query": (1, 1, 3, 8), "key": (1, 1, 14, 8), "value": (1, 1, 14, 0), "fused": (False,)}]


def test_heads_that_share_their_keys_are_computed_together(model_of: Models, calls: list[Any]) -> None:
    model, blocks = model_of("qwen3"), list[Any]()  # three heads share one
    calls.clear()
    model.run([read(model)], Selection(layers=(0,), heads=(1,)), blocks.append)
    assert [(call["query"][1], call["key"][1]) for call in calls] == [(3, 1)]
    assert [(block.heads, block.weights.shape[1]) for block in blocks] == [((1,), 1)]


@pytest.mark.usefixtures("small_blocks")
def test_of_several_groups_of_heads_only_those_with_a_wanted_head_are_computed(
    tmp_path: Path, make: Callable[..., None], families: dict[str, Any], calls: list[Any]
) -> None:
    sizes = families["llama"].sizes | {"num_attention_heads": 6, "num_key_value_heads": 3}
    make(tmp_path, "LlamaForCausalLM", "LlamaConfig", sizes, "$A")
    model = load("llama", tmp_path, Loading())
    reading = read(model)
    (whole,) = model.weights(reading)
    calls.clear()
    (some,) = model.weights(reading, Selection(layers=(0, 2), heads=(5, 1)))
    assert {(call["query"][1], call["key"][1]) for call in calls} == {(2, 1)}
    assert_allclose(some.weights, whole.weights[[0, 2]][:, [5, 1]], atol=1e-5)


def test_a_layer_of_which_little_is_wanted_goes_on_by_fused_attention(model_of: Models, calls: list[Any]) -> None:
    from transformers.integrations import sdpa_attention

    model, fused = model_of("bert"), list[int]()
    hook = sdpa_attention.sdpa_attention_forward
    calls.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "attnviz.models.pretrained.attending.sdpa_attention_forward",
            lambda module, query, *rest, **options: (
                fused.append(query.shape[1]) or hook(module, query, *rest, **options)
            ),
        )
        model.run([read(model)], Selection(layers=(0, 2), heads=(1,)), lambda block: None)
    assert [call["query"][1] for call in calls] == [1, 1]  # one head of each wanted layer, without its output
    assert [call["value"][-1] for call in calls] == [0, 0]
    assert fused == [3, 3]  # all heads of the first two layers, and no output of the last


@pytest.mark.usefixtures("small_blocks")
def test_blocks_in_a_sliding_window_have_only_the_keys_that_their_rows_see(model_of: Models) -> None:
    model = model_of("mistral")  # which sees itself and the 4 tokens before
    keys: dict[range, range] = {}
    model.run([read(model)], Selection(layers=(0,)), lambda block: keys.update({block.rows: block.keys}))
    assert keys == {range(5): range(5), range(5, 10): range(1, 10), range(10, 12): range(6, 12)}


def test_a_long_text_is_cut_into_blocks_of_about_the_same_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from attnviz.models.pretrained import attending

    monkeypatch.setattr(attending, "BLOCK", 12 * 1000)
    monkeypatch.setattr(attending, "FEWEST_ROWS", 1)
    for seen in (1, 30, 100, 399, 400):
        rows = attending.count_rows(heads=12, keys=400, seen=seen)
        assert rows * min(seen + rows, 400) <= 1000 < (rows + 1) * min(seen + rows + 1, 400)


def test_rows_that_are_shown_whole_sum_to_1(model_of: Models) -> None:
    model = model_of("mistral")
    (found,) = model.weights(read(model), Selection(rows=("it",)))
    assert_allclose(found.weights.sum(-1), np.ones(found.shape[:3]), atol=1e-5)
