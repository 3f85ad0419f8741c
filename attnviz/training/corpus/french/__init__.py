"""English texts with their French, generated together, so that the true alignment of their words is known."""

from attnviz.training.corpus.french.generation import pairs
from attnviz.training.corpus.french.lexicon import lemmas
from attnviz.training.corpus.french.spelling import Alignment, Pair

__all__ = ["Alignment", "Pair", "lemmas", "pairs"]
