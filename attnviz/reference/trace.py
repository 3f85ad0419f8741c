"""Traces: the arrays on the way to attention weights and from them, for whoever wants to see them."""

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from attnviz.reference.arrays import Array
from attnviz.reference.parameters import Parameters
from attnviz.reference.rotary import Turn

NoteArray = Callable[[str, Array], None]
"""A callback that is told an array and its name, such as `layers.3.attention.query`."""


def note_nothing(name: str, array: Array) -> None:
    """Take no note."""


def note_within(note: NoteArray, part: str) -> NoteArray:
    """Return a note that puts the name of a part before each name; `note_nothing` stays as it is, and costs nothing."""
    return note if note is note_nothing else lambda name, array: note(f"{part}.{name}", array)


_NONE_LEARNED = Parameters({})


class Trace(Struct, frozen=True, kw_only=True, eq=False):
    """The computation of one layer's attention for one query; None stands for what a model does not show.

    `score` is the name of the score function, whose learned arrays are `score_parameters`. Where positions turn queries
    and keys, `turned_query` and `turned_keys` are what meets, and `turn` does it. `parameters` are the learned arrays
    of the attention; its queries are made from `input`, its keys and values from `context`. `embedding` has what the
    query's token begins with, by name, and `added` what each part of the layer adds to the residual stream; `part` is
    the name of this attention among them, `passed` what goes on after it, `inner` the middle of the feed-forward
    network, and `left` what leaves the layer. `queries` are those of all tokens, turned like the query. A `sink` is a
    score that belongs to no key and takes its share in softmax. `weights` are the model's own where they do not follow
    from the rest.
    """

    position: int  # of the query
    query: Array  # [heads, d]
    keys: Array  # [key heads, keys, d]
    values: Array  # [key heads, keys, d]
    score: str = "scaled-dot"
    score_parameters: Parameters = _NONE_LEARNED
    scale: float = 1.0
    turned_query: Array | None = None  # [heads, d]
    turned_keys: Array | None = None  # [key heads, keys, d]
    queries: Array | None = None  # [heads, queries, d]
    turn: Turn | None = None
    bias: Array | None = None  # [heads, keys]
    allowed: Array | None = None  # [keys]
    sink: Array | None = None  # [heads]
    mixed: Array | None = None  # [heads, d]
    parameters: Parameters | None = None
    input: Array | None = None  # [width]
    context: Array | None = None  # [keys, width]
    residual: Array | None = None  # [width]
    passed: Array | None = None  # [width]
    inner: Array | None = None  # [inner]
    left: Array | None = None  # [width]
    weights: Array | None = None  # [heads, keys]
    part: str = "attention"
    embedding: Mapping[str, Array] = field(default_factory=dict)  # each [width]
    added: Mapping[str, Array] = field(default_factory=dict)  # each [width]
