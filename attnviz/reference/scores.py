"""Score functions and what becomes of scores: softmax to weights, weights times values (Vaswani et al. 2017, 3.2.1)."""

import math
from collections.abc import Callable, Mapping

from msgspec import Struct

from attnviz.reference.arrays import Array, namespace, softmax
from attnviz.reference.layers import linear
from attnviz.reference.parameters import Parameters

Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of arrays, by name."""


def dot(q: Array, k: Array) -> Array:
    """Return q·k, large where a key points the same way as the query: [..., q, d], [..., k, d] -> [..., q, k]."""
    return q @ k.mT


def scaled_dot(q: Array, k: Array) -> Array:
    """Return q·k / √d_k, the scale keeping the spread of the scores near 1 whatever the dimension of the heads."""
    return dot(q, k) / math.sqrt(q.shape[-1])  # [..., q, d], [..., k, d] -> [..., q, k]


def cosine(q: Array, k: Array) -> Array:
    """Return the cosine of the angle between query and key, whatever their lengths; 0 where one has no length."""
    return dot(_normalize(q), _normalize(k))  # [..., q, d], [..., k, d] -> [..., q, k]


def general(q: Array, k: Array, parameters: Parameters) -> Array:
    """Return q W k with a learned `weight` [query width, key width]: queries and keys may differ in width."""
    return dot(q @ parameters["weight"], k)  # [..., q, dq], [..., k, dk] -> [..., q, k]


def additive(q: Array, k: Array, parameters: Parameters) -> Array:
    """Return v·tanh(W_q q + W_k k), also called concat: a small network that reads the query and the key together.

    W_q and W_k are `query.weight` and `key.weight` [inner, width], with biases or without; `v` is [inner].
    """
    q = linear(q, parameters.within("query"))[..., :, None, :]  # [..., q, inner] -> [..., q, 1, inner]
    k = linear(k, parameters.within("key"))[..., None, :, :]  # [..., k, inner] -> [..., 1, k, inner]
    return namespace(q).tanh(q + k) @ parameters["v"]  # [..., q, k, inner] -> [..., q, k]


def location(q: Array, k: Array, parameters: Parameters) -> Array:
    """Return W q, whatever the keys hold: `weight` [longest text, query width] has a row for each position of a key.

    Texts shorter than the longest use the first rows only.
    """
    return dot(q, parameters["weight"][: k.shape[-2]])  # [..., q, dq], [k, dq] -> [..., q, k]


def _normalize(x: Array, shortest: float = 1e-8) -> Array:
    xp = namespace(x)
    return x / xp.clip(xp.sqrt(xp.sum(x**2, axis=-1, keepdims=True)), shortest, None)


class Sizes(Struct, frozen=True, kw_only=True):
    """The sizes that a score function's cost depends on: how many queries and keys there are, and their widths."""

    queries: int
    keys: int
    query_width: int
    key_width: int

    @property
    def pairs(self) -> int:
        """Return how many scores there are."""
        return self.queries * self.keys

    @property
    def vectors(self) -> int:
        """Return how many queries and keys there are together."""
        return self.queries + self.keys


class ScoreFunction(Struct, frozen=True, kw_only=True):
    """A way to say how well a key fits a query, and what it costs.

    `shapes` are those of its parameters for (query width, key width, keys). `operations` counts 2 for each
    multiplication and addition of a product of vectors, 1 for any other (a sum, a division, a root, a tanh).
    `memory` is how many numbers it makes, the scores among them, where what is done to each number is done in place.
    """

    formula: str
    source: str
    score: Callable[[Array, Array, Parameters], Array]
    shapes: Callable[[int, int, int], Shapes] = lambda query_width, key_width, keys: {}
    operations: Callable[[Sizes], int]
    memory: Callable[[Sizes], int]

    def __call__(self, q: Array, k: Array, parameters: Parameters | None = None) -> Array:
        """Return the scores: [..., q, query width], [..., k, key width] -> [..., q, k]."""
        return self.score(q, k, parameters or Parameters({}))

    def parameters(self, sizes: Sizes) -> int:
        """Return how many numbers it learns."""
        return sum(math.prod(shape) for shape in self.shapes(sizes.query_width, sizes.key_width, sizes.keys).values())


def _ignore_parameters(score: Callable[[Array, Array], Array]) -> Callable[[Array, Array, Parameters], Array]:
    return lambda q, k, _: score(q, k)


