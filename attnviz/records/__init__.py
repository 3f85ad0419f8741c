"""Records: all that views know. Numbers for each query and key, numbers for each head, and published figures."""

from attnviz.records.arrays import NUMBERS, expand_shape, guess_kind, is_of_torch, looks_ahead, shape_weights, to_numpy
from attnviz.records.axes import Axes, Word
from attnviz.records.blocks import Block, Each, Indices, find_runs, invert, to_array, watch_nothing
from attnviz.records.described import Described, find_named
from attnviz.records.figures import Claim, Figure, Verified
from attnviz.records.head_table import Column, HeadTable, Judgement
from attnviz.records.matrices import (
    Attention,
    HeadMatrix,
    Link,
    Weights,
    average,
    make_record,
    require_record,
)
from attnviz.records.measure import MEASURES, Measure, find_measure
from attnviz.records.proofs import prove, require_weights
from attnviz.records.relation_table import ALL_RELATIONS, Followed, Relation, RelationTable
from attnviz.records.score_terms import BlockTerms, LayerTerms, ScoreTerms, find_distances
from attnviz.records.selection import LayerGroup, Selection, format_ranges

__all__ = [
    "ALL_RELATIONS",
    "MEASURES",
    "NUMBERS",
    "Attention",
    "Axes",
    "Block",
    "BlockTerms",
    "Claim",
    "Column",
    "Described",
    "Each",
    "Figure",
    "Followed",
    "HeadMatrix",
    "HeadTable",
    "Indices",
    "Judgement",
    "LayerGroup",
    "LayerTerms",
    "Link",
    "Measure",
    "Relation",
    "RelationTable",
    "ScoreTerms",
    "Selection",
    "Verified",
    "Weights",
    "Word",
    "average",
    "expand_shape",
    "find_distances",
    "find_measure",
    "find_named",
    "find_runs",
    "format_ranges",
    "guess_kind",
    "invert",
    "is_of_torch",
    "looks_ahead",
    "make_record",
    "prove",
    "require_record",
    "require_weights",
    "shape_weights",
    "to_array",
    "to_numpy",
    "watch_nothing",
]
