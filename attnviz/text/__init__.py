"""Tokens, the words and sentences they belong to, and text that is safe to put on a terminal."""

from attnviz.text.alignment import align_pieces
from attnviz.text.boundaries import Span
from attnviz.text.grouping import Bins, Grouping, Groups, group_tokens, join_characters, read_grouping
from attnviz.text.safety import check_text, escape_unseen, quote_argument, visible
from attnviz.text.search import Occurrence, choose_spelled, find_occurrences, find_rows, find_unnamed, not_found
from attnviz.text.syntax import GoldWord, ParsedText
from attnviz.text.tokens import Segment, Token, add_predictions, make_special_token, make_tokens
from attnviz.vocabulary import By

__all__ = [
    "Bins",
    "By",
    "GoldWord",
    "Grouping",
    "Groups",
    "Occurrence",
    "ParsedText",
    "Segment",
    "Span",
    "Token",
    "add_predictions",
    "align_pieces",
    "check_text",
    "choose_spelled",
    "escape_unseen",
    "find_occurrences",
    "find_rows",
    "find_unnamed",
    "group_tokens",
    "join_characters",
    "make_special_token",
    "make_tokens",
    "not_found",
    "quote_argument",
    "read_grouping",
    "visible",
]