SCORES: dict[str, ScoreFunction] = {
    "dot": ScoreFunction(
        formula="q·k",
        source="Luong et al. 2015, 3.1",
        score=_ignore_parameters(dot),
        operations=lambda n: 2 * n.pairs * n.key_width,
        memory=lambda n: n.pairs,
    ),
    "scaled-dot": ScoreFunction(
        formula="q·k / √d_k",
        source="Vaswani et al. 2017, 3.2.1",
        score=_ignore_parameters(scaled_dot),
        operations=lambda n: 2 * n.pairs * n.key_width + n.pairs,
        memory=lambda n: n.pairs,
    ),
    "cosine": ScoreFunction(
        formula="q·k / (‖q‖ ‖k‖)",
        source="Graves et al. 2014, 3.3.1",
        score=_ignore_parameters(cosine),
        operations=lambda n: 2 * n.pairs * n.key_width + n.vectors * (3 * n.key_width + 1),
        memory=lambda n: n.pairs + n.vectors * n.key_width,
    ),
    "general": ScoreFunction(
        formula="q W k",
        source="Luong et al. 2015, 3.1",
        score=general,
        shapes=lambda query_width, key_width, keys: {"weight": (query_width, key_width)},
        operations=lambda n: 2 * (n.queries * n.query_width + n.pairs) * n.key_width,
        memory=lambda n: n.pairs + n.queries * n.key_width,
    ),
    "additive": ScoreFunction(
        formula="u·tanh(W_q q + W_k k)",  # the papers' v, a letter that values have
        source="Bahdanau et al. 2015, A.1.2; as concat in Luong et al. 2015, 3.1",
        score=additive,
        shapes=lambda query_width, key_width, keys: {
            "query.weight": (query_width, query_width),  # inside as wide as the query, as in the paper
            "key.weight": (query_width, key_width),
            "v": (query_width,),
        },
        operations=lambda n: (2 * (n.queries * n.query_width + n.keys * n.key_width) + 4 * n.pairs) * n.query_width,
        memory=lambda n: n.pairs + (n.vectors + n.pairs) * n.query_width,
    ),
    "location": ScoreFunction(
        formula="W q",
        source="Luong et al. 2015, 3.1",
        score=location,
        shapes=lambda query_width, key_width, keys: {"weight": (keys, query_width)},
        operations=lambda n: 2 * n.pairs * n.query_width,
        memory=lambda n: n.pairs,
    ),
}
"""The score functions, by the name that the command line knows them by."""


def draw_parameters(name: str, query_width: int, key_width: int, keys: int, seed: int) -> Parameters:
    """Draw NumPy parameters of a score function, for a demonstration where none are learned.

    The same seed gives the same ones. Each is of variance 1 / its last axis, so that the scores are about as large as
    those of the dot product or smaller.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    shapes = SCORES[name].shapes(query_width, key_width, keys)
    return Parameters(
        {part: generator.normal(0, shape[-1] ** -0.5, shape).astype(np.float32) for part, shape in shapes.items()}
    )


def apply_mask(scores: Array, allowed: Array | None) -> Array:
    """Return scores of -∞ for the keys that the mask does not allow: [..., q, k] -> the same."""
    if allowed is None:
        return scores
    xp = namespace(scores)
    return xp.where(allowed, scores, xp.asarray(-math.inf, dtype=scores.dtype, device=scores.device))


def compute_weights(scores: Array, allowed: Array | None, sink: Array | None = None) -> Array:
    """Apply softmax over the keys that the mask allows; the others are -∞ before it, so that rows still sum to 1.

    A row in which nothing is allowed has no softmax: it comes out as NaN. A `sink` [..., q] is one score more, of no
    key, so that rows sum to less than 1 by its share (gpt-oss, 2025).
    """
    if sink is None:
        return softmax(apply_mask(scores, allowed))  # [..., q, k]
    with_sink = namespace(scores).concat([apply_mask(scores, allowed), sink[..., None]], axis=-1)  # [..., q, k + 1]
    return softmax(with_sink)[..., :-1]


def attention(
    q: Array, k: Array, v: Array, allowed: Array | None = None, bias: Array | None = None
) -> tuple[Array, Array]:
    """Return the weights [..., q, k] of scaled dot-product attention and, for each query, the values averaged by them.

    A `bias` [..., q, k] is added to the scaled scores, as ALiBi and T5 tell positions, before the mask.
    """
    scores = scaled_dot(q, k)  # [..., q, k]
    weights = compute_weights(scores if bias is None else scores + bias, allowed)
    return weights, weights @ v  # [..., q, k], [..., k, d] -> [..., q, d]
