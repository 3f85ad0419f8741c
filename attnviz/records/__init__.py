"""Records: all that views know of attention. Numbers for each query and key, and numbers for each head."""

from attnviz.records.blocks import Block, Each, Indices, stretches, unwatched
from attnviz.records.matrices import (
    Attention,
    Axes,
    HeadMatrix,
    Link,
    Weights,
    Word,
    by_layer,
    is_of_torch,
    likely_kind,
    mean_of,
    on_host,
    one_record,
)
from attnviz.records.selection import LayerGroup, Selection, ranges
from attnviz.records.tables import Column, HeadTable

__all__ = [
    "Attention",
    "Axes",
    "Block",
    "Column",
    "Each",
    "HeadMatrix",
    "HeadTable",
    "Indices",
    "LayerGroup",
    "Link",
    "Selection",
    "Weights",
    "Word",
    "by_layer",
    "is_of_torch",
    "likely_kind",
    "mean_of",
    "on_host",
    "one_record",
    "ranges",
    "stretches",
    "unwatched",
]
