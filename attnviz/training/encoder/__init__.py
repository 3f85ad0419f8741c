"""The built-in encoder: it guesses masked tokens, and names the antecedent of each pronoun."""

from pathlib import Path

from attnviz.training.course import Course, Json
from attnviz.training.encoder.card import findings, findings_in_words, prose
from attnviz.training.encoder.evaluation import evaluate
from attnviz.training.encoder.learning import learn
from attnviz.training.fitting import Recipe

EVALUATED_TEXTS = 2000


def measured(folder: Path) -> Json:
    """Return what the encoder in a folder does on held-out texts."""
    return findings(evaluate(folder, EVALUATED_TEXTS))


COURSE = Course(recipe=Recipe(), learn=learn, findings=measured, findings_in_words=findings_in_words, prose=prose)
