"""The objectives of the built-in encoder, computed from its vectors; nothing here looks at attention weights."""

import math

from attnviz.reference.arrays import Array, namespace
from attnviz.reference.layers import linear
from attnviz.reference.parameters import Parameters
from attnviz.training.tokenizer import SPECIAL


def masked_scores(vectors: Array, parameters: Parameters) -> Array:
    """Return how likely each token of the vocabulary stood at these vectors: [..., width] -> [..., vocabulary]."""
    return vectors @ parameters["embedding.weight"].mT + parameters["masked.bias"]


def naming_scores(vectors: Array, ids: Array, parameters: Parameters) -> Array:
    """Return how likely each token of its text is the first piece of what a pronoun stands for.

    Only the text's own words compete, so a noun that no pronoun ever stood for is not unlearned: the vectors
    [pronouns, width] and the ids of their texts [pronouns, tokens] -> [pronouns, tokens], -∞ at special tokens.
    """
    xp = namespace(vectors)
    tokens = parameters["embedding.weight"][ids]  # [pronouns, tokens, width]
    scores = (tokens @ linear(vectors, parameters.within("naming"))[..., None])[..., 0]
    return xp.where(ids >= len(SPECIAL), scores, xp.asarray(-math.inf, dtype=scores.dtype))
