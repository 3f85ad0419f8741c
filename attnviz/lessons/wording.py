"""How a head makes its queries, keys, values and scores: in formulas, and in words."""

from dataclasses import dataclass

import numpy as np

from attnviz.reference.head_steps import find_key_head
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import SCORES
from attnviz.reference.trace import Trace

_QUERY = "The query is what this token is looking for, like the words that you type into a search box."
_KEY = "The key of a token is what it offers to be found by, like the title of a video that the search is matched with."
_VALUE = "The value is what a token hands over when it is looked at: the video itself, while the key was its title."
_SCORE = (
    "The score says how well a title fits the search: query and key are multiplied number by number and the products "
    "summed. Where both have the same sign the score rises, where they differ it falls. What counts in the end is only "
    "how far apart the scores are."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """A formula and a reason for each; `parts` says what one dimension adds to a score.

    `x` is what a query is made from: x̂ if a norm stands before it.
    """

    query: str
    query_why: str
    keys: str
    keys_why: str
    values: str
    values_why: str
    x: str = "x"
    scores: str = "s_j = q · k_j = Σ_i q_i k_ji"
    scores_why: str = _SCORE
    parts: str = "what each dimension adds to the largest scores, q_i · k_ji"


def wording(trace: Trace, head: int) -> Wording:
    """Return what is true of a head of a trace."""
    if trace.score == "additive":
        return _ADDITIVE
    return _GIVEN if trace.parameters is None else _learned(trace, trace.parameters, head)


_ADDITIVE = Wording(
    query="q = s_i−1",
    query_why=f"{_QUERY} Here it is the state in which the decoder's network is before it reads this token: what it "
    "knows of all that was written before.",
    keys="k_j = h_j = [→h_j; ←h_j]",
    keys_why=f"{_KEY} Here it is what the encoder's network knows at that token, read forwards and backwards.",
    values="v_j = h_j",
    values_why=f"{_VALUE} In the first attention models, key and value were still the same.",
    scores=f"s_j = {SCORES['additive'].formula}",
    scores_why="Here a small network reads query and key together and says how well they fit: each is mapped to the "
    "same width, their sum goes through a tanh, and v weighs what comes out.",
    parts="what each unit of that network adds to the largest scores",
)

_GIVEN = Wording(
    query="q",
    query_why=f"{_QUERY} This is how it meets the keys, turned by its position if this model does that; what it was "
    "made from is not shown.",
    keys="k_j",
    keys_why=_KEY,
    values="v_j",
    values_why=_VALUE,
)
"""For models of which nothing is known but what meets in their attention."""


def _learned(trace: Trace, parameters: Parameters, head: int) -> Wording:
    x = "x" if np.array_equal(np.asarray(trace.input), np.asarray(trace.residual)) else "x̂"
    there, keys_why, query_why = f"{x}_j", _KEY, _QUERY
    if trace.part == "cross_attention":
        there, keys_why = "h_j", f"{_KEY} Here the keys are those of the other text, from what the encoder made of it."
    if len(trace.keys) < len(trace.query):
        keys_why += (
            f" Groups of heads share keys and values: this one uses those of key head {find_key_head(trace, head)}."
        )
    query, keys = _map(parameters, "query", "W_Q", x), _map(parameters, "key", "W_K", there)
    query, keys, q, k = f"q = {query}", f"k_j = {keys}", "q", "k"
    if trace.turned_query is not None:
        query, keys, q, k = f"{query},  q' = R(position) q", f"{keys},  k'_j = R(j) k_j", "q'", "k'"
        query_why += (
            " Its pairs of numbers are then turned by an angle for its position, so that scores know distances."
        )
    depth, width = trace.query.shape[-1], parameters["query.weight"].shape[1]
    return Wording(
        query=query,
        query_why=f"{query_why} W_Q makes {depth} numbers out of {width}, and each head has its own.",
        keys=keys,
        keys_why=keys_why,
        values=f"v_j = {_map(parameters, 'value', 'W_V', there)}",
        values_why=_VALUE,
        x=x,
        scores=f"s_j = {q} · {k}_j = Σ_i {q}_i {k}_ji",
        parts=f"what each dimension adds to the largest scores, {q}_i · {k}_ji",
    )


def _map(parameters: Parameters, part: str, matrix: str, x: str) -> str:
    """Return a linear map in symbols, with its bias and the norm after it if there are such."""
    mapped = f"{matrix} {x}"
    if parameters.get(f"{part}.bias") is not None:
        mapped += f" + b_{matrix[-1]}"
    return mapped if parameters.get(f"{part}_norm.weight") is None else f"norm({mapped})"
