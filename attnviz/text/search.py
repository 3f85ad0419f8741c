"""Words and tokens by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from attnviz.errors import TextError
from attnviz.text.groups import By, grouped
from attnviz.text.safety import visible
from attnviz.text.tokens import Token


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One place where a word, or a token, stands: the indices of its pieces among the tokens searched."""

    text: str
    indices: tuple[int, ...]


def occurrences(tokens: Sequence[Token], wanted: str) -> list[Occurrence]:
    """The token at a position, if a number is given; else every place of a word, or of a token, whatever its case."""
    found = [Occurrence(t.text, (i,)) for i, t in enumerate(tokens) if str(t.position) == wanted]
    return found or _named(tokens, wanted.casefold())


def find(tokens: Sequence[Token], wanted: str) -> list[Occurrence]:
    """All `occurrences`.

    Raises:
        TextError: there is none; the message says what there is.
    """
    found = occurrences(tokens, wanted)
    if not found:
        raise not_found(tokens, wanted)
    return found


def rows_named(tokens: Sequence[Token], wanted: Sequence[str]) -> tuple[int, ...]:
    """The indices, in order, of the tokens that are named: by index (`3`), range (`3-9`), word, or list (`it,3-9`)."""
    found: set[int] = set()
    for name in wanted:
        whole = _row_indices(tokens, name)
        found.update(whole or (index for part in name.split(",") for index in _row_indices(tokens, part)))
    return tuple(sorted(found))


def _row_indices(tokens: Sequence[Token], name: str) -> list[int]:
    """The tokens of one index, range or word."""
    if not _RANGE.fullmatch(name):
        return [index for occurrence in occurrences(tokens, name) for index in occurrence.indices]
    first, _, last = name.partition("-")
    return list(range(int(first), min(int(last or first) + 1, len(tokens))))


_RANGE = re.compile(r"\d{1,9}(-\d{1,9})?", re.ASCII)


def not_found(tokens: Sequence[Token], wanted: str) -> TextError:
    """What to say where nothing is found: which tokens there are."""
    there = ", ".join(f"{token.position} {token.text}" for token in tokens[:40])
    more = ", …" if len(tokens) > 40 else ""
    return TextError(f"There is no token {visible(wanted)!r} in this text. Its tokens are: {there}{more}.")


def _named(tokens: Sequence[Token], wanted: str) -> list[Occurrence]:
    groups = grouped(tokens, By.WORD)
    found = [
        Occurrence(group.text, tuple(i for i, of in enumerate(groups.index) if of == g))
        for g, group in enumerate(groups.tokens)
        if group.text.casefold() == wanted
    ]
    return found or [Occurrence(t.text, (i,)) for i, t in enumerate(tokens) if t.text.casefold() == wanted]
