"""The corpora that the built-in models learn from, and their training: a lexicon, a grammar, world-knowledge frames."""
