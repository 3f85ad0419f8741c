"""Records: all that views know of attention. Numbers for each query and key, and numbers for each head."""

from attnviz.records.arrays import expand_shape, guess_kind, is_of_torch, shape_weights, to_numpy
from attnviz.records.axes import Axes, Word
from attnviz.records.blocks import Block, Each, Indices, find_runs, watch_nothing
from attnviz.records.head_table import Column, HeadTable, Judgement
from attnviz.records.matrices import (
    Attention,
    HeadMatrix,
    Link,
    Weights,
    average,
    make_record,
    require_record,
    require_weights,
)
from attnviz.records.relation_table import Followed, Relation, RelationTable
from attnviz.records.selection import LayerGroup, Selection, format_ranges

__all__ = [
    "Attention",
    "Axes",
    "Block",
    "Column",
    "Each",
    "Followed",
    "HeadMatrix",
    "HeadTable",
    "Indices",
    "Judgement",
    "LayerGroup",
    "Link",
    "Relation",
    "RelationTable",
    "Selection",
    "Weights",
    "Word",
    "average",
    "expand_shape",
    "find_runs",
    "format_ranges",
    "guess_kind",
    "is_of_torch",
    "make_record",
    "require_record",
    "require_weights",
    "shape_weights",
    "to_numpy",
    "watch_nothing",
]
