"""From the notes of a transformer's run to what one layer's attention computed for one query."""

import math

from attnviz.reference import masks
from attnviz.reference.arrays import Array, namespace
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Trace
from attnviz.reference.transformer import Config, biased, masked, turning

_EMBEDDING = "embedding."


class LayerNotes:
    """Keeps what is noted of the embedding and of one layer."""

    def __init__(self, layer: int) -> None:
        self.layer = layer
        self._prefix = f"layers.{layer}."
        self.embedding: dict[str, Array] = {}
        self.parts: dict[str, Array] = {}

    def take(self, name: str, array: Array) -> None:
        """Keep an array if it is of these."""
        for kept, prefix in ((self.embedding, _EMBEDDING), (self.parts, self._prefix)):
            if name.startswith(prefix):
                kept[name.removeprefix(prefix)] = array


def traced(notes: LayerNotes, parameters: Parameters, config: Config, query: int, *, context: Array | None = None) -> Trace:
    """Return what the attention of the noted layer computed for one query; with a `context`, its cross-attention."""
    crossing = context is not None
    part = "cross_attention" if crossing else "attention"
    own = {name.removeprefix(f"{part}."): a for name, a in notes.parts.items() if name.startswith(f"{part}.")}
    queries, x = own["query"], own["input"]  # [heads, queries, d], [queries, width]
    positions = namespace(x).arange(x.shape[-2], device=x.device)
    at = positions[query : query + 1, None], positions[None, :]
    mask = None if crossing else masked(masks.causal if config.causal else None, config, notes.layer)
    bias = None if crossing else biased(parameters, config)
    turned = own.get("turned_query")
    return Trace(
        position=query,
        query=queries[:, query],
        keys=own["key"],
        values=own["value"],
        scale=1 / math.sqrt(queries.shape[-1]),
        turned_query=None if turned is None else turned[:, query],
        turned_keys=own.get("turned_key"),
        turn=None if crossing else turning(x, config),
        bias=bias(*at)[:, 0] if bias else None,  # [heads, keys]
        allowed=mask(*at)[0] if mask else None,  # [keys]
        mixed=own["mixed"][:, query],
        parameters=parameters.within(f"layers.{notes.layer}.{part}"),
        input=x[query],
        context=context if crossing else x,
        residual=own["residual"][query],
        passed=own["passed"][query],
        part=part,
        embedding={name: array[query] for name, array in notes.embedding.items()},
        added={name: notes.parts[f"{name}.output"][query] for name in config.sublayers},
    )
