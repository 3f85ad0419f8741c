"""Self-attention without parameters: vectors that look at each other as they are, where every explanation starts."""

from attnviz.reference.arrays import Array
from attnviz.reference.scores import dot, weights_of


def plain(x: Array) -> tuple[Array, Array]:
    """Y = (X Xᵀ) X: each vector becomes the sum of all, each as often as the two are alike, Y₃ = Σᵢ (X₃·Xᵢ) Xᵢ.

    The weights [..., tokens, tokens] are the scores themselves, so they may be negative and sum to anything; the
    output is [..., tokens, width].
    """
    weights = dot(x, x)
    return weights, weights @ x


def softmaxed(x: Array) -> tuple[Array, Array]:
    """Y = softmax(X Xᵀ) X: the same with weights that are positive and sum to 1, so that each output is an average.

    Weights [..., tokens, tokens] and output [..., tokens, width].
    """
    weights = weights_of(dot(x, x), None)
    return weights, weights @ x
