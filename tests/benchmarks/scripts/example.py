"""Seeded random attention weights: of a model of BERT's size for 15 tokens, and of one head for each of many texts."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SENTENCE = "The animal didn't cross the street because it was too tired"
TOKENS = ("[CLS]", *re.findall(r"\w+|'", SENTENCE), "[SEP]")
LAYERS = HEADS = 12

_SHARPNESS = 0.3  # below 1, a row puts most of its weight on a few keys, as trained heads do


def weights() -> NDArray[np.float32]:
    """Rows that sum to 1: [layers, heads, tokens, tokens]."""
    return _drawn(0, LAYERS, HEADS, len(TOKENS), len(TOKENS))


def heads(texts: Path) -> Iterator[tuple[tuple[str, ...], NDArray[np.float32]]]:
    """The tokens of each line of a file, and the weights of one head: [tokens, tokens]."""
    for seed, line in enumerate(texts.read_text("utf-8").splitlines()):
        tokens = ("[CLS]", *line.split(), "[SEP]")
        yield tokens, _drawn(seed, len(tokens), len(tokens))


def _drawn(seed: int, *shape: int) -> NDArray[np.float32]:
    sharp = np.full(shape[-1], _SHARPNESS)
    return np.random.default_rng(seed).dirichlet(sharp, shape[:-1]).astype(np.float32)
