"""Texts that are longer than a model reads: they are refused, cut, or read in overlapping windows."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise, takewhile

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.errors import TextError, UsageError
from attnviz.models.base import Card
from attnviz.models.passages import Overlong, Passage, Reading, Windows
from attnviz.text import Token, check_text

_CHARACTERS = 8
"""How many characters for each position are read first of a text that is to be cut: twice what most tokens have."""

_SOON_READ = 2**16
"""How many characters are read whole in any case."""

_BLANK = re.compile(r"(?<=\S)\s")
"""The end of a word."""

_SHORT, _USUAL = 8, 512  # tokens in a window: fewer than the first tell little


def fit_length(reading: Reading, card: Card, what: str = "The text", more: int = 0) -> Reading:
    """Return a reading that fits the model's positions, and leaves `more` of them for tokens to be written.

    Raises:
        TextError: it is too long, and is not to be cut or read in windows; or there is no room at all.
        UsageError: it cannot be read in such windows.
    """
    overlong = reading.passage.overlong
    if isinstance(overlong, Windows):
        return _read_in_windows(reading, card, overlong, more)
    check_length(len(reading.ids), reading.passage, card, what, more)
    if card.positions is None or len(reading.ids) + more <= card.positions:
        return reading
    if more >= card.positions:
        raise TextError(f"{card.name} reads at most {card.positions:,} tokens: ask for fewer than {more:,} new ones.")
    return cut(reading, card.positions - more, what)


def read_beginning(passage: Passage, card: Card, read: Callable[[Passage], Reading]) -> Reading:
    """Return the reading of a passage; of a long text that is to be cut, no more is read than shows how it begins.

    Tokenizers look ahead, so two beginnings are read, the second twice as long, both up to the end of a word. The first
    has half as many tokens again as there are positions: where both agree on all that are kept, so does the whole.

    Raises:
        TextError: as in `read`.
    """
    text, positions = passage.text, card.positions or 0
    length, first = _CHARACTERS * positions, None
    alone = passage.pair is None and not passage.chat
    if passage.overlong is not Overlong.CUT or not (alone and positions) or len(text) <= max(_SOON_READ, 4 * length):
        return read(passage)
    check_text(text)
    while blank := _BLANK.search(text, length):
        beginning = text[: blank.start()]
        length *= 2
        if not beginning.strip():
            continue
        found = read(replace(passage, text=beginning))
        if first and len(first.ids) > positions * 3 // 2 and _agree(first, found, positions):
            return replace(found, passage=passage, goes_on=True)
        first = found
    return read(passage)


def _agree(first: Reading, second: Reading, count: int) -> bool:
    """Return whether so many tokens are the same in both."""
    return first.ids[:count] == second.ids[:count] and first.tokens[:count] == second.tokens[:count]


def count_room(passage: Passage, card: Card) -> int:
    """Return how many tokens of a target a model may write, after the one that begins it."""
    return passage.max_new_tokens if card.positions is None else min(passage.max_new_tokens, card.positions - 1)


def check_length(tokens: int, passage: Passage, card: Card, what: str = "The text", more: int = 0) -> None:
    """Raise TextError if a text has no tokens, or more than the model has positions and is not to be cut."""
    positions = card.positions
    if not tokens:
        raise TextError(f"{what} has no tokens for {card.name}: give at least one word that is not blank.")
    if positions is None or tokens + more <= positions or passage.overlong is not Overlong.REFUSED:
        return
    if tokens <= positions:
        left = f"that leaves room for {positions - tokens:,} new ones, and {more:,} were asked for"
        raise TextError(f"{what} is {tokens:,} tokens long, of {positions:,} that {card.name} reads: {left}.")
    windows = f", or read it in overlapping windows ({{window:{positions}:{positions // 2}}})"
    raise TextError(
        f"{what} is {tokens:,} tokens long, and {card.name} reads at most {positions:,}.",
        hint=f"Read only its beginning ({{truncate}}){'' if card.translates else windows}.",
    )


def cut(reading: Reading, room: int, what: str = "The text") -> Reading:
    """Return the beginning of a reading, added special tokens kept; of a pair, the longer text loses tokens first.

    Raises:
        TextError: there is room for special tokens only.
    """
    added = sum(token.added for token in reading.tokens)
    left = _share_room(Counter(token.segment for token in reading.tokens if not token.added), room - added)
    if min(left.values(), default=0) < 1:
        raise TextError(f"There is no room for the text in {room} tokens: leave out the second text, if there is one.")
    indices = []
    for index, token in enumerate(reading.tokens):
        if not token.added:
            left[token.segment] -= 1
        if token.added or left[token.segment] >= 0:
            indices.append(index)
    of = "more than " if reading.goes_on else ""
    note = f"{what.removeprefix('The ')} cut to {len(indices):,} of {of}{len(reading.tokens):,} tokens"
    tokens = tuple(replace(reading.tokens[index], position=place) for place, index in enumerate(indices))
    return replace(reading.take(indices), tokens=tokens, notes=(*reading.notes, note))


def _share_room(lengths: Mapping[int, int], room: int) -> dict[int, int]:
    """Share the room among texts: each keeps all of its tokens if they fit an equal share, else it is cut to that."""
    shares = {}
    for left, text in zip(range(len(lengths), 0, -1), sorted(lengths, key=lengths.__getitem__), strict=True):
        shares[text] = min(lengths[text], room // left)
        room -= shares[text]
    return shares


def _read_in_windows(reading: Reading, card: Card, windows: Windows, more: int) -> Reading:
    """Read in windows what is longer than one. Special tokens that stand round the text stand round each."""
    before, after = (_count_added(tokens) for tokens in (reading.tokens, reading.tokens[::-1]))
    end = len(reading.tokens) - after
    inner = windows.size - before - after  # tokens of the text in a window
    _check_windows(reading, card, windows, inner, more)
    if end - before <= inner:
        return reading
    starts = [*range(before, end - inner, windows.stride), end - inner]  # the last is as long as the others
    edges = _find_edges(starts, inner, end, causal=card.only_decodes)
    indices = [np.r_[0:before, start : start + inner, end : end + after] for start in starts]
    owned = [
        (some < before) | (some >= end) | ((some >= first) & (some < last))
        for some, (first, last) in zip(indices, pairwise(edges), strict=True)
    ]
    return _join(reading, indices, owned)


def _count_added(tokens: Sequence[Token]) -> int:
    """Return how many tokens there are before the first of the text."""
    return sum(1 for _ in takewhile(lambda token: token.added, tokens))


def _check_windows(reading: Reading, card: Card, windows: Windows, inner: int, more: int) -> None:
    if card.translates or reading.passage.pair is not None or more:
        raise UsageError(
            "Windows work only for one text that is neither translated nor continued:", hint="leave {window} out."
        )
    if card.positions is not None and windows.size > card.positions:
        raise UsageError(f"{card.name} reads at most {card.positions:,} tokens: give windows of at most that size.")
    if inner < 1:
        raise UsageError(f"Windows of {windows.size} tokens have room for special tokens only: make them longer.")
    if windows.stride > inner:
        size = windows.size if windows.size >= _SHORT else min(_USUAL, card.positions or _USUAL)
        raise UsageError(
            f"Windows of {windows.size} tokens hold {inner} of the text, so one every {windows.stride} tokens would "
            f"leave gaps: use a stride of at most {inner}, or larger windows,",
            hint=f"for example {{window:{size}:{size // 2}}}.",
        )


def _find_edges(starts: Sequence[int], inner: int, end: int, *, causal: bool) -> list[int]:
    """Return where the queries of each window begin and the last ones end.

    A token is a query of one window: in an encoder of that in which it has most tokens on both sides, in a decoder of
    the first, in which it has most before it.
    """
    between = [before + inner if causal else (start + before + inner) // 2 for before, start in pairwise(starts)]
    return [starts[0], *between, end]


def _join(reading: Reading, indices: Sequence[NDArray[np.intp]], owned: Sequence[NDArray[np.bool_]]) -> Reading:
    """Join windows of a reading, given by the indices of their tokens, and by which of these each window owns."""
    read = np.concatenate([some[own] for some, own in zip(indices, owned, strict=True)])  # [tokens of the whole]
    numbers = np.repeat(range(len(owned)), [own.sum() for own in owned])
    places = np.empty(len(reading.tokens), np.intp)  # where each token of the text is among those of the whole
    places[read] = np.arange(len(read))
    windows = []
    for number, (some, own) in enumerate(zip(indices, owned, strict=True)):
        there = places[some]
        there[own] = np.flatnonzero(numbers == number)  # special tokens are there many times, each in its own window
        windows.append(replace(reading.take(some), own=own, places=there))
    tokens = tuple(
        replace(reading.tokens[index], position=place, window=int(number))
        for place, (index, number) in enumerate(zip(read, numbers, strict=True))
    )
    note = f"read in {len(windows)} windows of {len(indices[0])} tokens"
    if any(token.added for token in reading.tokens):
        note += ", special tokens round each"
    whole = replace(reading.take(read), tokens=tokens, windows=tuple(windows))
    return replace(whole, notes=(*reading.notes, note))
