"""What attention costs, as JSON: every number by its name."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from attnviz.costs.counts import BYTES, Cost, Counts
from attnviz.vocabulary import Kind

_SHAPE = "width", "layers", "heads", "key_heads", "value_width"


def counted_fields(kind: Kind, cost: Cost) -> dict[str, Any]:
    """What was counted of one kind of attention; an encoder keeps no keys and values, so its cache is None."""
    return {
        "kind": kind.value,
        **{name: getattr(cost.dimensions, name) for name in _SHAPE},
        "parameters": _with_total(cost.parameters),
        "operations": _with_total(cost.operations),
        "weight_bytes": {dtype: _times(cost.weights, size) for dtype, size in BYTES.items()},
        "cache_bytes": None if kind is Kind.ENCODER else {dtype: _cache(cost, size) for dtype, size in BYTES.items()},
    }


def _with_total(parts: Mapping[str, Counts]) -> dict[str, Any]:
    together = Counts.together(parts.values())
    return {name.replace(" ", "_"): asdict(each) for name, each in {**parts, "together": together}.items()}


def _times(counts: Counts, size: int) -> dict[str, int]:
    return {name: number * size for name, number in asdict(counts).items()}


def _cache(cost: Cost, size: int) -> dict[str, int]:
    return {"token": cost.cache * size, "tokens": cost.cache * size * cost.tokens}
