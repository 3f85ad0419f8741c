"""From a recipe to the files of a built-in model."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.progress import Progress

from attnviz.models import builtin
from attnviz.training.__main__ import COURSES
from attnviz.training.course import complete_card, shape_of, train_into
from attnviz.training.decoder import learning as decoder
from attnviz.training.encoder import learning as encoder
from attnviz.training.translation import learning as translation

FEW = 300


@pytest.fixture
def few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vocabularies are learned from a few texts only."""
    monkeypatch.setattr(encoder, "_VOCABULARY_TEXTS", FEW)
    monkeypatch.setattr(decoder, "_VOCABULARY_TEXTS", FEW)
    monkeypatch.setattr(translation, "_VOCABULARY_PAIRS", FEW)


@pytest.mark.usefixtures("few_texts", "small_batches")
@pytest.mark.parametrize("name", COURSES)
def test_a_course_writes_a_model_that_can_be_loaded(name: str, tmp_path: Path) -> None:
    course, folder = COURSES[name], tmp_path / name
    train_into(folder, course, replace(course.recipe, steps=1), Progress(disable=True))
    model = builtin.load(folder)
    assert model.card.name == f"builtin/{name}"
    for attention in model.attend("The dog saw the red car", **({"target": "Le chien"} if name in TRANSLATORS else {})):
        assert attention.weights.size
    complete_card(folder, course, json.loads((builtin.FOLDER / name / builtin.CARD).read_text(encoding="utf-8")))
    assert (folder / "CARD.md").read_text(encoding="utf-8").startswith(f"# builtin/{name}")


TRANSLATORS = "translator", "bahdanau"


def test_every_model_has_a_course_and_every_course_a_model() -> None:
    assert set(COURSES) == set(builtin.MODELS) == {name.removeprefix("builtin/") for name in builtin.find_folders()}


@pytest.mark.parametrize("config", [encoder.CONFIG, decoder.CONFIG])
def test_a_shape_is_read_as_it_was_written(config) -> None:
    from attnviz.models.shapes import read_shape

    assert read_shape(json.loads(json.dumps(shape_of(config)))) == config
