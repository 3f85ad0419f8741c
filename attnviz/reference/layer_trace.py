"""Traces of one layer's attention for one query, made from the notes of a transformer's run."""

import math
from collections.abc import Mapping
from typing import Any

from attnviz.reference.arrays import Array, namespace
from attnviz.reference.multi_head import Heads
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Trace
from attnviz.reference.transformer import Config, make_heads, set_layer

_EMBEDDING = "embedding."


class LayerNotes:
    """Keeps what is noted of the embedding and of one layer."""

    def __init__(self, layer: int) -> None:
        self.layer = layer
        self._prefix = f"layers.{layer}."
        self.embedding: dict[str, Array] = {}
        self.parts: dict[str, Array] = {}

    def take(self, name: str, array: Array) -> None:
        """Keep an array if it belongs to the embedding or to the layer."""
        for kept, prefix in ((self.embedding, _EMBEDDING), (self.parts, self._prefix)):
            if name.startswith(prefix):
                kept[name.removeprefix(prefix)] = array


def trace_layer(
    notes: LayerNotes, parameters: Parameters, config: Config, query: int, *, context: Array | None = None
) -> Trace:
    """Return what the attention of the noted layer computed for one query; with a `context`, its cross-attention."""
    crossing = context is not None
    part = "cross_attention" if crossing else "attention"
    own = {name.removeprefix(f"{part}."): array for name, array in notes.parts.items()}
    x = own["input"]  # [queries, width]
    heads = Heads(config.heads, config.key_heads)
    if not crossing:
        heads = set_layer(notes.layer, make_heads(x, parameters, config), config)
    return trace_heads(
        own,
        heads,
        query,
        parameters=parameters.within(f"layers.{notes.layer}.{part}"),
        input=x[query],
        context=context if crossing else x,
        residual=own["residual"][query],
        passed=own["passed"][query],
        part=part,
        inner=notes.parts["feed_forward.inner"][query],
        left=notes.parts["feed_forward.passed"][query],
        embedding={name: array[query] for name, array in notes.embedding.items()},
        added={name: notes.parts[f"{name}.output"][query] for name in config.sublayers},
    )


def trace_heads(noted: Mapping[str, Array], heads: Heads, query: int, **around: Any) -> Trace:
    """Return what attention by these heads computed for one query, from what it noted and what stands `around` it."""
    q, k, turned = noted["query"], noted["key"], noted.get("turned_query")  # [heads, q, d], [key heads, k, d]
    xp = namespace(q)
    q_pos, k_pos = xp.asarray([[query]]), xp.arange(k.shape[-2])[None, :]  # [1, 1], [1, k]
    return Trace(
        position=query,
        query=q[:, query],
        keys=k,
        values=noted["value"],
        scale=1 / math.sqrt(q.shape[-1]),
        turned_query=None if turned is None else turned[:, query],
        turned_keys=noted.get("turned_key"),
        queries=q if turned is None else turned,
        turn=heads.turn,
        bias=heads.bias(q_pos, k_pos)[:, 0] if heads.bias else None,  # [heads, keys]
        allowed=heads.visible(q_pos, k_pos)[0] if heads.visible else None,  # [keys]
        mixed=noted["mixed"][:, query],
        **around,
    )
