"""The weights of a head under other score functions, on its own queries and keys."""

from collections.abc import Mapping, Sequence

import numpy as np

from attnviz.errors import UsageError
from attnviz.lessons.lesson import Quantity, Step, side_by_side
from attnviz.reference.arrays import Array
from attnviz.reference.head_steps import DOTS, Reals, compute_scores, find_key_head, project, select_head, weigh_scores
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import SCORES, general
from attnviz.reference.trace import Trace

_GENERAL = "general"


def under_scores(trace: Trace, head: int, wanted: Sequence[str], drawn: Mapping[str, Parameters]) -> Step:
    """Return the weights under the functions `wanted`; parameters that nobody has trained are `drawn` by chance.

    Raises:
        UsageError: a function needs parameters that this head has not learned.
    """
    scores = {name: _scores(trace, head, name, drawn) for name in wanted}
    weights = {name: weigh_scores(trace, head, s) for name, s in scores.items()}
    quantities = list(side_by_side("weights_by_score", "weights under each function", weights))
    why = (
        "Softmax makes weights of any scores. The model was trained with its own function; the others show what that "
        "choice does. Without a scale a row is sharper; a cosine is at most 1, and leaves it nearly flat."
    )
    if _GENERAL in wanted:
        apart = np.abs(scores[_GENERAL] - _scores(trace, head, "dot", {})).max()
        quantities.append(Quantity("general_minus_dot", "largest difference of scores, general and dot", apart))
        why += " General, with W = W_Qᵀ W_K on what the head reads, is dot in other words."
    if by_chance := [name for name in wanted if name in drawn]:
        why += f" Nobody trained {' and '.join(by_chance)}: their parameters are drawn by chance."
    return Step(
        "The same head under other score functions",
        ";  ".join(f"{name}: {SCORES[name].formula}" for name in wanted),
        why,
        tuple(quantities),
    )


def _scores(trace: Trace, head: int, name: str, drawn: Mapping[str, Parameters]) -> Reals:
    """Return what a function says of each key [keys], before the bias and the mask."""
    query, keys, _ = select_head(trace, head)
    if name == trace.score and name not in DOTS:
        return compute_scores(trace, query, keys)
    if name == _GENERAL:
        return _bilinear(trace, head)
    if name not in drawn and SCORES[name].shapes(1, 1, 1):
        raise UsageError(
            f"This head has not learned what {name} scores need: leave {name} out,",
            hint="or use {toy}, where it is drawn by chance (additive scores are trained in builtin/bahdanau).",
        )
    if trace.score not in DOTS:
        query, keys = project(trace, query, keys)
    scores: Reals = SCORES[name](query[None], keys, drawn.get(name))[0]
    return scores


def _bilinear(trace: Trace, head: int) -> Reals:
    """Return x W x_j with W = W_Qᵀ W_K, on what the head reads, a 1 appended so that W holds the biases: [keys].

    Where positions turn queries and keys, there is a W for each key: the maps are turned in their stead.
    """
    if trace.score not in DOTS:
        query, keys, _ = select_head(trace, head)
        learned = trace.score_parameters
        weight = learned["query.weight"].T @ learned["key.weight"]
        product: Reals = general(query[None], keys, Parameters({"weight": weight}))[0]
        return product
    if trace.parameters is None or trace.context is None or trace.parameters.get("query_norm.weight") is not None:
        raise UsageError(
            "There is no general form of these scores: "
            + (
                "queries and keys are normed before they meet."
                if trace.parameters
                else "the model shows no W_Q and W_K."
            )
            + " Leave general out."
        )
    asked, offered = _with_one(trace.input), _with_one(trace.context)  # [width + 1], [keys, width + 1]
    query_map = _map(trace, "query", head, len(trace.query))  # [width + 1, d]
    key_map = _map(trace, "key", find_key_head(trace, head), len(trace.keys))
    if trace.turn is None:
        return np.asarray(general(asked[None], offered, Parameters({"weight": query_map @ key_map.T}))[0])
    turned = _turned(trace, query_map, len(offered), trace.position)
    weights = (turned @ _turned(trace, key_map, len(offered), key).T for key in range(len(offered)))
    return np.array([asked @ weight @ x for weight, x in zip(weights, offered, strict=True)])


def _with_one(x: Array) -> Reals:
    """Append a 1 to vectors; in double precision, for the product of two large matrices rounds much."""
    return np.concatenate((x, np.ones_like(x[..., :1])), axis=-1, dtype=np.float64)


def _map(trace: Trace, part: str, head: int, heads: int) -> Reals:
    """Return a head's part of W_Q or W_K, transposed, its bias below it: [width + 1, d]."""
    assert trace.parameters is not None
    weight, bias = trace.parameters[f"{part}.weight"], trace.parameters.get(f"{part}.bias")
    depth = weight.shape[0] // heads
    own = slice(head * depth, (head + 1) * depth)
    below = np.zeros(depth, weight.dtype) if bias is None else bias[own]
    return np.concatenate((weight[own].T, below[None]), dtype=np.float64)


def _turned(trace: Trace, map_: Reals, tokens: int, position: int) -> Reals:
    """Return a map whose results are turned as at a position: [width + 1, d]."""
    assert trace.turn is not None
    at_each = np.broadcast_to(map_[:, None], (len(map_), tokens, map_.shape[-1]))  # positions turn the tokens' axis
    return np.asarray(trace.turn(at_each)[:, position])
