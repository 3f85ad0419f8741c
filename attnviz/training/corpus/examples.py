"""The corpus: an endless, reproducible stream of English texts with the links among their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import Enum
from random import Random

from msgspec import Struct

from attnviz.training.corpus import frames
from attnviz.training.corpus.anaphora import Anaphora
from attnviz.training.corpus.builder import Example, TextBuilder
from attnviz.training.corpus.grammar import Grammar
from attnviz.training.corpus.holdout import held_out_nouns
from attnviz.training.corpus.lexicon import Noun, lexicon
from attnviz.training.corpus.narratives import narratives
from attnviz.training.corpus.nonce import nonce
from attnviz.training.corpus.ordinary import Ordinary
from attnviz.training.corpus.plan import Plan
from attnviz.training.corpus.referents import Chooser

_FRAME_SHARE, _NARRATIVE_SHARE = 0.45, 0.25
_ANAPHORA_SHARE = 0.35
# How often none, one, two or three ordinary sentences follow.
_MORE_AFTER_PRONOUN = (84, 8, 5, 3)
_MORE_AFTER_ORDINARY = (66, 20, 9, 5)
_OPENING_SHARE = 0.1
_OPENINGS = ("yesterday", "last night", "one day", "this morning", "last week")
_NONCE_SHARE = 0.18
_BARE_END_SHARE = 0.3
_LOWER_SHARE = 0.05
_CONTRACTED_SHARE = 0.75


class Split(Enum):
    """The split of texts: some for training, others kept to test whether training generalised."""

    TRAIN = "train"
    TEST = "test"


class Draft(Struct, frozen=True):
    """An example with what the split is decided by: its nouns and, of a frame, the combination it shows."""

    example: Example
    nouns: frozenset[str]
    candidates: frozenset[str]
    combination: str
    has_pronoun: bool

    def belongs_to(self, split: Split) -> bool:
        """Return whether the split may have this text; neither may have some with a held-out noun in a minor part."""
        unseen_combination = bool(self.combination) and frames.is_held_out(self.combination)
        if split is Split.TRAIN:
            return not self.has_pronoun or not (unseen_combination or not held_out_nouns().isdisjoint(self.nouns))
        return self.has_pronoun and (unseen_combination or not held_out_nouns().isdisjoint(self.candidates))


class _Writer:
    """Drafts texts from one source of chance."""

    def __init__(self, split: Split, seed: int) -> None:
        self._rng = Random(f"{split.value}/{seed}")
        self._train = split is Split.TRAIN
        known = frozenset(lexicon().nouns)
        held_out = held_out_nouns()

        def excluded(noun: Noun) -> bool:
            return self._train and noun.lemma in held_out

        def invent() -> str:
            return nonce(self._rng, known)

        self._guarded = Chooser(self._rng, lexicon(), excluded, invent)
        self._open = Chooser(self._rng, lexicon(), lambda noun: False, invent)
        self._ordinary = Ordinary(self._rng, self._open)
        self._afterthought = Ordinary(self._rng, self._guarded)
        self._anaphora = Anaphora(self._rng, self._guarded)
        self._frames = frames.frames()
        self._narratives = narratives()

    def draft(self) -> Draft:
        """One text."""
        rng = self._rng
        draw = rng.random()
        self._guarded.nonce_rate = self._open.nonce_rate = 0.5 if self._train and rng.random() < _NONCE_SHARE else 0.0
        if not self._train:
            draw *= _FRAME_SHARE + _NARRATIVE_SHARE
        combination, candidates = "", frozenset[str]()
        if draw < _FRAME_SHARE:
            plan, combination, candidates = self._frame()
        elif draw < _FRAME_SHARE + _NARRATIVE_SHARE:
            plan = self._anaphora.plan() if rng.random() < _ANAPHORA_SHARE else self._narrative()
        else:
            plan = self._ordinary.plan()
        return self._write(plan, combination, candidates)

    def _frame(self) -> tuple[Plan, str, frozenset[str]]:
        rng = self._rng
        frame = rng.choice(self._frames)
        continuation = rng.choice(frame.continuations)
        referents = self._guarded.cast(frame.slots, plain=True)
        draw = rng.random()
        clauses = frames.arrange(frame, continuation, rng, future=draw > 0.92)
        tense = "past" if draw < 0.75 else "present"
        name = frames.combination(frame, continuation, referents[continuation.letter].noun)
        named = frozenset(referents[letter].noun.lemma for letter in frame.candidates)
        return Plan(f"frame:{frame.family}", clauses, referents, tense), name, named

    def _narrative(self) -> Plan:
        narrative = self._rng.choice(self._narratives)
        referents = self._guarded.cast(narrative.slots, plain=True)
        conditional = narrative.clauses[0].connective == "if"
        tense = "past" if self._rng.random() < 0.75 and not conditional else "present"
        return Plan(f"narrative:{narrative.kind}", narrative.clauses, referents, tense)

    def _write(self, plan: Plan, combination: str, candidates: frozenset[str]) -> Draft:
        rng = self._rng
        builder = TextBuilder()
        if plan.tense == "past" and plan.end == "." and rng.random() < _OPENING_SHARE:
            _open(builder, rng)
        _say(plan, builder, rng)
        nouns = _nouns(plan)
        pronouns = builder.has_pronoun
        candidates = candidates or nouns
        kind, end = plan.kind, plan.end
        source = self._afterthought if pronouns else self._ordinary
        more = rng.choices((0, 1, 2, 3), _MORE_AFTER_PRONOUN if pronouns else _MORE_AFTER_ORDINARY)[0]
        for _ in range(more):
            builder.add(end)
            plan = source.plan()
            _say(plan, builder, rng)
            nouns |= _nouns(plan)
            end = plan.end
        if more or end == "?" or "." in builder.words or rng.random() >= _BARE_END_SHARE:
            builder.add(end)
        example = builder.finish(kind, capitalise=rng.random() >= _LOWER_SHARE)
        return Draft(example, nouns, candidates, combination, pronouns)


def _nouns(plan: Plan) -> frozenset[str]:
    return frozenset(referent.noun.lemma for referent in plan.referents.values())


def _open(builder: TextBuilder, rng: Random) -> None:
    for word in rng.choice(_OPENINGS).split():
        builder.add(word)
    if rng.random() < 0.6:
        builder.add(",")


def _say(plan: Plan, builder: TextBuilder, rng: Random) -> None:
    contracted = rng.random() < _CONTRACTED_SHARE
    Grammar(rng, builder, plan.referents, plan.tense, contracted).say(plan.clauses)


def drafts(split: Split, seed: int) -> Iterator[Draft]:
    """Yield the texts of a split with what decided that they belong to it."""
    writer = _Writer(split, seed)
    while True:
        draft = writer.draft()
        if draft.belongs_to(split):
            yield draft


def examples(split: Split, seed: int) -> Iterator[Example]:
    """Yield texts without end, the same for the same seed in every process."""
    for draft in drafts(split, seed):
        yield draft.example


def lexicon_size() -> dict[str, int]:
    """Return how many lemmas the lexicon has, by part of speech and in all."""
    words = lexicon()
    sizes = Counter(
        noun=len(words.nouns),
        name=len(words.names),
        verb=len(words.verbs),
        adjective=len(words.adjectives),
        adverb=len(words.adverbs),
    )
    return {**sizes, "total": sizes.total()}
