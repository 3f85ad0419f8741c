"""Passages that a model is given to read, and readings of them: tokens, for a long text in windows."""

import re
from collections.abc import Iterable, Sequence
from enum import Enum

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from attnviz.errors import UsageError
from attnviz.records import Block, Selection, to_array
from attnviz.text import Token, add_predictions
from attnviz.vocabulary import Kind


class Overlong(Enum):
    """The treatment of a text that has more tokens than its model has positions."""

    REFUSED = "refused"
    CUT = "cut"


class Windows(Struct, frozen=True):
    """Overlapping windows, for a long text: each has `size` tokens, and a new one begins every `stride` tokens.

    Special tokens that stand round a text stand round each window, and count.

    Raises:
        UsageError: one of them is less than 1.
    """

    size: int
    stride: int

    def __post_init__(self) -> None:
        if min(self.size, self.stride) < 1:
            raise UsageError(
                f"Windows of {self.size} tokens every {self.stride} tokens are not possible: give two numbers from "
                "1 on, such as 512:256."
            )


def read_windows(given: str | Sequence[int] | Windows) -> Windows:
    """Return the windows that `512:256` stands for, (512, 256), or `512` if they overlap by half; windows as they are.

    Raises:
        UsageError: it stands for none.
    """
    if isinstance(given, Windows):
        return given
    written = given if isinstance(given, str) else ":".join(map(str, given)) if isinstance(given, Sequence) else ""
    found = re.fullmatch(r"(\d{1,9})(?::(\d{1,9}))?", written, re.ASCII)
    sizes = found and (int(found[1]), int(found[2] or max(int(found[1]) // 2, 1)))
    if not sizes or min(sizes) < 1:
        raise UsageError(f"{given!r} is not a size of windows: write 512:256 for 512 tokens, one every 256.")
    return Windows(*sizes)


def read_overlong(truncate: bool, window: str | Sequence[int] | Windows | None) -> Overlong | Windows:
    """Return the treatment of a text that is too long, which is refused unless it is to be cut, or read in windows.

    Raises:
        UsageError: both are asked for, or such windows are not possible.
    """
    if truncate and window is not None:
        raise UsageError("", hint="{truncate} cuts a text and {window} reads all of it: give one of them, not both.")
    if window is not None:
        return read_windows(window)
    return Overlong.CUT if truncate else Overlong.REFUSED


class Passage(Struct, frozen=True, kw_only=True):
    """A passage for a model to read: a text, with or without the second text of a pair or the target of a translation.

    A decoder continues the text by `generate` tokens. The decoder of an encoder-decoder reads the target; where there
    is none it writes one, of at most `max_new_tokens`. `written` says that the model wrote the target: such a
    translation, or what a decoder continued the text with; `ended` that it came to an end with it by itself. `overlong`
    says what becomes of a text that is longer than the model's positions.

    `chat` says that the text is what a user says, or a JSON list of messages, and is put into the model's chat
    template; `added_tokens` that the tokenizer adds its special tokens to it, and `bos` that it is to begin with the
    token that begins texts, even if the tokenizer does not add it.
    """

    text: str
    pair: str | None = None
    target: str | None = None
    generate: int = 0
    max_new_tokens: int = 64
    written: bool = False
    ended: bool = True
    overlong: Overlong | Windows = Overlong.REFUSED
    chat: bool = False
    added_tokens: bool = True
    bos: bool = False


class Reading(Struct, frozen=True, kw_only=True):
    """A passage as a model reads it: one id and one token a position.

    `types` tells the two texts of a pair apart (token type ids), for models that ask for it. `target` is what the
    decoder of an encoder-decoder reads; `written_from` the index of the first token that a decoder has added. `notes`
    says what was done to the text, `warnings` what about it may not be meant. If the text `goes_on`, only its beginning
    was read. If it is read in `windows`, its tokens are those of all of them, each once.

    Of a window, `own` [tokens] says which queries are taken from it, `places` [tokens] which index each of its tokens
    has in the whole; None stands for all, and the same. Where windows are no longer known, `seen` [queries, keys] says
    which keys were read with which queries.
    """

    passage: Passage
    ids: tuple[int, ...]
    tokens: tuple[Token, ...]
    types: tuple[int, ...] = ()
    target: "Reading | None" = None
    written_from: int | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    goes_on: bool = False
    windows: "tuple[Reading, ...]" = ()
    own: NDArray[np.bool_] | None = None
    places: NDArray[np.intp] | None = None
    seen: NDArray[np.bool_] | None = None

    @property
    def parts(self) -> "tuple[Reading, ...]":
        """Return the parts that a model reads at a time: all of it, or its windows one by one."""
        return self.windows or (self,)

    @property
    def size(self) -> tuple[int, ...]:
        """Return how many tokens the model reads, and its decoder; readings of one size can be run together."""
        return (len(self.ids),) if self.target is None else (len(self.ids), *self.target.size)

    def sees(self, queries: Sequence[int], keys: Sequence[int]) -> bool:
        """Return whether all of these keys are read together with each of these queries, as far as windows go."""
        if self.seen is not None:
            return bool(self.seen[np.ix_(queries, keys)].all())
        return not self.windows or all(any(one.holds(query, keys) for one in self.windows) for query in queries)

    def holds(self, query: int, keys: Sequence[int]) -> bool:
        """Return whether this query of the whole is taken from this window, which has all of these keys."""
        assert self.own is not None and self.places is not None  # which every window has
        return query in self.places[self.own] and bool(np.isin(keys, self.places).all())

    def place_block(self, block: Block) -> Block:
        """Return a block of a window as one of the whole."""
        if self.own is None or self.places is None:
            return block
        rows = to_array(block.rows)
        here = np.flatnonzero(self.own[rows])
        keys = self.places[to_array(block.keys)]
        return replace(block.of_rows(here, self.places[rows[here]]), keys=keys)

    def take(self, indices: Iterable[int]) -> "Reading":
        """Return some of the tokens, or all of them in another order; each at the position where it was."""
        indices = list(indices)
        return replace(
            self,
            ids=tuple(self.ids[index] for index in indices),
            tokens=tuple(self.tokens[index] for index in indices),
            types=tuple(self.types[index] for index in indices) if self.types else (),
        )

    def continue_with(self, ids: Sequence[int], text: str, tokens: Sequence[Token]) -> "Reading":
        """Return the same with what a decoder has written after it: a text, and its ids and tokens."""
        return replace(
            self,
            passage=replace(self.passage, target=text, written=True),
            ids=(*self.ids, *ids),
            tokens=(*self.tokens, *tokens),
            written_from=len(self.ids),
        )

    def begin_with(self, begin: Token) -> "Reading":
        """Return the same with a special token before it, unless it begins with that already."""
        if begin.id is None or self.ids[:1] == (begin.id,):
            return self
        moved = (replace(token, position=token.position + 1) for token in self.tokens)
        types = (self.types[0], *self.types) if self.types else ()
        return replace(self, ids=(begin.id, *self.ids), tokens=(begin, *moved), types=types)

    def axes(self, kind: Kind) -> tuple[tuple[Token, ...], tuple[Token, ...]]:
        """Return the tokens that are queries and those that are keys in one kind of attention.

        Queries that a decoder reads of a target know what they predict.
        """
        if self.target is None or kind is Kind.ENCODER:
            since = self.written_from
            tokens = self.tokens if since is None else add_predictions(self.tokens, max(since - 1, 0))
            return tokens, tokens
        queries = add_predictions(self.target.tokens)
        return queries, self.tokens if kind.crosses else queries


def no_begin_token(name: str) -> UsageError:
    """Return what to say of a model that has no token that begins a text, where one is asked for."""
    return UsageError(f"{name} has no token that begins a text:", hint="leave {bos} out.")


def find_rows_among(readings: Sequence[Reading], kind: Kind, select: Selection) -> list[int]:
    """Return the rows that are wanted in any of these readings, in order."""
    if select.rows is None:
        return list(range(len(readings[0].axes(kind)[0])))
    return sorted({row for reading in readings for row in select.rows_of(reading.axes(kind)[0])})
