"""What the built-in encoder learns to do with its vectors; nothing here looks at attention weights."""

from attnviz.reference.arrays import Array
from attnviz.reference.layers import linear
from attnviz.reference.parameters import Parameters


def masked_scores(vectors: Array, parameters: Parameters) -> Array:
    """How likely each token of the vocabulary stood where these vectors are: [..., width] -> [..., vocabulary]."""
    return vectors @ parameters["embedding.weight"].mT + parameters["masked.bias"]


def naming_scores(vectors: Array, parameters: Parameters) -> Array:
    """How likely each token is the first piece of the word that a pronoun stands for: as `masked_scores`."""
    return linear(vectors, parameters.within("naming")) @ parameters["embedding.weight"].mT
