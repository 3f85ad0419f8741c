"""One word among the tokens of records: where it stands, and its rows."""

from collections.abc import Sequence
from typing import TypeVar

from attnviz.errors import TextError
from attnviz.records import HeadMatrix, Word
from attnviz.text import find_occurrences, not_found, visible

Matrix = TypeVar("Matrix", bound=HeadMatrix)


def find_words(found: Sequence[Matrix], token: str) -> list[tuple[Matrix, list[Word]]]:
    """Return where a word stands in each record that has it.

    Raises:
        TextError: none has.
    """
    placed = [(attention, words) for attention in found if (words := attention.words(token))]
    if not placed:
        if any(find_occurrences(attention.key_tokens, token) for attention in found):
            raise TextError(
                f"{visible(token)!r} is among the keys, but its row is not kept:",
                hint="name it in {rows} too, or leave {rows} or {token} out.",
            )
        tokens = {token: None for attention in found for token in (*attention.key_tokens, *attention.query_tokens)}
        raise not_found(list(tokens), token)
    return placed


def select_rows(found: Sequence[HeadMatrix], token: str | None) -> Sequence[HeadMatrix]:
    """Return only the rows of one word, at all its occurrences among the queries; all rows if none is named.

    Raises:
        TextError: there is no such word.
    """
    if not token:
        return found
    placed = [(attention, [i for word in words for i in word.queries]) for attention, words in find_words(found, token)]
    return [attention.rows(rows) for attention, rows in placed if rows]
