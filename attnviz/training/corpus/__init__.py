"""The generated English corpus: a grammar, a lexicon, and texts in which every word's links are known."""

from attnviz.training.corpus.builder import Example, Link, Relation
from attnviz.training.corpus.examples import Split, examples, lexicon_size

__all__ = ["Example", "Link", "Relation", "Split", "examples", "lexicon_size"]
