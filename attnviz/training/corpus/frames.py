"""World-knowledge frames: minimal pairs in which what is said of a pronoun decides which noun it denotes.

Each row of the table gives a main clause with two candidate slots, and for each candidate the predicates that can be
true of it alone in that situation: *the animal didn't cross the street because it was too {tired | wide}*.
"""

from __future__ import annotations

import zlib
from functools import cache
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from attnviz.training.corpus.lexicon import Lexicon, Noun, lexicon, table
from attnviz.training.corpus.patterns import Clause, Item, Mention, Predicate, Pronoun, parse
from attnviz.training.corpus.referents import Slot, parse_slots

_HELD_OUT_PERCENT = 10
_PLAIN_DEGREES = ((), (), ("very",), ("so",), ("really",), ("quite",), ("very",), ("extremely",))
_EXCESS_DEGREES = (("too",),) * 6 + (("so",), ("very",), (), ("really",), ("far", "too"), ("much", "too"))


class Continuation(Struct, frozen=True):
    """One predicate and the candidate it selects."""

    letter: str
    predicate: str
    clause: Clause
    gradable: bool


class Frame(Struct, frozen=True):
    """A situation with two candidate antecedents."""

    family: str
    slots: tuple[Slot, ...]
    main: Clause
    connective: str
    continuations: tuple[Continuation, ...]

    @property
    def negatable(self) -> bool:
        """Return whether the main clause denies an event, by whichever negative auxiliary."""
        return "neg" in self.main.marks

    @property
    def candidates(self) -> frozenset[str]:
        """Return the letters of the slots that compete for the pronoun."""
        return frozenset(continuation.letter for continuation in self.continuations)


def combination(frame: Frame, continuation: Continuation, noun: Noun) -> str:
    """Return the name of what the split holds out: a frame, a predicate and the primary class of its bearer."""
    return f"{frame.family}/{continuation.predicate}/{noun.classes[0]}"


@cache
def is_held_out(name: str) -> bool:
    """Return whether a combination is kept from training."""
    return zlib.crc32(name.encode()) % 100 < _HELD_OUT_PERCENT


def _continuations(cell: str, words: Lexicon) -> list[Continuation]:
    letter, predicates = cell.split(":", 1)
    found = []
    for predicate in (part.strip() for part in predicates.split(";")):
        adjective = words.adjectives.get(predicate)
        gradable = adjective is not None and adjective.gradable
        body = f"be {predicate}" if predicate.split()[0] in words.adjectives else predicate
        found.append(Continuation(letter, predicate, parse(f"@{letter} {body}", words)[0], gradable))
    return found


def _frame(row: dict[str, str], words: Lexicon) -> Frame:
    continuations = (*_continuations(row["first"], words), *_continuations(row["second"], words))
    main = parse(row["main"], words)[0]
    return Frame(row["family"], parse_slots(row["slots"], words), main, row["connective"], continuations)


@cache
def frames() -> tuple[Frame, ...]:
    """Return the table of frames, read once."""
    return tuple(_frame(row, lexicon()) for row in table("frames"))


def _refer_back(clause: Clause, letter: str) -> Clause:
    """Return the clause with a pronoun wherever it names a slot."""

    def swapped(item: Item) -> Item:
        return Pronoun(letter) if isinstance(item, Mention) and item.slot == letter else item

    subject = clause.subject
    if isinstance(subject, Mention) and subject.slot == letter:
        subject = Pronoun(letter)
    return replace(clause, subject=subject, items=tuple(swapped(item) for item in clause.items))


def _with_degree(clause: Clause, degrees: tuple[str, ...]) -> Clause:
    items = tuple(Predicate(degrees, item.adjective) if isinstance(item, Predicate) else item for item in clause.items)
    return replace(clause, items=items)


def _arrangement(frame: Frame, continuation: Continuation, draw: float) -> str:
    """Return which clause comes first and what joins them."""
    if frame.connective not in ("because", "but"):
        return "main first"
    if frame.connective == "but" or draw < 0.58:
        return "main first"
    if draw < 0.72:
        return "two sentences"
    if draw < 0.82:
        return "cause so"
    if draw < 0.92 or not continuation.gradable:
        return "because first"
    return "so that"


def _pronouns_elsewhere(continuation: Continuation) -> bool:
    return any(isinstance(item, Pronoun) for item in continuation.clause.items)


def arrange(frame: Frame, continuation: Continuation, rng: Random, *, future: bool) -> tuple[Clause, ...]:
    """Return the clauses of one text in a frame, in one of the orders that English allows."""
    main, cause = frame.main, continuation.clause
    if frame.negatable:
        denial = {"not", "can"} if rng.random() < 0.4 else {"not"}
        if future:
            denial = {"not", "will"}
        main = replace(main, marks=(main.marks - {"neg"}) | denial)
    arrangement = _arrangement(frame, continuation, rng.random())
    if _pronouns_elsewhere(continuation):
        arrangement = "main first"
    excess = frame.negatable or frame.connective == "but"
    degrees = rng.choice(_EXCESS_DEGREES if excess else _PLAIN_DEGREES)
    if arrangement in ("so that", "cause so"):
        degrees = ("so",) if arrangement == "so that" else ("too",) if excess else ("very",)
    if frame.connective != "until" and continuation.gradable:
        cause = _with_degree(cause, degrees)
    if arrangement == "main first":
        return main, replace(cause, connective=frame.connective)
    if arrangement == "two sentences":
        return main, replace(cause, connective=".")
    named = replace(cause, subject=Mention(continuation.letter))
    main = _refer_back(main, continuation.letter)
    if arrangement == "because first":
        return replace(named, connective="because"), replace(main, connective=",")
    return named, replace(main, connective="so" if arrangement == "cause so" else "so that")
