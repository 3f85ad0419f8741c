"""The nouns that training never sees as a pronoun's possible antecedent."""

from __future__ import annotations

import zlib
from functools import cache

from attnviz.training.corpus.constructions import inventory
from attnviz.training.corpus.frames import frames
from attnviz.training.corpus.lexicon import lexicon
from attnviz.training.corpus.narratives import narratives
from attnviz.training.corpus.patterns import Clause, Literal
from attnviz.training.corpus.referents import Pool, Slot

_PERCENT = 8
# Nouns of the classic examples, which the shipped model is expected to know.
_ALWAYS_TRAINED = frozenset(
    {"animal", "street", "road", "trophy", "suitcase", "dog", "cat", "ball", "window", "bottle", "cup", "bank", "river"}
    | {"box", "kitchen", "bread", "kid"}
)


def _literal_nouns() -> set[str]:
    clauses: list[Clause] = [clause for narrative in narratives() for clause in narrative.clauses]
    for frame in frames():
        clauses += [frame.main, *(continuation.clause for continuation in frame.continuations)]
    items = [item for clause in clauses for item in (clause.subject, *clause.items)]
    return {item.noun.lemma for item in items if isinstance(item, Literal)}


def _pools() -> list[Pool]:
    slots: list[Slot] = [slot for frame in frames() for slot in frame.slots]
    slots += [slot for narrative in narratives() for slot in narrative.slots]
    slots += [slot for constructions in inventory().all for entry in constructions for slot in entry.slots]
    return [pool for slot in slots for pool in (slot.pool, *slot.gendered_pools)]


@cache
def held_out_nouns() -> frozenset[str]:
    """Return the lemmas that occur in no training text with a pronoun.

    A noun that some pattern spells out, or that names a class, cannot be kept out of such texts and is never chosen;
    nor are all the nouns that some slot accepts.
    """
    words = lexicon()
    labels = {label for noun in words.nouns.values() for label in words.ancestry(noun.classes)}
    kept = _ALWAYS_TRAINED | labels | _literal_nouns()
    chosen = {lemma for lemma in words.nouns if lemma not in kept and zlib.crc32(lemma.encode()) % 100 < _PERCENT}
    for pool in _pools():
        if pool.nouns and chosen.issuperset(noun.lemma for noun in pool.nouns):
            chosen.discard(pool.nouns[0].lemma)
    return frozenset(chosen)
