"""Records: all that views know of attention. Numbers for each query and key, and numbers for each head."""

from attnviz.records.matrices import Attention, Axes, HeadMatrix, Link, Weights, Word, is_of_torch, likely_kind, on_host
from attnviz.records.selection import Selection, ranges
from attnviz.records.tables import Column, HeadTable

__all__ = [
    "Attention",
    "Axes",
    "Column",
    "HeadMatrix",
    "HeadTable",
    "Link",
    "Selection",
    "Weights",
    "Word",
    "is_of_torch",
    "likely_kind",
    "on_host",
    "ranges",
]
