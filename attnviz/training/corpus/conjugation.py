"""Verb groups: auxiliaries, negation and agreement for a verb in a tense."""

from __future__ import annotations

from functools import cache

from attnviz.training.corpus import morphology
from attnviz.training.corpus.lexicon import Verb

MODALS = ("can", "will", "must", "should", "might", "would", "could")
_PAST_MODALS = {"can": "could", "will": "would"}
_CONTRACTED = {"can": "can't", "will": "won't"}
_BE_PRESENT = {"singular": "is", "plural": "are", "first": "am"}
BE = Verb("be", "was", "been", stative=True)
_HAVE = Verb("have", "had", "had")
_DO = Verb("do", "did", "done")


def _finite(verb: Verb, tense: str, number: str) -> str:
    if tense == "imperative":
        return verb.lemma
    if verb.lemma == "be":
        if tense == "past":
            return "were" if number == "plural" else "was"
        return _BE_PRESENT[number]
    if tense == "past":
        return verb.past
    return morphology.third_person(verb.lemma) if number == "singular" else verb.lemma


def _modal(marks: frozenset[str], tense: str) -> str:
    chosen = next((modal for modal in MODALS if modal in marks), "")
    if not chosen and tense == "future":
        chosen = "will"
    return _PAST_MODALS.get(chosen, chosen) if tense == "past" else chosen


def _negated(first: str, contracted: bool) -> list[str]:
    if not contracted or first in ("am", "might"):
        return ["cannot"] if first == "can" else [first, "not"]
    return [_CONTRACTED.get(first, first + "n't")]


def _chain(verb: Verb, marks: frozenset[str], lone_needs_do: bool) -> list[tuple[Verb, str]]:
    """Return the verbs after any modal, each with the form it imposes on the next."""
    chain: list[tuple[Verb, str]] = []
    if "perf" in marks:
        chain.append((_HAVE, "participle"))
    if "prog" in marks:
        chain.append((BE, "gerund"))
    if "passive" in marks:
        chain.append((BE, "participle"))
    if not chain and lone_needs_do and verb.lemma != "be":
        chain.append((_DO, "base"))
    return [*chain, (verb, "")]


def _form(verb: Verb, imposed: str) -> str:
    if imposed == "participle":
        return verb.participle
    return morphology.gerund(verb.lemma) if imposed == "gerund" else verb.lemma


@cache
def verb_group(
    verb: Verb, tense: str, number: str, marks: frozenset[str], *, contracted: bool, inverted: bool = False
) -> tuple[str, ...]:
    """Return the words of a finite verb group, the main verb last.

    ``number`` is *singular*, *plural* or *first*; ``tense`` is *past*, *present*, *future* or *imperative*. An
    inverted group has an auxiliary for the subject to follow.
    """
    modal = _modal(marks, tense)
    chain = _chain(verb, marks, lone_needs_do=not modal and (inverted or "not" in marks))
    if tense == "imperative" and verb.lemma == "be" and "not" in marks:
        chain.insert(0, (_DO, "base"))
    group = [modal] if modal else []
    imposed = "base"
    for link, requirement in chain:
        group.append(_form(link, imposed) if group else _finite(link, tense, number))
        imposed = requirement
    if "not" in marks:
        group[:1] = _negated(group[0], contracted)
    return tuple(group)
