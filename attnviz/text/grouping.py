"""Tokens that belong together: the pieces of a word, a sentence, a segment."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import UsageError, check_argument
from attnviz.text.boundaries import Span, find_covering
from attnviz.text.safety import JOINERS, visible
from attnviz.text.tokens import Token, add_predictions
from attnviz.vocabulary import By


class Bins(Struct, frozen=True):
    """Stretches of neighbouring tokens, all about equally long: `count` of them, or fewer where the text is short."""

    count: int

    def __post_init__(self) -> None:
        check_argument("bins", self.count)

    @property
    def value(self) -> str:
        """Return how the command line and the data formats name it."""
        return f"{_BINS}{self.count}"

    @property
    def unit(self) -> str:
        """Return what one of the groups is called."""
        return "bin"


Grouping = By | Bins
"""A unit, or a number of bins, to group tokens by."""


def read_grouping(name: str | Grouping) -> Grouping:
    """Return the grouping that a name such as `word` or `bins:256` stands for; a grouping itself as it is.

    Raises:
        UsageError: the name stands for none.
    """
    if isinstance(name, By | Bins):
        return name
    if bins := re.fullmatch(rf"{_BINS}(\d{{1,9}})", str(name)):
        return Bins(int(bins[1]))
    if name in (by.value for by in By):
        return By(name)
    raise UsageError(f"Tokens cannot be grouped by {name!r}: choose {', '.join(by.value for by in By)} or bins:256.")


class Groups(Struct, frozen=True):
    """A partition of a sequence: `tokens`, one a group, and for each token of the sequence the `index` of its group.

    `by` is what they are grouped by.
    """

    tokens: tuple[Token, ...]
    index: tuple[int, ...]
    by: Grouping = By.TOKEN


_PARTS: dict[By, Callable[[Token], int | None]] = {
    By.TOKEN: lambda token: None,
    By.WORD: lambda token: token.word,
    By.SENTENCE: lambda token: token.sentence,
    By.SEGMENT: lambda token: None if token.special else 0,
}
"""The index, within its segment, of the group that a token belongs to; None where it is a group of its own."""

_EDGE = 10
"""About how many characters of a bin are shown on either side."""

_BINS = "bins:"

_BLANKS = re.compile(r"\s+")


class _Piece(Struct, frozen=True):
    """A token with its `reach`: its own span, widened over characters of its word that no token stands for."""

    token: Token
    reach: Span | None


def group_tokens(tokens: Sequence[Token], by: Grouping) -> Groups:
    """Group the pieces of each word, sentence or segment; special tokens, and blanks between, each on their own.

    A group shows the whole of its text, with single blanks, and so the marks too that a tokenizer has dropped; its
    position is that of its first token. Of a bin, which is longer, the text shows the beginning and the end.
    """
    keys = _find_keys(tokens, by)
    return _group(tokens, keys, by, whole=by is not By.TOKEN)


def join_characters(tokens: Sequence[Token]) -> Groups:
    """Group the tokens that stand for one character between them, such as its bytes; others stay as they are."""
    keys = [(token.segment, token.span) if token.span else token.position for token in tokens]
    return _group(tokens, keys, By.TOKEN, whole=False)


def _group(tokens: Sequence[Token], keys: Sequence[object], by: Grouping, *, whole: bool) -> Groups:
    """Group the tokens that have the same key; `whole` says whether groups show all characters of their words."""
    members: dict[object, list[_Piece]] = {}
    for piece, key in zip(_make_pieces(tokens, whole=whole), keys, strict=True):
        members.setdefault(key, []).append(piece)
    number = {key: index for index, key in enumerate(members)}
    groups = tuple(map(_make_bin if isinstance(by, Bins) else _merge, members.values()))
    predicted = [index for index, group in enumerate(groups) if group.predicts]
    told = add_predictions(groups, predicted[0]) if predicted else groups  # a group predicts a group, not a token
    return Groups(told, tuple(number[key] for key in keys), by)


def _find_keys(tokens: Sequence[Token], by: Grouping) -> Sequence[object]:
    return _number_bins(tokens, by.count) if isinstance(by, Bins) else [_find_key(token, by) for token in tokens]


def _find_key(token: Token, by: By) -> object:
    part = _PARTS[by](token)
    return token.position if part is None else (token.segment, part)


def _number_bins(tokens: Sequence[Token], count: int) -> list[int]:
    """Return the number of the bin that each token belongs to, of at most `count` bins that are all about equally long.

    Special tokens, on which weight pools, have bins of their own where they take no more than half of the bins, and no
    bin reaches from one text of a pair into the other, as long as there are enough for that.
    """
    apart = 2 * sum(token.special for token in tokens) <= count
    runs = [list(run) for _, run in groupby(tokens, lambda token: (token.segment, apart and token.special))]
    shares = _share_bins(runs, count, apart)
    if sum(shares) > count:
        runs, shares = [list(tokens)], [min(count, len(tokens))]
    numbers: list[int] = []
    for run, share in zip(runs, shares, strict=True):
        before = numbers[-1] + 1 if numbers else 0
        numbers += [before + place * share // len(run) for place in range(len(run))]
    return numbers


def _share_bins(runs: Sequence[Sequence[Token]], count: int, apart: bool) -> list[int]:
    """Return how many bins each run of tokens gets: a special token one, others of the rest by their length."""
    alone = [apart and run[0].special for run in runs]
    left = count - sum(len(run) for run, special in zip(runs, alone, strict=True) if special)
    long = sum(len(run) for run, special in zip(runs, alone, strict=True) if not special)
    return [
        len(run) if special else min(len(run), max(1, left * len(run) // long))
        for run, special in zip(runs, alone, strict=True)
    ]


def _make_pieces(tokens: Sequence[Token], *, whole: bool) -> list[_Piece]:
    """Return the tokens with their own spans, or if they are to make `whole` words, with their reaches."""
    reaches = [token.span for token in tokens]
    placed = [index for index, span in enumerate(reaches) if whole and span]
    for last, index, following in zip([None, *placed], placed, [*placed[1:], None], strict=False):
        before, after = (None if i is None else tokens[i] for i in (last, following))
        reaches[index] = _find_reach(tokens[index], before, after)
    return [_Piece(token, reach) for token, reach in zip(tokens, reaches, strict=True)]


def _find_reach(token: Token, before: Token | None, after: Token | None) -> Span | None:
    """Return the span of a token, widened up to its neighbours, but not beyond its word."""
    if token.source is None or token.span is None or token.word is None:
        return token.span
    (start, end), words = token.span, token.source.words
    begin, stop = words[token.word][0], words[find_covering(words, end - 1) or token.word][1]
    if before and before.span and before.segment == token.segment:
        begin = start if before.word == token.word else max(begin, before.span[1])
    if after and after.span and after.segment == token.segment:
        stop = min(stop, after.span[0])
    return min(start, begin), max(end, stop)


def _merge(pieces: Sequence[_Piece]) -> Token:
    first = pieces[0].token
    seen = [
        piece for piece in pieces if piece.token.word is not None
    ] or pieces  # blanks are seen by the gap they leave
    spans = [piece.reach for piece in seen if piece.reach]
    alone = len(pieces) == 1
    if not spans or (alone and spans[0] == first.span):
        return first
    return replace(
        seen[0].token,
        text=visible("".join(_join_pieces(seen))),
        position=first.position,
        span=(spans[0][0], max(end for _, end in spans)),
        predicts=pieces[-1].token.predicts,
        id=first.id if alone else None,
        piece=first.piece if alone else None,
        unknown=all(piece.token.unknown for piece in seen),
    )


def _make_bin(pieces: Sequence[_Piece]) -> Token:
    """Return a bin that shows its beginning and its end: words of about `_EDGE` characters on either side."""
    whole = _merge(pieces)
    begins, ends = _cut_edge(pieces), _cut_edge(pieces[::-1])[::-1]
    if len(begins) + len(ends) >= len(pieces):
        return replace(whole, text=_write_pieces(pieces))
    return replace(whole, text=f"{_write_pieces(begins)} … {_write_pieces(ends)}")


def _write_pieces(pieces: Sequence[_Piece]) -> str:
    """Return the text of these pieces, special tokens among them."""
    runs = [(special, list(run)) for special, run in groupby(pieces, lambda piece: piece.token.special)]
    return " ".join(
        " ".join(piece.token.text for piece in run) if special else _merge(run).text for special, run in runs
    )


def _cut_edge(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Return the first of these pieces up to the end of a word, as many as make `_EDGE` characters."""
    taken: list[_Piece] = []
    for piece in pieces:
        same_word = taken and piece.token.word is not None and piece.token.word == taken[-1].token.word
        if taken and not same_word and sum(len(one.token.text) for one in (*taken, piece)) > _EDGE:
            break
        taken.append(piece)
    return taken


def _join_pieces(pieces: Sequence[_Piece]) -> Iterator[str]:
    """Yield what pieces show one after the other, a blank where they leave a gap between words."""
    end, word = (pieces[0].reach or (0, 0))[0], None
    for piece in pieces:
        start, stop = piece.reach or (end, end)
        if start > end and (word is None or piece.token.word != word):
            yield " "
        yield _show_piece(piece, max(end, start))  # bytes of one character share its span: it shows once
        end, word = max(end, stop), piece.token.word


def _show_piece(piece: _Piece, since: int) -> str:
    """Return the text of a piece from a character on; where no token stands for it, only what can be seen."""
    token, (start, stop) = piece.token, piece.reach or (since, since)
    if token.source is None or token.word is None:
        return token.text[since - start :]
    if piece.reach == token.span:
        return _BLANKS.sub(" ", token.source.text[since:stop])  # a group may reach over blanks between its words
    own = range(*(token.span or (0, 0)))
    there = ((index, token.source.text[index]) for index in range(since, stop))
    return "".join(char for index, char in there if index in own or char.isprintable() or char in JOINERS)
