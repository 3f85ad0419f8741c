"""Tokens, the words and sentences they belong to, and text that is safe to put on a terminal."""

from attnviz.text.alignment import spans_of_pieces
from attnviz.text.boundaries import Span, covering, sentence_spans, word_spans
from attnviz.text.groups import By, Groups, grouped
from attnviz.text.safety import checked, visible
from attnviz.text.search import Occurrence, find, not_found, occurrences
from attnviz.text.tokens import Segment, Token, predicting, special_token

__all__ = [
    "By",
    "Groups",
    "Occurrence",
    "Segment",
    "Span",
    "Token",
    "checked",
    "covering",
    "find",
    "grouped",
    "not_found",
    "occurrences",
    "predicting",
    "sentence_spans",
    "spans_of_pieces",
    "special_token",
    "visible",
    "word_spans",
]
