"""The built-in decoder: it foretells the next token, and has learned that what came before comes again."""

from pathlib import Path

from attnviz.training.course import Course, Json
from attnviz.training.decoder.card import findings, findings_in_words, prose
from attnviz.training.decoder.evaluation import evaluate
from attnviz.training.decoder.learning import RECIPE, learn

EVALUATED_TEXTS = 2000


def measured(folder: Path) -> Json:
    """Return what the decoder in a folder does with held-out texts."""
    return findings(evaluate(folder, EVALUATED_TEXTS))


COURSE = Course(recipe=RECIPE, learn=learn, findings=measured, findings_in_words=findings_in_words, prose=prose)
