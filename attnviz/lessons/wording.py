"""The words of the walk through a head: formulas, and the reasons for them."""

import numpy as np
from msgspec import Struct

from attnviz.lessons.lesson import count
from attnviz.reference.head_steps import Reals, find_key_head
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import SCORES
from attnviz.reference.trace import Trace

_QUERY = "The query says what this token is looking for, like the words that you type into a search box."
_KEY = "The key of a token says what it can be found by, like the title of a video, which the search is compared with."
_SELF = "Here keys and queries are made from the same tokens: this is self-attention."
_CROSS = (
    "Here the keys are made from the other text, from the output h of the encoder: this is cross-attention. In "
    "self-attention, keys and queries are made from the same tokens."
)
NO_ORDER = (
    "Attention itself does not know the order of tokens: it adds up over them, and a sum is the same in any order."
)
"""Why models have positions."""

_VALUE = "The value is what a token passes on when it is looked at: if the key is the title, the value is the video."
_SCORE = (
    "The score says how well a key fits the query. Both are multiplied number by number, and the products are added. "
    "Where the two numbers have the same sign, the score rises; where the signs differ, it falls."
)


class Wording(Struct, frozen=True, kw_only=True):
    """A formula and a reason for each part of a head; `parts` says what one dimension adds to a score.

    `x` is the symbol of the vector that a query is made from: x̂ after a norm. `q` and `k` are those of what meets: q'
    and k' after a rotation.
    """

    query: str
    query_why: str
    keys: str
    keys_why: str
    values: str
    values_why: str
    x: str = "x"
    q: str = "q"
    k: str = "k"
    scores: str = "s_j = q · k_j = Σ_i q_i k_ji"
    scores_why: str = _SCORE
    parts: str = "what each dimension adds to the largest scores, q_i · k_ji"


class Told(Struct, frozen=True, kw_only=True):
    """Reasons known from elsewhere: why the mask of a head hides keys (None: it is guessed), and more on its bias."""

    hidden: str | None = None
    bias: str = ""


def word_head(trace: Trace, head: int) -> Wording:
    """Return the formulas and reasons that hold for a head of a trace."""
    if trace.score == "additive":
        return _ADDITIVE
    return _GIVEN if trace.parameters is None else _word_maps(trace, trace.parameters, head)


_ADDITIVE = Wording(
    query="q = s_i−1",
    query_why=f"{_QUERY} Here it is the state of the decoder's network before it reads this token: what it knows of "
    "the tokens before.",
    keys="k_j = h_j = [→h_j; ←h_j]",
    keys_why=f"{_KEY} Here it is the state of the encoder's network at that token, read forwards (→) and backwards "
    "(←). The query is from one text and the keys from the other: this is cross-attention.",
    values="v_j = h_j",
    values_why=f"{_VALUE} In this model, one of the first with attention, the key and the value are the same vector.",
    scores=f"s_j = {SCORES['additive'].formula}",
    scores_why="Here a small network says how well a key fits the query: both are mapped to the same width and added, "
    "tanh is applied to each number, and u weighs the results. W_q, W_k and u are learned.",
    parts="what each unit of that network adds to the largest scores",
)

_GIVEN = Wording(
    query="q",
    query_why=f"{_QUERY} It is shown as it is compared with the keys, after any rotation for its position. The vector "
    "that it was made from is not shown.",
    keys="k_j",
    keys_why=_KEY,
    values="v_j",
    values_why=_VALUE,
)
"""The words for models of which only queries, keys and values are known."""


def _word_maps(trace: Trace, parameters: Parameters, head: int) -> Wording:
    x = "x" if np.array_equal(np.asarray(trace.input), np.asarray(trace.residual)) else "x̂"
    there, query_why = f"{x}_j", _QUERY
    keys_why = f"{_KEY} The same W_K is used for every token. {_SELF}"
    if trace.part == "cross_attention":
        there, keys_why = "h_j", f"{_KEY} The same W_K is used for every token. {_CROSS}"
    if len(trace.keys) < len(trace.query):
        shared = find_key_head(trace, head)
        keys_why += f" Groups of heads share keys and values: this head uses those of key head {shared}."
    query, keys = _write_map(parameters, "query", "W_Q", x), _write_map(parameters, "key", "W_K", there)
    query, keys, q, k = f"q = {query}", f"k_j = {keys}", "q", "k"
    if trace.turned_query is not None:
        query, keys, q, k = f"{query},  q' = R(position) q", f"{keys},  k'_j = R(j) k_j", "q'", "k'"
        query_why += (
            " Then each pair of its numbers is rotated by an angle for its position (R), so that a score depends on "
            f"the distance between query and key.{explain_rotation(trace)}"
        )
    depth, width = trace.query.shape[-1], parameters["query.weight"].shape[1]
    learned = "W_Q" if parameters.get("query.bias") is None else "W_Q and b_Q"
    return Wording(
        query=query,
        query_why=f"{query_why} W_Q turns {count(width, 'number')} into {count(depth, 'number')}; each head has its "
        f"own. A model learns {learned}, and uses the same for every token and every text.",
        keys=keys,
        keys_why=keys_why,
        values=f"v_j = {_write_map(parameters, 'value', 'W_V', there)}",
        values_why=_VALUE,
        x=x,
        q=q,
        k=k,
        scores=f"s_j = {q} · {k}_j = Σ_i {q}_i {k}_ji",
        parts=f"what each dimension adds to the largest scores, {q}_i · {k}_ji",
    )


