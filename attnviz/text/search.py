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
    """The indices, in order, of the tokens named: by position (`3`), range (`3-9`), word, or list (`it,3-9`)."""
    named = (index for name in wanted for index in _named_whole(tokens, name) or _named_in_list(tokens, name))
    return tuple(sorted(set(named)))


def unnamed(sequences: Sequence[Sequence[Token]], wanted: Sequence[str]) -> str | None:
    """The first of these names, or of the names in a list, that stands for no token of any sequence."""
    for name in wanted:
        if not any(_named_whole(tokens, name) for tokens in sequences):
            for part in name.split(","):
                if not any(_named_whole(tokens, part) for tokens in sequences):
                    return part
    return None


def _named_in_list(tokens: Sequence[Token], name: str) -> list[int]:
    return [index for part in name.split(",") for index in _named_whole(tokens, part)]


def _named_whole(tokens: Sequence[Token], name: str) -> list[int]:
    """The tokens at one position or in one range; if there are none, those of a word."""
    name = name.strip()
    if _RANGE.fullmatch(name):
        first, _, last = name.partition("-")
        there = range(int(first), int(last or first) + 1)
        if found := [index for index, token in enumerate(tokens) if token.position in there]:
            return found
    return [index for occurrence in occurrences(tokens, name) for index in occurrence.indices]


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
