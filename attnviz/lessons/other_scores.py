"""The weights of a head under other score functions, on its own queries and keys."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from attnviz.errors import UsageError
from attnviz.lessons.lesson import Axis, Quantity, Step, side_by_side
from attnviz.reference.arrays import Array
from attnviz.reference.head_steps import (
    DOTS,
    Reals,
    compute_scores,
    find_key_head,
    project,
    select_head,
    slice_map,
    weigh_scores,
)
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import SCORES, general
from attnviz.reference.trace import Trace

_GENERAL, _ADDITIVE, _PRODUCTS = "general", "additive", (*DOTS, "cosine")
_BY_PART = Axis.PARTS, Axis.KEYS
_WITH_BIASES = (
    " The biases are in W too: each vector gets a 1 as its last number, and each map one more column, its bias. "
    "Without the biases, the scores would be different."
)

_COST_OF_ADDITIVE = (
    "Additive scores put each pair of query and key through a small network, whose W_q, W_k and u are learned. "
    "Multiplicative ones (dot, general) are one product of matrices for all pairs: they are faster and need less "
    "memory. For each pair, additive scores hold d numbers, where d is the width of that network, and multiplicative "
    "ones hold one number, the score. So additive scores need about d times the memory, however long the text is. With "
    "N queries and N keys, that is about d·N² numbers in place of N²."
)


def compare_scores(
    trace: Trace, head: int, wanted: Sequence[str], drawn: Mapping[str, Parameters] | None = None
) -> Step:
    """Return the step with the weights of a head under each function in `wanted`.

    `drawn` holds the random parameters of an untrained head; it is None for a trained one.

    Raises:
        UsageError: a function needs parameters that this head has not learned.
    """
    random = drawn or {}
    _check_learned(trace, [name for name in wanted if name not in random])
    scores = {name: _scores(trace, head, name, random) for name in wanted}
    weights = {name: weigh_scores(trace, head, s) for name, s in scores.items()}
    together = np.array([*scores.values()])
    quantities = [
        Quantity("scores_by_function", "scores under each function", together, _BY_PART, (*scores,)),
        *side_by_side("weights_by_score", "weights under each function", weights),
    ]
    if _GENERAL in wanted:
        apart = np.abs(scores[_GENERAL] - _scores(trace, head, "dot", {})).max()
        quantities.append(Quantity("general_minus_dot", "largest difference of scores, general and dot", apart))
    return Step(
        "The same head under other score functions",
        ";  ".join(f"{name}: {_write_formula(trace, name)}" for name in wanted),
        " ".join(_explain(trace, wanted, drawn)),
        tuple(quantities),
    )


def _explain(trace: Trace, wanted: Sequence[str], drawn: Mapping[str, Parameters] | None) -> Iterator[str]:
    """Yield the sentences on these functions."""
    yield "Softmax turns any scores into weights, so a head can be shown under other score functions than its own."
    if drawn is None:
        yield f"It was trained with {trace.score} scores."
    if "cosine" in wanted and trace.bias is None:
        yield (
            "Cosine scores lie between −1 and 1, so no visible key gets more than e² ≈ 7.4 times the weight of another."
        )
    if _GENERAL in wanted:
        yield _explain_general(trace)
    if _ADDITIVE in wanted:
        yield _COST_OF_ADDITIVE
    if mapped := [name for name in wanted if name in _PRODUCTS and trace.score not in DOTS]:
        yield _explain_mapped(trace, mapped)
    if untrained := [name for name in wanted if name in (drawn or {})]:
        yield f"The parameters of {' and '.join(untrained)} are random numbers: they are not trained."


def _check_learned(trace: Trace, wanted: Sequence[str]) -> None:
    """Raise UsageError if the head has not learned the parameters of a score function; it names all such functions."""
    known = trace.score, _GENERAL  # general is made from W_Q and W_K
    missing = [name for name in wanted if name not in known and SCORES[name].shapes(1, 1, 1)]
    if missing:
        named, them = " and ".join(missing), "them" if len(missing) > 1 else "it"
        elsewhere = " (builtin/bahdanau has learned additive scores)" * (_ADDITIVE in missing)
        raise UsageError(
            f"{named} scores need parameters that this head has not learned: leave {them} out,",
            hint=f"or use {{toy}}, which draws them at random{elsewhere}.",
        )


def _write_formula(trace: Trace, name: str) -> str:
    formula = SCORES[name].formula
    if trace.score in DOTS:
        return "x_i W x_j" if name == _GENERAL else formula
    return formula.replace("q·k", "(W_q q)·(W_k k)").replace("‖q‖ ‖k‖", "‖W_q q‖ ‖W_k k‖")


def _explain_mapped(trace: Trace, names: Sequence[str]) -> str:
    """Return which vectors these functions multiply in a head of additive scores."""
    query, keys, _ = select_head(trace, 0)
    asked, _ = project(trace, query, keys)
    of_query, of_key, of_both = (vectors.shape[-1] for vectors in (query, keys, asked))
    differ = f"A product needs two vectors of one width, but q has {of_query} numbers and k {of_key}. "
    return (
        f"{differ * (of_query != of_key)}So the products ({', '.join(names)}) are those of W_q q and W_k k, which both "
        f"have {of_both} numbers."
    )


def _explain_general(trace: Trace) -> str:
    """Return what W is in the general scores of a head, and what they have to do with dot products."""
    if trace.score not in DOTS:
        return "With W = W_qᵀ W_k, general is the dot product of the mapped query and key." + _WITH_BIASES * (
            any(trace.score_parameters.get(f"{part}.bias") is not None for part in ("query", "key"))
        )
    assert trace.parameters is not None
    biased = any(trace.parameters.get(f"{part}.bias") is not None for part in ("query", "key"))
    turned = " Positions turn queries and keys here, so each distance has a W of its own." * (trace.turn is not None)
    return (
        "With W = W_Qᵀ W_K, applied to the vectors x that query and key are made from, general gives the same scores "
        f"as dot.{_WITH_BIASES * biased}{turned}"
    )


def _scores(trace: Trace, head: int, name: str, drawn: Mapping[str, Parameters]) -> Reals:
    """Return the score of each key under a function [keys], before the bias and the mask."""
    query, keys, _ = select_head(trace, head)
    if name == trace.score and name not in DOTS:
        return compute_scores(trace, query, keys)
    if name == _GENERAL:
        return _bilinear(trace, head)
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
        asked, offered = _with_one(query), _with_one(keys)
        query_map, key_map = (_stack(*slice_map(trace.score_parameters, part, 0, 1)) for part in ("query", "key"))
        product = general(asked[None], offered, Parameters({"weight": query_map @ key_map.T}))[0]
        return np.asarray(product, query.dtype)
    if trace.parameters is None or trace.context is None or trace.parameters.get("query_norm.weight") is not None:
        raise UsageError(
            "The general form of these scores cannot be shown, because "
            + ("queries and keys go through a norm." if trace.parameters else "W_Q and W_K are not known.")
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
    return _stack(*slice_map(trace.parameters, part, head, heads))


def _stack(weight: Reals, bias: Reals | None) -> Reals:
    """Return a map transposed, its bias below it: [width + 1, d]."""
    below = np.zeros(len(weight), weight.dtype) if bias is None else bias
    return np.concatenate((weight.T, below[None]), dtype=np.float64)


def _turned(trace: Trace, map_: Reals, tokens: int, position: int) -> Reals:
    """Return a map whose results are turned as at a position: [width + 1, d]."""
    assert trace.turn is not None
    at_each = np.broadcast_to(map_[:, None], (len(map_), tokens, map_.shape[-1]))  # positions turn the tokens' axis
    return np.asarray(trace.turn(at_each)[:, position])