def explain_rotation(trace: Trace) -> str:
    """Return which numbers of a query are a pair, and how far the first pair turns from one position to the next."""
    depth, tokens = trace.query.shape[-1], trace.keys.shape[1]
    if trace.turn is None or tokens < 2:
        return ""
    first = np.broadcast_to(np.eye(depth)[0], (tokens, depth))  # at every position, the vector 1, 0, 0, …
    turned = np.asarray(trace.turn(first))[:2]
    there = turned[:, :1] + 1j * turned[:, 1:]  # with each other number, as if it were the partner of the first
    angles = np.angle(there[1] / there[0])
    partner = int(np.abs(angles).argmax()) + 1
    second = 2 if partner == 1 else 1  # neighbours may be pairs
    if not angles[partner - 1]:
        return ""
    angle = f"turns by an angle of {abs(angles[partner - 1]):.2g} (in radians) from each position to the next"
    if depth == 2:
        return f" Here the numbers 0 and 1 are the only pair; it {angle}."
    return (
        f" Pairs are the numbers 0 and {partner}, {second} and {second + partner}, …; the first {angle}, the others by "
        "angles of their own."
    )


def _write_map(parameters: Parameters, part: str, matrix: str, x: str) -> str:
    """Return a linear map in symbols, with its bias and the norm after it if it has them."""
    mapped = f"{matrix} {x}"
    if parameters.get(f"{part}.bias") is not None:
        mapped += f" + b_{matrix[-1]}"
    return mapped if parameters.get(f"{part}_norm.weight") is None else f"norm({mapped})"


def explain_no_scale(trace: Trace, depth: int) -> str:
    """Return why the scores of heads of this depth are not divided."""
    if trace.parameters is None:
        return "Scores are not scaled here. If this model has a scale, the query or the keys include it already."
    if depth == 1:
        return "A key has only one number here (d_k = 1), so dividing by √d_k = 1 changes nothing."
    return "This model does not scale its scores: W_Q and W_K were trained without a scale."


LOOKS_BACK = (
    "A model that predicts the next token must not look ahead, or it could copy the answer. So each token sees only "
    "itself and those before it: the mask is causal."
)
"""Why a causal mask hides keys."""


def guess_why_hidden(allowed: Reals, position: int) -> str:
    """Return why a mask hides keys from the query at a position, guessed from which they are: [keys]."""
    hidden = np.flatnonzero(~np.asarray(allowed, bool))
    if np.array_equal(hidden, range(position + 1, len(allowed))):
        return LOOKS_BACK
    if np.array_equal(hidden, range(len(hidden))) and len(hidden) <= position:
        return "This layer only looks back as far as its window."
    return "This layer only looks at a window around the query, or at a part of the text."


_FLAT = 0.1  # the largest bias that hardly changes a weight


def explain_slope(slope: float, tokens: int) -> str:
    """Return where the slope of a head in ALiBi comes from, and what it does among so many tokens."""
    why = (
        f" In ALiBi, it is the distance times a slope, with a minus: here the slope is {slope:.4g}. Head h of n, "
        "counted from 0, has the slope 2^(−8(h+1)/n) if n is a power of 2 (Press et al. 2022)."
    )
    flat = " So flat a slope hardly changes a weight; if there are more heads, the first have steeper ones."
    return why + flat * (slope * (tokens - 1) < _FLAT)


def write_sum(formula: str, total: Reals, passed: Reals) -> str:
    """Return the formula of a sum, with the norm or the map that the model applies to it."""
    if total.shape != passed.shape:
        return f"W norm({formula})"
    return formula if np.allclose(total, passed, atol=1e-5) else f"norm({formula})"
