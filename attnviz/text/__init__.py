"""Tokens, the words and sentences they belong to, and text that is safe to put on a terminal."""

from attnviz.text.alignment import spans_of_pieces
from attnviz.text.boundaries import Span
from attnviz.text.groups import Bins, Grouping, Groups, grouped, grouping
from attnviz.text.safety import checked, visible
from attnviz.text.search import Occurrence, not_found, occurrences, rows_named, unnamed
from attnviz.text.tokens import Segment, Token, predicting, special_token, tokens_named
from attnviz.vocabulary import By

__all__ = [
    "Bins",
    "By",
    "Grouping",
    "Groups",
    "Occurrence",
    "Segment",
    "Span",
    "Token",
    "checked",
    "grouped",
    "grouping",
    "not_found",
    "occurrences",
    "predicting",
    "rows_named",
    "spans_of_pieces",
    "special_token",
    "tokens_named",
    "unnamed",
    "visible",
]
