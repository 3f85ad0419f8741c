"""What scores are made of, as it is handed over with the weights, held against the weights that the library returns."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.testing import assert_allclose

from attnviz.measures.terms import KeepTerms, ScoredRecord
from attnviz.records import ScoreTerms, Selection
from attnviz.text import By
from tests.models.pretrained.test_trace import QUERY, from_library, read

OWN_CODE = {
    *("deberta-v2", "mpnet", "xlnet", "xlm", "flaubert", "roformer", "convbert", "gpt-j", "gpt-neo"),
    *("bloom", "mpt", "falcon", "codegen", "openai-gpt", "fsmt"),
}
"""Families with attention code of their own, which hands nothing over but its weights."""

CAPPED = {"gemma2"}
"""Families whose weights are no softmax of scaled products: their scores are capped, and far from 0."""

Models = Callable[[str], Any]


def keep(model: Any, select: Selection = Selection()) -> list[ScoredRecord]:  # noqa: B008
    (found,) = model.reduce([read(model)], select, partial(KeepTerms, by=By.TOKEN, room=math.inf))
    kept: list[ScoredRecord] = found
    return kept


def softmax_of(terms: ScoreTerms, layer: int, seen: np.ndarray) -> np.ndarray:
    """Return the weights of one query [heads, keys] over the keys that it sees, in float64, written out once more."""
    own = terms.layers[layer]
    scores = np.einsum("hd,hkd->hk", own.queries[:, QUERY].astype(float), own.keys.astype(float)) * own.scale
    if own.biases is not None:
        for key, token in enumerate(terms.axes.key_tokens):
            scores[:, key] += own.biases[:, token.position - terms.axes.query_tokens[QUERY].position - terms.first]
    exponentials = np.exp(scores) * seen
    weights: np.ndarray = exponentials / exponentials.sum(-1, keepdims=True)
    return weights


def test_softmax_of_the_terms_is_what_the_library_returns(any_family: str, model_of: Models) -> None:
    model = model_of(any_family)
    for kept in keep(model):
        if any_family in OWN_CODE | CAPPED:
            assert kept.terms is None
            continue
        assert kept.terms is not None
        for layer in kept.record.layers:
            there = from_library(model, read(model), kept.record.kind, layer)
            left = there.sum(-1, keepdims=True)  # a sink has the rest
            off = 1e-4 if any_family == "t5gemma" else 1e-5  # its scores are capped far above those of small weights
            assert_allclose(softmax_of(kept.terms, layer, there > 0) * left, there, atol=off)
