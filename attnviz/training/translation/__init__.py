"""The built-in translators: two networks that learn the same from the same, and are measured alike."""

from collections.abc import Callable
from pathlib import Path

from attnviz.models.builtin import bahdanau, translator
from attnviz.models.model import Model
from attnviz.training.course import Course, Json
from attnviz.training.fitting import Recipe
from attnviz.training.translation import recurrent, transformer
from attnviz.training.translation.card import findings, findings_in_words, prose
from attnviz.training.translation.evaluation import evaluate
from attnviz.training.translation.learning import Design

EVALUATED_PAIRS = 2000


def _course(design: Design, recipe: Recipe, load: Callable[[Path], Model]) -> Course:
    def measured(folder: Path) -> Json:
        return findings(evaluate(load(folder), EVALUATED_PAIRS))

    return Course(
        recipe=recipe,
        learn=design.learn,
        findings=measured,
        findings_in_words=findings_in_words,
        prose=prose,
    )


TRANSLATOR = _course(transformer.DESIGN, Recipe(steps=16_000), translator.load)
BAHDANAU = _course(recurrent.DESIGN, Recipe(steps=12_000, learning_rate=8e-3), bahdanau.load)
