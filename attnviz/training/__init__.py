"""What the shipped encoder learns from: a lexicon, a grammar, world-knowledge frames, and the corpus they generate."""
